//! A tenant as written.

use std::time::Duration;

use serde::Deserialize;

use super::{OathkeeperConfig, units};
use crate::{secret::Secret, tenant::Transport};

/// One tenant as written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TenantConfig {
    /// Where the tenant's servers are. Defaults to `self-hosted`.
    pub mode: Mode,
    /// How credentials may travel. Required. The first serves routes that do not choose.
    pub transports: Vec<Transport>,
    /// Where roles come from. Defaults to `metadata_public.roles`.
    pub roles_from: String,
    /// What the gateway signs.
    pub oathkeeper: Option<OathkeeperConfig>,
    /// The identity server.
    pub kratos: Option<KratosConfig>,
    /// The permission server.
    pub keto: Option<KetoConfig>,
    /// The authorization server. Not available in this version.
    pub hydra: Option<HydraConfig>,
    /// Requests of other sites.
    pub csrf: CsrfConfig,
    /// What is remembered, and how long.
    pub cache: CacheConfig,
    /// How upstreams are called.
    pub upstream: UpstreamConfig,
    /// The project at Ory Network. Not available in this version.
    pub ory_network: Option<OryNetworkConfig>,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            transports: Vec::new(),
            roles_from: super::validate::METADATA_ROLES.to_owned(),
            oathkeeper: None,
            kratos: None,
            keto: None,
            hydra: None,
            csrf: CsrfConfig::default(),
            cache: CacheConfig::default(),
            upstream: UpstreamConfig::default(),
            ory_network: None,
        }
    }
}

impl TenantConfig {
    /// Returns a tenant behind a gateway that signs a token for each request.
    pub fn behind(oathkeeper: OathkeeperConfig) -> Self {
        Self {
            transports: vec![Transport::Oathkeeper],
            oathkeeper: Some(oathkeeper),
            ..Self::default()
        }
    }

    /// Sets the permission server.
    #[must_use]
    pub fn keto(mut self, keto: KetoConfig) -> Self {
        self.keto = Some(keto);
        self
    }

    /// Sets the identity server.
    #[must_use]
    pub fn kratos(mut self, kratos: KratosConfig) -> Self {
        self.kratos = Some(kratos);
        self
    }
}

/// Where the servers of a tenant are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// At Ory Network. Not available in this version.
    OryNetwork,
    /// On the tenant's own machines.
    #[default]
    SelfHosted,
}

/// The identity server as written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KratosConfig {
    /// The public port. Required.
    pub public_url: String,
    /// The admin port. Not available in this version.
    pub admin_url: Option<String>,
    /// The credential for the admin port. Not available in this version.
    pub admin_token: Option<Secret>,
    /// The name of the session cookie. Not available in this version.
    pub session_cookie: Option<String>,
    /// What a session must have on routes that do not ask for more. Not available in this version.
    pub required_aal: Option<Aal>,
    /// Named in step-up answers. Not available in this version.
    pub login_url: Option<String>,
    /// How this server is called, where it differs from the tenant's other upstreams.
    pub upstream: UpstreamConfig,
}

impl KratosConfig {
    /// Returns an identity server with its public port at `public_url`.
    pub fn new(public_url: impl Into<String>) -> Self {
        Self {
            public_url: public_url.into(),
            ..Self::default()
        }
    }
}

/// How sure Kratos is of who logged in: its authenticator assurance levels.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Aal {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
}

/// The permission server as written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KetoConfig {
    /// The read port. Required.
    pub read_url: String,
    /// The write port. Needed to write tuples only.
    pub write_url: Option<String>,
    /// A bearer token for both ports.
    pub token: Option<Secret>,
    /// How an identity is written. Defaults to `user:{sub}`.
    pub subject: String,
    /// How a client is written. Defaults to `client:{client_id}`.
    pub client_subject: String,
    /// Which of Keto's two forms these subjects take. Defaults to `id`.
    pub subject_form: SubjectForm,
    /// How many tuples one batch may hold: Keto's `limit.max_batch_check_size`. Defaults to 10.
    pub batch_size: usize,
    /// The permission file. Not available in this version.
    pub permissions: Option<String>,
    /// How this server is called, where it differs from the tenant's other upstreams.
    pub upstream: UpstreamConfig,
}

impl KetoConfig {
    /// Returns a permission server with its read port at `read_url`.
    pub fn new(read_url: impl Into<String>) -> Self {
        Self {
            read_url: read_url.into(),
            ..Self::default()
        }
    }

    /// Sets the write port.
    #[must_use]
    pub fn write_url(mut self, write_url: impl Into<String>) -> Self {
        self.write_url = Some(write_url.into());
        self
    }
}

impl Default for KetoConfig {
    fn default() -> Self {
        Self {
            read_url: String::new(),
            write_url: None,
            token: None,
            subject: "user:{sub}".to_owned(),
            client_subject: "client:{client_id}".to_owned(),
            subject_form: SubjectForm::default(),
            batch_size: 10,
            permissions: None,
            upstream: UpstreamConfig::default(),
        }
    }
}

/// Which form the tenant's own subjects take. To Keto, `subject_id: "user:bob"` and the subject set `user:bob` differ.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "Keto knows two forms")]
pub enum SubjectForm {
    /// A subject id.
    #[default]
    Id,
    /// A subject set with an empty relation.
    Set,
}

/// The authorization server as written. Not available in this version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HydraConfig {
    /// The public port.
    pub public_url: Option<String>,
    /// The admin port.
    pub admin_url: Option<String>,
    /// The credential for the admin port.
    pub admin_token: Option<Secret>,
    /// The client that the services act as.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// The issuer of access tokens.
    pub issuer: Option<String>,
    /// The audience of access tokens.
    pub audience: Vec<String>,
    /// How access tokens are checked.
    pub tokens: Option<TokenCheck>,
    /// How this server is called, where it differs from the tenant's other upstreams.
    pub upstream: UpstreamConfig,
}

/// How access tokens are checked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TokenCheck {
    /// The authorization server is asked.
    Introspect,
    /// The token's own signature is checked. A revoked token lives until it expires.
    Jwt,
}

/// What requests of other sites may do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CsrfConfig {
    /// Whether unsafe requests of browsers are checked. Defaults to `true`.
    ///
    /// # Security
    ///
    /// With `false`, every site can have the browser of somebody who is logged in send requests that change something, or open a
    /// WebSocket: wherever a cookie is what the caller is known by, also at a gateway that turns the cookie into a token. It is for
    /// services that no browser reaches with a cookie.
    pub enabled: bool,
    /// The origins that may send them besides the application's own, compared byte by byte: `*` stands for nothing.
    pub allowed_origins: Vec<String>,
}

impl Default for CsrfConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_origins: Vec::new(),
        }
    }
}

/// What is remembered, and how long.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How many verified tokens; 0 for none. Defaults to 10,000. One whose claims may take more than 32 KiB of memory is not
    /// remembered, but verified each time: several hundred values, or several dozen objects.
    pub verified_tokens: usize,
    /// How long sessions. Only off (`"0s"`) in this version.
    #[serde(deserialize_with = "units::some_duration")]
    pub session_ttl: Option<Duration>,
    /// How long introspections. Only off (`"0s"`) in this version.
    #[serde(deserialize_with = "units::some_duration")]
    pub introspection_ttl: Option<Duration>,
    /// How long permissions. Only off (`"0s"`) in this version.
    #[serde(deserialize_with = "units::some_duration")]
    pub permission_ttl: Option<Duration>,
    /// How long refusals. Only off (`"0s"`) in this version.
    #[serde(deserialize_with = "units::some_duration")]
    pub negative_ttl: Option<Duration>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            verified_tokens: 10_000,
            session_ttl: None,
            introspection_ttl: None,
            permission_ttl: None,
            negative_ttl: None,
        }
    }
}

/// How upstreams are called. What is left out comes from the tenant's own table, and from the defaults behind that.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// How long establishing a connection may take. Defaults to 1 second.
    #[serde(deserialize_with = "units::some_duration")]
    pub connect_timeout: Option<Duration>,
    /// How long a whole call may take. Defaults to 5 seconds.
    #[serde(deserialize_with = "units::some_duration")]
    pub timeout: Option<Duration>,
    /// The largest answer. Defaults to 1 MiB.
    #[serde(deserialize_with = "units::some_size")]
    pub max_body: Option<usize>,
    /// How often idempotent calls are tried again. Only off (0) in this version.
    pub retries: Option<u32>,
    /// How many calls to one upstream may be on their way. As many again and a hundred more wait; the rest are refused with
    /// 503. Defaults to 100.
    pub max_in_flight: Option<usize>,
    /// When calls are given up for a while. Not available in this version.
    pub breaker: Option<BreakerConfig>,
    /// How many calls are made in a second. Not available in this version.
    pub rate: Option<RateConfig>,
}

/// When calls are given up for a while. Not available in this version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// After how many failures.
    pub failures: Option<u32>,
    /// Within what time.
    #[serde(deserialize_with = "units::some_duration")]
    pub window: Option<Duration>,
    /// For how long.
    #[serde(deserialize_with = "units::some_duration")]
    pub open: Option<Duration>,
}

/// How many calls are made in a second. Not available in this version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RateConfig {
    /// On average.
    pub per_second: Option<f64>,
    /// At once.
    pub burst: Option<u32>,
    /// How many may wait.
    pub queue: Option<u32>,
}

/// The project at Ory Network. Not available in this version.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OryNetworkConfig {
    /// The slug of the project.
    pub project_slug: Option<String>,
    /// The credential of the project.
    pub api_key: Option<Secret>,
    /// The credential of the workspace.
    pub workspace_api_key: Option<Secret>,
}
