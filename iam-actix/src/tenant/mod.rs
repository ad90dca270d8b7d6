//! One runtime per tenant: fetches what the core asks for.
//!
//! No decision is made here. A [`Lookup`] says what is needed, the runtime brings it, and the lookup concludes.

mod answers;
mod cache;
mod flight;
pub(crate) mod keys;
pub(crate) mod permissions;
pub(crate) mod replay;

use std::sync::Arc;

use iam_core::{
    authenticate::{Authenticated, Lookup},
    clock::Clock,
    decision::{Reason, Refusal},
    http::HttpClient,
    requirement::Freshness,
    service::keto::PermissionClient,
    tenant::Tenant,
};
use iam_grammar::RelationTuple;

use self::{
    keys::{Keys, WaitError},
    permissions::Permissions,
};
use crate::{
    health::{Events, KeyProbe, Probe, TenantReadiness},
    upstream::{ConcurrencyLimit, Spawner},
};

/// What one tenant's requests share: its upstream clients and its key refresh. Each upstream has a concurrency limit of its own.
pub(crate) struct TenantRuntime {
    tenant: Arc<Tenant>,
    keto: Option<Arc<dyn HttpClient>>,
    keys: Option<Keys>,
    kratos: Option<Arc<dyn HttpClient>>,
    permissions: Option<Permissions>,
}

/// What the runtimes of all tenants are made with.
pub(crate) struct Wiring<'a> {
    /// Makes the client of one upstream.
    pub(crate) client: &'a dyn Fn(ConcurrencyLimit) -> Arc<dyn HttpClient>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) spawner: &'a Spawner,
}

impl TenantRuntime {
    /// Makes the runtime of a tenant.
    pub(crate) fn new(tenant: &Arc<Tenant>, keys: Option<Keys>, wiring: &Wiring<'_>) -> Self {
        let client = wiring.client;
        let keto = tenant
            .keto()
            .map(|keto| client(ConcurrencyLimit::new(keto.max_in_flight())));
        let permissions = tenant.keto().zip(keto.as_ref()).map(|(settings, client)| {
            let client = PermissionClient::new(settings.clone(), Arc::clone(client));
            Permissions::new(tenant, client, wiring.clock, wiring.spawner)
        });
        Self {
            tenant: Arc::clone(tenant),
            keto,
            keys,
            kratos: tenant
                .kratos()
                .map(|kratos| client(ConcurrencyLimit::new(kratos.max_in_flight()))),
            permissions,
        }
    }

    /// Makes the runtime of a tenant that has no upstream.
    pub(crate) fn without_upstreams(tenant: &Arc<Tenant>) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            keto: None,
            keys: None,
            kratos: None,
            permissions: None,
        }
    }

    /// Brings what a lookup needs, and lets it conclude.
    ///
    /// # Errors
    ///
    /// The lookup's refusal. An upstream without an answer is 503.
    pub(crate) async fn look_up(&self, lookup: Lookup, clock: &dyn Clock) -> Result<Authenticated, Refusal> {
        match lookup {
            Lookup::Key(lookup) => {
                let waited = match &self.keys {
                    Some(keys) => keys
                        .until_known(&mut || lookup.is_answered(&self.tenant, clock.now()))
                        .await
                        .map_err(keys_unavailable),
                    // Keys of the configuration never change.
                    None => Ok(()),
                };
                lookup.conclude(&self.tenant, waited, clock.now())
            }
        }
    }

    /// Asks Keto, or the cache of its answers. Returns one answer for each tuple, in their order.
    ///
    /// # Errors
    ///
    /// A refusal when Keto does not answer, or the tenant has none.
    pub(crate) async fn check_permissions(
        &self,
        tuples: &[RelationTuple],
        freshness: Freshness,
        request_id: &str,
    ) -> Result<Vec<bool>, Refusal> {
        let permissions = self.permissions.as_ref().ok_or(Refusal::with_detail(
            Reason::InvalidRequirement,
            "no_permission_server",
        ))?;

        permissions.check(tuples, freshness, request_id).await
    }

    /// Waits for a key fetch that starts after this call. Returns at once when the keys are part of the configuration.
    pub(crate) async fn fetch_keys(&self) -> Result<(), WaitError> {
        match &self.keys {
            Some(keys) => keys.fetched_from_now().await,
            None => Ok(()),
        }
    }

    /// Returns the checks of permissions.
    pub(crate) const fn permissions(&self) -> Option<&Permissions> {
        self.permissions.as_ref()
    }

    /// Returns the tenant.
    pub(crate) const fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    pub(crate) const fn keto(&self) -> Option<&Arc<dyn HttpClient>> {
        self.keto.as_ref()
    }

    pub(crate) const fn kratos(&self) -> Option<&Arc<dyn HttpClient>> {
        self.kratos.as_ref()
    }

    /// Returns what readiness asks about the tenant. Probes have concurrency limits of their own.
    pub(crate) fn readiness(
        &self,
        events: Events,
        client: &dyn Fn(ConcurrencyLimit) -> Arc<dyn HttpClient>,
        spawner: &Spawner,
    ) -> TenantReadiness {
        let probed = [
            self.tenant.keto().map(|keto| ("keto", keto.read_url())),
            self.tenant.kratos().map(|kratos| ("kratos", kratos.public_url())),
        ];
        let probe = |(product, url)| {
            Probe::new(
                product,
                url,
                client(ConcurrencyLimit::new(PROBES)),
                spawner.clone(),
            )
        };

        TenantReadiness {
            events,
            keys: KeyProbe::of(&self.tenant),
            upstreams: probed.into_iter().flatten().map(probe).collect(),
        }
    }
}

/// D16: keys that are unavailable are not a forged signature.
fn keys_unavailable(err: WaitError) -> Refusal {
    let detail = match err {
        WaitError::Failed => "key_fetch_failed",
        WaitError::Full => "key_waiters_full",
        WaitError::Stopped => "stopped",
        WaitError::Timeout => "key_fetch_timeout",
    };
    Refusal::with_detail(Reason::KeysUnavailable, detail)
}

/// The number of probes of one upstream under way at once: one, and one that is being given up.
const PROBES: usize = 2;
