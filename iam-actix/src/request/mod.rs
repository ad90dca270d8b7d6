//! The state of one request, handed on from stage to stage.
//!
//! ```text
//! Announced   the policies on the way to the route, and its pattern      while the request is routed
//!     ▼
//! Admission   the principal, for one tenant and transport                 the gate
//!     ▼
//! Clearance   roles, scopes, permissions, single use                      the innermost wrapper
//!     ▼
//! AuditEvent  what became of the request                                  when the request leaves the gate
//! ```
//!
//! Each of them is made by one function and does not change afterwards. [`RequestState`] travels in the request's extensions and
//! holds the latest of each. A request that enters the gate again, in a fallback, gets a new one.

mod admission;
mod announced;
mod clearance;
mod context;
mod event;
mod head;
pub(crate) mod request_id;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    HttpMessage as _, HttpRequest,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderValue, WWW_AUTHENTICATE},
};
use iam_core::{
    decision::{Reason, Refusal},
    tenant::KratosSettings,
};

pub(crate) use self::{
    admission::Admission, announced::Announced, clearance::Grant, context::GateContext, event::Recorder,
};
use self::{
    admission::Attempts,
    clearance::{Clearance, Refused},
    event::{HandlerErrors, Questions},
    head::CapturedHead,
};
use crate::{
    answer::{
        challenge::insufficient_scope,
        error::{Error, Shown, response},
        fault,
    },
    state::State,
};
use request_id::RequestId;

/// Everything that is known about one request. Shared by the gate, the wrappers on the way, and the extractors.
#[derive(Debug)]
pub(crate) struct RequestState {
    context: Rc<GateContext>,
    head: CapturedHead,
    request_id: RequestId,

    announced: RefCell<Announced>,
    /// Every authentication of this request, so that no credential is verified or claimed twice.
    attempts: Attempts,
    admission: RefCell<Option<Admission>>,
    /// `None` until a wrapper has enforced the policies, or the request was refused.
    clearance: RefCell<Option<Result<Clearance, Refused>>>,

    /// What the handler asked by itself.
    questions: RefCell<Questions>,
    /// The refusals that extractors and handlers were given. One that becomes the response decides the event.
    errors: RefCell<HandlerErrors>,
    /// Set when the request leaves the gate.
    is_over: Cell<bool>,
}

impl RequestState {
    /// Keeps what is needed of a request, and puts the state into its extensions.
    pub(crate) fn attach(context: &Rc<GateContext>, request: &ServiceRequest) -> Rc<Self> {
        let state = Rc::new(Self {
            context: Rc::clone(context),
            head: CapturedHead::of(request),
            request_id: RequestId::accept_or_make(request.headers()),
            announced: RefCell::default(),
            attempts: Attempts::default(),
            admission: RefCell::default(),
            clearance: RefCell::default(),
            questions: RefCell::default(),
            errors: RefCell::default(),
            is_over: Cell::default(),
        });

        request.extensions_mut().insert(Rc::clone(&state));
        state
    }

    /// Returns the state of a request that is inside a gate.
    pub(crate) fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        let extensions = request.extensions();
        let state = extensions.get::<Rc<Self>>()?;

        (!state.is_over.get()).then(|| Rc::clone(state))
    }

    /// Returns what all workers share.
    fn shared(&self) -> &State {
        self.context.state()
    }

    /// Tells whether the request came through a gate of this [`Iam`](crate::Iam).
    pub(crate) fn is_of(&self, shared: &Arc<State>) -> bool {
        Arc::ptr_eq(self.context.state(), shared)
    }

    /// Marks the request as having left the gate.
    pub(crate) fn end(&self) {
        self.is_over.set(true);
    }

    /// Returns the id of the request.
    pub(crate) const fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Returns the admission of a request that the gate has let in.
    pub(crate) fn admission(&self) -> Option<Admission> {
        self.admission.borrow().clone()
    }

    /// Tells whether a wrapper has enforced the policies, or the request was refused.
    pub(crate) fn is_concluded(&self) -> bool {
        self.clearance.borrow().is_some()
    }

    fn is_refused(&self) -> bool {
        matches!(*self.clearance.borrow(), Some(Err(_)))
    }

    /// Records a refusal and builds its response, on a request rebuilt from what was kept.
    pub(crate) fn refuse(self: &Rc<Self>, refusal: Refusal) -> ServiceResponse<BoxBody> {
        self.conclude(Some(Err(self.refused(refusal))));
        // The caller sees this refusal, not one that was made further in.
        self.errors.take();
        self.log(refusal);

        let registry = self.shared().registry();
        let attempt = self.attempts.last_looked();
        let kratos = attempt.as_ref().and_then(|attempt| attempt.tenant().kratos());
        let shown = Shown {
            request_id: Some(&self.request_id),
            login_url: kratos.and_then(KratosSettings::login_url),
            development: registry.development(),
        };
        let request = self.head.rebuild(registry.credential_headers());
        request.extensions_mut().insert(Rc::clone(self));
        let mut answer = response(refusal, shown);
        if refusal.reason == Reason::ScopeDeny
            && let Some(challenge) = self.scope_challenge()
        {
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        ServiceResponse::new(request, answer)
    }

    /// Returns the challenge that names the scopes of the route.
    fn scope_challenge(&self) -> Option<HeaderValue> {
        let chain = self.chain()?;
        insufficient_scope(chain.effective().ok()?.scopes())
    }

    /// Logs a refusal that a developer or an operator has to act on.
    fn log(&self, refusal: Refusal) {
        let announced = self.announced.borrow();
        fault::log_misconfiguration(refusal, announced.route());
        if refusal.reason == Reason::Csrf {
            fault::log_csrf(self.head.origin(), announced.route());
        }
        if let Some(attempt) = self.attempts.last_looked() {
            self.shared().raise_alarm(attempt.tenant().name(), refusal);
        }
    }

    /// Answers an error that a middleware further in returned, if it is one of ours.
    ///
    /// # Errors
    ///
    /// The error itself when it is not.
    pub(crate) fn answer_error(
        self: &Rc<Self>,
        error: actix_web::Error,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        match error.as_error::<Error>().map(Error::refusal) {
            Some(refusal) => Ok(self.refuse(refusal)),
            None => Err(error),
        }
    }

    /// Makes the error of an extractor, or of a question of the handler. It decides the event only when it becomes the response:
    /// `Option<_>` and handlers may swallow it.
    pub(crate) fn error(&self, refusal: Refusal) -> Error {
        let error = Error::new(
            refusal,
            Some(self.request_id.clone()),
            self.shared().registry().development(),
        );

        self.errors
            .borrow_mut()
            .push(self.refused(refusal), error.answered());
        error
    }
}
