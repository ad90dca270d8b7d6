use serde_json::Value;

use super::{ActiveToken, Facts, Forwarded, Session};
use crate::{envelope::Envelope, jwt::VerifiedClaims};

/// A person. *Verified.*
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity(pub(super) Facts);

impl Identity {
    /// Returns the name of the tenant.
    pub fn tenant(&self) -> &str {
        self.0.tenant()
    }

    /// Returns the subject: the identity's id at the issuer.
    pub fn subject(&self) -> &str {
        self.0.evidence.subject()
    }

    /// Returns the id of the OAuth 2 client through which the person acts: `client_id` of a token whose `sub` is another.
    pub fn acting_client(&self) -> Option<&str> {
        self.0.evidence.acting_client()
    }

    /// Returns the roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.roles()
    }

    /// Returns the scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scopes()
    }

    /// Returns the public metadata.
    pub fn metadata(&self) -> Option<&Value> {
        self.0.evidence.metadata()
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

    /// Returns the gateway's *verified* headers; nothing when the credential was another one.
    pub fn forwarded(&self) -> Option<&Forwarded> {
        self.0.evidence.forwarded()
    }

    /// Returns the *verified* session; nothing when the credential was another one.
    pub fn session(&self) -> Option<&Session> {
        self.0.evidence.session().map(AsRef::as_ref)
    }
}
