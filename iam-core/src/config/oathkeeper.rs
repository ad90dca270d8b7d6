//! The keys of `oathkeeper`, as written.

use std::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::units;
use crate::{
    envelope::{EnvelopeEncoding, SignatureEncoding},
    jwt::{
        DEFAULT_ALGORITHMS, DEFAULT_ANONYMOUS_SUBJECTS, DEFAULT_CLOCK_SKEW, DEFAULT_MAX_LIFETIME,
        DEFAULT_MAX_TOKEN_BYTES, DEFAULT_SCOPE_CLAIMS,
    },
    secret::Secret,
    tenant::ReplayMode,
};

/// What the gateway says about the sender of a request, and how it proves that. The keys of one verifier are refused with another.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OathkeeperConfig {
    /// How identities are proved. Defaults to `jwt`.
    pub verifier: VerifierKind,
    /// The header that names the identity: the token, the envelope, or the identity's id. Defaults to `Authorization` for `jwt`, to
    /// `X-User` for `hmac` and to `X-User-Id` for `headers`. In `Authorization` a `Bearer ` prefix is required; anywhere else it is
    /// refused. Headers with a meaning of their own, such as `Referer`, `X-Forwarded-For` and all that begin with `Proxy-`, name no
    /// identity; `Authorization` carries tokens only.
    pub header: Option<String>,
    /// The issuer, compared byte by byte. Required for `jwt`, and for it only.
    pub issuer: String,
    /// The audiences of which a token or envelope must name one, compared byte by byte, without wildcards. Required for both.
    pub audience: Vec<String>,
    /// The allowed algorithms of `jwt`. Defaults to `RS256` and `ES256`.
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
    /// Where the keys of `jwt` come from.
    pub jwks: JwksConfig,
    /// The header with the signature of an envelope. Defaults to `X-User-Signature`.
    pub signature_header: Option<String>,
    /// The keys of `hmac`, each written as `base64:` and at least 32 bytes in base64. Required. The gateway signs with the first; each
    /// of them verifies, so a new key is added in front, and the old one is removed when the gateway has changed over. `keys_file`
    /// names a file with one key on each line.
    pub keys: Vec<Secret>,
    /// How the signature of an envelope is written. Defaults to `base64`.
    pub signature_encoding: Option<SignatureEncoding>,
    /// How an envelope is written. Defaults to `base64`.
    pub envelope_encoding: Option<EnvelopeEncoding>,
    /// The header with the secret that proves that the gateway set the identity headers. Defaults to `X-Gateway-Secret`, where there is
    /// a `proof_secret`.
    pub proof_header: Option<String>,
    /// The secret that only the gateway and this service know: at least 32 visible ASCII characters. `headers` requires it, or
    /// `trusted_peers`, or both.
    pub proof_secret: Option<Secret>,
    /// The addresses and networks of the gateway, such as `10.1.2.3` and `10.1.2.0/24`. The connection itself must come from one of
    /// them; `X-Forwarded-For` is not looked at. With `proof_secret`, both must hold.
    ///
    /// # Security
    ///
    /// Every process on such an address can name any identity.
    pub trusted_peers: Vec<String>,
    /// The header with the identity's role, or with a JSON list of roles. Without it, identities of `headers` have no roles.
    ///
    /// # Security
    ///
    /// Oathkeeper passes on the headers of a caller that its rule does not set. Each rule must set this header and the other ones of
    /// this table, with an empty text where there is nothing to say.
    pub roles_header: Option<String>,
    /// The header with the tenant's name, which must then be there. Required for `headers` where there is more than one tenant.
    pub tenant_header: Option<String>,
    /// Further headers of the gateway that handlers may read, such as `X-User-Email`.
    pub headers: Vec<String>,
}

impl OathkeeperConfig {
    /// Returns what a gateway signs with the first of `keys` as an envelope for one of `audience`.
    pub fn hmac<A: Into<String>>(
        audience: impl IntoIterator<Item = A>,
        keys: impl IntoIterator<Item = Secret>,
    ) -> Self {
        Self {
            verifier: VerifierKind::Hmac,
            audience: audience.into_iter().map(Into::into).collect(),
            keys: keys.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Returns a gateway that names identities in headers, with a proof that has yet to be named.
    pub fn headers() -> Self {
        Self {
            verifier: VerifierKind::Headers,
            ..Self::default()
        }
    }

    /// Returns the name of the header that names the identity, as it was written, or its default.
    pub fn header_name(&self) -> &str {
        self.header.as_deref().unwrap_or(match self.verifier {
            VerifierKind::Headers => "X-User-Id",
            VerifierKind::Hmac => "X-User",
            VerifierKind::Jwt => "Authorization",
        })
    }

    /// Returns the name of the header with the signature of an envelope.
    pub fn signature_header_name(&self) -> &str {
        self.signature_header.as_deref().unwrap_or("X-User-Signature")
    }

    /// Returns the name of the header with the gateway's secret.
    pub fn proof_header_name(&self) -> &str {
        self.proof_header.as_deref().unwrap_or("X-Gateway-Secret")
    }

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
            header: None,
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
            signature_header: None,
            keys: Vec::new(),
            signature_encoding: None,
            envelope_encoding: None,
            proof_header: None,
            proof_secret: None,
            trusted_peers: Vec::new(),
            roles_header: None,
            tenant_header: None,
            headers: Vec::new(),
        }
    }
}

/// How the gateway proves identities.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VerifierKind {
    /// Plain headers name the identity (Oathkeeper's `header` mutator). Something else proves that the gateway set them.
    Headers,
    /// An envelope in a header, and its HMAC-SHA256 in another one.
    Hmac,
    /// A JWT (Oathkeeper's `id_token` mutator).
    #[default]
    Jwt,
}

impl VerifierKind {
    /// Returns the name as the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Hmac => "hmac",
            Self::Jwt => "jwt",
        }
    }
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
