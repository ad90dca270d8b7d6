use std::{collections::BTreeMap, sync::Arc};

use super::Tenant;

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
