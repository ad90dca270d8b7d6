//! The keys of `hydra`, as written.

use serde::Deserialize;

use super::{JwksConfig, UpstreamConfig};
use crate::secret::Secret;

/// The OAuth 2 server and its access tokens, as written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HydraConfig {
    /// The public port. With `tokens = "jwt"` the keys are fetched from its `/.well-known/jwks.json` unless `jwks` says otherwise. It
    /// must not be the admin port, which alone has the introspection endpoint.
    pub public_url: Option<String>,
    /// The admin port. Required with `tokens = "introspect"`.
    pub admin_url: Option<String>,
    /// A bearer token for the introspection endpoint.
    pub admin_token: Option<Secret>,
    /// The client id for the introspection endpoint, in place of `admin_token` (RFC 6749 §2.3.1).
    pub client_id: Option<String>,
    /// The client secret that belongs to `client_id`.
    pub client_secret: Option<Secret>,
    /// The issuer, compared byte by byte. Required. It must not be the gateway's.
    pub issuer: String,
    /// The audiences of which a token must name one, compared byte by byte, without wildcards. Required. Tenants with one issuer
    /// have no audience in common.
    pub audience: Vec<String>,
    /// How access tokens are checked. Defaults to `introspect`.
    pub tokens: TokenCheck,
    /// The claim inside of `ext`, where Hydra puts the claims of its consent application, that names the tenant. A token that has it
    /// must name this tenant; a token without it is bound by issuer and audience. Defaults to `tenant`.
    pub tenant_claim: String,
    /// The types (`typ`) of accepted JWTs: `JWT`, as Hydra writes it, and `at+jwt`, of issuers that follow RFC 9068. Defaults to
    /// `JWT`.
    pub typ: Option<Vec<String>>,
    /// The allowed algorithms of JWTs. Defaults to `RS256` and `ES256`.
    pub algorithms: Option<Vec<String>>,
    /// Where the keys of JWTs come from.
    pub jwks: JwksConfig,
    /// Settings of calls to this server that differ from the tenant's `upstream` table.
    pub upstream: UpstreamConfig,
}

impl HydraConfig {
    /// Returns an OAuth 2 server that is asked about the access tokens of `issuer` for one of `audience`, at its admin port.
    pub fn new<A: Into<String>>(
        admin_url: impl Into<String>,
        issuer: impl Into<String>,
        audience: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            admin_url: Some(admin_url.into()),
            issuer: issuer.into(),
            audience: audience.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Returns an OAuth 2 server whose access tokens are JWTs of `issuer` for one of `audience`, with keys that have yet to be named.
    pub fn jwt<A: Into<String>>(issuer: impl Into<String>, audience: impl IntoIterator<Item = A>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into_iter().map(Into::into).collect(),
            tokens: TokenCheck::Jwt,
            ..Self::default()
        }
    }
}

impl Default for HydraConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            admin_url: None,
            admin_token: None,
            client_id: None,
            client_secret: None,
            issuer: String::new(),
            audience: Vec::new(),
            tokens: TokenCheck::default(),
            tenant_claim: "tenant".to_owned(),
            typ: None,
            algorithms: None,
            jwks: JwksConfig::default(),
            upstream: UpstreamConfig::default(),
        }
    }
}

/// How access tokens are checked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a check that is not known must not be taken for another one"
)]
pub enum TokenCheck {
    /// The issuer is asked about each token (RFC 7662). A revoked token is refused at once.
    #[default]
    #[serde(alias = "introspection")]
    Introspect,
    /// Tokens are JWTs, which are verified here.
    ///
    /// # Security
    ///
    /// A revoked token is accepted until it expires.
    Jwt,
}
