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
mod chain;
mod challenge;
mod enforce;
mod error;
mod params;
mod request_id;
mod route;
mod worker;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use crate::{
    error::Error,
    route::{ResourceExt, RouteExt, ScopeExt, SecuredFactory},
};
pub use iam_macros::{optional, public, require_permission, require_role, require_scope, single_use};

pub use audit::{AuditEvents, ChannelAuditSink, JsonLinesAuditSink, TracingAuditSink, audit_channel};

#[cfg(test)]
mod test_upstream;
