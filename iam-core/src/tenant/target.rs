use std::sync::Arc;

use super::{Tenant, Transport};
use crate::{
    decision::StepUp,
    requirement::{Access, Freshness},
};

/// The tenant and the transport that a request is decided for, and the access of its route.
///
/// Only [`TenantRegistry::resolve`](super::TenantRegistry::resolve) makes a target, so the tenant has the transport wherever a
/// credential is read.
#[derive(Clone, Copy, Debug)]
pub struct Target<'r> {
    pub(super) access: Access,
    pub(super) freshness: Freshness,
    pub(super) step_up: StepUp,
    pub(super) tenant: &'r Arc<Tenant>,
    pub(super) transport: Transport,
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
            transport: tenant.transport(),
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

    /// Returns the transport.
    pub const fn transport(&self) -> Transport {
        self.transport
    }
}
