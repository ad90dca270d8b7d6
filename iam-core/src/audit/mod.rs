//! Who must know?
//!
//! One event for each decision, from a closed set of names. An event holds no credential: there is no field for one.

mod event;

use std::fmt;

pub use event::{AuditEvent, EventName, Outcome};

/// Takes audit events.
///
/// Called from a thread of its own, behind a bounded queue, after the decision: a sink can neither delay nor change one.
/// A sink that fails loses its event and nothing else: fails open for the request, and the loss is counted.
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Takes one event.
    fn emit(&self, event: &AuditEvent);

    /// Writes out what the sink holds back. Called whenever no further event is waiting, and at the end.
    fn flush(&self) {}
}
