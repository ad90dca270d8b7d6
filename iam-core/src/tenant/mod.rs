//! Tenants: what each of them accepts, and what it is verified with.
//!
//! A [`Tenant`] is complete and checked. It is made by [`IamConfig::validate`](crate::config::IamConfig::validate) only.

mod carrier;
mod network;
mod registry;
mod settings;
mod target;
mod transport;

use std::sync::Arc;

use serde::Deserialize;

pub(crate) use self::network::{Network, NetworkError};
pub use self::{
    registry::TenantRegistry,
    settings::{CacheSettings, HydraSettings, JwksSource, KetoSettings, KratosSettings, SubjectTemplate},
    target::Target,
    transport::{AuthenticatorName, Transport, UnknownTransport},
};
use crate::{
    authenticate::{Authenticator, Carrier},
    credential::{CsrfRule, SESSION_TOKEN},
    decision::{Reason, Refusal},
    envelope::EnvelopeVerifier,
    jwt::Verifier,
    request::RequestHead,
    role::RoleSource,
    secret::Secret,
};

/// One tenant: what its credentials look like, what they are verified with, and its upstreams.
#[derive(Debug)]
pub struct Tenant {
    pub(crate) facts: Arc<TenantFacts>,
    pub(crate) transports: Vec<Transport>,
    pub(crate) custom: Vec<CustomTransport>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) jwks: Option<JwksSource>,
    pub(crate) access_tokens: Option<AccessTokenSource>,
    pub(crate) csrf: Option<CsrfRule>,
    pub(crate) keto: Option<KetoSettings>,
    pub(crate) kratos: Option<KratosSettings>,
    pub(crate) caches: Caches,
}

/// How the answers of the tenant's upstreams are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caches {
    pub(crate) introspections: CacheSettings,
    pub(crate) permissions: Option<CacheSettings>,
    pub(crate) sessions: CacheSettings,
}

/// An application's authenticator, and where its credentials travel. Names of headers are in lower case.
#[derive(Debug)]
pub(crate) struct CustomTransport {
    pub(crate) name: AuthenticatorName,
    pub(crate) carriers: Vec<Carrier>,
    pub(crate) port: Arc<dyn Authenticator>,
}

/// What every principal of the tenant shares. One `Arc`, so that a request counts one reference.
#[derive(Debug)]
pub(crate) struct TenantFacts {
    pub(crate) name: String,
    pub(crate) roles: RoleSource,
}

/// How the gateway proves identities. Each way reads headers of its own and verifies with keys of its own, so nothing that is
/// made for one of them passes another (R020).
#[derive(Debug)]
pub(crate) enum Gateway {
    Envelope(Box<EnvelopeSource>),
    Forwarded(Box<ForwardedSource>),
    Jwt(Box<TokenSource>),
}

/// Where the gateway's envelope is found, and what it is verified with.
#[derive(Debug)]
pub(crate) struct EnvelopeSource {
    pub(crate) verifier: EnvelopeVerifier,
    /// In lower case.
    pub(crate) header: String,
    /// In lower case.
    pub(crate) signature_header: String,
    pub(crate) replay: ReplayMode,
}

/// Where the gateway names identities, and what proves that the gateway did. There is a proof, a peer, or both. Names are in
/// lower case.
#[derive(Debug)]
pub(crate) struct ForwardedSource {
    pub(crate) header: String,
    /// The header and the secret in it.
    pub(crate) proof: Option<(String, Secret)>,
    pub(crate) peers: Vec<Network>,
    pub(crate) roles_header: Option<String>,
    pub(crate) tenant_header: Option<String>,
    /// Further headers that handlers may read.
    pub(crate) headers: Vec<String>,
    pub(crate) anonymous_subjects: Vec<String>,
}

/// Where the gateway's token is found, and what it is verified with.
#[derive(Debug)]
pub(crate) struct TokenSource {
    pub(crate) verifier: Verifier,
    /// In lower case.
    pub(crate) header: String,
    pub(crate) replay: ReplayMode,
}

/// How the tenant's OAuth 2 access tokens are checked.
#[derive(Debug)]
pub(crate) enum AccessTokenSource {
    /// Their issuer is asked about each of them.
    Introspection(Arc<HydraSettings>),
    /// They are JWTs, which are verified here.
    Jwt(Box<JwtAccessTokens>),
}

/// What access tokens that are JWTs are verified with.
#[derive(Debug)]
pub(crate) struct JwtAccessTokens {
    pub(crate) verifier: Verifier,
    /// Where the keys are fetched from; nothing when they stand in the configuration.
    pub(crate) jwks: Option<JwksSource>,
    /// The member of `ext` that names the tenant.
    pub(crate) tenant_claim: String,
}

/// Who signs the tokens of a tenant. Each signer has a verifier and keys of its own, so a token of one never passes as a token
/// of the other (R020).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a token must be verified with the keys of its own signer"
)]
pub enum Signer {
    /// The gateway, for the transport `oathkeeper`.
    Gateway,
    /// The OAuth 2 server, for the transport `oauth2`.
    Hydra,
}

impl Signer {
    /// All signers.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Hydra];
}

impl Tenant {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Returns the transport of routes that name none.
    pub fn transport(&self) -> Transport {
        // INVARIANT: the configuration refuses a tenant without transports.
        self.transports.first().copied().unwrap_or(Transport::Oathkeeper)
    }

    /// Returns the transport of routes that name none, as a list.
    pub(crate) fn default_transports(&self) -> &[Transport] {
        self.transports.get(..1).unwrap_or_default()
    }

    /// Returns all transports that credentials of this tenant may use.
    pub fn transports(&self) -> &[Transport] {
        &self.transports
    }

    /// Returns what verifies the gateway's tokens.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.token().map(|token| &token.verifier)
    }

    fn token(&self) -> Option<&TokenSource> {
        match &self.gateway {
            Some(Gateway::Jwt(token)) => Some(token),
            Some(Gateway::Envelope(_) | Gateway::Forwarded(_)) | None => None,
        }
    }

    /// Returns where the keys are fetched from; nothing when they stand in the configuration.
    pub const fn jwks(&self) -> Option<&JwksSource> {
        self.jwks.as_ref()
    }

    /// Returns what verifies the tokens of a signer.
    pub fn verifier_of(&self, signer: Signer) -> Option<&Verifier> {
        match signer {
            Signer::Gateway => self.verifier(),
            Signer::Hydra => self.jwt_access_tokens().map(|source| &source.verifier),
        }
    }

    /// Returns where the keys of a signer are fetched from; nothing when they stand in the configuration.
    pub fn jwks_of(&self, signer: Signer) -> Option<&JwksSource> {
        match signer {
            Signer::Gateway => self.jwks(),
            Signer::Hydra => self.jwt_access_tokens()?.jwks.as_ref(),
        }
    }

    /// Returns the OAuth 2 server that is asked about access tokens; nothing where they are verified here.
    pub const fn hydra(&self) -> Option<&Arc<HydraSettings>> {
        match &self.access_tokens {
            Some(AccessTokenSource::Introspection(settings)) => Some(settings),
            Some(AccessTokenSource::Jwt(_)) | None => None,
        }
    }

    fn jwt_access_tokens(&self) -> Option<&JwtAccessTokens> {
        match &self.access_tokens {
            Some(AccessTokenSource::Jwt(source)) => Some(source),
            Some(AccessTokenSource::Introspection(_)) | None => None,
        }
    }

    /// Returns the permission server.
    pub const fn keto(&self) -> Option<&KetoSettings> {
        self.keto.as_ref()
    }

    /// Returns the identity server.
    pub const fn kratos(&self) -> Option<&KratosSettings> {
        self.kratos.as_ref()
    }

    /// Returns how the permission server's answers are kept; nothing when they are not.
    pub const fn permission_cache(&self) -> Option<CacheSettings> {
        self.caches.permissions
    }

    /// Returns how Kratos's answers about sessions are kept.
    pub const fn session_cache(&self) -> CacheSettings {
        self.caches.sessions
    }

    /// Returns how Hydra's answers about access tokens are kept.
    pub const fn introspection_cache(&self) -> CacheSettings {
        self.caches.introspections
    }

    /// Returns which requests accept a token once only.
    pub fn replay(&self) -> ReplayMode {
        match &self.gateway {
            Some(Gateway::Envelope(envelope)) => envelope.replay,
            Some(Gateway::Jwt(token)) => token.replay,
            Some(Gateway::Forwarded(_)) | None => ReplayMode::default(),
        }
    }

    /// Tells whether credentials of the transport can have an id that a route of single use claims. An application's authenticator
    /// may state one for each of its credentials.
    pub const fn may_have_replay_id(&self, transport: Transport) -> bool {
        match transport {
            Transport::Bearer | Transport::Cookie | Transport::CookieOrBearer => false,
            Transport::Custom(_) => true,
            Transport::Oathkeeper => self.has_signing_gateway(),
            // RFC 7662 §2.2 allows a `jti` in the answer about a token. Hydra sends none.
            Transport::Oauth2 => matches!(self.access_tokens, Some(AccessTokenSource::Jwt(_))),
        }
    }

    /// Tells whether credentials of the transport can have scopes. An application's authenticator may state them.
    pub const fn may_have_scopes(&self, transport: Transport) -> bool {
        match transport {
            Transport::Bearer | Transport::Cookie | Transport::CookieOrBearer => false,
            Transport::Custom(_) | Transport::Oauth2 => true,
            Transport::Oathkeeper => self.has_signing_gateway(),
        }
    }

    /// Tells whether the gateway signs what it says about a caller. Plain headers have neither ids nor scopes.
    const fn has_signing_gateway(&self) -> bool {
        match self.gateway {
            Some(Gateway::Envelope(_) | Gateway::Jwt(_)) => true,
            Some(Gateway::Forwarded(_)) | None => false,
        }
    }

    /// Tells whether requests of other sites' pages are refused.
    pub const fn has_csrf_check(&self) -> bool {
        self.csrf.is_some()
    }

    fn custom_of(&self, name: AuthenticatorName) -> Option<&CustomTransport> {
        self.custom.iter().find(|custom| custom.name == name)
    }

    /// Returns the application's authenticator of this name.
    pub(crate) fn authenticator(&self, name: AuthenticatorName) -> Option<&dyn Authenticator> {
        self.custom_of(name).map(|custom| custom.port.as_ref())
    }

    /// Reads the one credential in the carriers of the authenticator of this name.
    pub(crate) fn presented<'a>(
        &self,
        name: AuthenticatorName,
        head: &RequestHead<'a>,
    ) -> Result<&'a [u8], Refusal> {
        carrier::presented(self, Transport::Custom(name), head)
    }

    /// Refuses a request that a page of another site made with the caller's cookies.
    pub(crate) fn check_csrf(&self, head: &RequestHead<'_>) -> Result<(), Refusal> {
        match &self.csrf {
            Some(rule) => rule.check(head).map_err(|_| Refusal::new(Reason::Csrf)),
            None => Ok(()),
        }
    }

    pub(crate) fn credential_headers(&self) -> impl Iterator<Item = &str> {
        let gateway = self.gateway.iter().flat_map(Gateway::headers);
        let access_token = self.access_tokens.iter().map(|_| "authorization");
        let csrf = self.csrf.iter().flat_map(|_| CsrfRule::HEADERS);
        let session = self.transports.iter().flat_map(|transport| {
            let cookie = transport.reads_cookie().then_some(["cookie"]);
            let tokens = transport
                .reads_session_token()
                .then_some(["authorization", SESSION_TOKEN]);
            cookie.into_iter().flatten().chain(tokens.into_iter().flatten())
        });

        let custom = self.custom.iter().flat_map(|custom| {
            custom.carriers.iter().map(|carrier| match carrier {
                Carrier::Cookie(_) => "cookie",
                Carrier::Header(name) => name.as_str(),
            })
        });

        gateway
            .chain(access_token)
            .chain(csrf)
            .chain(session)
            .chain(custom)
    }
}

impl Gateway {
    /// Returns the headers that are read, in lower case.
    fn headers(&self) -> Vec<&str> {
        match self {
            Self::Envelope(source) => vec![&source.header, &source.signature_header],
            Self::Forwarded(source) => {
                let proof = source.proof.as_ref().map(|(header, _)| header);
                [&source.header]
                    .into_iter()
                    .chain(proof)
                    .chain(&source.roles_header)
                    .chain(&source.tenant_header)
                    .chain(&source.headers)
                    .map(String::as_str)
                    .collect()
            }
            Self::Jwt(source) => vec![&source.header],
        }
    }
}

/// Which requests accept a token once only.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a mode that is not known must not be taken for another one"
)]
pub enum ReplayMode {
    /// Every request of the transport. Needs a gateway that makes each token unique.
    Always,
    /// Routes that ask for it.
    #[default]
    SingleUse,
}

#[cfg(test)]
mod tests;
