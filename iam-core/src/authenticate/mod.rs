//! From a credential to a principal, without I/O.
//!
//! ```text
//! RequestHead ─▶ authenticate ─▶ Known(Authenticated)
//!                             ─▶ Ask(Lookup) ── the adapter fetches ──▶ Lookup::…::conclude ─▶ Authenticated
//! ```
//!
//! The core decides and never fetches. Where the network has to be asked, [`authenticate`] returns a [`Lookup`], which says what
//! is needed; the adapter brings the answer, and the lookup's own `conclude` decides about it.

mod custom;
mod envelope;
mod forwarded;
mod oauth2;
mod session;
mod token;

pub(crate) use self::session::CLOCK_TOLERANCE;
pub use self::{
    custom::{
        Authenticator, Carrier, CrossSite, CustomCredential, CustomLookup, Fault, LookUpError, Reply, Stated,
        Statement,
    },
    oauth2::TokenLookup,
    session::SessionLookup,
    token::KeyLookup,
};
use crate::{
    clock::Timestamp,
    decision::{Reason, Refusal},
    principal::Principal,
    replay::ReplayId,
    request::RequestHead,
    tenant::{Gateway, Target, Tenant, Transport},
};

/// Authenticates a request for one tenant, by the one of the target's transports whose credential is presented. Credentials of
/// other transports are not looked at.
///
/// # Errors
///
/// A [`Refusal`] when the credential is missing, wrong, or ambiguous. A wrong credential never counts as a missing one.
pub fn authenticate(
    target: &Target<'_>,
    head: &RequestHead<'_>,
    now: Timestamp,
) -> Result<Authentication, Refusal> {
    match target.choose(head)? {
        Transport::Custom(name) => custom::authenticate(target.tenant(), name, head, now),
        Transport::Oathkeeper => gateway(target.tenant(), head, now),
        Transport::Oauth2 => oauth2::authenticate(target.tenant(), head, now),
        transport @ (Transport::Bearer | Transport::Cookie | Transport::CookieOrBearer) => {
            session::authenticate(target.tenant(), transport, head)
        }
    }
}

fn gateway(tenant: &Tenant, head: &RequestHead<'_>, now: Timestamp) -> Result<Authentication, Refusal> {
    match &tenant.gateway {
        Some(Gateway::Envelope(source)) => {
            envelope::authenticate(tenant, source, head, now).map(Authentication::Known)
        }
        Some(Gateway::Forwarded(source)) => {
            forwarded::authenticate(tenant, source, head).map(Authentication::Known)
        }
        Some(Gateway::Jwt(source)) => token::authenticate(tenant, source, head, now),
        None => Err(Refusal::new(Reason::UnknownTenant)),
    }
}

/// The result of looking at a credential without the network.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an adapter must know both: a request is authenticated, or it is not yet"
)]
#[must_use]
pub enum Authentication {
    /// The principal is known.
    Known(Authenticated),
    /// The network has to be asked first.
    Ask(Lookup),
}

/// What an adapter has to fetch before a credential can be decided about.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an adapter must be able to fetch each of them"
)]
#[must_use]
pub enum Lookup {
    /// The answer of an application's authenticator.
    Custom(CustomLookup),
    /// A key set that is newer than the one at hand.
    Key(KeyLookup),
    /// Kratos's answer about a session.
    Session(SessionLookup),
    /// What its issuer says about an access token.
    Token(TokenLookup),
}

/// A request whose principal is known. *Verified.*
#[derive(Clone, Debug)]
pub struct Authenticated {
    principal: Principal,
}

impl Authenticated {
    const fn new(principal: Principal) -> Self {
        Self { principal }
    }

    /// The same for tests elsewhere.
    #[cfg(test)]
    pub(crate) const fn of(principal: Principal) -> Self {
        Self::new(principal)
    }

    /// Returns the principal that sent the request.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the id that the credential can be claimed by, and how long the claim has to be remembered.
    pub fn replay_id(&self) -> Option<(ReplayId<'_>, Timestamp)> {
        self.principal.replay_id()
    }
}

#[cfg(test)]
mod tests;
