//! The access tokens of a test.

use std::{sync::Arc, time::Duration};

use iam_core::{
    clock::{Clock as _, ManualClock},
    jwt::{Profile, TokenType, Verifier},
    tenant::{Signer, Tenant},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{TestIssuer, upstreams::TestUpstreams};

/// An OAuth 2 access token that the tenant's OAuth 2 server has issued to a client. Made by
/// [`TestWorld::access_token`](super::TestWorld::access_token).
///
/// Each call of [`TestAccessToken::header`] issues a new token. Where the tenant introspects tokens, the server of this world answers
/// about it as Hydra does; where it verifies JWTs (`tokens = "jwt"`), the token is signed with the keys that the server publishes.
#[derive(Clone, Debug)]
#[must_use = "insert its header into a request"]
pub struct TestAccessToken {
    audience: Vec<String>,
    client_id: String,
    clock: ManualClock,
    ext: Map<String, Value>,
    issued_by: IssuedBy,
    issuer: String,
    lifetime: Duration,
    scopes: Vec<String>,
    state: TokenState,
    subject: String,
}

/// What stands behind the tokens of a tenant.
#[derive(Clone, Debug)]
enum IssuedBy {
    /// The tenant has no OAuth 2 server.
    Nothing,
    /// The server at this admin URL is asked about them.
    Server(Arc<TestUpstreams>, String),
    Signature(Arc<TestIssuer>, TokenType),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TokenState {
    Active,
    Expired,
    RefreshToken,
    Revoked,
}

impl TestAccessToken {
    pub(super) fn new(
        tenant: &Tenant,
        client_id: &str,
        signer: Option<&Arc<TestIssuer>>,
        upstreams: &Arc<TestUpstreams>,
        clock: ManualClock,
    ) -> Self {
        let profile = tenant.verifier_of(Signer::Hydra).map(Verifier::profile);
        let (issuer, audience, issued_by) = match (tenant.hydra(), profile, signer) {
            (Some(hydra), _, _) => (
                hydra.issuer().to_owned(),
                hydra.audience().to_vec(),
                IssuedBy::Server(Arc::clone(upstreams), hydra.admin_url().to_owned()),
            ),
            (None, Some(profile), Some(signer)) => (
                profile.issuer().to_owned(),
                profile.audience().to_vec(),
                IssuedBy::Signature(Arc::clone(signer), token_type(profile)),
            ),
            (None, None, _) | (None, Some(_), None) => (String::new(), Vec::new(), IssuedBy::Nothing),
        };
        Self {
            audience,
            client_id: client_id.to_owned(),
            clock,
            ext: Map::new(),
            issued_by,
            issuer,
            lifetime: Duration::from_secs(3600),
            scopes: Vec::new(),
            state: TokenState::Active,
            subject: client_id.to_owned(),
        }
    }

    /// Adds scopes, separated by spaces.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scopes.extend(scope.split_whitespace().map(str::to_owned));
        self
    }

    /// Makes it the token of a person who acts through the client.
    pub fn user(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Sets the audiences. Defaults to the tenant's.
    pub fn audience<A: Into<String>>(mut self, audience: impl IntoIterator<Item = A>) -> Self {
        self.audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a claim in `ext`, where Hydra puts those of its consent application.
    pub fn ext(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.ext.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the lifetime. Defaults to one hour.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Makes it a token that expired a minute ago.
    pub const fn expired(mut self) -> Self {
        self.state = TokenState::Expired;
        self
    }

    /// Makes it a revoked token. A JWT that is verified by the service itself is accepted all the same, as in production.
    pub const fn revoked(mut self) -> Self {
        self.state = TokenState::Revoked;
        self
    }

    /// Makes it a refresh token, which Hydra calls active, too.
    pub const fn refresh_token(mut self) -> Self {
        self.state = TokenState::RefreshToken;
        self
    }

    /// Returns the credential header of a request, with a new token. Pass it to `insert_header`.
    pub fn header(&self) -> (String, String) {
        ("Authorization".to_owned(), format!("Bearer {}", self.token()))
    }

    /// Issues a new token and returns it. The text is empty if the tenant has no OAuth 2 server.
    pub fn token(&self) -> String {
        let kind = match self.state {
            TokenState::RefreshToken => "rt",
            TokenState::Active | TokenState::Expired | TokenState::Revoked => "at",
        };
        let opaque = format!(
            "ory_{kind}_{}.{}",
            Uuid::new_v4().simple(),
            Uuid::new_v4().simple()
        );

        match &self.issued_by {
            IssuedBy::Nothing => String::new(),
            IssuedBy::Server(upstreams, url) => {
                if self.state != TokenState::Revoked {
                    upstreams.issue_token(url, &opaque, self.description());
                }
                opaque
            }
            // Hydra's refresh tokens are opaque with every strategy.
            IssuedBy::Signature(_, _) if self.state == TokenState::RefreshToken => opaque,
            IssuedBy::Signature(issuer, token_type) => issuer
                .sign_type(token_type.as_str(), &self.claims())
                .unwrap_or_default(),
        }
    }

    /// Returns what Hydra answers about the token: the members of its recorded answers.
    fn description(&self) -> Value {
        let (issued_at, expires_at) = self.times();
        let token_use = match self.state {
            TokenState::RefreshToken => "refresh_token",
            TokenState::Active | TokenState::Expired | TokenState::Revoked => "access_token",
        };
        let mut members = json!({
            "active": true, "client_id": self.client_id, "sub": self.subject, "exp": expires_at, "iat": issued_at,
            "nbf": issued_at, "aud": self.audience, "iss": self.issuer, "token_type": "Bearer", "token_use": token_use,
        });
        if let Value::Object(members) = &mut members {
            if !self.scopes.is_empty() {
                members.insert("scope".to_owned(), json!(self.scopes.join(" ")));
            }
            if !self.ext.is_empty() {
                members.insert("ext".to_owned(), json!(self.ext));
            }
        }
        members
    }

    /// Returns the claims of a JWT: those of Hydra's recorded one.
    fn claims(&self) -> Value {
        let (issued_at, expires_at) = self.times();
        json!({
            "aud": self.audience, "client_id": self.client_id, "exp": expires_at, "ext": self.ext, "iat": issued_at,
            "iss": self.issuer, "jti": Uuid::new_v4().to_string(), "nbf": issued_at, "scp": self.scopes,
            "sub": self.subject,
        })
    }

    fn times(&self) -> (u64, u64) {
        let now = self.clock.now().as_secs();
        match self.state {
            TokenState::Expired => (
                now.saturating_sub(self.lifetime.as_secs().saturating_add(MINUTE)),
                now.saturating_sub(MINUTE),
            ),
            TokenState::Active | TokenState::RefreshToken | TokenState::Revoked => {
                (now, now.saturating_add(self.lifetime.as_secs()))
            }
        }
    }
}

fn token_type(profile: &Profile) -> TokenType {
    profile.access_tokens().first().copied().unwrap_or(TokenType::Jwt)
}

/// In seconds.
const MINUTE: u64 = 60;
