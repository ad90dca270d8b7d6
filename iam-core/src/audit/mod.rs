//! Who must know?
//!
//! One event for each decision, from a closed set of names. An event holds no credential: there is no field for one.

mod batch;
mod event;

use std::fmt;

pub use self::{
    batch::AuditBatch,
    event::{AuditEvent, EventName, Outcome},
};

/// Takes audit events.
///
/// Called from a thread of its own, behind a bounded queue, after the decision: a sink can neither delay nor change one.
/// A sink that fails loses its event and nothing else: fails open for the request, and the loss is counted.
///
/// Also called by a [`PermissionClient`](crate::service::keto::PermissionClient) that
/// [records](crate::service::keto::PermissionClient::recorded) what it writes, from wherever it is polled: give it the near
/// end of such a queue.
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
    /// Takes one event, which is lent for as long as the call lasts.
    fn emit(&self, event: &AuditEvent<'_>);

    /// Writes out what the sink holds back. Called after events that waited together, so also after the last one.
    fn flush(&self) {}
}
