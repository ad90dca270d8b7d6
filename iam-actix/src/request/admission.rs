use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use iam_core::{
    authenticate::{Authenticated, Authentication, Lookup, authenticate},
    decision::Refusal,
    principal::Principal,
    request::RequestHead,
    requirement::{Access, EffectivePolicy},
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
    fn is_for(&self, target: &Target<'_>) -> bool {
        self.access == target.access() && self.attempt.is_for(target)
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
    result: Result<Option<Authenticated>, Refusal>,
    tenant: Arc<Tenant>,
    transports: SmallVec<[Transport; 2]>,
    /// The one of the transports whose credential was presented.
    used: Option<Transport>,
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
    fn is_for(&self, target: &Target<'_>) -> bool {
        Arc::ptr_eq(&self.tenant, target.tenant())
            && *self.transports == *target.transports()
            && self.has_looked() == target.access().reads_credentials()
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
        let admission = match kept.filter(|admission| admission.is_for(&target)) {
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
        if let Some(attempt) = self.attempts.find(|attempt| attempt.is_for(target)) {
            return attempt;
        }

        let (used, result) = if target.access().reads_credentials() {
            let (used, result) = self.authenticate(target).await;
            (used, result.map(Some))
        } else {
            (None, Ok(None))
        };
        self.attempts.push(Attempt {
            claim: Cell::new(ClaimState::Open),
            result,
            tenant: Arc::clone(target.tenant()),
            transports: target.transports().into(),
            used,
        })
    }

    /// Authenticates the request, and tells the transport of its credential.
    async fn authenticate(&self, target: &Target<'_>) -> (Option<Transport>, Result<Authenticated, Refusal>) {
        let headers = self.head.lines(self.shared().registry().credential_headers());
        let head = RequestHead {
            method: self.head.method(),
            authority: self.head.authority(),
            headers: &headers,
            peer: self.head.peer(),
        };

        let used = target.choose(&head).ok();
        let result = match authenticate(target, &head, self.shared().now()) {
            Ok(Authentication::Known(authenticated)) => Ok(authenticated),
            Ok(Authentication::Ask(lookup)) => self.look_up(target, lookup).await,
            Err(refusal) => Err(refusal),
        };
        (used, result)
    }

    async fn look_up(&self, target: &Target<'_>, lookup: Lookup) -> Result<Authenticated, Refusal> {
        let runtime = self.shared().runtime(target.tenant())?;
        runtime
            .look_up(lookup, self.shared().clock().as_ref(), self.request_id.as_str())
            .await
    }
}
