//! Identity and access for Actix Web beside the Ory stack: exact default deny, attributes, extractors.

mod iam;
mod ports;
mod health;
mod keys;
mod replay;
mod upstream;
pub mod audit;
mod quiet;
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

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use crate::{
    audit::{AuditEvents, ChannelAuditSink, JsonLinesAuditSink, TracingAuditSink, audit_channel},
    check::{AccessMap, CheckError, Declaration, Mode, Problem, RouteAccess},
    error::Error,
    extract::{Access, Client, Granted, Identity, Principal, Tenant},
    health::Health,
    iam::{Iam, IamBuilder, PurgeError, StartError, TenantServices},
    middleware::IamMiddleware,
    ports::Ports,
    route::{ResourceExt, RouteExt, ScopeExt, SecuredFactory},
};
pub use iam_macros::{optional, public, require_permission, require_role, require_scope, single_use};

pub use iam_core::{
    clock, config,
    config::{ConfigError, IamConfig},
    tenant::Transport,
};
pub use iam_grammar::Permission;

/// Self-service flows in front of Kratos: what a login or registration page of one's own needs.
pub mod flows {
    pub use iam_core::{
        request::RequestHead,
        service::{
            CallError,
            kratos::flows::{Flow, FlowAnswer, FlowClient, FlowContext, FlowKind},
        },
    };
}

#[cfg(test)]
mod test_upstream;
