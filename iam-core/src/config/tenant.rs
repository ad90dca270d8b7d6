//! A tenant as written.

use std::time::Duration;

use serde::Deserialize;

use super::{HydraConfig, OathkeeperConfig, units};
use crate::{principal::AssuranceLevel, secret::Secret, tenant::Transport};

/// One tenant as written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TenantConfig {
    /// The kind of deployment. Defaults to `self-hosted`.
    pub mode: DeploymentMode,
    /// The accepted transports. Required. The first one is the default of routes that name none.
    pub transports: Vec<Transport>,
    /// The path of the roles in an identity. Defaults to `metadata_public.roles`.
    pub roles_from: String,
    /// The tokens that the gateway signs.
    pub oathkeeper: Option<OathkeeperConfig>,
    /// The identity server.
    pub kratos: Option<KratosConfig>,
    /// The permission server.
    pub keto: Option<KetoConfig>,
    /// The OAuth 2 server, for the transport `oauth2`.
    pub hydra: Option<HydraConfig>,
    /// Cross-site requests.
    pub csrf: CsrfConfig,
    /// Caches.
    pub cache: CacheConfig,
    /// Settings of all upstreams of the tenant.
    pub upstream: UpstreamConfig,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self {
            mode: DeploymentMode::default(),
            transports: Vec::new(),
            roles_from: super::validate::METADATA_ROLES.to_owned(),
            oathkeeper: None,
            kratos: None,
            keto: None,
            hydra: None,
            csrf: CsrfConfig::default(),
            cache: CacheConfig::default(),
            upstream: UpstreamConfig::default(),
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

    /// Returns a tenant of people who log in at Kratos, and whose sessions come as cookies or as tokens.
    pub fn with_sessions(kratos: KratosConfig) -> Self {
        Self {
            transports: vec![Transport::CookieOrBearer],
            kratos: Some(kratos),
            ..Self::default()
        }
    }

    /// Sets the OAuth 2 server.
    #[must_use]
    pub fn hydra(mut self, hydra: HydraConfig) -> Self {
        self.hydra = Some(hydra);
        self
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

/// The kind of deployment of a tenant's servers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeploymentMode {
    /// Servers run by the tenant.
    #[default]
    SelfHosted,
}

/// The identity server as written.
///
/// Two tenants with the same Kratos accept the same sessions: Kratos asserts no tenant of its own.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KratosConfig {
    /// The public port. Required.
    pub public_url: String,
    /// The admin port. Needed to revoke sessions and to delete identities only.
    pub admin_url: Option<String>,
    /// A bearer token for the admin port, for a proxy in front of it: Kratos itself checks none.
    pub admin_token: Option<Secret>,
    /// The name of the session cookie (`session.cookie.name` of Kratos), compared exactly. Projects of Ory Network have a name of their
    /// own. Defaults to `ory_kratos_session`.
    pub session_cookie: String,
    /// The level that a session needs on routes that ask for no other: `aal1` or `aal2`. Defaults to `aal1`.
    pub required_aal: AssuranceLevel,
    /// The page where people log in and prove more. Answers to sessions that do not suffice name it as `login_url`; a URL of Kratos is
    /// never named.
    pub login_url: Option<String>,
    /// Settings of calls to this server that differ from the tenant's `upstream` table.
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

    /// Sets the admin port.
    #[must_use]
    pub fn admin_url(mut self, url: impl Into<String>) -> Self {
        self.admin_url = Some(url.into());
        self
    }

    /// Sets the name of the session cookie.
    #[must_use]
    pub fn session_cookie(mut self, name: impl Into<String>) -> Self {
        self.session_cookie = name.into();
        self
    }

    /// Sets the page where people log in and prove more.
    #[must_use]
    pub fn login_url(mut self, url: impl Into<String>) -> Self {
        self.login_url = Some(url.into());
        self
    }
}

impl Default for KratosConfig {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            admin_url: None,
            admin_token: None,
            session_cookie: SESSION_COOKIE.to_owned(),
            required_aal: AssuranceLevel::default(),
            login_url: None,
            upstream: UpstreamConfig::default(),
        }
    }
}

/// Kratos's own default.
pub(super) const SESSION_COOKIE: &str = "ory_kratos_session";

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
    /// The template of the subject of an identity. Defaults to `user:{sub}`.
    pub subject: String,
    /// The template of the subject of a client. Defaults to `client:{client_id}`.
    pub client_subject: String,
    /// The form of these subjects. Defaults to `id`.
    pub subject_form: SubjectForm,
    /// The largest number of tuples in one batch: Keto's `limit.max_batch_check_size`. Defaults to 10.
    pub batch_size: usize,
    /// Settings of calls to this server that differ from the tenant's `upstream` table.
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
            upstream: UpstreamConfig::default(),
        }
    }
}

/// The form of the tenant's own subjects. To Keto, `subject_id: "user:bob"` and the subject set `user:bob` differ.
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

/// The check of cross-site requests, for credentials that a browser sends by itself: the session cookie, and the gateway's token, which
/// stands for one. Requests with a session token are not checked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CsrfConfig {
    /// Whether unsafe requests of browsers are checked. Defaults to `true`.
    ///
    /// # Security
    ///
    /// With `false`, any site can make the browser of a logged-in person send requests that change state, or open a WebSocket,
    /// wherever a cookie identifies the caller, also at a gateway that turns the cookie into a token. Use it only for services
    /// that browsers do not reach with a cookie.
    pub enabled: bool,
    /// Origins that may send unsafe requests besides the application's own, compared byte by byte. Wildcards are not supported.
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

/// Caches: what is kept, how many of each, and how long.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheConfig {
    /// The number of verified tokens that are kept, at most 10,000,000; 0 keeps none. Defaults to 10,000. A token whose claims may take more than
    /// 32 KiB of memory (several hundred values, or several dozen objects) is not kept and is verified on each request.
    pub verified_tokens: usize,
    /// How long a session that Kratos confirms is kept, at most a minute, and never beyond its own end. Defaults to `0s`, which keeps
    /// none. A session that lacks a factor is not kept, nor is an answer of more than 64 KiB: both are asked about on each request.
    ///
    /// # Security
    ///
    /// A session that ends elsewhere (at Kratos itself, or through another process) counts until this time has passed. One that ends
    /// through this process ends at once. Routes with a requirement that is marked `fresh` always ask.
    #[serde(deserialize_with = "units::duration")]
    pub session_ttl: Duration,
    /// How long an access token that its issuer calls active is kept, at most a minute, and never beyond its own end. Defaults to
    /// `0s`, which keeps none. An answer of more than 64 KiB is not kept: the token is asked about on each request.
    ///
    /// # Security
    ///
    /// A token that is revoked counts until this time has passed, unless `Iam::revoke` names it in this process. Routes with a
    /// requirement that is marked `fresh` always ask.
    #[serde(deserialize_with = "units::duration")]
    pub introspection_ttl: Duration,
    /// How long the permission server's answers are kept, at most a minute. Defaults to `0s`, which keeps none. An answer is never
    /// kept when the permission server gave none.
    ///
    /// # Security
    ///
    /// A tuple that another process writes or deletes takes effect when this time has passed. A tuple that is written or deleted
    /// through this process takes effect at once. Requirements that are marked `fresh` are always asked.
    #[serde(deserialize_with = "units::duration")]
    pub permission_ttl: Duration,
    /// How long refusals are kept, at most a minute; `0s` keeps none. Defaults to 2 seconds. Unknown sessions and inactive tokens are
    /// kept even where good ones are not; refused permissions only with a `permission_ttl`.
    #[serde(deserialize_with = "units::duration")]
    pub negative_ttl: Duration,
    /// The largest number of answers that one cache keeps. Defaults to 10,000.
    pub max_entries: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            verified_tokens: 10_000,
            session_ttl: Duration::ZERO,
            introspection_ttl: Duration::ZERO,
            permission_ttl: Duration::ZERO,
            negative_ttl: Duration::from_secs(2),
            max_entries: 10_000,
        }
    }
}

/// Settings of calls to upstreams. A key that is left out is taken from the tenant's own `upstream` table, then from the
/// defaults.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// Allows `http://` URLs beyond loopback, as between the pods of a cluster. Defaults to `false`. Each URL that needs this is
    /// logged at every start.
    ///
    /// # Security
    ///
    /// Without TLS, the network can read and change requests and responses: permission answers, credentials, sessions.
    pub allow_http: Option<bool>,
    /// The longest time to establish a connection, the TLS handshake included. Defaults to 1 second.
    #[serde(deserialize_with = "units::some_duration")]
    pub connect_timeout: Option<Duration>,
    /// The longest time of a whole call. Defaults to 5 seconds.
    #[serde(deserialize_with = "units::some_duration")]
    pub timeout: Option<Duration>,
    /// The largest response body. Defaults to 1 MiB.
    #[serde(deserialize_with = "units::some_size")]
    pub max_body: Option<usize>,
    /// The number of concurrent calls to one upstream. As many again and a hundred more wait; the rest are refused with 503.
    /// Defaults to 100.
    pub max_in_flight: Option<usize>,
}
