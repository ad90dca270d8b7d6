//! The record of decisions.
//!
//! Each decision is one event, whose name comes from a closed set. An event has no field for a credential.

mod batch;
mod event;

use std::fmt;

pub use self::{
    batch::AuditBatch,
    event::{AuditEvent, EventName, Outcome},
};

/// A sink of audit events.
///
/// The audit thread calls it after the decision, behind a bounded queue: a sink can neither delay nor change a decision.
/// A sink that fails loses its own event and nothing else: it fails open for the request, and the loss is counted.
///
/// A [`PermissionClient`](crate::service::keto::PermissionClient) that
/// [records](crate::service::keto::PermissionClient::recorded) its writes also calls a sink, on the thread that polls the client:
/// that sink should put events into such a queue.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use iam_core::audit::{AuditEvent, AuditSink, Outcome};
///
/// #[derive(Debug, Default)]
/// struct Refusals(AtomicU64);
///
/// impl AuditSink for Refusals {
///     fn emit(&self, event: &AuditEvent<'_>) {
///         if event.outcome == Outcome::Deny {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Takes one event, which is borrowed for the call.
    fn emit(&self, event: &AuditEvent<'_>);

    /// Writes out buffered events. Called after each batch of events.
    fn flush(&self) {}
}
