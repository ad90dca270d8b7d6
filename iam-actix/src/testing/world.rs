//! What does a test control?

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use iam_core::{
    audit::AuditEvent,
    clock::ManualClock,
    config::{ConfigError, IamConfig, Settings, TenantConfig},
    jwt::Algorithm,
    tenant::{JwksSource, Tenant, TenantRegistry},
};
use iam_grammar::GrammarError;
use tokio::{sync::Mutex, time};

use super::{IssuerError, TestIssuer, TestPrincipal, upstreams::TestUpstreams};
use crate::{
    audit::{AuditEvents, ChannelAuditSink, audit_channel},
    iam::{Iam, StartError},
};

/// Everything around a service under test: issuers, permission servers, time, audit. See the [module](super).
#[derive(Debug)]
pub struct TestWorld {
    clock: ManualClock,
    config: IamConfig,
    events: Mutex<AuditEvents>,
    issuers: HashMap<String, Arc<TestIssuer>>,
    settings: Settings,
    sink: ChannelAuditSink,
    upstreams: Arc<TestUpstreams>,
}

impl TestWorld {
    /// Makes the world of a configuration: the service's own, which may name upstreams that do not exist here.
    ///
    /// Tenants whose keys are at one URL are behind one gateway: it has one issuer, which signs for all of them. Keys that stand in the
    /// configuration stay what they are: the world cannot sign for them.
    ///
    /// # Errors
    ///
    /// [`WorldError`] when the configuration has problems, or the world cannot sign what it asks for.
    pub fn new(config: IamConfig) -> Result<Self, WorldError> {
        let settings = config.clone().validate()?;
        let upstreams = Arc::new(TestUpstreams::default());
        let issuers = issuers(settings.registry())?;
        for tenant in settings.registry().iter() {
            if let (Some(source), Some(issuer)) = (tenant.jwks(), issuers.get(tenant.name())) {
                upstreams.serve_keys(source.url(), Arc::clone(issuer));
            }
            if let Some(keto) = tenant.keto() {
                upstreams.serve_permissions(keto.read_url());
            }
        }

        let (sink, events) = audit_channel();
        Ok(Self {
            clock: ManualClock::at_system_time(),
            config,
            events: Mutex::new(events),
            issuers,
            settings,
            sink,
            upstreams,
        })
    }

    /// Starts an [`Iam`] in this world. Several share everything but what each has fetched and which tokens it has seen.
    ///
    /// # Errors
    ///
    /// As [`IamBuilder::start`](crate::IamBuilder::start).
    pub async fn start(&self) -> Result<Iam, StartError> {
        Iam::builder(self.config.clone())
            .clock(Arc::new(self.clock.clone()))
            .audit_sink(Arc::new(self.sink.clone()))
            .http_client(Arc::<TestUpstreams>::clone(&self.upstreams))
            .start()
            .await
    }

    /// Returns a machine of the default tenant, to be given claims.
    pub fn client(&self, client_id: &str) -> TestPrincipal {
        self.identity(client_id).claim("client_id", client_id)
    }

    /// Returns a person of the default tenant, to be given roles and claims.
    pub fn identity(&self, subject: &str) -> TestPrincipal {
        self.principal(self.settings.registry().default_tenant(), subject)
    }

    /// Returns a person of a tenant; nothing when no tenant is called that. A claim `client_id` that equals
    /// the subject makes it a machine.
    pub fn identity_of(&self, tenant: &str, subject: &str) -> Option<TestPrincipal> {
        let tenant = self.settings.registry().get(tenant)?;
        Some(self.principal(tenant, subject))
    }

    /// Returns the clock, to be set.
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Returns the issuer of a tenant, to change its keys. Tenants whose keys are at one URL have the same one.
    ///
    /// A service knows of a change when it has fetched the keys again, and when that is due is measured on the world's clock, which
    /// stands still. A token with an unknown key makes it fetch if `jwks.refetch_interval` has passed since the last time:
    /// [`advance`](ManualClock::advance) the clock by as much before the request, or it waits for `jwks.wait`, two real seconds
    /// unless configured, and is refused with 503. [`TestWorld::rotate_keys`] does both. A key that was removed still verifies for
    /// `jwks.grace` after the fetch that misses it.
    pub fn issuer(&self, tenant: &str) -> Option<&Arc<TestIssuer>> {
        self.issuers.get(tenant)
    }

    /// Gives the issuer of a tenant a new key, which signs from now on, as Oathkeeper does it. Returns its id.
    ///
    /// The next request with a new token makes the service fetch it: for that, the clock moves forward by `jwks.refetch_interval`, the
    /// longest of those tenants whose keys are at the same URL. The keys before stay published.
    ///
    /// # Errors
    ///
    /// When no tenant is called that, it fetches no keys, or no key can be made.
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

    /// Grants what a tuple such as `orders:7#view@"user:alice"` says, at the permission server of the default tenant.
    /// Only that very tuple is granted: its subject is compared as it is written.
    ///
    /// # Errors
    ///
    /// When the text is no tuple, or the tenant has no permission server.
    pub fn grant(&self, tuple: &str) -> Result<(), WorldError> {
        self.grant_in(self.default_tenant(), tuple)
    }

    /// Grants what a tuple says at the permission server of a tenant, as [`TestWorld::grant`]. Tenants with the same `keto.read_url`
    /// have one server.
    ///
    /// # Errors
    ///
    /// When the text is no tuple, no tenant is called that, or it has no permission server.
    pub fn grant_in(&self, tenant: &str, tuple: &str) -> Result<(), WorldError> {
        let tuple = tuple.parse()?;
        self.upstreams.grant(self.permissions_url(tenant)?, &tuple);
        Ok(())
    }

    /// Takes back what [`TestWorld::grant`] granted.
    ///
    /// # Errors
    ///
    /// When the text is no tuple, or the tenant has no permission server.
    pub fn revoke(&self, tuple: &str) -> Result<(), WorldError> {
        self.revoke_in(self.default_tenant(), tuple)
    }

    /// Takes back what [`TestWorld::grant_in`] granted.
    ///
    /// # Errors
    ///
    /// When the text is no tuple, no tenant is called that, or it has no permission server.
    pub fn revoke_in(&self, tenant: &str, tuple: &str) -> Result<(), WorldError> {
        let tuple = tuple.parse()?;
        self.upstreams.revoke(self.permissions_url(tenant)?, &tuple);
        Ok(())
    }

    /// Lets the permission server of the default tenant answer no longer, or again, for all tenants with this `keto.read_url`.
    ///
    /// # Errors
    ///
    /// When the tenant has no permission server.
    pub fn set_permissions_down(&self, down: bool) -> Result<(), WorldError> {
        let url = self.permissions_url(self.default_tenant())?;
        self.upstreams.set_permissions_down(url, down);
        Ok(())
    }

    /// Lets the issuer of the default tenant answer no longer, or again, for all tenants whose keys are at this URL.
    ///
    /// Keys that a service has fetched serve on, as they do in production. After an attempt that failed, the next one is made when
    /// `jwks.refetch_interval` has passed on the world's clock. A service that has no keys at all does not wait for one: it refuses
    /// with 503 at once, and looks at the clock twice a second.
    ///
    /// # Errors
    ///
    /// When the tenant fetches no keys.
    pub fn set_keys_down(&self, down: bool) -> Result<(), WorldError> {
        let url = self.keys_url(self.default_tenant())?;
        self.upstreams.set_keys_down(url, down);
        Ok(())
    }

    /// Returns how often the keys of the default tenant were fetched from its issuer, for all tenants whose keys are at this URL.
    /// Attempts while it was down do not count.
    pub fn key_fetches(&self) -> usize {
        let url = self.keys_url(self.default_tenant());
        url.map_or(0, |url| self.upstreams.fetches(url))
    }

    /// Waits for the next audit event of all that was started in this world, up to five seconds.
    pub async fn next_event(&self) -> Option<AuditEvent<'static>> {
        let mut events = self.events.lock().await;
        time::timeout(PATIENCE, events.next()).await.ok().flatten()
    }

    fn principal(&self, tenant: &Arc<Tenant>, subject: &str) -> TestPrincipal {
        // INVARIANT: every tenant that verifies tokens has an issuer; the others take none.
        let issuer = self.issuers.get(tenant.name()).map(Arc::clone);
        // INVARIANT: every tenant was written in the configuration.
        let default = TenantConfig::default();
        let written = self.config.tenants.get(tenant.name()).unwrap_or(&default);
        TestPrincipal::new(tenant, written, issuer, self.clock.clone()).claim("sub", subject)
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

/// Why there is no world for a configuration, or why it cannot do what a test asks for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The configuration has problems.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be signed.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The tenant fetches no keys.
    #[error("tenant `{0}` fetches no keys: set `tenants.{0}.oathkeeper.jwks.url`")]
    Keys(String),
    /// The tenant has no permission server.
    #[error("tenant `{0}` has no permission server: set `tenants.{0}.keto.read_url`")]
    Permissions(String),
    /// No tenant is called that.
    #[error("no tenant is called `{0}`: set `tenants.{0}`")]
    Tenant(String),
    /// What should be granted or revoked is no tuple.
    #[error(transparent)]
    Tuple(#[from] GrammarError),
}

/// Returns the issuer of each tenant, by the tenant's name.
fn issuers(registry: &TenantRegistry) -> Result<HashMap<String, Arc<TestIssuer>>, IssuerError> {
    let mut by_url: HashMap<&str, Arc<TestIssuer>> = HashMap::new();
    let mut issuers = HashMap::new();
    for tenant in registry.iter() {
        let Some(verifier) = tenant.verifier() else {
            continue;
        };
        let allowed = verifier.profile().algorithms();
        let issuer = match tenant.jwks().map(JwksSource::url) {
            None => Arc::new(TestIssuer::signing_with(allowed)?),
            Some(url) => match by_url.entry(url) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(new) => {
                    let issuer = TestIssuer::signing_with(&allowed_by_all(registry, url, allowed))?;
                    Arc::clone(new.insert(Arc::new(issuer)))
                }
            },
        };
        issuers.insert(tenant.name().to_owned(), issuer);
    }
    Ok(issuers)
}

/// Returns those of the algorithms that every tenant with keys at `url` allows: a gateway signs alike for all.
fn allowed_by_all(registry: &TenantRegistry, url: &str, algorithms: &[Algorithm]) -> Vec<Algorithm> {
    let mut allowed = algorithms.to_vec();
    let behind_it = |tenant: &&Arc<Tenant>| tenant.jwks().is_some_and(|source| source.url() == url);
    for verifier in registry
        .iter()
        .filter(behind_it)
        .filter_map(|tenant| tenant.verifier())
    {
        allowed.retain(|algorithm| verifier.profile().algorithms().contains(algorithm));
    }
    allowed
}

/// How long an event may take from the decision to the test.
const PATIENCE: Duration = Duration::from_secs(5);
