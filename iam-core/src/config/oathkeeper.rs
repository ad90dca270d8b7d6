//! The keys of `oathkeeper`, as written.

use std::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::units;
use crate::{
    jwt::{
        DEFAULT_ALGORITHMS, DEFAULT_ANONYMOUS_SUBJECTS, DEFAULT_CLOCK_SKEW, DEFAULT_MAX_LIFETIME,
        DEFAULT_MAX_TOKEN_BYTES, DEFAULT_SCOPE_CLAIMS,
    },
    tenant::ReplayMode,
};

/// What the gateway signs.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OathkeeperConfig {
    /// How identities are signed. Defaults to `jwt`.
    pub verifier: VerifierKind,
    /// The header that carries the token. Defaults to `Authorization`, where a `Bearer ` prefix is required; anywhere else it is refused.
    /// Headers with a meaning of their own, such as `Referer`, `X-Forwarded-For` and all that begin with `Proxy-`, carry no token.
    pub header: String,
    /// The issuer, compared byte by byte. Required.
    pub issuer: String,
    /// The audiences of which a token must name one, compared byte by byte, without wildcards. Required.
    pub audience: Vec<String>,
    /// The allowed algorithms. Defaults to `RS256` and `ES256`.
    pub algorithms: Vec<String>,
    /// How far clocks may be apart. Defaults to 30 seconds.
    #[serde(deserialize_with = "units::duration")]
    pub clock_skew: Duration,
    /// The longest life of a token. Defaults to 24 hours.
    #[serde(deserialize_with = "units::duration")]
    pub max_lifetime: Duration,
    /// The requests that accept a token once only. Defaults to `single-use`.
    pub replay: ReplayMode,
    /// The claim that names the tenant: none of those that a verifier reads itself (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`,
    /// `client_id`, `scope`). Defaults to `tenant`.
    pub tenant_claim: String,
    /// The claim that carries public metadata: neither one of those, nor the tenant's, nor a scope claim. Defaults to
    /// `metadataPublic`.
    pub metadata_claim: String,
    /// The claims that may hold the scopes, as a text of words or a list of texts: the first one that a token has counts. None of
    /// them may be another claim that a verifier reads itself, or the claim of the tenant or the metadata. Defaults to `scope` and
    /// `scp`.
    pub scope_claim: Vec<String>,
    /// The subjects that the gateway signs for visitors without a credential (Oathkeeper's handlers `anonymous` and `noop`). A good
    /// token with such a subject counts as no credential. Defaults to `anonymous` and the empty text.
    pub anonymous_subjects: Vec<String>,
    /// The length of the longest accepted token, at most 64 KiB. Defaults to 16 KiB.
    #[serde(deserialize_with = "units::size")]
    pub max_token: usize,
    /// Where the keys come from.
    pub jwks: JwksConfig,
}

impl OathkeeperConfig {
    /// Returns what a gateway signs as `issuer` for one of `audience`, with keys that have yet to be named.
    pub fn new<A: Into<String>>(issuer: impl Into<String>, audience: impl IntoIterator<Item = A>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Sets the URL of the key set.
    #[must_use]
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.jwks.url = Some(url.into());
        self
    }

    /// Adds a key that stands in the configuration, as a JWK.
    #[must_use]
    pub fn key(mut self, key: Value) -> Self {
        self.jwks.keys.push(key);
        self
    }
}

impl Default for OathkeeperConfig {
    fn default() -> Self {
        Self {
            verifier: VerifierKind::default(),
            header: "Authorization".to_owned(),
            issuer: String::new(),
            audience: Vec::new(),
            algorithms: DEFAULT_ALGORITHMS.iter().map(ToString::to_string).collect(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            max_lifetime: DEFAULT_MAX_LIFETIME,
            replay: ReplayMode::default(),
            tenant_claim: "tenant".to_owned(),
            metadata_claim: "metadataPublic".to_owned(),
            scope_claim: DEFAULT_SCOPE_CLAIMS.map(str::to_owned).to_vec(),
            anonymous_subjects: DEFAULT_ANONYMOUS_SUBJECTS.map(str::to_owned).to_vec(),
            max_token: DEFAULT_MAX_TOKEN_BYTES,
            jwks: JwksConfig::default(),
        }
    }
}

/// How the gateway signs identities.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VerifierKind {
    /// As a JWT.
    #[default]
    Jwt,
}

/// Where the keys come from, and how they are kept fresh.
///
/// Its `Debug` shows no key: a key in the configuration may be a private one, which is refused later.
#[derive(Clone, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwksConfig {
    /// The URL of the key set. Required unless there are `keys`.
    pub url: Option<String>,
    /// The keys themselves, as JWKs.
    pub keys: Vec<Value>,
    /// Allows an `http://` URL beyond loopback, as between the pods of a cluster. Defaults to `false`. The URL is logged at every
    /// start.
    ///
    /// # Security
    ///
    /// Without TLS, the network can replace the keys, and with them sign tokens of any identity.
    pub allow_http: Option<bool>,
    /// From one fetch to the next. Defaults to 10 minutes.
    #[serde(deserialize_with = "units::some_duration")]
    pub refresh: Option<Duration>,
    /// The least time between the starts of two fetches. Defaults to 1 second.
    #[serde(deserialize_with = "units::some_duration")]
    pub refetch_interval: Option<Duration>,
    /// How long a request with an unknown key waits for a fetch. Defaults to 2 seconds.
    #[serde(deserialize_with = "units::some_duration")]
    pub wait: Option<Duration>,
    /// How long the last good set serves when fetches fail. Defaults to 1 hour.
    #[serde(deserialize_with = "units::some_duration")]
    pub stale: Option<Duration>,
    /// How long a key that left the set still verifies. Defaults to 60 seconds. Oathkeeper hands out a token again until nine tenths
    /// of its `ttl` have passed, so the grace has to cover nine tenths of the gateway's `ttl` (54 seconds of the default minute).
    #[serde(deserialize_with = "units::some_duration")]
    pub grace: Option<Duration>,
    /// How long a fetch may take. Defaults to 5 seconds.
    #[serde(deserialize_with = "units::some_duration")]
    pub timeout: Option<Duration>,
    /// The largest key set in bytes. Defaults to 256 KiB.
    #[serde(deserialize_with = "units::some_size")]
    pub max_body: Option<usize>,
    /// The largest number of keys. Defaults to 100.
    pub max_keys: Option<usize>,
}

impl fmt::Debug for JwksConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksConfig")
            .field("url", &self.url)
            .field("keys", &self.keys.len())
            .field("allow_http", &self.allow_http)
            .field("refresh", &self.refresh)
            .field("refetch_interval", &self.refetch_interval)
            .field("wait", &self.wait)
            .field("stale", &self.stale)
            .field("grace", &self.grace)
            .field("timeout", &self.timeout)
            .field("max_body", &self.max_body)
            .field("max_keys", &self.max_keys)
            .finish()
    }
}
