use std::{collections::BTreeMap, sync::Arc};

use super::{Target, Tenant, carrier};
use crate::{
    decision::{Reason, Refusal},
    requirement::{Access, EffectivePolicy, Freshness},
};

/// All tenants of a process. Never without a default one.
#[derive(Debug)]
pub struct TenantRegistry {
    tenants: BTreeMap<String, Arc<Tenant>>,
    default: Arc<Tenant>,
    credential_headers: Vec<String>,
    development: bool,
}

impl TenantRegistry {
    pub(crate) fn new(tenants: Vec<Arc<Tenant>>, default: Arc<Tenant>, development: bool) -> Self {
        let mut credential_headers: Vec<String> = tenants
            .iter()
            .flat_map(|tenant| tenant.credential_headers())
            .map(str::to_owned)
            .collect();
        credential_headers.sort();
        credential_headers.dedup();

        Self {
            tenants: tenants
                .into_iter()
                .map(|tenant| (tenant.name().to_owned(), tenant))
                .collect(),
            default,
            credential_headers,
            development,
        }
    }

    /// Resolves the tenant and the transports that a policy asks for. A policy that names none, and a route without a policy, get
    /// the default tenant and its first transport. A public route reads no credential, so its transports are not checked.
    ///
    /// # Errors
    ///
    /// [`Reason::UnknownTenant`] when no tenant has that name, or the tenant does not use a transport;
    /// [`Reason::PolicyConflict`] when two of the transports would take one credential.
    pub fn resolve<'r>(&'r self, policy: Option<&'r EffectivePolicy>) -> Result<Target<'r>, Refusal> {
        let tenant = match policy.and_then(EffectivePolicy::tenant) {
            None => &self.default,
            Some(name) => self.tenants.get(name).ok_or(Refusal::with_detail(
                Reason::UnknownTenant,
                "tenant_not_configured",
            ))?,
        };
        let transports = policy
            .and_then(EffectivePolicy::transports)
            .unwrap_or_else(|| tenant.default_transports());
        let access = policy.map_or(Access::Protected, EffectivePolicy::access);
        if access != Access::Public {
            if !transports.iter().all(|named| tenant.transports().contains(named)) {
                return Err(Refusal::with_detail(
                    Reason::UnknownTenant,
                    "transport_not_configured",
                ));
            }
            if carrier::contend(tenant, transports) {
                return Err(Refusal::with_detail(Reason::PolicyConflict, SHARED_CREDENTIAL));
            }
        }

        Ok(Target {
            access,
            freshness: policy.map_or(Freshness::Cached, EffectivePolicy::freshness),
            step_up: policy.map(EffectivePolicy::step_up).unwrap_or_default(),
            tenant,
            transports,
        })
    }

    /// Returns the tenant `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// Returns the tenant of routes that name none.
    pub const fn default_tenant(&self) -> &Arc<Tenant> {
        &self.default
    }

    /// Returns all tenants, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// Returns the names (lower case) of every header that a decision for any tenant looks at.
    pub fn credential_headers(&self) -> &[String] {
        &self.credential_headers
    }

    /// Returns whether this is a development set-up: refusal reasons may be shown to callers.
    pub const fn development(&self) -> bool {
        self.development
    }
}

/// The detail of the refusal where two transports of a route take the same credentials.
const SHARED_CREDENTIAL: &str = "transports_share_a_credential";
