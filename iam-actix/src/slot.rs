//! What is known about this request?
//!
//! One [`RequestSecurity`] travels with each request, shared by the gate, the wrappers on the way, and the extractors.
//! It holds what the gate kept of the request, which policies were announced, who was authenticated for which tenant,
//! and how the request ended. Nothing in it is held across requests.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{
    HttpMessage as _, HttpRequest,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
};
use iam_core::{
    audit::AuditEvent,
    authenticate::{Authenticated, authenticate},
    authorize::{self, Verdict},
    decision::{Reason, Refusal},
    principal::Principal,
    request::RequestHead,
    requirement::{Access, EffectivePolicy},
    tenant::{ReplayMode, Tenant, Transport},
};
use iam_grammar::RelationTuple;

use crate::{
    chain::Chain,
    engine::Engine,
    error::{Error, response},
    head::CapturedHead,
    params::PathValues,
    request_id::RequestId,
};

/// Everything that is known about one request.
#[derive(Debug)]
pub(crate) struct RequestSecurity {
    engine: Arc<dyn Engine>,
    head: CapturedHead,
    request_id: RequestId,

    /// The announced policies. Grows while the request is routed.
    chain: RefCell<Option<Rc<Chain>>>,
    /// The full pattern of the chosen route.
    route: RefCell<Option<Rc<str>>>,
    /// Set when the gate has read the policies: what is announced from now on is late.
    decided: Cell<bool>,
    /// Set by a scope that calls inward only when the request is let in: what is announced inside is not late.
    closed: Cell<bool>,

    /// Who was authenticated for which tenant and transport, so that nothing is verified or claimed twice.
    attempts: RefCell<Vec<Attempt>>,
    admitted: RefCell<Option<Admitted>>,
    /// Set when a wrapper held the request to its policies.
    authorized: Cell<bool>,
    /// Set when the credential was claimed, so that one request does not burn its own credential.
    claimed: Cell<bool>,
    /// The path values that permissions were checked with, and what was asked.
    granted: RefCell<Option<Rc<Grant>>>,

    record: RefCell<Record>,
}

/// One authentication and how it ended.
#[derive(Debug)]
struct Attempt {
    tenant: Arc<Tenant>,
    transport: Transport,
    result: Result<Authenticated, Refusal>,
}

/// For whom the request goes on.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    access: Access,
    tenant: Arc<Tenant>,
    authenticated: Option<Authenticated>,
}

impl Admitted {
    /// Returns who may come at all.
    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    /// Returns the tenant.
    pub(crate) const fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Returns the principal, if there is one.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.authenticated.as_ref().map(Authenticated::principal)
    }
}

/// What a principal was granted.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The path parameters that the permissions ask for, with the values they were checked with.
    pub(crate) values: Vec<(String, String)>,
    /// The tuples that Keto was asked.
    pub(crate) tuples: Vec<RelationTuple>,
}

/// What will be audited.
#[derive(Debug, Default)]
struct Record {
    outcome: Outcome,
    /// What the handler asked by itself.
    asked: Vec<String>,
    /// An extractor's refusal. It counts when it became the response.
    pending: Option<(Refusal, Arc<AtomicBool>)>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Outcome {
    #[default]
    Undecided,
    Allow,
    Deny(Refusal),
}

impl RequestSecurity {
    /// Keeps what is needed of a request and puts itself into its extensions.
    pub(crate) fn attach(engine: &Arc<dyn Engine>, request: &ServiceRequest) -> Rc<Self> {
        let slot = Rc::new(Self {
            head: CapturedHead::of(request),
            request_id: RequestId::accept_or_make(request.headers()),
            engine: Arc::clone(engine),
            chain: RefCell::default(),
            route: RefCell::default(),
            decided: Cell::default(),
            closed: Cell::default(),
            attempts: RefCell::default(),
            admitted: RefCell::default(),
            authorized: Cell::default(),
            claimed: Cell::default(),
            granted: RefCell::default(),
            record: RefCell::default(),
        });

        request.extensions_mut().insert(Rc::clone(&slot));
        slot
    }

    /// Returns what is known about a request, if it came through a gate.
    pub(crate) fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        request.extensions().get::<Rc<Self>>().cloned()
    }

    /// Tells whether the request came through the gate of this engine.
    pub(crate) fn is_of(&self, engine: &Arc<dyn Engine>) -> bool {
        Arc::ptr_eq(&self.engine, engine)
    }

    /// Returns the announced policies.
    pub(crate) fn chain(&self) -> Option<Rc<Chain>> {
        self.chain.borrow().clone()
    }

    /// Returns the full pattern of the route, if its wrapper or the router told it.
    pub(crate) fn has_route(&self) -> bool {
        self.route.borrow().is_some()
    }

    /// Remembers the full pattern of the route.
    pub(crate) fn set_route(&self, pattern: Option<Rc<str>>) {
        *self.route.borrow_mut() = pattern;
    }

    /// Announces a policy.
    pub(crate) fn announce(&self, chain: Rc<Chain>) {
        if self.decided.get() && !self.closed.get() {
            let policy = chain.policy();
            self.engine
                .policies()
                .report_late(policy.declared_at(), policy.name());
        }

        *self.chain.borrow_mut() = Some(chain);
    }

    /// Says that what is announced later is announced behind a closed scope.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Says that the gate reads the announced policies now.
    pub(crate) fn decide(&self) {
        self.decided.set(true);
    }

    /// Tells whether nobody announced a policy further in.
    pub(crate) fn is_innermost(&self, chain: &Rc<Chain>) -> bool {
        self.chain
            .borrow()
            .as_ref()
            .is_some_and(|innermost| Rc::ptr_eq(innermost, chain))
    }

    /// Lets the request in, or says why not. This is the gate's decision: who comes, and may they come at all?
    pub(crate) async fn admit(&self) -> Result<(), Refusal> {
        let chain = self.chain();
        let policy = chain.as_deref().map(Chain::effective).transpose()?;
        let admitted = self.authenticate_for(policy).await?;

        *self.admitted.borrow_mut() = Some(admitted.clone());

        // Without a wrapper on the way there is nobody else to claim the credential.
        if chain.is_none() {
            self.claim(&admitted, false).await?;
        }

        self.record.borrow_mut().outcome = Outcome::Allow;
        Ok(())
    }

    /// Holds the request to everything that stands on the way: roles, scopes, permissions, and last of all the claim.
    pub(crate) async fn authorize(&self, chain: &Chain, params: &PathValues) -> Result<(), Refusal> {
        // Whoever goes away while Keto is asked was allowed nothing.
        self.authorized.set(true);
        self.record.borrow_mut().outcome = Outcome::Undecided;
        let policy = chain.effective()?;
        // Another tenant or access than the gate knew of, when the policy was announced late: decided anew.
        let admitted = self.authenticate_for(Some(policy)).await?;
        *self.admitted.borrow_mut() = Some(admitted.clone());

        if let Some(principal) = admitted.principal() {
            let values = |name: &str| params.get(name);
            match authorize::authorize(principal, policy, &admitted.tenant, &values)? {
                Verdict::Allow => {}
                Verdict::Ask(question) => {
                    self.ask(&admitted.tenant, question.tuples(), |answers| {
                        question.answer(answers)
                    })
                    .await?;
                    self.grant(chain, params, question.tuples());
                }
            }
        } else if policy.has_requirements() {
            // INVARIANT: a policy with requirements is protected, so this cannot be. It is refused all the same.
            return Err(Refusal::new(Reason::MissingCredential));
        }

        self.claim(&admitted, policy.is_single_use()).await?;
        self.record.borrow_mut().outcome = Outcome::Allow;
        Ok(())
    }

    /// Holds the request to what the principal alone decides: for a scope that calls inward only then. Asks and claims
    /// nothing, since whoever stands further in does.
    pub(crate) async fn stand(&self, chain: &Chain) -> Result<(), Refusal> {
        let policy = chain.effective()?;
        let admitted = self.authenticate_for(Some(policy)).await?;

        match admitted.principal() {
            Some(principal) => authorize::standing(principal, policy, &admitted.tenant),
            None => Err(Refusal::new(Reason::MissingCredential)),
        }
    }

    /// Tells whether a wrapper has held the request to its policies, whatever came of it.
    pub(crate) fn is_authorized(&self) -> bool {
        self.authorized.get()
    }

    /// Asks, for a handler, whether the principal has `relation` to an object.
    pub(crate) async fn require(&self, namespace: &str, relation: &str, object: &str) -> Result<(), Refusal> {
        let admitted = self.admitted();
        let result = match admitted
            .as_ref()
            .and_then(|admitted| admitted.principal().zip(Some(&admitted.tenant)))
        {
            None => Err(Refusal::new(Reason::MissingCredential)),
            Some((principal, tenant)) => {
                self.require_of(principal, tenant, [namespace, relation, object])
                    .await
            }
        };

        let mut record = self.record.borrow_mut();
        record.asked.push(format!("permission:{namespace}#{relation}"));
        record.outcome = match result {
            Ok(()) => Outcome::Allow,
            Err(refusal) => Outcome::Deny(refusal),
        };
        result
    }

    async fn require_of(
        &self,
        principal: &Principal,
        tenant: &Arc<Tenant>,
        [namespace, relation, object]: [&str; 3],
    ) -> Result<(), Refusal> {
        let tuple = authorize::tuple(principal, tenant, (namespace, relation), object)?;

        self.ask(tenant, &[tuple], |answers| match answers {
            [allowed] => Some(*allowed),
            [] | [_, ..] => None,
        })
        .await
    }

    async fn ask(
        &self,
        tenant: &Arc<Tenant>,
        tuples: &[RelationTuple],
        answer: impl FnOnce(&[bool]) -> Option<bool>,
    ) -> Result<(), Refusal> {
        let answers = self
            .engine
            .check_permissions(tenant, tuples, self.request_id.as_str())
            .await?;

        match answer(&answers) {
            Some(true) => Ok(()),
            Some(false) => Err(Refusal::new(Reason::PermissionDeny)),
            None => Err(Refusal::with_detail(
                Reason::PermissionUnavailable,
                "answer_count",
            )),
        }
    }

    fn grant(&self, chain: &Chain, params: &PathValues, tuples: &[RelationTuple]) {
        let values = chain
            .placeholders()
            .iter()
            .filter_map(|name| Some((name.clone(), params.get(name)?.into_owned())))
            .collect();

        *self.granted.borrow_mut() = Some(Rc::new(Grant {
            values,
            tuples: tuples.to_vec(),
        }));
    }

    async fn authenticate_for(&self, policy: Option<&EffectivePolicy>) -> Result<Admitted, Refusal> {
        let access = policy.map_or(Access::Protected, EffectivePolicy::access);
        let registry = self.engine.registry();
        let tenant = match policy.and_then(EffectivePolicy::tenant) {
            None => registry.default_tenant(),
            Some(name) => registry.get(name).ok_or(Refusal::new(Reason::UnknownTenant))?,
        };
        let transport = policy
            .and_then(EffectivePolicy::transport)
            .unwrap_or_else(|| tenant.transport());

        let authenticated = match access {
            Access::Public => None,
            Access::Optional => match self.authenticate(tenant, transport).await {
                Err(refusal) if refusal.reason == Reason::MissingCredential => None,
                result => Some(result?),
            },
            Access::Protected => Some(self.authenticate(tenant, transport).await?),
        };

        Ok(Admitted {
            access,
            tenant: Arc::clone(tenant),
            authenticated,
        })
    }

    /// Authenticates once for each tenant and transport, however often it is asked.
    async fn authenticate(
        &self,
        tenant: &Arc<Tenant>,
        transport: Transport,
    ) -> Result<Authenticated, Refusal> {
        if let Some(result) = self.attempted(tenant, transport) {
            return result;
        }

        let headers = self.head.lines(self.engine.registry().credential_headers());
        let head = RequestHead {
            method: self.head.method(),
            headers: &headers,
        };
        let mut result = authenticate(tenant, transport, &head, self.engine.now());
        if is_of_unknown_key(&result) {
            // The issuer signs with a new key the moment it publishes it: ask for a fetch that starts after we came.
            let mut look_again = || {
                result = authenticate(tenant, transport, &head, self.engine.now());
                !is_of_unknown_key(&result)
            };
            let waited = self.engine.wait_for_key(tenant, &mut look_again).await;
            if is_of_unknown_key(&result) {
                result = waited.and_then(|()| authenticate(tenant, transport, &head, self.engine.now()));
            }
        }

        self.attempts.borrow_mut().push(Attempt {
            tenant: Arc::clone(tenant),
            transport,
            result: result.clone(),
        });
        result
    }

    fn attempted(
        &self,
        tenant: &Arc<Tenant>,
        transport: Transport,
    ) -> Option<Result<Authenticated, Refusal>> {
        self.attempts
            .borrow()
            .iter()
            .find(|attempt| Arc::ptr_eq(&attempt.tenant, tenant) && attempt.transport == transport)
            .map(|attempt| attempt.result.clone())
    }

    /// Uses the credential up where it is accepted once only. Nothing is checked after this.
    async fn claim(&self, admitted: &Admitted, single_use: bool) -> Result<(), Refusal> {
        let Some(authenticated) = &admitted.authenticated else {
            return Ok(());
        };
        let wanted = single_use || admitted.tenant.replay() == ReplayMode::Always;
        if !wanted || self.claimed.get() {
            return Ok(());
        }

        self.engine.claim(&admitted.tenant, authenticated).await?;
        self.claimed.set(true);
        Ok(())
    }

    /// Returns for whom the request goes on, once the gate has let it in.
    pub(crate) fn admitted(&self) -> Option<Admitted> {
        self.admitted.borrow().clone()
    }

    /// Returns what the principal was granted on the way.
    pub(crate) fn granted(&self) -> Option<Rc<Grant>> {
        self.granted.borrow().clone()
    }

    /// Records a refusal and builds its response, on a request rebuilt from what was kept.
    pub(crate) fn refuse(self: &Rc<Self>, refusal: Refusal) -> ServiceResponse<BoxBody> {
        self.record.borrow_mut().outcome = Outcome::Deny(refusal);

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

    /// Makes the error of a refusal that was decided in a handler.
    pub(crate) fn error(&self, refusal: Refusal) -> Error {
        Error::new(
            refusal,
            Some(self.request_id.clone()),
            self.engine.registry().development(),
        )
    }

    /// Makes the error of an extractor. It is recorded when it becomes the response: `Option<_>` may swallow it.
    pub(crate) fn extractor_error(&self, refusal: Refusal) -> Error {
        let error = self.error(refusal);

        self.record.borrow_mut().pending = Some((refusal, error.answered()));
        error
    }

    /// Returns the id of the request.
    pub(crate) const fn request_id(&self) -> &RequestId {
        &self.request_id
    }

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
        event.method = Some(self.head.method().chars().take(LONGEST_METHOD).collect());
        event.request_id = Some(self.request_id.as_str().to_owned());
        event.route = self.route.borrow().as_deref().map(str::to_owned);
        if let Some(chain) = &*self.chain.borrow() {
            event.requirements = chain.requirements().to_vec();
        }
        if let Some(admitted) = &*self.admitted.borrow() {
            event.tenant = Some(admitted.tenant.name().to_owned());
            event.actor = admitted.principal().map(Principal::actor);
        } else {
            event.tenant = self.named_tenant();
        }
    }

    /// Returns the tenant for whom a request was refused before it was let in.
    fn named_tenant(&self) -> Option<String> {
        let attempts = self.attempts.borrow();
        let tried = attempts.last().map(|attempt| attempt.tenant.name());

        tried.map(str::to_owned)
    }
}

fn is_of_unknown_key(result: &Result<Authenticated, Refusal>) -> bool {
    matches!(result, Err(refusal) if refusal.reason == Reason::UnknownKey)
}

/// How much of a method is recorded: a caller may send one as long as a head may be, and events wait in a queue.
const LONGEST_METHOD: usize = 32;

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
