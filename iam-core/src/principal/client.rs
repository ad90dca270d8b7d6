use super::{ActiveToken, Facts};
use crate::{envelope::Envelope, jwt::VerifiedClaims};

/// An OAuth 2 client that acts for itself: a machine. *Verified.*
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client(pub(super) Facts);

impl Client {
    /// Returns the name of the tenant.
    pub fn tenant(&self) -> &str {
        self.0.tenant()
    }

    /// Returns the client's id (RFC 6749 §2.2).
    pub fn client_id(&self) -> &str {
        // INVARIANT: only claims with a `client_id` that equals the subject make a client.
        self.0.evidence.client_id().unwrap_or_default()
    }

    /// Returns the subject, which equals the client's id.
    pub fn subject(&self) -> &str {
        self.0.evidence.subject()
    }

    /// Returns the roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.roles()
    }

    /// Returns the scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scopes()
    }

    /// Returns the *verified* claims; nothing when the credential was not a JWT.
    pub fn claims(&self) -> Option<&VerifiedClaims> {
        self.0.evidence.claims()
    }

    /// Returns what the issuer told about the access token; nothing when the credential was not an introspected token. *Verified.*
    pub fn active_token(&self) -> Option<&ActiveToken> {
        self.0.evidence.active_token()
    }

    /// Returns the gateway's *verified* envelope; nothing when the credential was another one.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.0.evidence.envelope()
    }
}
