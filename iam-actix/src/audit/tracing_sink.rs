use iam_core::audit::{AuditEvent, AuditSink, Outcome};

/// A sink that emits each event through `tracing`, with the target `iam::audit`: allowed requests as `INFO`, others as `WARN`.
///
/// ```
/// use iam_actix::TracingAuditSink;
///
/// let sink = TracingAuditSink::new();
/// # drop(sink);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingAuditSink;

impl TracingAuditSink {
    /// Creates the sink.
    pub const fn new() -> Self {
        Self
    }
}

/// `tracing` needs a constant level at each call.
macro_rules! record {
    ($level:ident, $event:ident) => {
        tracing::$level!(
            target: "iam::audit",
            event = $event.event.as_str(),
            time = $event.time.as_millis(),
            reason = $event.reason.map(|reason| reason.code()),
            detail = $event.detail,
            tenant = $event.tenant.as_deref(),
            actor = $event.actor.as_deref(),
            method = $event.method.as_deref(),
            route = $event.route.as_deref(),
            request_id = $event.request_id.as_deref(),
            requirements = ?$event.requirements,
            tuple = $event.tuple.as_deref(),
        )
    };
}

impl AuditSink for TracingAuditSink {
    fn emit(&self, event: &AuditEvent<'_>) {
        match event.outcome {
            Outcome::Allow => record!(info, event),
            Outcome::Deny => record!(warn, event),
        }
    }
}
