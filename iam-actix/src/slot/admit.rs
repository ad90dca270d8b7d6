//! Who sends the request, and may they come at all?

use std::{cell::Cell, rc::Rc, sync::Arc};

use iam_core::{
    authenticate::{Authenticated, authenticate},
    decision::{Reason, Refusal},
    principal::Principal,
    request::RequestHead,
    requirement::{Access, EffectivePolicy},
    tenant::{Tenant, Transport},
};

use super::{RequestSecurity, record::Outcome};
use crate::chain::Chain;

/// For which tenant and by which transport somebody was looked for, and how that ended.
#[derive(Debug)]
pub(super) struct Attempt {
    tenant: Arc<Tenant>,
    transport: Transport,
    /// Nobody where nobody is looked for, on public routes.
    result: Result<Option<Caller>, Refusal>,
}

impl Attempt {
    pub(super) const fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    fn is_for(&self, tenant: &Arc<Tenant>, transport: Transport) -> bool {
        Arc::ptr_eq(&self.tenant, tenant) && self.transport == transport
    }
}

/// Whoever was authenticated.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) authenticated: Authenticated,
    /// Set when the credential was claimed, so that one request does not burn its own credential.
    pub(super) claimed: Cell<bool>,
}

/// For whom the request goes on.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    access: Access,
    attempt: Rc<Attempt>,
}

impl Admitted {
    /// Returns who may come at all.
    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    /// Returns the tenant.
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        self.attempt.tenant()
    }

    /// Returns the principal, if there is one.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.caller().map(|caller| caller.authenticated.principal())
    }

    /// Returns who was authenticated; nobody where the caller is anonymous.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.attempt.result.as_ref().ok()?.as_ref()
    }
}

impl RequestSecurity {
    /// Lets the request in, or says why not. This is the gate's decision: who comes, and may they come at all?
    pub(crate) async fn admit(&self) -> Result<(), Refusal> {
        let chain = self.chain();
        let policy = chain.as_deref().map(Chain::effective).transpose()?;
        let admitted = self.authenticate_for(policy).await?;

        // Without a wrapper on the way there is nobody else to claim the credential.
        if chain.is_none() {
            self.claim(&admitted, false).await?;
        }

        self.record.borrow_mut().outcome = Outcome::Allow;
        Ok(())
    }

    /// Returns for whom a request to a route of this policy goes on, and remembers it.
    pub(super) async fn authenticate_for(
        &self,
        policy: Option<&EffectivePolicy>,
    ) -> Result<Admitted, Refusal> {
        // A refusal from here on is nobody's until somebody is authenticated for this very policy.
        let known = self.admitted.take();
        let access = policy.map_or(Access::Protected, EffectivePolicy::access);
        let registry = self.engine.registry();
        let tenant = match policy.and_then(EffectivePolicy::tenant) {
            None => registry.default_tenant(),
            Some(name) => registry.get(name).ok_or(Refusal::new(Reason::UnknownTenant))?,
        };
        let transport = policy
            .and_then(EffectivePolicy::transport)
            .unwrap_or_else(|| tenant.transport());
        let is_for =
            |admitted: &Admitted| admitted.access == access && admitted.attempt.is_for(tenant, transport);
        if let Some(admitted) = known.filter(is_for) {
            *self.admitted.borrow_mut() = Some(admitted.clone());
            return Ok(admitted);
        }

        let attempt = match access {
            // Whatever is presented.
            Access::Public => Rc::new(Attempt {
                tenant: Arc::clone(tenant),
                transport,
                result: Ok(None),
            }),
            Access::Optional | Access::Protected => self.authenticate(tenant, transport).await,
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

        let admitted = Admitted { access, attempt };
        *self.admitted.borrow_mut() = Some(admitted.clone());
        Ok(admitted)
    }

    /// Authenticates once for each tenant and transport, however often it is asked.
    async fn authenticate(&self, tenant: &Arc<Tenant>, transport: Transport) -> Rc<Attempt> {
        if let Some(attempt) = self.attempted(tenant, transport) {
            return attempt;
        }

        let mut result = self.look(tenant, transport);
        if is_of_unknown_key(&result) {
            result = self.look_with_newer_keys(tenant, transport).await;
        }
        let attempt = Rc::new(Attempt {
            tenant: Arc::clone(tenant),
            transport,
            result: result.map(|authenticated| {
                Some(Caller {
                    authenticated,
                    claimed: Cell::new(false),
                })
            }),
        });
        self.attempts.borrow_mut().push(Rc::clone(&attempt));
        attempt
    }

    /// Looks at the credential once, with the keys that are there.
    fn look(&self, tenant: &Tenant, transport: Transport) -> Result<Authenticated, Refusal> {
        let headers = self.head.lines(self.engine.registry().credential_headers());
        let head = RequestHead {
            method: self.head.method(),
            headers: &headers,
        };
        authenticate(tenant, transport, &head, self.engine.now())
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

    fn attempted(&self, tenant: &Arc<Tenant>, transport: Transport) -> Option<Rc<Attempt>> {
        self.attempts
            .borrow()
            .iter()
            .find(|attempt| attempt.is_for(tenant, transport))
            .cloned()
    }
}

fn is_of_unknown_key(result: &Result<Authenticated, Refusal>) -> bool {
    matches!(result, Err(refusal) if refusal.reason == Reason::UnknownKey)
}
