use std::sync::Arc;

use super::{Tenant, Transport};
use crate::requirement::Access;

/// The tenant and the transport that a request is decided for, and the access of its route.
///
/// Only [`TenantRegistry::resolve`](super::TenantRegistry::resolve) makes a target, so the tenant has the transport wherever a
/// credential is read.
#[derive(Clone, Copy, Debug)]
pub struct Target<'r> {
    pub(super) access: Access,
    pub(super) tenant: &'r Arc<Tenant>,
    pub(super) transport: Transport,
}

impl<'r> Target<'r> {
    /// The target of a protected route that names nothing, for tests.
    #[cfg(test)]
    pub(crate) fn of(tenant: &'r Arc<Tenant>) -> Self {
        Self {
            access: Access::Protected,
            tenant,
            transport: tenant.transport(),
        }
    }

    /// Returns the access of the route.
    pub const fn access(&self) -> Access {
        self.access
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
