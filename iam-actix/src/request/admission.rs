//! Who sends the request, and may they come at all?

use std::{
    cell::{Cell, OnceCell},
    iter,
    sync::Arc,
};

use iam_core::{
    authenticate::{Authenticated, authenticate},
    decision::{Reason, Refusal},
    principal::Principal,
    request::RequestHead,
    requirement::{Access, EffectivePolicy},
    tenant::{Tenant, Transport},
};

use super::{RequestState, event::Outcome};
use crate::policy::chain::Chain;

/// For which tenant and by which transport somebody was looked for, and how that ended.
#[derive(Debug)]
pub(super) struct Attempt {
    tenant: Arc<Tenant>,
    transport: Transport,
    /// Nobody where nobody is looked for, on public routes.
    result: Result<Option<Caller>, Refusal>,
    /// Who may come at all, while the request goes on for whom this attempt found, or for nobody.
    admits: Cell<Option<Access>>,
    next: OnceCell<Box<Self>>,
}

impl Attempt {
    const fn new(tenant: Arc<Tenant>, transport: Transport, result: Result<Option<Caller>, Refusal>) -> Self {
        Self {
            tenant,
            transport,
            result,
            admits: Cell::new(None),
            next: OnceCell::new(),
        }
    }

    /// Tells whether somebody was looked for at all.
    const fn has_looked(&self) -> bool {
        !matches!(self.result, Ok(None))
    }

    /// Returns who was authenticated; nobody where the caller is anonymous.
    fn caller(&self) -> Option<&Caller> {
        self.result.as_ref().ok()?.as_ref()
    }
}

/// What was tried for one request, in order. Only grows, and nothing in it moves, so that it can be borrowed while more is tried.
/// The first attempt, mostly the only one, needs no memory of its own.
#[derive(Debug, Default)]
pub(super) struct Attempts(OnceCell<Attempt>);

impl Attempts {
    /// Returns for whom somebody was looked for last.
    pub(super) fn last_tenant(&self) -> Option<&Arc<Tenant>> {
        self.iter()
            .filter(|attempt| attempt.has_looked())
            .last()
            .map(|attempt| &attempt.tenant)
    }

    /// Returns everybody who was authenticated on the way, and for which tenant.
    pub(super) fn callers(&self) -> impl Iterator<Item = (&Arc<Tenant>, &Caller)> {
        self.iter()
            .filter_map(|attempt| Some((&attempt.tenant, attempt.caller()?)))
    }

    /// Returns the first whose claim ended so, and of which tenant they are.
    pub(super) fn first_with(&self, claim: Claim) -> Option<(&Arc<Tenant>, &Principal)> {
        self.callers()
            .find(|(_, caller)| caller.claim.get() == claim)
            .map(|(tenant, caller)| (tenant, caller.authenticated.principal()))
    }

    /// Returns for whom the request goes on.
    pub(super) fn admitted(&self) -> Option<Admitted<'_>> {
        self.iter().find_map(|attempt| {
            let access = attempt.admits.get()?;
            Some(Admitted { access, attempt })
        })
    }

    /// Lets the request go on for whom this attempt found, and for no other.
    fn admit<'s>(&self, access: Access, attempt: &'s Attempt) -> Admitted<'s> {
        self.admit_nobody();
        attempt.admits.set(Some(access));
        Admitted { access, attempt }
    }

    /// Lets the request go on for nobody.
    pub(super) fn admit_nobody(&self) {
        self.iter().for_each(|attempt| attempt.admits.set(None));
    }

    fn iter(&self) -> impl Iterator<Item = &Attempt> {
        iter::successors(self.0.get(), |attempt| attempt.next.get().map(|next| &**next))
    }

    /// Returns what was tried for this tenant and transport, on routes of such an access.
    fn find(&self, access: Access, tenant: &Arc<Tenant>, transport: Transport) -> Option<&Attempt> {
        self.iter().find(|attempt| {
            Arc::ptr_eq(&attempt.tenant, tenant)
                && attempt.transport == transport
                && attempt.has_looked() == (access != Access::Public)
        })
    }

    fn push(&self, attempt: Attempt) -> &Attempt {
        match self.iter().last() {
            None => self.0.get_or_init(|| attempt),
            Some(last) => last.next.get_or_init(|| Box::new(attempt)),
        }
    }
}

/// Whoever was authenticated.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) authenticated: Authenticated,
    /// So that one request does not burn its own credential.
    pub(super) claim: Cell<Claim>,
}

/// Was the credential used up?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// Not by this request.
    Open,
    Made,
    /// It was used before, or nobody could tell.
    Refused,
}

/// For whom the request goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'s> {
    access: Access,
    attempt: &'s Attempt,
}

impl<'s> Admitted<'s> {
    /// Returns who may come at all.
    pub(crate) const fn access(self) -> Access {
        self.access
    }

    /// Returns the tenant.
    pub(crate) const fn tenant(self) -> &'s Arc<Tenant> {
        &self.attempt.tenant
    }

    /// Returns the principal, if there is one.
    pub(crate) fn principal(self) -> Option<&'s Principal> {
        self.attempt
            .caller()
            .map(|caller| caller.authenticated.principal())
    }
}

impl RequestState {
    /// Lets the request in, or says why not. This is the gate's decision: who comes, and may they come at all?
    pub(crate) async fn admit(&self) -> Result<(), Refusal> {
        let chain = self.chain();
        let policy = chain.as_deref().map(Chain::effective).transpose()?;
        self.authenticate_for(policy).await?;

        // Without a wrapper on the way there is nobody else to claim the credential, or to refuse.
        if chain.is_none() {
            self.claim(false).await?;
            self.record.borrow_mut().outcome = Outcome::Allow;
        }

        // Where nobody is looked for, nothing has told the time.
        if self.decided_at.get().is_none() {
            self.take_time();
        }
        Ok(())
    }

    /// Returns for whom a request to a route of this policy goes on, and remembers it.
    pub(super) async fn authenticate_for(
        &self,
        policy: Option<&EffectivePolicy>,
    ) -> Result<Admitted<'_>, Refusal> {
        // A refusal from here on is nobody's until somebody is authenticated for this very policy.
        self.attempts.admit_nobody();
        let access = policy.map_or(Access::Protected, EffectivePolicy::access);
        let registry = self.engine.registry();
        let tenant = match policy.and_then(EffectivePolicy::tenant) {
            None => registry.default_tenant(),
            Some(name) => registry.get(name).ok_or(Refusal::new(Reason::UnknownTenant))?,
        };
        let transport = policy
            .and_then(EffectivePolicy::transport)
            .unwrap_or_else(|| tenant.transport());

        // Once for each tenant and transport, however often it is asked.
        let attempt = match (self.attempts.find(access, tenant, transport), access) {
            (Some(attempt), _) => attempt,
            // Whatever is presented.
            (None, Access::Public) => {
                self.attempts
                    .push(Attempt::new(Arc::clone(tenant), transport, Ok(None)))
            }
            (None, Access::Optional | Access::Protected) => self.authenticate(tenant, transport).await,
        };
        match (access, &attempt.result) {
            (Access::Public, Ok(None)) | (Access::Optional | Access::Protected, Ok(Some(_))) => {}
            (Access::Optional, Err(refusal)) if refusal.reason == Reason::MissingCredential => {}
            (Access::Public | Access::Optional | Access::Protected, Err(refusal)) => return Err(*refusal),
            // INVARIANT: nobody is looked for on public routes, and on no others.
            (Access::Public, Ok(Some(_))) | (Access::Optional | Access::Protected, Ok(None)) => {
                return Err(Refusal::new(Reason::MissingCredential));
            }
        }

        Ok(self.attempts.admit(access, attempt))
    }

    async fn authenticate(&self, tenant: &Arc<Tenant>, transport: Transport) -> &Attempt {
        let mut result = self.look(tenant, transport);
        if is_of_unknown_key(&result) {
            result = self.look_with_newer_keys(tenant, transport).await;
        }
        let caller = result.map(|authenticated| {
            Some(Caller {
                authenticated,
                claim: Cell::new(Claim::Open),
            })
        });
        self.attempts
            .push(Attempt::new(Arc::clone(tenant), transport, caller))
    }

    /// Looks at the credential once, with the keys that are there.
    fn look(&self, tenant: &Tenant, transport: Transport) -> Result<Authenticated, Refusal> {
        let headers = self.head.lines(self.engine.registry().credential_headers());
        let head = RequestHead {
            method: self.head.method(),
            headers: &headers,
        };
        authenticate(tenant, transport, &head, self.take_time())
    }

    /// Waits for the key that the credential names. The issuer signs with a new key the moment it publishes it, so this asks
    /// for a fetch that starts after the request came.
    async fn look_with_newer_keys(
        &self,
        tenant: &Arc<Tenant>,
        transport: Transport,
    ) -> Result<Authenticated, Refusal> {
        let mut result = Err(Refusal::new(Reason::UnknownKey));
        let mut look_again = || {
            result = self.look(tenant, transport);
            !is_of_unknown_key(&result)
        };
        let waited = self.engine.wait_for_key(tenant, &mut look_again).await;

        if is_of_unknown_key(&result) {
            waited?;
            result = self.look(tenant, transport);
        }
        result
    }
}

fn is_of_unknown_key(result: &Result<Authenticated, Refusal>) -> bool {
    matches!(result, Err(refusal) if refusal.reason == Reason::UnknownKey)
}
