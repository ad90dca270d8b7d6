use std::{
    borrow::Cow,
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::dev::ServiceResponse;
use iam_core::{
    audit::AuditEvent, clock::Timestamp, decision::Refusal, principal::Principal, requirement::Access,
    tenant::Tenant,
};
use iam_grammar::RelationTuple;

use super::{
    RequestState,
    admission::{Attempt, ClaimState},
    clearance::Refused,
};
use crate::route::{chain::Chain, params};

/// What the handler asked by itself, and what Keto was asked last.
#[derive(Debug, Default)]
pub(super) struct Questions {
    texts: Vec<String>,
    /// The answer to the last question, and its time.
    last: Option<(Result<(), Refused>, Timestamp)>,
    /// The tuples of the last call to Keto, when its answer was not yes.
    pub(super) denied: Option<Rc<str>>,
}

/// The refusals that extractors and handlers were given, in order.
#[derive(Debug, Default)]
pub(super) struct HandlerErrors(Vec<HandlerError>);

#[derive(Debug)]
struct HandlerError {
    refused: Refused,
    /// Set when the error became a response.
    answered: Arc<AtomicBool>,
}

impl HandlerErrors {
    pub(super) fn push(&mut self, refused: Refused, answered: Arc<AtomicBool>) {
        // An error that was swallowed cannot become a response any more.
        self.0.retain(HandlerError::may_count);
        self.0.push(HandlerError { refused, answered });
    }

    /// Returns the last refusal that became a response.
    fn answered(&self) -> Option<Refused> {
        self.0
            .iter()
            .rfind(|error| error.answered.load(Ordering::Relaxed))
            .map(|error| error.refused.clone())
    }
}

impl HandlerError {
    /// Tells whether the error has become a response, or may still.
    fn may_count(&self) -> bool {
        Arc::strong_count(&self.answered) > 1 || self.answered.load(Ordering::Relaxed)
    }
}

impl RequestState {
    /// Notes a question of the handler and its answer.
    pub(super) fn note_question(&self, text: String, result: Result<(), Refusal>) {
        let result = result.map_err(|refusal| self.refused(refusal));
        let mut questions = self.questions.borrow_mut();
        questions.texts.push(text);
        questions.last = Some((result, self.shared().now()));
        drop(questions);

        // The event of the request is written already, as when a body is streamed.
        if self.is_over.get() {
            self.emit(true);
        }
    }

    /// Notes the tuples of a question to Keto when its answer is not yes.
    pub(super) fn note_denied(&self, tuples: &[RelationTuple], result: Result<(), Refusal>) {
        let text = || {
            let texts: Vec<String> = tuples.iter().map(ToString::to_string).collect();
            texts.join(", ").into()
        };
        self.questions.borrow_mut().denied = result.is_err().then(text);
    }

    /// Emits the event of the request. A request without an answer, whose caller went away before the last check, has none.
    fn emit(&self, is_answered: bool) {
        let questions = self.questions.take();
        let errors = self.errors.take();
        let clearance = self.clearance.borrow();
        let clearance = clearance.as_ref();

        let is_enforced = match clearance {
            Some(Ok(clearance)) => clearance.is_enforced,
            Some(Err(_)) => true,
            None => false,
        };
        let refused = clearance.and_then(|result| result.as_ref().err().cloned());
        let (mut event, tuples) = match (errors.answered().or(refused), questions.last, clearance) {
            (Some(refused), _, _) | (None, Some((Err(refused), _)), _) => denial(refused),
            (None, Some((Ok(()), at)), _) => (AuditEvent::allow(at), None),
            (None, None, Some(Ok(clearance))) => (AuditEvent::allow(clearance.at), None),
            // A middleware between the gate and the wrappers has answered.
            (None, None, Some(Err(_)) | None) if is_answered => {
                (AuditEvent::allow(self.shared().now()), None)
            }
            (None, None, Some(Err(_)) | None) => return,
        };

        let announced = self.announced.borrow();
        let owner = self.owner();
        event.method = Some(shortened(self.head.method()).into());
        event.request_id = Some(self.request_id.as_str().into());
        event.route = announced.route().map(Cow::Borrowed);
        event.tenant = owner.tenant().map(|tenant| tenant.name().into());
        event.actor = owner.principal().map(|principal| principal.actor().into());
        event.tuple = tuples.as_deref().map(Cow::from);
        // Requirements that nothing enforced are omitted.
        let chain = announced
            .chain
            .as_deref()
            .filter(|_| is_enforced || event.reason.is_some());
        let required = chain.map(Chain::requirements).unwrap_or_default();
        event
            .requirements
            .extend(required.iter().chain(&questions.texts).map(Cow::from));
        self.shared().emit(&event);
    }

    /// Returns the attempt that the event names.
    fn owner(&self) -> Owner {
        if let Some(attempt) = self
            .attempts
            .find(|attempt| attempt.claim() == ClaimState::Refused)
        {
            return Owner::Principal(attempt);
        }
        let Some(admission) = self.admission() else {
            // Refused before it was admitted: no principal may be named.
            return self.attempts.last_looked().map_or(Owner::Unknown, Owner::Tenant);
        };

        // A public route has no principal. But where that was known too late, a credential is used up.
        let claimed = self.attempts.find(|attempt| attempt.claim() == ClaimState::Made);
        match (admission.access(), claimed) {
            (Access::Public, Some(claimed)) => Owner::Principal(claimed),
            (Access::Public | Access::Optional | Access::Anonymous | Access::Protected, _) => {
                Owner::Principal(admission.into_attempt())
            }
        }
    }
}

/// The tenant and the principal that an event names.
enum Owner {
    Principal(Rc<Attempt>),
    Tenant(Rc<Attempt>),
    Unknown,
}

impl Owner {
    fn tenant(&self) -> Option<&Arc<Tenant>> {
        match self {
            Self::Principal(attempt) | Self::Tenant(attempt) => Some(attempt.tenant()),
            Self::Unknown => None,
        }
    }

    fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Principal(attempt) => attempt.principal(),
            Self::Tenant(_) | Self::Unknown => None,
        }
    }
}

/// Makes the event of a refusal. Its tuples stay outside, because the event borrows them.
fn denial(refused: Refused) -> (AuditEvent<'static>, Option<Rc<str>>) {
    let mut event = AuditEvent::deny(refused.refusal.reason, refused.at);
    event.detail = refused.refusal.detail;
    (event, refused.tuples)
}

/// Shortens a method for the event. Methods are ASCII, so any byte is a boundary.
fn shortened(method: &str) -> &str {
    method.get(..LONGEST_METHOD).unwrap_or(method)
}

/// Emits the audit event when the request leaves the gate, however it ends: answered, panicked, or given up by its caller.
#[derive(Debug)]
pub(crate) struct Recorder {
    is_answered: Cell<bool>,
    state: Rc<RequestState>,
}

impl Recorder {
    /// Records a request.
    pub(crate) const fn new(state: Rc<RequestState>) -> Self {
        Self {
            is_answered: Cell::new(false),
            state,
        }
    }

    /// Notes that the inner service has answered, with a response or an error.
    pub(crate) fn note_answer<B>(&self, answer: &Result<ServiceResponse<B>, actix_web::Error>) {
        let state = &self.state;
        self.is_answered.set(true);
        if state.pattern().is_some() {
            return;
        }

        let told = answer
            .as_ref()
            .ok()
            .and_then(|response| params::pattern_of(response.request()));
        // The request of a refusal is a rebuilt one, without a pattern.
        let found = || {
            let route = state.head.route_in(&state.context);
            route
                .filter(|_| state.is_refused())
                .map(|route| route.pattern().to_owned())
        };
        if let Some(pattern) = told.or_else(found) {
            state.note_unannounced_pattern(pattern);
        }
    }

    /// Notes that the gate has refused the request. Finds the route that announced nothing, and the policy that may be hidden.
    pub(crate) fn note_refusal(&self) {
        let state = &self.state;
        if state.pattern().is_some() {
            return;
        }
        let Some(route) = state.head.route_in(&state.context) else {
            return;
        };

        state.note_unannounced_pattern(route.pattern().to_owned());
        if state.chain().is_none() {
            state.context.report_hidden(route, state.head.method());
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.state.end();
        self.state.emit(self.is_answered.get());
    }
}

/// The longest part of a method in an event: a caller may send one as long as a head may be, and events wait in a queue.
const LONGEST_METHOD: usize = 32;

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use iam_core::decision::Reason;

    use super::*;
    use crate::answer::error::Error;

    /// An extractor in a loop holds the memory of one refusal.
    #[test]
    fn a_refusal_counts_as_long_as_it_may_become_a_response() {
        let refusal = Refusal::new(Reason::RoleDeny);
        let [swallowed, rendered] = [(); 2].map(|()| Error::new(refusal, None, false));
        let [of_swallowed, of_rendered] = [&swallowed, &rendered].map(|error| HandlerError {
            refused: Refused {
                refusal,
                at: Timestamp::default(),
                tuples: None,
            },
            answered: error.answered(),
        });
        assert!(of_swallowed.may_count() && of_rendered.may_count());

        let _ = rendered.error_response();
        drop((swallowed, rendered));

        assert!(!of_swallowed.may_count());
        assert!(of_rendered.may_count());
    }
}
