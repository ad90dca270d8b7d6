//! Protection against tokens that are used twice.
//!
//! A [`ReplayStore`] claims an id in one atomic step. The first claim succeeds; every later one is a replay, until the id's
//! token would be rejected as expired anyway. [`MemoryReplayStore`] is a store for one process.
//!
//! Claim last, immediately before the handler: a request that is refused earlier must not use up its token.
//!
//! **Behind Oathkeeper** the gateway's token cache re-sends the very same token, and so the same `jti`, until a tenth of its
//! lifetime is left, unless the claims template renders something unique for each request (`"jti": "{{ uuidv4 }}"`; the
//! claim itself is overruled, but the text becomes unique). [`Claim::Replayed`] therefore tells when the id was first seen:
//! within the same second, that cache is the likely cause.

mod memory;
mod table;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

pub use self::memory::MemoryReplayStore;
use crate::clock::Timestamp;

/// Remembers used ids.
///
/// Called once for each request to a route that accepts a token once, after every other check. An error fails closed: the
/// request is refused with 503.
pub trait ReplayStore: fmt::Debug + Send + Sync {
    /// Claims an id, in one atomic step, so that of any number of claims exactly one is the first.
    ///
    /// The id stays claimed at least until `until`, which is the token's `exp` and the clock skew; a store must never forget a
    /// live id to make room for another, but answer [`ReplayError::Full`]. `now` lies before `until` for every token that was
    /// accepted; an id whose time is over counts as used.
    fn claim(&self, id: ReplayId<'_>, until: Timestamp, now: Timestamp) -> ClaimFuture;
}

/// A one-time id. A `jti` is unique only for its issuer, and a tenant must not use up the ids of another.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a store must take all of it into its key"
)]
pub struct ReplayId<'a> {
    /// The name of the tenant.
    pub tenant: &'a str,
    /// The issuer of the token.
    pub issuer: &'a str,
    /// The id of the token.
    pub jti: &'a str,
}

impl fmt::Debug for ReplayId<'_> {
    /// Prints no `jti`, which is a part of the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayId")
            .field("tenant", &self.tenant)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// The answer to a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an id is used for the first time or it is not"
)]
#[must_use]
pub enum Claim {
    /// The id has not been used before.
    First,
    /// The id has been used.
    Replayed {
        /// The time of the first use; the start of the epoch if it is unknown.
        first_seen: Timestamp,
    },
}

/// Why there is no answer to a claim.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an operator must be told which of the two it is"
)]
pub enum ReplayError {
    /// Every place is taken by a live id.
    #[error("the replay store is full")]
    Full,
    /// The store does not answer.
    #[error("the replay store does not answer")]
    Unavailable,
}

/// The answer of a [`ReplayStore`], immediately or later.
#[must_use]
pub struct ClaimFuture(Inner);

enum Inner {
    Ready(Result<Claim, ReplayError>),
    Boxed(Pin<Box<dyn Future<Output = Result<Claim, ReplayError>> + Send>>),
}

impl ClaimFuture {
    /// Answers immediately, without an allocation.
    pub fn ready(answer: Result<Claim, ReplayError>) -> Self {
        Self(Inner::Ready(answer))
    }

    /// Answers when `answer` does.
    pub fn boxed(answer: impl Future<Output = Result<Claim, ReplayError>> + Send + 'static) -> Self {
        Self(Inner::Boxed(Box::pin(answer)))
    }
}

impl Future for ClaimFuture {
    type Output = Result<Claim, ReplayError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(answer) => Poll::Ready(*answer),
            Inner::Boxed(answer) => answer.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for ClaimFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimFuture").finish_non_exhaustive()
    }
}
