//! One runtime per tenant: fetches what the core asks for.
//!
//! No decision is made here. A [`Lookup`] says what is needed, the runtime brings it, and the lookup concludes.

mod answers;
mod cache;
mod credentials;
mod flight;
pub(crate) mod keys;
pub(crate) mod permissions;
pub(crate) mod replay;

use std::sync::Arc;

use iam_core::{
    authenticate::{Authenticated, Lookup, SessionLookup, TokenLookup},
    clock::Clock,
    credential::SessionCarrier,
    decision::{Reason, Refusal},
    http::HttpClient,
    requirement::Freshness,
    service::{
        hydra::{self, Introspection},
        keto::PermissionClient,
        kratos::{self, Whoami},
    },
    tenant::{KratosSettings, Signer, Tenant},
};
use iam_grammar::RelationTuple;
use tokio::time::timeout;

use self::{
    credentials::{Credentials, Told},
    keys::{Keys, WaitError},
    permissions::Permissions,
};
use crate::{
    health::{Events, KeyProbe, Probe, TenantReadiness},
    iam::Revocation,
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
    /// What Kratos says about sessions.
    sessions: Option<Credentials<Whoami>>,
    /// What Hydra says about access tokens.
    tokens: Option<Credentials<Introspection>>,
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
            sessions: tenant.kratos().and_then(|_| {
                let (settings, unavailable) = (tenant.session_cache(), Reason::SessionUnavailable);
                Credentials::new(tenant, settings, unavailable, (wiring.clock, wiring.spawner))
            }),
            tokens: tenant.hydra().and_then(|_| {
                let (settings, unavailable) =
                    (tenant.introspection_cache(), Reason::IntrospectionUnavailable);
                Credentials::new(tenant, settings, unavailable, (wiring.clock, wiring.spawner))
            }),
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
            sessions: None,
            tokens: None,
        }
    }

    /// Brings what a lookup needs, and lets it conclude. An upstream that is asked gets the id of the request, or of another one that
    /// waits for the same answer.
    ///
    /// # Errors
    ///
    /// The lookup's refusal. An upstream without an answer is 503.
    pub(crate) async fn look_up(
        &self,
        lookup: Lookup,
        freshness: Freshness,
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
                let answer = self.whoami(&lookup, freshness, request_id).await;
                lookup.conclude(&self.tenant, answer, clock.now())
            }
            Lookup::Token(lookup) => {
                let answer = self.introspect(&lookup, freshness, request_id).await;
                lookup.conclude(&self.tenant, answer, clock.now())
            }
        }
    }

    /// Tells whether good answers to a lookup are kept.
    pub(crate) fn keeps_answers_to(&self, lookup: &Lookup) -> bool {
        let settings = match lookup {
            Lookup::Custom(_) | Lookup::Key(_) => return false,
            Lookup::Session(_) => self.tenant.session_cache(),
            Lookup::Token(_) => self.tenant.introspection_cache(),
        };
        !settings.life_of(false).is_zero()
    }

    /// Asks Kratos, or the cache of its answers, about a session.
    async fn whoami(
        &self,
        lookup: &SessionLookup,
        freshness: Freshness,
        request_id: &str,
    ) -> Result<Whoami, Refusal> {
        let upstream = self.tenant.kratos().zip(self.kratos.as_ref());
        // INVARIANT: the configuration refuses transports of sessions without Kratos.
        let (settings, client) =
            upstream.ok_or(Refusal::with_detail(Reason::UnknownTenant, "no_identity_server"))?;

        let (credential, required) = (lookup.credential(), settings.required_aal());
        let call = || kratos::whoami(settings, client, credential, request_id);
        let Some(sessions) = &self.sessions else {
            return call().await;
        };
        let presented = (carrier(credential.carrier()), credential.expose());
        let call = || {
            let call = call();
            async move {
                let answer = call.await?;
                let validity = answer.validity(required);
                Ok(Told { answer, validity })
            }
        };
        sessions.ask(presented, freshness, call).await
    }

    /// Asks Hydra, or the cache of its answers, about an access token.
    async fn introspect(
        &self,
        lookup: &TokenLookup,
        freshness: Freshness,
        request_id: &str,
    ) -> Result<Introspection, Refusal> {
        let upstream = self.tenant.hydra().zip(self.hydra.as_ref());
        let (settings, client) = upstream.ok_or(Refusal::new(Reason::UnknownTenant))?;

        let call = || hydra::introspect(settings, client, lookup.token(), request_id);
        let Some(tokens) = &self.tokens else {
            return call().await;
        };
        let call = || {
            let call = call();
            async move {
                let answer = call.await?;
                let validity = answer.validity();
                Ok(Told { answer, validity })
            }
        };
        let presented = (ACCESS_TOKEN, lookup.token().expose().as_bytes());
        tokens.ask(presented, freshness, call).await
    }

    /// Drops what is kept about sessions and tokens. A call that began before leaves nothing behind.
    pub(crate) fn revoke(&self, revocation: Revocation<'_>) {
        match revocation {
            Revocation::Identity(id) => {
                self.revoke_sessions(|whoami| whoami.identity_id() == Some(id));
                if let Some(tokens) = &self.tokens {
                    tokens.revoke_if(|token| token.subject() == Some(id));
                }
            }
            Revocation::Session(id) => self.revoke_sessions(|whoami| whoami.session_id() == Some(id)),
            Revocation::Token(token) => {
                if let Some(sessions) = &self.sessions {
                    sessions.revoke(carrier(SessionCarrier::Token), token.as_bytes());
                }
                if let Some(tokens) = &self.tokens {
                    tokens.revoke(ACCESS_TOKEN, token.as_bytes());
                }
            }
        }
    }

    fn revoke_sessions(&self, is_revoked: impl Fn(&Whoami) -> bool) {
        if let Some(sessions) = &self.sessions {
            sessions.revoke_if(is_revoked);
        }
    }

    /// Tells whether this tenant and another one have an identity server or an OAuth 2 server in common.
    pub(crate) fn shares_sessions_or_tokens_with<'t>(&'t self, other: &'t Tenant) -> bool {
        let urls = |tenant: &'t Tenant| {
            let kratos = tenant.kratos();
            [
                kratos.map(KratosSettings::public_url),
                kratos.and_then(KratosSettings::admin_url),
                tenant.hydra().map(|hydra| hydra.admin_url()),
            ]
        };
        let pairs = urls(&self.tenant).into_iter().zip(urls(other));
        pairs
            .into_iter()
            .any(|(one, other)| one.is_some() && one == other)
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

const fn carrier(carrier: SessionCarrier) -> &'static str {
    match carrier {
        SessionCarrier::Cookie => "cookie",
        SessionCarrier::Token => "token",
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

/// How an access token travels, as its fingerprint counts it.
const ACCESS_TOKEN: &str = "access_token";

/// The number of probes of one upstream under way at once: one, and one that is being given up.
const PROBES: usize = 2;
