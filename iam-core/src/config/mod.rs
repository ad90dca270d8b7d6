//! What do people write, and what is wrong with it?
//!
//! [`IamConfig`] is the configuration as written, [`Settings`] the complete and checked result. Between them stands
//! [`IamConfig::validate`], which reports every problem at once, each with its path.
//!
//! # Which keys are accepted
//!
//! No key is without an effect. Every key of the surface is known, those of features that this version does not have
//! included: it is read, and its type is checked. Then:
//!
//! - A key that is not known is refused, and the keys that are known at that place are listed.
//! - A key of a feature that this version does not have is refused by its path, whatever its value, with the remedy. That
//!   holds for values too that are the default: `required_aal = "aal1"` promises a check of sessions that nobody makes. And it
//!   holds for files: what `admin_token_file` names is not opened.
//! - Values are accepted which say of such a feature that it is off, because that is what happens: `mode = "self-hosted"`,
//!   `verifier = "jwt"`, `retries = 0`, and `"0s"` for `session_ttl`, `introspection_ttl`, `permission_ttl` and `negative_ttl`.
//! - A key that has no effect because of other keys is refused: settings for fetching beside keys that stand in the
//!   configuration, settings of upstreams that no upstream takes, origins where requests of other sites are not checked.

mod error;
mod load;
mod oathkeeper;
mod read;
mod report;
mod tenant;
mod tree;
mod units;
mod validate;

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Deserializer, de};

pub use self::{
    error::{ConfigError, Problem},
    oathkeeper::{EnvelopeEncoding, JwksConfig, OathkeeperConfig, SignatureEncoding, VerifierKind},
    tenant::{
        Aal, BreakerConfig, CacheConfig, CsrfConfig, HydraConfig, KetoConfig, KratosConfig, Mode,
        OryNetworkConfig, RateConfig, SubjectForm, TenantConfig, TokenCheck, UpstreamConfig,
    },
    validate::Settings,
};
use crate::secret::Secret;
pub use crate::tenant::ReplayMode;
use tree::Node;

/// The configuration as written.
///
/// ```
/// use iam_core::config::IamConfig;
///
/// let config = IamConfig::from_toml(r#"
///     [tenants.default]
///     transports = ["oathkeeper"]
///     [tenants.default.oathkeeper]
///     issuer = "https://gateway.example/"
///     audience = ["orders-api"]
///     [tenants.default.oathkeeper.jwks]
///     url = "https://gateway.example/.well-known/jwks.json"
///     [tenants.default.keto]
///     read_url = "http://keto.example"
/// "#)?;
///
/// let error = config.validate().unwrap_err();
/// assert_eq!(error.problems()[0].to_string(), "`tenants.default.keto.read_url`: not an https URL");
/// # Ok::<(), iam_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct IamConfig {
    /// The tenant of routes that name none. May be left out when there is one tenant.
    pub default_tenant: Option<String>,
    /// Allows `http://` beyond loopback, shows refusal reasons in bodies. Defaults to `false`.
    pub development: bool,
    /// Where audit events go.
    pub audit: AuditConfig,
    /// The tenants by name.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// Shared stores. Not available in this version.
    pub stores: Option<StoresConfig>,

    file: Option<String>,
    source: Node,
    problems: Vec<Problem>,
}

impl IamConfig {
    /// Returns a configuration without any tenant, to be filled in code.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file: TOML, YAML or JSON, as its extension says (`toml`, `yaml`, `yml`, `json`).
    ///
    /// Unknown keys and values of a wrong type are reported by [`IamConfig::validate`], together with everything else.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the file cannot be read, is too large, or its text is not of its format; keys that occur twice
    /// included. This error and those of [`IamConfig::validate`] name the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = Some(load::file_name(path));

        match load::file(path) {
            Ok(tree) => Ok(Self {
                file: name,
                ..Self::from_tree(tree)
            }),
            Err(err) => Err(err.of_file(name)),
        }
    }

    /// Reads a TOML text.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text is not TOML.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        load::toml(text).map(Self::from_tree)
    }

    /// Reads a YAML text.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text is not YAML, or a key occurs twice.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        load::yaml(text).map(Self::from_tree)
    }

    /// Reads a JSON text.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text is not JSON, or a key occurs twice.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        load::json(text).map(Self::from_tree)
    }

    /// Overrides what was read with variables of the environment, such as `IAM__TENANTS__DEFAULT__KETO__READ_URL`.
    ///
    /// Names are compared without regard to case, and `_` stands for `-` in the names of tenants. Lists are written with
    /// commas. Other variables are passed over. Call it before changing anything in code: it reads everything anew.
    #[must_use]
    pub fn with_env(self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut problems = Vec::new();
        let file = self.file.clone();
        let mut source = self.source.clone();
        let as_read = Self {
            file: file.clone(),
            ..Self::from_tree(source.clone())
        };
        if self != as_read {
            problems.push(Problem::new(
                "",
                "`with_env` came after changes in code, which it would have undone: call it first",
            ));
        }

        load::environment(&mut source, variables, &mut problems);
        let mut config = Self {
            file,
            ..Self::from_tree(source)
        };
        config.problems.append(&mut problems);
        config
    }

    /// Adds a tenant, or replaces the one of that name.
    #[must_use]
    pub fn tenant(mut self, name: impl Into<String>, tenant: TenantConfig) -> Self {
        self.tenants.insert(name.into(), tenant);
        self
    }

    /// Sets the tenant of routes that name none.
    #[must_use]
    pub fn default_tenant(mut self, name: impl Into<String>) -> Self {
        self.default_tenant = Some(name.into());
        self
    }

    /// Sets whether this is a development set-up. Defaults to `false`.
    ///
    /// # Security
    ///
    /// Allows upstreams without TLS, and tells callers why they were refused.
    #[must_use]
    pub fn development(mut self, development: bool) -> Self {
        self.development = development;
        self
    }

    /// Checks everything and makes what the middleware works with.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every problem there is.
    pub fn validate(mut self) -> Result<Settings, ConfigError> {
        let file = self.file.take();
        validate::validate(self).map_err(|err| err.of_file(file))
    }

    fn from_tree(source: Node) -> Self {
        let (resolved, mut problems) = load::secrets(source.clone());
        let (written, mut unread): (Written, _) = read::read(resolved);
        problems.append(&mut unread);

        Self {
            default_tenant: written.default_tenant,
            development: written.development,
            audit: written.audit,
            tenants: written.tenants,
            stores: written.stores,
            file: None,
            source,
            problems,
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::table()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    default_tenant: Option<String>,
    development: bool,
    audit: AuditConfig,
    tenants: BTreeMap<String, TenantConfig>,
    stores: Option<StoresConfig>,
}

/// Where audit events go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The sink. Defaults to `tracing`.
    pub sink: AuditSinkConfig,
    /// How many events may wait for the sink; further ones are dropped and counted. Defaults to 10,000. Must hold what comes in
    /// while the events before are delivered, and half of it what comes until the audit thread runs once it is woken: under load
    /// it looks into the queue every 5 milliseconds, and when it is half full. As many again may be on their way to the sink. Memory
    /// for both is reserved at the start and kept: some 400 bytes for each event that may wait, three times as much where ids and
    /// patterns are long.
    pub queue: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            sink: AuditSinkConfig::default(),
            queue: 10_000,
        }
    }
}

/// A sink of audit events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever builds the sinks must build each of them"
)]
pub enum AuditSinkConfig {
    /// Events of the `tracing` crate.
    #[default]
    Tracing,
    /// JSON lines on the standard output.
    Json,
    /// JSON lines at the end of a file.
    File(String),
}

impl<'de> Deserialize<'de> for AuditSinkConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SinkVisitor)
    }
}

struct SinkVisitor;

impl<'de> de::Visitor<'de> for SinkVisitor {
    type Value = AuditSinkConfig;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"tracing\", \"json\" or { file = \"audit.jsonl\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AuditSinkConfig, E> {
        match text {
            "tracing" => Ok(AuditSinkConfig::Tracing),
            "json" => Ok(AuditSinkConfig::Json),
            _ => Err(E::invalid_value(de::Unexpected::Other("text"), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AuditSinkConfig, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            file: String,
        }

        File::deserialize(de::value::MapAccessDeserializer::new(map)).map(|it| AuditSinkConfig::File(it.file))
    }
}

/// Stores that several processes share. Not available in this version.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoresConfig {
    /// The URL of a Redis server.
    pub redis: Option<Secret>,
    /// What the names of all entries start with.
    pub prefix: Option<String>,
    /// The key that credentials are hashed with.
    pub cache_key: Option<Secret>,
}

#[cfg(test)]
mod tests;
