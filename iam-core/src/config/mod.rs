//! How is the configuration read and validated?
//!
//! [`IamConfig`] is the written configuration, [`Settings`] the validated result. [`IamConfig::validate`] reports every problem
//! at once, each with the path of its key.
//!
//! # Accepted keys
//!
//! Every accepted key has an effect.
//!
//! - An unknown key is refused. The message lists the known keys of the table and, for a misspelt key, the key that was probably
//!   meant.
//! - A key that has no effect because of other keys is refused: settings for fetching beside keys in the configuration, settings
//!   of upstreams that no upstream uses, origins when the cross-site check is off.
//!
//! # Plain http
//!
//! URLs of upstreams are `https://`, or `http://` on loopback. `allow_http = true` permits `http://` elsewhere, as between the pods
//! of a cluster: in `[tenants.X.oathkeeper.jwks]` or `[tenants.X.hydra.jwks]` for the key set, in `[tenants.X.upstream]` for all
//! other upstreams of a tenant, and in `[tenants.X.keto.upstream]`, `[tenants.X.kratos.upstream]` or `[tenants.X.hydra.upstream]`
//! for one of them. Each URL that needs the permission is one of
//! the [warnings](Settings::warnings). Link-local addresses and URLs with credentials are always refused.
//!
//! # Environment variables
//!
//! [`IamConfig::with_env`] overrides keys with variables such as `IAM__TENANTS__DEFAULT__KETO__READ_URL`. A problem of a value
//! names its variable.

mod error;
mod hydra;
mod load;
mod oathkeeper;
mod read;
mod report;
mod schema;
mod tenant;
mod tree;
mod units;
mod validate;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::{Deserialize, Deserializer, de};

pub use self::{
    error::{ConfigError, Problem},
    hydra::{HydraConfig, TokenCheck},
    oathkeeper::{JwksConfig, OathkeeperConfig, VerifierKind},
    tenant::{
        CacheConfig, CsrfConfig, DeploymentMode, KetoConfig, KratosConfig, SubjectForm, TenantConfig,
        UpstreamConfig,
    },
    validate::Settings,
};
use crate::authenticate::Authenticator;
pub use crate::{
    envelope::{EnvelopeEncoding, SignatureEncoding},
    tenant::ReplayMode,
};
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
/// assert_eq!(error.problems()[0].path(), "tenants.default.keto.read_url");
/// assert!(error.problems()[0].message().starts_with("not an https URL"));
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

    file: Option<String>,
    source: Node,
    problems: Vec<Problem>,
    /// The path and the environment variable of each key that one set.
    variables: Vec<(String, String)>,
    warnings: Vec<Problem>,
}

impl IamConfig {
    /// Returns a configuration without any tenant, to be filled in code.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a TOML, YAML or JSON file, by its extension (`toml`, `yaml`, `yml`, `json`).
    ///
    /// [`IamConfig::validate`] reports unknown keys and values of a wrong type with all other problems.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the file cannot be read, is too large, or is not valid in its format (duplicate keys included). This
    /// error and those of [`IamConfig::validate`] name the file.
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

    /// Overrides keys with environment variables, such as `IAM__TENANTS__DEFAULT__KETO__READ_URL`.
    ///
    /// Letter case does not matter, and `_` stands for `-` in the names of tenants. Lists are written with commas. An unknown
    /// key behind `IAM__` is a problem; a variable with one underscore (`IAM_TENANTS__…`) is ignored, with a
    /// [warning](Settings::warnings) when it resembles a key. Other variables are ignored. Call it before changing anything in
    /// code: it reads everything anew.
    #[must_use]
    pub fn with_env(self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut source = self.source.clone();
        let as_read = Self {
            file: self.file.clone(),
            variables: self.variables.clone(),
            warnings: self.warnings.clone(),
            ..Self::from_tree(source.clone())
        };
        let changed = (self != as_read).then(|| {
            Problem::new(
                "",
                "`with_env` was called after changes in code and would undo them: call it first",
            )
        });

        let found = load::environment(&mut source, variables);
        let mut config = Self {
            file: self.file,
            variables: [self.variables, found.set].concat(),
            warnings: [self.warnings, found.warnings].concat(),
            ..Self::from_tree(source)
        };
        config.problems.extend(changed);
        config.problems.extend(found.problems);
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

    /// Sets development mode. Defaults to `false`.
    ///
    /// # Security
    ///
    /// Allows upstreams without TLS, and shows callers the reasons of refusals.
    #[must_use]
    pub fn development(mut self, development: bool) -> Self {
        self.development = development;
        self
    }

    /// Validates everything.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every problem.
    pub fn validate(self) -> Result<Settings, ConfigError> {
        self.validate_with(&[])
    }

    /// Validates everything. Transports `custom:NAME` are decided about by these authenticators.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every problem, among them a name that no authenticator has.
    pub fn validate_with(
        mut self,
        authenticators: &[Arc<dyn Authenticator>],
    ) -> Result<Settings, ConfigError> {
        let file = self.file.take();
        let variables = std::mem::take(&mut self.variables);
        validate::validate(self, authenticators).map_err(|err| err.of_file(file).of_variables(&variables))
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
            file: None,
            source,
            problems,
            variables: Vec::new(),
            warnings: Vec::new(),
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
}

/// Where audit events go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The sink. Defaults to `tracing`.
    pub sink: AuditSinkConfig,
    /// The number of events that may wait for the sink; further ones are dropped and counted. Defaults to 10,000. The queue must
    /// hold the events that arrive while earlier ones are delivered, and half of it those that arrive until the audit thread runs:
    /// under load it wakes every 5 milliseconds, and when the queue is half full. As many events again may be in delivery. Memory
    /// for both is allocated at the start: about 400 bytes per event, three times as much with long ids and patterns.
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
#[expect(clippy::exhaustive_enums, reason = "every sink must be built")]
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

#[cfg(test)]
mod tests;
