//! What is known about this request?
//!
//! One [`RequestState`] travels with each request that comes to the gate, and a new one when it comes again, shared by
//! the gate, the wrappers on the way, and the extractors. It holds what the gate kept of the request, which policies were
//! announced, who was authenticated for which tenant, and how the request ended. Nothing in it is held across requests.

mod admission;
mod clearance;
mod event;
pub(crate) mod request_id;

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    HttpMessage as _, HttpRequest,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
};
use iam_core::{clock::Timestamp, decision::Refusal};
use iam_grammar::RelationTuple;

pub(crate) use self::{admission::Admitted, event::Recorder};
use self::{
    admission::Attempts,
    event::{Outcome, Pending, Record},
};
use crate::{
    answer::error::{Error, response},
    engine::Engine,
    gate::head::CapturedHead,
    policy::chain::Chain,
    policy::params,
    request::request_id::RequestId,
};

/// Everything that is known about one request.
#[derive(Debug)]
pub(crate) struct RequestState {
    engine: Rc<Arc<dyn Engine>>,
    head: CapturedHead,
    request_id: RequestId,

    /// The announced policies. Grows while the request is routed.
    chain: RefCell<Option<Rc<Chain>>>,
    /// The full pattern of the chosen route, as a wrapper tells it.
    route: RefCell<Option<Rc<str>>>,
    /// The same where no wrapper has told it. A `String`, as Actix Web gives it: nobody shares it.
    unannounced: OnceCell<String>,
    /// Set when the gate has read the policies: what is announced from now on is late.
    policies_read: Cell<bool>,
    /// Set by a scope that calls inward only when the request is let in: what is announced inside is not late.
    closed: Cell<bool>,

    /// Who was authenticated for which tenant and transport, so that nothing is verified or claimed twice.
    attempts: Attempts,
    /// Set when a wrapper held the request to its policies, and when it was refused: nobody further out is asked then.
    authorized: Cell<bool>,
    /// When the last thing was known that the decision rests on: that is when the request was decided.
    decided_at: Cell<Option<Timestamp>>,
    /// The path values that permissions were checked with, and what was asked.
    granted: RefCell<Option<Rc<Grant>>>,

    record: RefCell<Record>,
    /// Set when the request leaves the gate: whoever sends it once more, sends another one.
    over: Cell<bool>,
}

/// What a principal was granted.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The path parameters that the permissions ask for, with the values they were checked with.
    pub(crate) values: Vec<(String, String)>,
    /// The tuples that Keto was asked.
    pub(crate) tuples: Vec<RelationTuple>,
}

impl RequestState {
    /// Keeps what is needed of a request and puts itself into its extensions.
    pub(crate) fn attach(engine: &Rc<Arc<dyn Engine>>, request: &ServiceRequest) -> Rc<Self> {
        let slot = Rc::new(Self {
            head: CapturedHead::of(request),
            request_id: RequestId::accept_or_make(request.headers()),
            engine: Rc::clone(engine),
            chain: RefCell::default(),
            route: RefCell::default(),
            unannounced: OnceCell::new(),
            policies_read: Cell::default(),
            closed: Cell::default(),
            attempts: Attempts::default(),
            authorized: Cell::default(),
            decided_at: Cell::default(),
            granted: RefCell::default(),
            record: RefCell::default(),
            over: Cell::default(),
        });

        request.extensions_mut().insert(Rc::clone(&slot));
        slot
    }

    /// Returns what is known about a request that is inside a gate.
    pub(crate) fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        let extensions = request.extensions();
        let slot = extensions.get::<Rc<Self>>()?;

        (!slot.over.get()).then(|| Rc::clone(slot))
    }

    /// Says that the request leaves the gate.
    pub(crate) fn end(&self) {
        self.over.set(true);
    }

    /// Tells whether the request came through the gate of this engine.
    pub(crate) fn is_of(&self, engine: &Arc<dyn Engine>) -> bool {
        Arc::ptr_eq(&self.engine, engine)
    }

    /// Returns the announced policies.
    pub(crate) fn chain(&self) -> Option<Rc<Chain>> {
        self.chain.borrow().clone()
    }

    /// Remembers the full pattern of a route that announces a policy.
    pub(crate) fn set_route(&self, pattern: Option<Rc<str>>) {
        *self.route.borrow_mut() = pattern;
    }

    /// Returns the full pattern of the chosen route, if it announces a policy.
    pub(crate) fn route(&self) -> Option<Rc<str>> {
        self.route.borrow().clone()
    }

    /// Remembers the full pattern of the route that has answered, unless a wrapper has told it.
    pub(crate) fn answered_by(&self, request: &HttpRequest) {
        if self.route.borrow().is_none()
            && let Some(pattern) = params::pattern_of(request)
        {
            self.unannounced.get_or_init(|| pattern);
        }
    }

    /// Announces a policy.
    pub(crate) fn announce(&self, chain: Rc<Chain>) {
        if self.policies_read.get() && !self.closed.get() {
            let policy = chain.policy();
            self.engine
                .policies()
                .report_late(policy.declared_at(), policy.name());
        }

        // Whatever a route was allowed that was called before, this one was not.
        self.authorized.set(false);
        *self.granted.borrow_mut() = None;
        *self.chain.borrow_mut() = Some(chain);
    }

    /// Says that what is announced later is announced behind a closed scope.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Says that the gate reads the announced policies now.
    pub(crate) fn read_policies(&self) {
        self.policies_read.set(true);
    }

    /// Tells whether nobody announced a policy further in.
    pub(crate) fn is_innermost(&self, chain: &Rc<Chain>) -> bool {
        self.chain
            .borrow()
            .as_ref()
            .is_some_and(|innermost| Rc::ptr_eq(innermost, chain))
    }

    /// Returns for whom the request goes on, once the gate has let it in.
    pub(crate) fn admitted(&self) -> Option<Admitted<'_>> {
        self.attempts.admitted()
    }

    /// Returns what the principal was granted on the way.
    pub(crate) fn granted(&self) -> Option<Rc<Grant>> {
        self.granted.borrow().clone()
    }

    /// Records a refusal and builds its response, on a request rebuilt from what was kept.
    pub(crate) fn refuse(self: &Rc<Self>, refusal: Refusal) -> ServiceResponse<BoxBody> {
        self.take_time();
        self.authorized.set(true);
        let mut record = self.record.borrow_mut();
        record.outcome = Outcome::Deny(refusal);
        // This is what the caller sees, whatever was refused further in.
        record.pending.clear();
        drop(record);

        let request = self.head.rebuild(self.engine.registry().credential_headers());
        request.extensions_mut().insert(Rc::clone(self));
        ServiceResponse::new(
            request,
            response(
                refusal.reason,
                Some(&self.request_id),
                self.engine.registry().development(),
            ),
        )
    }

    /// Answers an error that a middleware further in returned, if it is a refusal of ours.
    pub(crate) fn answer_error(
        self: &Rc<Self>,
        error: actix_web::Error,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        match error.as_error::<Error>().map(Error::refusal) {
            Some(refusal) => Ok(self.refuse(refusal)),
            None => Err(error),
        }
    }

    /// Makes the error of an extractor, or of what a handler asks. It is recorded when it becomes the response: `Option<_>` and
    /// handlers may swallow it.
    pub(crate) fn error(&self, refusal: Refusal) -> Error {
        let error = Error::new(
            refusal,
            Some(self.request_id.clone()),
            self.engine.registry().development(),
        );

        let pending = &mut self.record.borrow_mut().pending;
        // What was swallowed cannot become a response any more.
        pending.retain(Pending::may_count);
        pending.push(Pending {
            refusal,
            time: self.engine.now(),
            answered: error.answered(),
        });
        error
    }

    /// Notes the time, now that something is known that may have taken long to know.
    fn take_time(&self) -> Timestamp {
        let now = self.engine.now();
        self.decided_at.set(Some(now));
        now
    }

    /// Returns the id of the request.
    pub(crate) const fn request_id(&self) -> &RequestId {
        &self.request_id
    }
}
