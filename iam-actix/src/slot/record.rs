//! How did the request end?

use std::{
    borrow::Cow,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use iam_core::{audit::AuditEvent, decision::Refusal, principal::Principal};

use super::RequestSecurity;

/// What will be audited.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) outcome: Outcome,
    /// What the handler asked by itself.
    pub(super) asked: Vec<Arc<str>>,
    /// An extractor's refusal. It counts when it became the response.
    pub(super) pending: Option<(Refusal, Arc<AtomicBool>)>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Outcome {
    #[default]
    Undecided,
    Allow,
    Deny(Refusal),
}

impl RequestSecurity {
    /// Emits the one event of the request. A request that nobody decided about, because the caller went away, has none.
    fn emit(&self) {
        let record = self.record.take();
        let answered = record
            .pending
            .filter(|(_, answered)| answered.load(Ordering::Relaxed))
            .map(|(refusal, _)| refusal);
        let now = self.engine.now();

        let mut event = match (answered, record.outcome) {
            (Some(refusal), _) | (None, Outcome::Deny(refusal)) => {
                let mut event = AuditEvent::deny(refusal.reason, now);
                event.detail = refusal.detail;
                event
            }
            (None, Outcome::Allow) => AuditEvent::allow(now),
            (None, Outcome::Undecided) => return,
        };

        self.describe(&mut event);
        event.requirements.extend(record.asked);
        self.engine.emit(event);
    }

    fn describe(&self, event: &mut AuditEvent) {
        event.method = Some(named_method(self.head.method()));
        event.request_id = Some(self.request_id.shared());
        event.route.clone_from(&self.route.borrow());
        if let Some(chain) = &*self.chain.borrow() {
            event.requirements = chain.requirements().to_vec();
        }
        if let Some(admitted) = &*self.admitted.borrow() {
            event.tenant = Some(admitted.tenant().shared_name());
            event.actor = admitted.principal().map(Principal::actor);
        } else {
            event.tenant = self.named_tenant();
        }
    }

    /// Returns the tenant for whom a request was refused before it was let in.
    fn named_tenant(&self) -> Option<Arc<str>> {
        let attempts = self.attempts.borrow();

        attempts.last().map(|attempt| attempt.tenant.shared_name())
    }
}

/// Returns a method for the record.
fn named_method(method: &str) -> Cow<'static, str> {
    match METHODS.into_iter().find(|known| *known == method) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(method.chars().take(LONGEST_METHOD).collect()),
    }
}

/// Emits the audit event when the request is over, however it ends: answered, panicked, or given up by the caller.
#[derive(Debug)]
pub(crate) struct Recorder(Rc<RequestSecurity>);

impl Recorder {
    /// Records the request that the slot belongs to.
    pub(crate) const fn new(slot: Rc<RequestSecurity>) -> Self {
        Self(slot)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.0.emit();
    }
}

/// Those that are recorded without a copy (RFC 9110 §9.3, RFC 5789).
const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT",
];

/// How much of a method is recorded: a caller may send one as long as a head may be, and events wait in a queue.
const LONGEST_METHOD: usize = 32;
