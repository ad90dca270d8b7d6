//! Identity and access for Actix Web beside the Ory stack: exact default deny, attributes, extractors.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the builder that starts the threads follows")
)]
mod upstream;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the builder that starts the queue follows")
)]
mod audit;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the builder that starts the refresh follows")
)]
mod keys;
mod worker;

pub use audit::{AuditEvents, ChannelAuditSink, JsonLinesAuditSink, TracingAuditSink, audit_channel};

#[cfg(test)]
mod test_upstream;
