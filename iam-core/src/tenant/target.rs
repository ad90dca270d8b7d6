use std::sync::Arc;

use super::{Tenant, Transport, carrier};
#[cfg(doc)]
use crate::decision::Reason;
use crate::{
    decision::{Refusal, StepUp},
    request::RequestHead,
    requirement::{Access, Freshness},
};

/// The tenant and the transports that a request is decided for, and the access of its route.
///
/// Only [`TenantRegistry::resolve`](super::TenantRegistry::resolve) makes a target, so the tenant has the transports wherever a
/// credential is read, and no credential can belong to two of them.
#[derive(Clone, Copy, Debug)]
pub struct Target<'r> {
    pub(super) access: Access,
    pub(super) freshness: Freshness,
    pub(super) step_up: StepUp,
    pub(super) tenant: &'r Arc<Tenant>,
    pub(super) transports: &'r [Transport],
}

impl<'r> Target<'r> {
    /// The target of a protected route that names nothing, for tests.
    #[cfg(test)]
    pub(crate) fn of(tenant: &'r Arc<Tenant>) -> Self {
        Self {
            access: Access::Protected,
            freshness: Freshness::Cached,
            step_up: StepUp::default(),
            tenant,
            transports: tenant.default_transports(),
        }
    }

    /// Returns the access of the route.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Returns how old an upstream's answer about the credential may be. Where a permission is asked anew, so is the credential.
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Returns what a session has to meet on this route.
    pub const fn step_up(&self) -> StepUp {
        self.step_up
    }

    /// Returns the tenant.
    pub const fn tenant(&self) -> &'r Arc<Tenant> {
        self.tenant
    }

    /// Returns the transports, in their order. Of nearly all routes it is one.
    pub const fn transports(&self) -> &'r [Transport] {
        self.transports
    }

    /// Returns the transport whose credential the request presents. Where there is one transport only, it is that one, and nothing is
    /// read.
    ///
    /// # Errors
    ///
    /// [`Reason::AmbiguousCredential`] when two carriers of the transports hold a credential, or one holds two;
    /// [`Reason::MissingCredential`] when none does; [`Reason::Malformed`] for a bearer token that none of the transports takes.
    pub fn choose(&self, head: &RequestHead<'_>) -> Result<Transport, Refusal> {
        match self.transports {
            [only] => Ok(*only),
            several => carrier::choose(self.tenant, several, head),
        }
    }
}
