use std::fmt;

/// What has ended, and must no longer be answered from a cache.
///
/// Logging out and deleting an identity through [`Sessions`](crate::Sessions) and [`Identities`](crate::Identities) need none: they
/// drop what is cached themselves.
#[derive(Clone, Copy, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller names one of them; each must be dropped from the caches"
)]
pub enum Revocation<'r> {
    /// All sessions and access tokens of the identity with this id.
    Identity(&'r str),
    /// The session with this id, whatever credential it is cached under: its cookie and its token both go.
    Session(&'r str),
    /// This access token, or this session token.
    Token(&'r str),
}

/// Prints no token.
impl fmt::Debug for Revocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(id) => f.debug_tuple("Identity").field(id).finish(),
            Self::Session(id) => f.debug_tuple("Session").field(id).finish(),
            Self::Token(_) => f.debug_tuple("Token").finish_non_exhaustive(),
        }
    }
}

/// Nothing was revoked: no tenant is called that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such tenant")]
#[non_exhaustive]
pub struct UnknownTenant;
