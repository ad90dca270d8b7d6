//! Principals: who acts, in one tenant.
//!
//! An [`Identity`] is a person, a [`Client`] an OAuth 2 client that acts for itself. Both are *verified*: only a credential that
//! passed every check makes one. A person and a client are never equal, whatever their ids.

mod active_token;
mod client;
mod custom;
mod evidence;
mod forwarded;
mod identity;
mod session;

use std::{fmt, sync::Arc};

pub use self::{
    active_token::ActiveToken,
    client::Client,
    custom::Custom,
    forwarded::Forwarded,
    identity::Identity,
    session::{AssuranceLevel, AuthenticationMethod, Device, Session, TraitsError, UnknownLevel},
};
pub(crate) use self::{active_token::check_tenant, evidence::Evidence};
use crate::{
    clock::Timestamp,
    envelope::Envelope,
    jwt::VerifiedClaims,
    replay::ReplayId,
    tenant::{Tenant, TenantFacts},
};

/// Who acts, in one tenant. *Verified.*
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "code that decides by kind must decide for both"
)]
pub enum Principal {
    /// An OAuth 2 client that acts for itself.
    Client(Client),
    /// A person.
    Identity(Identity),
}

impl Principal {
    /// Makes the principal that the evidence proves: a client where `sub` equals `client_id` (or an introspected token has no `sub`),
    /// a person otherwise.
    pub(crate) fn new(tenant: &Tenant, evidence: Evidence) -> Self {
        let is_client = evidence.is_client();
        let facts = Facts {
            tenant: Arc::clone(&tenant.facts),
            evidence,
        };
        if is_client {
            Self::Client(Client(facts))
        } else {
            Self::Identity(Identity(facts))
        }
    }

    /// Returns the name of the tenant.
    pub fn tenant(&self) -> &str {
        self.facts().tenant()
    }

    /// Returns the subject (`sub`).
    pub fn subject(&self) -> &str {
        self.facts().evidence.subject()
    }

    /// Returns the roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.facts().roles()
    }

    /// Returns whether the principal has the role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Returns the scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.facts().scopes()
    }

    /// Returns whether the principal has the scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|own| own == scope)
    }

    /// Returns the *verified* claims; nothing when the credential was not a JWT.
    pub fn claims(&self) -> Option<&VerifiedClaims> {
        self.facts().evidence.claims()
    }

    /// Returns what the issuer told about the access token; nothing when the credential was not an introspected token. *Verified.*
    pub fn active_token(&self) -> Option<&ActiveToken> {
        self.facts().evidence.active_token()
    }

    /// Returns the gateway's *verified* envelope; nothing when the credential was another one.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.facts().evidence.envelope()
    }

    /// Returns the gateway's *verified* headers; nothing when the credential was another one.
    pub fn forwarded(&self) -> Option<&Forwarded> {
        self.facts().evidence.forwarded()
    }

    /// Returns what the application's authenticator stated, *verified*; nothing when the credential was another one.
    pub fn custom(&self) -> Option<&Custom> {
        self.facts().evidence.custom()
    }

    /// Returns the *verified* session; nothing when the credential was another one.
    pub fn session(&self) -> Option<&Session> {
        self.facts().evidence.session().map(AsRef::as_ref)
    }

    /// Returns the *verified* session to keep, as [`Principal::session`] does.
    pub fn shared_session(&self) -> Option<Arc<Session>> {
        self.facts().evidence.session().map(Arc::clone)
    }

    /// Returns the principal as audit events name it: `user:` or `client:` and its id.
    pub fn actor(&self) -> &str {
        self.facts().evidence.actor()
    }

    pub(crate) fn replay_id(&self) -> Option<(ReplayId<'_>, Timestamp)> {
        self.facts().evidence.replay_id(self.tenant())
    }

    const fn facts(&self) -> &Facts {
        match self {
            Self::Client(client) => &client.0,
            Self::Identity(identity) => &identity.0,
        }
    }
}

/// What is known of a principal of either kind.
#[derive(Clone)]
struct Facts {
    tenant: Arc<TenantFacts>,
    evidence: Evidence,
}

impl Facts {
    fn tenant(&self) -> &str {
        &self.tenant.name
    }

    fn roles(&self) -> impl Iterator<Item = &str> {
        // The configuration names the header of roles, as it names their place in the metadata.
        let forwarded = self.evidence.forwarded().map_or(&[][..], Forwarded::roles);
        let of_metadata = self.tenant.roles.roles(self.evidence.metadata());

        let custom = self.evidence.custom().map_or(&[][..], Custom::roles);

        of_metadata
            .chain(forwarded.iter().map(String::as_str))
            .chain(custom.iter().map(String::as_str))
    }

    fn scopes(&self) -> impl Iterator<Item = &str> {
        self.evidence.scopes()
    }

    /// R014: the same subject of another issuer or tenant is another principal.
    fn id(&self) -> (&str, &str, &str, Option<&str>) {
        let evidence = &self.evidence;
        (
            self.tenant(),
            evidence.issuer(),
            evidence.subject(),
            evidence.client_id(),
        )
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Facts {}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("tenant", &self.tenant())
            .field("subject", &self.evidence.subject())
            .field("client_id", &self.evidence.client_id())
            .finish_non_exhaustive()
    }
}
