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
    authenticate::{Authenticated, Lookup, SessionLookup},
    clock::Clock,
    decision::{Reason, Refusal},
    http::HttpClient,
    requirement::Freshness,
    service::{
        hydra,
        keto::PermissionClient,
        kratos::{self, Whoami},
    },
    tenant::{Signer, Tenant},
};
use iam_grammar::RelationTuple;
use tokio::time::timeout;

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
    hydra: Option<Arc<dyn HttpClient>>,
    keto: Option<Arc<dyn HttpClient>>,
    keys: SignerKeys,
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

/// The key refresh of each signer whose keys are fetched.
#[derive(Default)]
pub(crate) struct SignerKeys {
    pub(crate) gateway: Option<Keys>,
    pub(crate) hydra: Option<Keys>,
}

impl SignerKeys {
    const fn of(&self, signer: Signer) -> Option<&Keys> {
        match signer {
            Signer::Gateway => self.gateway.as_ref(),
            Signer::Hydra => self.hydra.as_ref(),
        }
    }
}

impl TenantRuntime {
    /// Makes the runtime of a tenant.
    pub(crate) fn new(tenant: &Arc<Tenant>, keys: SignerKeys, wiring: &Wiring<'_>) -> Self {
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
            hydra: tenant
                .hydra()
                .map(|hydra| client(ConcurrencyLimit::new(hydra.max_in_flight()))),
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
            hydra: None,
            keto: None,
            keys: SignerKeys::default(),
            kratos: None,
            permissions: None,
        }
    }

    /// Brings what a lookup needs, and lets it conclude. An upstream that is asked gets the request's id.
    ///
    /// # Errors
    ///
    /// The lookup's refusal. An upstream without an answer is 503.
    pub(crate) async fn look_up(
        &self,
        lookup: Lookup,
        clock: &dyn Clock,
        request_id: &str,
    ) -> Result<Authenticated, Refusal> {
        match lookup {
            Lookup::Custom(mut lookup) => {
                let answer = match lookup.take() {
                    Some(answer) => timeout(lookup.timeout(), answer).await.ok(),
                    None => None,
                };
                lookup.conclude(&self.tenant, answer, clock.now())
            }
            Lookup::Key(lookup) => {
                let waited = match self.keys.of(lookup.signer()) {
                    Some(keys) => keys
                        .until_known(&mut || lookup.is_answered(&self.tenant, clock.now()))
                        .await
                        .map_err(keys_unavailable),
                    // Keys of the configuration never change.
                    None => Ok(()),
                };
                lookup.conclude(&self.tenant, waited, clock.now())
            }
            Lookup::Session(lookup) => {
                let answer = self.whoami(&lookup, request_id).await;
                lookup.conclude(&self.tenant, answer, clock.now())
            }
            Lookup::Token(lookup) => {
                let answer = match self.tenant.hydra().zip(self.hydra.as_ref()) {
                    Some((settings, client)) => {
                        hydra::introspect(settings, client, lookup.token(), request_id).await
                    }
                    None => Err(Refusal::new(Reason::UnknownTenant)),
                };
                lookup.conclude(&self.tenant, answer, clock.now())
            }
        }
    }

    /// Asks Kratos about a session.
    async fn whoami(&self, lookup: &SessionLookup, request_id: &str) -> Result<Whoami, Refusal> {
        let upstream = self.tenant.kratos().zip(self.kratos.as_ref());
        // INVARIANT: the configuration refuses transports of sessions without Kratos.
        let (settings, client) =
            upstream.ok_or(Refusal::with_detail(Reason::UnknownTenant, "no_identity_server"))?;

        kratos::whoami(settings, client, lookup.credential(), request_id).await
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

    /// Waits for a fetch of a signer's keys that starts after this call. Returns at once when the keys are part of the configuration.
    pub(crate) async fn fetch_keys(&self, signer: Signer) -> Result<(), WaitError> {
        match self.keys.of(signer) {
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
            self.tenant.hydra().map(|hydra| ("hydra", hydra.admin_url())),
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
            keys: KeyProbe::all_of(&self.tenant),
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
