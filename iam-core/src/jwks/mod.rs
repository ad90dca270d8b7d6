//! Which keys does the issuer sign with, and when are they fetched again?
//!
//! [`KeySet`] is what a JWKS body holds, [`KeyStore`] what verifies right now, [`Schedule`] says when to fetch. None of them
//! touches the network or a clock.

mod ed25519;
mod key;
mod refresh;
mod set;
mod store;

pub(crate) use self::store::{KeyUse, Snapshot};
pub use self::{
    refresh::{FetchResult, RefreshPolicy, Schedule, Step, Ticket, WaitersFullError},
    set::{InlineKeysError, KeyFault, KeyLimits, KeyProblem, KeySet, KeySetError},
    store::{KeyChange, KeyStatus, KeyStore},
};
