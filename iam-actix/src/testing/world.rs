//! The surroundings of a service under test.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use iam_core::{
    audit::AuditEvent,
    authenticate::Authenticator,
    clock::ManualClock,
    config::{ConfigError, IamConfig, KratosConfig, Settings, TenantConfig},
    jwt::Algorithm,
    tenant::{JwksSource, KratosSettings, Signer, Tenant, TenantRegistry},
};
use iam_grammar::GrammarError;
use tokio::{sync::Mutex, time};

use super::{
    IssuerError, TestAccessToken, TestEnvelope, TestForwarded, TestIssuer, TestPrincipal, TestSession,
    upstreams::TestUpstreams,
};
use crate::{
    audit::{AuditEvents, ChannelAuditSink, audit_channel},
    iam::{Iam, StartError},
};

/// The surroundings of a service under test: issuers, permission servers, clock and audit events. See the [module](super).
#[derive(Debug)]
pub struct TestWorld {
    authenticators: Vec<Arc<dyn Authenticator>>,
    clock: ManualClock,
    config: IamConfig,
    events: Mutex<AuditEvents>,
    issuers: HashMap<String, Arc<TestIssuer>>,
    /// The signers of JWT access tokens.
    oauth2_issuers: HashMap<String, Arc<TestIssuer>>,
    settings: Settings,
    sink: ChannelAuditSink,
    upstreams: Arc<TestUpstreams>,
}

impl TestWorld {
    /// Makes the world of a configuration. Use the service's own configuration; its upstreams need not exist.
    ///
    /// Tenants with the same `jwks.url` are behind one gateway and share one issuer. The world cannot sign with keys that are written
    /// in the configuration (`jwks.keys`).
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the configuration is invalid, or if it requires a signature algorithm that the test issuer lacks.
    pub fn new(config: IamConfig) -> Result<Self, WorldError> {
        Self::with_authenticators(config, [])
    }

    /// Makes the world of a configuration whose tenants name transports of the application's own, `custom:NAME`.
    ///
    /// # Errors
    ///
    /// As [`TestWorld::new`], and when a name has no authenticator, or two.
    pub fn with_authenticators(
        config: IamConfig,
        authenticators: impl IntoIterator<Item = Arc<dyn Authenticator>>,
    ) -> Result<Self, WorldError> {
        let authenticators: Vec<_> = authenticators.into_iter().collect();
        let settings = config.clone().validate_with(&authenticators)?;
        let clock = ManualClock::at_system_time();
        let upstreams = Arc::new(TestUpstreams::new(clock.clone()));
        let issuers = issuers(settings.registry(), Signer::Gateway)?;
        let oauth2_issuers = self::issuers(settings.registry(), Signer::Hydra)?;
        for tenant in settings.registry().iter() {
            for (signer, issuers) in [(Signer::Gateway, &issuers), (Signer::Hydra, &oauth2_issuers)] {
                if let (Some(source), Some(issuer)) = (tenant.jwks_of(signer), issuers.get(tenant.name())) {
                    upstreams.serve_keys(source.url(), Arc::clone(issuer));
                }
            }
            if let Some(hydra) = tenant.hydra() {
                upstreams.serve_tokens(hydra.admin_url());
            }
            if let Some(keto) = tenant.keto() {
                upstreams.serve_permissions(keto.read_url());
            }
            if let Some(kratos) = tenant.kratos() {
                upstreams.serve_sessions(kratos.public_url(), kratos.session_cookie());
            }
        }

        let (sink, events) = audit_channel();
        Ok(Self {
            authenticators,
            clock,
            config,
            events: Mutex::new(events),
            issuers,
            oauth2_issuers,
            settings,
            sink,
            upstreams,
        })
    }

    /// Starts an [`Iam`] in this world. Several of them share the world, but each has its own fetched keys and its own used tokens.
    ///
    /// # Errors
    ///
    /// The errors of [`IamBuilder::start`](crate::IamBuilder::start).
    pub async fn start(&self) -> Result<Iam, StartError> {
        let mut builder = Iam::builder(self.config.clone());
        for authenticator in &self.authenticators {
            builder = builder.authenticator(Arc::clone(authenticator));
        }
        builder
            .clock(Arc::new(self.clock.clone()))
            .audit_sink(Arc::new(self.sink.clone()))
            .http_client(Arc::<TestUpstreams>::clone(&self.upstreams))
            .start()
            .await
    }

    /// Returns an OAuth 2 client of the default tenant.
    pub fn client(&self, client_id: &str) -> TestPrincipal {
        self.identity(client_id).claim("client_id", client_id)
    }

    /// Returns an identity of the default tenant.
    pub fn identity(&self, subject: &str) -> TestPrincipal {
        self.principal(self.settings.registry().default_tenant(), subject)
    }

    /// Returns an identity of a tenant, or `None` if the tenant does not exist. A claim `client_id` that equals the subject makes it a
    /// client.
    pub fn identity_of(&self, tenant: &str, subject: &str) -> Option<TestPrincipal> {
        let tenant = self.settings.registry().get(tenant)?;
        Some(self.principal(tenant, subject))
    }

    /// Returns an identity that the default tenant's gateway names in envelopes (`verifier = "hmac"`).
    pub fn envelope(&self, subject: &str) -> TestEnvelope {
        self.envelope_in(self.settings.registry().default_tenant(), subject)
    }

    /// Returns an identity that a tenant's gateway names in envelopes, or `None` if the tenant does not exist.
    pub fn envelope_of(&self, tenant: &str, subject: &str) -> Option<TestEnvelope> {
        let tenant = self.settings.registry().get(tenant)?;
        Some(self.envelope_in(tenant, subject))
    }

    /// Returns an identity that the default tenant's gateway names in plain headers (`verifier = "headers"`).
    pub fn forwarded(&self, subject: &str) -> TestForwarded {
        self.forwarded_in(self.settings.registry().default_tenant(), subject)
    }

    /// Returns an identity that a tenant's gateway names in plain headers, or `None` if the tenant does not exist.
    pub fn forwarded_of(&self, tenant: &str, subject: &str) -> Option<TestForwarded> {
        let tenant = self.settings.registry().get(tenant)?;
        Some(self.forwarded_in(tenant, subject))
    }

    /// Returns an access token of the default tenant's OAuth 2 server, issued to a client for itself.
    pub fn access_token(&self, client_id: &str) -> TestAccessToken {
        self.access_token_in(self.settings.registry().default_tenant(), client_id)
    }

    /// Returns an access token of a tenant's OAuth 2 server, or `None` if the tenant does not exist.
    pub fn access_token_of(&self, tenant: &str, client_id: &str) -> Option<TestAccessToken> {
        let tenant = self.settings.registry().get(tenant)?;
        Some(self.access_token_in(tenant, client_id))
    }

    /// Revokes an access token at the default tenant's OAuth 2 server. A JWT that is verified by the service itself is accepted all the
    /// same, as in production.
    pub fn revoke_access_token(&self, token: &str) {
        if let Some(hydra) = self.settings.registry().default_tenant().hydra() {
            self.upstreams.revoke_token(hydra.admin_url(), token);
        }
    }

    /// Takes the OAuth 2 server of the default tenant down, or up again, for all tenants with this `hydra.admin_url`; where JWTs are
    /// verified, for all that fetch keys from this `hydra.jwks.url`.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the tenant asks no OAuth 2 server.
    pub fn set_hydra_down(&self, down: bool) -> Result<(), WorldError> {
        let tenant = self.settings.registry().default_tenant();
        match (tenant.hydra(), tenant.jwks_of(Signer::Hydra)) {
            (Some(hydra), _) => self.upstreams.set_tokens_down(hydra.admin_url(), down),
            (None, Some(source)) => self.upstreams.set_keys_down(source.url(), down),
            (None, None) => return Err(WorldError::Hydra(tenant.name().to_owned())),
        }
        Ok(())
    }

    /// Returns the number of tokens that the default tenant's OAuth 2 server was asked about, by all tenants that use it.
    pub fn introspections(&self) -> usize {
        let hydra = self.settings.registry().default_tenant().hydra();
        hydra.map_or(0, |hydra| self.upstreams.introspections(hydra.admin_url()))
    }

    /// Returns a new session of a person at the identity server of the default tenant. The subject is the id of the identity.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use actix_web::test::TestRequest;
    /// use iam_actix::{IamConfig, testing::TestWorld};
    ///
    /// # fn world() -> Result<(), Box<dyn std::error::Error>> {
    /// let world = TestWorld::new(IamConfig::from_toml(r#"
    ///     [tenants.default]
    ///     transports = ["cookie-or-bearer"]
    ///     [tenants.default.kratos]
    ///     public_url = "https://kratos.example"
    /// "#)?)?;
    /// let alice = world.session("alice").aal2();
    ///
    /// let browser = TestRequest::get().uri("/me").insert_header(alice.cookie()).to_request();
    /// let mobile = TestRequest::get().uri("/me").insert_header(alice.token()).to_request();
    /// # drop((browser, mobile));
    /// # Ok(())
    /// # }
    /// # world().unwrap();
    /// # }
    /// ```
    pub fn session(&self, subject: &str) -> TestSession {
        self.session_at(self.settings.registry().default_tenant(), subject)
    }

    /// Returns a new session of a person at the identity server of a tenant, or `None` if the tenant does not exist.
    pub fn session_of(&self, tenant: &str, subject: &str) -> Option<TestSession> {
        let tenant = self.settings.registry().get(tenant)?;
        Some(self.session_at(tenant, subject))
    }

    /// Takes the identity server of the default tenant down, or up again, for all tenants with this `kratos.public_url`.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the tenant has no identity server.
    pub fn set_sessions_down(&self, down: bool) -> Result<(), WorldError> {
        let tenant = self.default_tenant();
        let kratos = self.tenant(tenant)?.kratos();
        let kratos = kratos.ok_or_else(|| WorldError::Sessions(tenant.to_owned()))?;
        self.upstreams.set_sessions_down(kratos.public_url(), down);
        Ok(())
    }

    /// Returns how often the identity server of the default tenant was asked about a session, by all tenants with this
    /// `kratos.public_url`.
    pub fn session_lookups(&self) -> usize {
        let kratos = self.settings.registry().default_tenant().kratos();
        kratos.map_or(0, |kratos| self.upstreams.session_lookups(kratos.public_url()))
    }

    /// Returns the clock.
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Returns the issuer of a tenant, whose keys can be changed. Tenants with the same `jwks.url` have the same issuer.
    ///
    /// A service uses changed keys after its next fetch. A token with an unknown key triggers a fetch if `jwks.refetch_interval` has
    /// passed on the world's clock since the last fetch, so [`advance`](ManualClock::advance) the clock before the
    /// request. Otherwise the request waits for `jwks.wait` (two real seconds by default) and fails with 503.
    /// [`TestWorld::rotate_keys`] adds a key and advances the clock. A removed key still verifies for `jwks.grace` after the fetch that
    /// no longer contains it.
    pub fn issuer(&self, tenant: &str) -> Option<&Arc<TestIssuer>> {
        self.issuers.get(tenant)
    }

    /// Adds a signing key to the issuer of a tenant and returns its id. New tokens are signed with it at once, as Oathkeeper does.
    ///
    /// The clock advances by the longest `jwks.refetch_interval` of the tenants with the same `jwks.url`, so that the next request with
    /// a new token makes the service fetch the key. Earlier keys stay published.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the tenant does not exist, if it fetches no keys, or if key generation fails.
    pub fn rotate_keys(&self, tenant: &str) -> Result<String, WorldError> {
        let registry = self.settings.registry();
        let url = self.keys_url(tenant)?;
        // INVARIANT: every tenant that fetches keys has an issuer.
        let issuer = self.issuers.get(tenant);
        let kid = issuer.ok_or(IssuerError::Key)?.add_key()?;

        let sources = registry.iter().filter_map(|tenant| tenant.jwks());
        let intervals = sources
            .filter(|source| source.url() == url)
            .map(|source| source.policy().refetch_interval);
        self.clock.advance(intervals.max().unwrap_or_default());
        Ok(kid)
    }

    /// Adds a tuple such as `orders:7#view@"user:alice"` to the permission server of the default tenant. Checks compare the tuple, its
    /// subject included, literally.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the text is not a tuple, or if the tenant has no permission server.
    pub fn grant(&self, tuple: &str) -> Result<(), WorldError> {
        self.grant_in(self.default_tenant(), tuple)
    }

    /// Adds a tuple to the permission server of a tenant, as [`TestWorld::grant`] does. Tenants with the same `keto.read_url` share one
    /// server.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the text is not a tuple, if the tenant does not exist, or if it has no permission server.
    pub fn grant_in(&self, tenant: &str, tuple: &str) -> Result<(), WorldError> {
        let tuple = tuple.parse()?;
        self.upstreams.grant(self.permissions_url(tenant)?, &tuple);
        Ok(())
    }

    /// Removes a tuple from the permission server of the default tenant.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the text is not a tuple, or if the tenant has no permission server.
    pub fn revoke(&self, tuple: &str) -> Result<(), WorldError> {
        self.revoke_in(self.default_tenant(), tuple)
    }

    /// Removes a tuple from the permission server of a tenant.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the text is not a tuple, if the tenant does not exist, or if it has no permission server.
    pub fn revoke_in(&self, tenant: &str, tuple: &str) -> Result<(), WorldError> {
        let tuple = tuple.parse()?;
        self.upstreams.revoke(self.permissions_url(tenant)?, &tuple);
        Ok(())
    }

    /// Takes the permission server of the default tenant down, or up again, for all tenants with this `keto.read_url`.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the tenant has no permission server.
    pub fn set_permissions_down(&self, down: bool) -> Result<(), WorldError> {
        let url = self.permissions_url(self.default_tenant())?;
        self.upstreams.set_permissions_down(url, down);
        Ok(())
    }

    /// Takes the key server of the default tenant down, or up again, for all tenants with this `jwks.url`.
    ///
    /// Fetched keys stay in use, as in production. After a failed fetch, the next one starts when `jwks.refetch_interval` has passed on
    /// the world's clock. A service without any keys answers 503 at once, and examines the clock twice a second.
    ///
    /// # Errors
    ///
    /// Returns a [`WorldError`] if the tenant fetches no keys.
    pub fn set_keys_down(&self, down: bool) -> Result<(), WorldError> {
        let url = self.keys_url(self.default_tenant())?;
        self.upstreams.set_keys_down(url, down);
        Ok(())
    }

    /// Returns the number of successful key fetches from the default tenant's `jwks.url`, by all tenants that use it.
    pub fn key_fetches(&self) -> usize {
        let url = self.keys_url(self.default_tenant());
        url.map_or(0, |url| self.upstreams.fetches(url))
    }

    /// Waits up to five seconds for the next audit event of any [`Iam`] that was started in this world.
    pub async fn next_event(&self) -> Option<AuditEvent<'static>> {
        let mut events = self.events.lock().await;
        time::timeout(PATIENCE, events.next()).await.ok().flatten()
    }

    fn access_token_in(&self, tenant: &Tenant, client_id: &str) -> TestAccessToken {
        let issuer = self.oauth2_issuers.get(tenant.name());
        TestAccessToken::new(tenant, client_id, issuer, &self.upstreams, self.clock.clone())
    }

    fn session_at(&self, tenant: &Tenant, subject: &str) -> TestSession {
        let kratos = tenant.kratos();
        let default = KratosConfig::default().session_cookie;
        let cookie = kratos.map_or(default.as_str(), KratosSettings::session_cookie);
        let server = (kratos.map(KratosSettings::public_url), cookie);
        TestSession::new(subject, server, &self.upstreams, self.clock.clone())
    }

    fn principal(&self, tenant: &Arc<Tenant>, subject: &str) -> TestPrincipal {
        // INVARIANT: every tenant that verifies tokens has an issuer. Other tenants accept no tokens.
        let issuer = self.issuers.get(tenant.name()).map(Arc::clone);
        TestPrincipal::new(tenant, &self.written(tenant), issuer, self.clock.clone()).claim("sub", subject)
    }

    fn envelope_in(&self, tenant: &Tenant, subject: &str) -> TestEnvelope {
        TestEnvelope::new(tenant.name(), &self.written(tenant), subject, self.clock.clone())
    }

    fn forwarded_in(&self, tenant: &Tenant, subject: &str) -> TestForwarded {
        TestForwarded::new(tenant.name(), &self.written(tenant), subject)
    }

    /// INVARIANT: the configuration contains every tenant.
    fn written(&self, tenant: &Tenant) -> TenantConfig {
        let written = self.config.tenants.get(tenant.name());
        written.cloned().unwrap_or_default()
    }

    fn tenant(&self, name: &str) -> Result<&Arc<Tenant>, WorldError> {
        let tenant = self.settings.registry().get(name);
        tenant.ok_or_else(|| WorldError::Tenant(name.to_owned()))
    }

    fn default_tenant(&self) -> &str {
        self.settings.registry().default_tenant().name()
    }

    fn keys_url(&self, tenant: &str) -> Result<&str, WorldError> {
        let source = self.tenant(tenant)?.jwks();
        let source = source.ok_or_else(|| WorldError::Keys(tenant.to_owned()))?;
        Ok(source.url())
    }

    fn permissions_url(&self, tenant: &str) -> Result<&str, WorldError> {
        let keto = self.tenant(tenant)?.keto();
        let keto = keto.ok_or_else(|| WorldError::Permissions(tenant.to_owned()))?;
        Ok(keto.read_url())
    }
}

/// The error of a [`TestWorld`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tenant asks no OAuth 2 server.
    #[error("tenant `{0}` asks no OAuth 2 server: set `tenants.{0}.hydra`")]
    Hydra(String),
    /// The issuer cannot sign.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The tenant fetches no keys.
    #[error("tenant `{0}` fetches no keys: set `tenants.{0}.oathkeeper.jwks.url`")]
    Keys(String),
    /// The tenant has no permission server.
    #[error("tenant `{0}` has no permission server: set `tenants.{0}.keto.read_url`")]
    Permissions(String),
    /// The tenant has no identity server.
    #[error("tenant `{0}` has no identity server: set `tenants.{0}.kratos.public_url`")]
    Sessions(String),
    /// The tenant does not exist.
    #[error("no tenant `{0}` is configured: set `tenants.{0}`")]
    Tenant(String),
    /// The text to grant or revoke is not a tuple.
    #[error(transparent)]
    Tuple(#[from] GrammarError),
}

/// Returns what signs the tokens of one kind of signer for each tenant, by the tenant's name.
fn issuers(
    registry: &TenantRegistry,
    signer: Signer,
) -> Result<HashMap<String, Arc<TestIssuer>>, IssuerError> {
    let mut by_url: HashMap<&str, Arc<TestIssuer>> = HashMap::new();
    let mut issuers = HashMap::new();
    for tenant in registry.iter() {
        let Some(verifier) = tenant.verifier_of(signer) else {
            continue;
        };
        let allowed = verifier.profile().algorithms();
        let issuer = match tenant.jwks_of(signer).map(JwksSource::url) {
            None => Arc::new(TestIssuer::signing_with(allowed)?),
            Some(url) => match by_url.entry(url) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(new) => {
                    let issuer = TestIssuer::signing_with(&allowed_by_all(registry, signer, url, allowed))?;
                    Arc::clone(new.insert(Arc::new(issuer)))
                }
            },
        };
        issuers.insert(tenant.name().to_owned(), issuer);
    }
    Ok(issuers)
}

/// Returns the algorithms that every tenant with keys at `url` allows. A gateway signs with one algorithm for all its tenants.
fn allowed_by_all(
    registry: &TenantRegistry,
    signer: Signer,
    url: &str,
    algorithms: &[Algorithm],
) -> Vec<Algorithm> {
    let mut allowed = algorithms.to_vec();
    let behind_it = |tenant: &&Arc<Tenant>| tenant.jwks_of(signer).is_some_and(|source| source.url() == url);
    for verifier in registry
        .iter()
        .filter(behind_it)
        .filter_map(|tenant| tenant.verifier_of(signer))
    {
        allowed.retain(|algorithm| verifier.profile().algorithms().contains(algorithm));
    }
    allowed
}

/// The longest wait for an audit event.
const PATIENCE: Duration = Duration::from_secs(5);
