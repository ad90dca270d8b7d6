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

mod chain;
mod challenge;
mod check;
mod enforce;
mod engine;
mod error;
mod extract;
mod head;
mod middleware;
mod params;
mod request_id;
mod route;
mod slot;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use crate::{
    check::{AccessMap, CheckError, Declaration, Mode, Problem, RouteAccess},
    error::Error,
    extract::{Access, Client, Granted, Identity, Principal, Tenant},
    middleware::IamMiddleware,
    route::{ResourceExt, RouteExt, ScopeExt, SecuredFactory},
};
pub use iam_macros::{optional, public, require_permission, require_role, require_scope, single_use};

pub use audit::{AuditEvents, ChannelAuditSink, JsonLinesAuditSink, TracingAuditSink, audit_channel};

#[cfg(test)]
mod test_upstream;
