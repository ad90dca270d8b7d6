//! How did the request end?

use std::{
    borrow::Cow,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use iam_core::{
    audit::AuditEvent, clock::Timestamp, decision::Refusal, principal::Principal, requirement::Access,
    tenant::Tenant,
};

use super::{RequestState, admission::Claim};
use crate::policy::chain::Chain;

/// What will be audited.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) outcome: Outcome,
    /// What the handler asked by itself.
    pub(super) asked: Vec<String>,
    /// The refusals of extractors and of what the handler asked, in order. The last that became a response counts.
    pub(super) pending: Vec<Pending>,
}

/// A refusal that `Option<_>` or a handler may swallow.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) refusal: Refusal,
    pub(super) time: Timestamp,
    /// Set when it became a response. Whether that is the one that goes out, only whoever answers in its place knows.
    pub(super) answered: Arc<AtomicBool>,
}

impl Pending {
    /// Tells whether the error has become a response, or may still.
    pub(super) fn may_count(&self) -> bool {
        Arc::strong_count(&self.answered) > 1 || self.answered.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Outcome {
    #[default]
    Undecided,
    Allow,
    Deny(Refusal),
}

impl RequestState {
    /// Says that the request is answered. Where no wrapper has decided, a middleware in between has answered whom the gate let in.
    pub(crate) fn answered(&self) {
        let mut record = self.record.borrow_mut();
        if matches!(record.outcome, Outcome::Undecided) {
            record.outcome = Outcome::Allow;
        }
    }

    /// Emits the one event of the request. A request that nobody decided about, because the caller went away, has none.
    pub(super) fn emit(&self) {
        let record = self.record.take();
        let pending = record
            .pending
            .iter()
            .rfind(|pending| pending.answered.load(Ordering::Relaxed));
        let now = || self.decided_at.get().unwrap_or_else(|| self.engine.now());

        // What no wrapper has asked, nobody was allowed.
        let is_asked = self.authorized.get() || !matches!(record.outcome, Outcome::Allow);
        let mut event = match (pending, record.outcome) {
            (Some(pending), _) => denial(pending.refusal, pending.time),
            (None, Outcome::Deny(refusal)) => denial(refusal, now()),
            (None, Outcome::Allow) => AuditEvent::allow(now()),
            (None, Outcome::Undecided) => return,
        };

        let (route, chain) = (self.route.borrow(), self.chain.borrow());
        event.method = Some(shortened(self.head.method()).into());
        event.request_id = Some(self.request_id.as_str().into());
        event.route = route
            .as_deref()
            .or_else(|| self.unannounced.get().map(String::as_str))
            .map(Cow::Borrowed);
        let (tenant, principal) = self.whose();
        event.tenant = tenant.map(|tenant| tenant.name().into());
        event.actor = principal.map(|principal| principal.actor().into());
        let chain = chain.as_deref().filter(|_| is_asked);
        let required = chain.map(Chain::requirements).unwrap_or_default();
        event
            .requirements
            .extend(required.iter().chain(&record.asked).map(Cow::from));
        self.engine.emit(&event);
    }

    /// Returns for which tenant the request was decided, and who sent it.
    fn whose(&self) -> (Option<&Arc<Tenant>>, Option<&Principal>) {
        if let Some((tenant, principal)) = self.attempts.first_with(Claim::Refused) {
            return (Some(tenant), Some(principal));
        }
        let Some(admitted) = self.admitted() else {
            // For whom a request was refused before it was let in.
            return (self.attempts.last_tenant(), None);
        };

        match (admitted.access(), self.attempts.first_with(Claim::Made)) {
            // Nobody is asked for on a public route. But where that was known too late, somebody's credential is used up.
            (Access::Public, Some((tenant, principal))) => (Some(tenant), Some(principal)),
            (Access::Public | Access::Optional | Access::Protected, _) => {
                (Some(admitted.tenant()), admitted.principal())
            }
        }
    }
}

fn denial(refusal: Refusal, time: Timestamp) -> AuditEvent<'static> {
    let mut event = AuditEvent::deny(refusal.reason, time);
    event.detail = refusal.detail;
    event
}

/// Returns a method for the record. It is ASCII, so it may be cut anywhere.
fn shortened(method: &str) -> &str {
    method.get(..LONGEST_METHOD).unwrap_or(method)
}

/// Emits the audit event when the request is over, however it ends: answered, panicked, or given up by the caller.
#[derive(Debug)]
pub(crate) struct Recorder(Rc<RequestState>);

impl Recorder {
    /// Records the request that the slot belongs to.
    pub(crate) const fn new(slot: Rc<RequestState>) -> Self {
        Self(slot)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.0.end();
        self.0.emit();
    }
}

/// How much of a method is recorded: a caller may send one as long as a head may be, and events wait in a queue.
const LONGEST_METHOD: usize = 32;

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use iam_core::decision::Reason;

    use super::*;
    use crate::answer::error::Error;

    /// Whoever extracts in a loop holds the memory of one refusal.
    #[test]
    fn a_refusal_counts_as_long_as_it_may_become_a_response() {
        let refusal = Refusal::new(Reason::RoleDeny);
        let [swallowed, rendered] = [(); 2].map(|()| Error::new(refusal, None, false));
        let [of_swallowed, of_rendered] = [&swallowed, &rendered].map(|error| Pending {
            refusal,
            time: Timestamp::default(),
            answered: error.answered(),
        });
        assert!(of_swallowed.may_count() && of_rendered.may_count());

        let _ = rendered.error_response();
        drop((swallowed, rendered));

        assert!(!of_swallowed.may_count());
        assert!(of_rendered.may_count());
    }
}
