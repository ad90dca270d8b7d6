use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use iam_core::{
    authenticate::{Authenticated, Authentication, authenticate},
    authorize::check_session,
    clock::Timestamp,
    decision::Refusal,
    principal::Principal,
    request::RequestHead,
    requirement::{Access, EffectivePolicy, Freshness},
    tenant::{Target, Tenant, Transport},
};
use smallvec::SmallVec;

use super::RequestState;
use crate::route::chain::Chain;

/// The request goes on: for one tenant and its transports, with a principal or, where the route allows it, without one.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    access: Access,
    attempt: Rc<Attempt>,
}

impl Admission {
    /// Admits a request to routes of this access, after one attempt to authenticate it.
    fn conclude(access: Access, attempt: &Rc<Attempt>) -> Result<Self, Refusal> {
        let result = attempt.result.as_ref().map(Option::as_ref);
        access.admit(result.map_err(|refusal| *refusal))?;

        Ok(Self {
            access,
            attempt: Rc::clone(attempt),
        })
    }

    /// Tells whether the request was admitted for this very target.
    fn is_for(&self, target: &Target<'_>, now: Timestamp) -> bool {
        self.access == target.access() && self.attempt.is_for(target, now)
    }

    /// Returns the attempt behind the admission.
    pub(super) fn into_attempt(self) -> Rc<Attempt> {
        self.attempt
    }

    /// Returns the access of the route that the request was admitted for.
    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    /// Returns the tenant.
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.attempt.tenant
    }

    /// Returns the principal, if there is one.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.attempt.principal()
    }
}

/// One authentication and its result. On public routes, where no credential is looked at, the result is no principal.
#[derive(Debug)]
pub(super) struct Attempt {
    claim: Cell<ClaimState>,
    /// Whether the result may rest on an answer that was cached before the request arrived.
    freshness: Freshness,
    result: Result<Option<Authenticated>, Refusal>,
    tenant: Arc<Tenant>,
    transports: SmallVec<[Transport; 2]>,
    /// The one of the transports whose credential was presented.
    used: Option<Transport>,
}

/// What looking at the request's credentials has brought.
struct Looked {
    freshness: Freshness,
    result: Result<Option<Authenticated>, Refusal>,
    used: Option<Transport>,
}

impl Looked {
    /// A result that rests on nothing from before the request.
    const fn anew(used: Option<Transport>, result: Result<Option<Authenticated>, Refusal>) -> Self {
        Self {
            freshness: Freshness::Fresh,
            result,
            used,
        }
    }
}

/// Whether this request has claimed the credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ClaimState {
    Open,
    Made,
    /// It was used before, or the replay store gave no answer.
    Refused,
}

impl Attempt {
    fn is_for(&self, target: &Target<'_>, now: Timestamp) -> bool {
        Arc::ptr_eq(&self.tenant, target.tenant())
            && *self.transports == *target.transports()
            && self.has_looked() == target.access().reads_credentials()
            && !self.is_too_old_for(target, now)
    }

    /// Tells whether the upstream has to be asked anew: a cached answer does where the route takes one. The person may have stepped up
    /// since it was cached.
    fn is_too_old_for(&self, target: &Target<'_>, now: Timestamp) -> bool {
        if self.freshness == Freshness::Fresh {
            return false;
        }
        let lacks_step_up = |principal: &Principal| {
            principal.session().is_some() && check_session(principal, target.step_up(), now).is_err()
        };
        target.freshness() == Freshness::Fresh || self.principal().is_some_and(lacks_step_up)
    }

    /// Tells whether a credential was looked at.
    pub(super) const fn has_looked(&self) -> bool {
        !matches!(self.result, Ok(None))
    }

    pub(super) fn authenticated(&self) -> Option<&Authenticated> {
        self.result.as_ref().ok()?.as_ref()
    }

    pub(super) fn principal(&self) -> Option<&Principal> {
        self.authenticated().map(Authenticated::principal)
    }

    pub(super) const fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Returns the transport whose credential was presented.
    pub(super) const fn used(&self) -> Option<Transport> {
        self.used
    }

    pub(super) const fn claim(&self) -> ClaimState {
        self.claim.get()
    }

    pub(super) fn set_claim(&self, state: ClaimState) {
        self.claim.set(state);
    }
}

/// The authentications of one request, in order. Nearly always one.
#[derive(Debug, Default)]
pub(super) struct Attempts(RefCell<SmallVec<[Rc<Attempt>; 1]>>);

impl Attempts {
    /// Returns the attempts so far.
    pub(super) fn all(&self) -> SmallVec<[Rc<Attempt>; 1]> {
        self.0.borrow().clone()
    }

    /// Returns the first attempt of which `accept` says so.
    pub(super) fn find(&self, accept: impl Fn(&Attempt) -> bool) -> Option<Rc<Attempt>> {
        self.0.borrow().iter().find(|attempt| accept(attempt)).cloned()
    }

    /// Returns the last attempt that looked at a credential.
    pub(super) fn last_looked(&self) -> Option<Rc<Attempt>> {
        self.0
            .borrow()
            .iter()
            .rfind(|attempt| attempt.has_looked())
            .cloned()
    }

    fn push(&self, attempt: Attempt) -> Rc<Attempt> {
        let attempt = Rc::new(attempt);
        self.0.borrow_mut().push(Rc::clone(&attempt));
        attempt
    }
}

impl RequestState {
    /// Admits the request: the gate's decision, before any future is polled.
    ///
    /// # Errors
    ///
    /// The refusal to answer with.
    pub(crate) async fn admit(&self) -> Result<(), Refusal> {
        let chain = self.chain();
        let policy = chain.as_deref().map(Chain::effective).transpose()?;
        self.admit_for(policy).await?;

        match chain {
            Some(_) => Ok(()),
            // There is no wrapper that could clear the request.
            None => self.clear_unannounced().await,
        }
    }

    /// Returns the admission for routes of this policy: the gate's, or another one where a policy was announced late.
    pub(super) async fn admit_for(&self, policy: Option<&EffectivePolicy>) -> Result<Admission, Refusal> {
        // A refusal from here on names no principal: none was authenticated for this very policy.
        let kept = self.admission.take();
        let target = self.shared().registry().resolve(policy)?;
        let now = self.shared().now();
        let admission = match kept.filter(|admission| admission.is_for(&target, now)) {
            Some(admission) => admission,
            None => Admission::conclude(target.access(), &self.attempt(&target).await)?,
        };

        *self.admission.borrow_mut() = Some(admission.clone());
        Ok(admission)
    }

    /// Withdraws the admission: the request goes on for no principal.
    pub(super) fn withdraw_admission(&self) {
        *self.admission.borrow_mut() = None;
    }

    /// Returns the one attempt of this request for a target.
    async fn attempt(&self, target: &Target<'_>) -> Rc<Attempt> {
        let now = self.shared().now();
        if let Some(attempt) = self.attempts.find(|attempt| attempt.is_for(target, now)) {
            return attempt;
        }

        let mut attempt = self.attempt_with(target, target.freshness()).await;
        if attempt.is_too_old_for(target, self.shared().now()) {
            attempt = self.attempt_with(target, Freshness::Fresh).await;
        }
        self.attempts.push(attempt)
    }

    async fn attempt_with(&self, target: &Target<'_>, freshness: Freshness) -> Attempt {
        let Looked {
            freshness,
            result,
            used,
        } = if target.access().reads_credentials() {
            self.look(target, freshness).await
        } else {
            Looked::anew(None, Ok(None))
        };
        Attempt {
            claim: Cell::new(ClaimState::Open),
            freshness,
            result,
            tenant: Arc::clone(target.tenant()),
            transports: target.transports().into(),
            used,
        }
    }

    /// Authenticates the request.
    async fn look(&self, target: &Target<'_>, freshness: Freshness) -> Looked {
        let headers = self.head.lines(self.shared().registry().credential_headers());
        let head = RequestHead {
            method: self.head.method(),
            authority: self.head.authority(),
            headers: &headers,
            peer: self.head.peer(),
        };

        let used = target.choose(&head).ok();
        let lookup = match authenticate(target, &head, self.shared().now()) {
            Ok(Authentication::Known(authenticated)) => return Looked::anew(used, Ok(Some(authenticated))),
            Ok(Authentication::Ask(lookup)) => lookup,
            Err(refusal) => return Looked::anew(used, Err(refusal)),
        };
        let runtime = match self.shared().runtime(target.tenant()) {
            Ok(runtime) => runtime,
            Err(refusal) => return Looked::anew(used, Err(refusal)),
        };
        let age = if runtime.keeps_answers_to(&lookup) {
            freshness
        } else {
            Freshness::Fresh
        };
        let clock = self.shared().clock().as_ref();
        let result = runtime
            .look_up(lookup, freshness, clock, self.request_id.as_str())
            .await;
        Looked {
            freshness: age,
            result: result.map(Some),
            used,
        }
    }
}
