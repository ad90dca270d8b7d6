//! The issuer's keys, and the schedule of fetching them.
//!
//! [`KeySet`] holds the usable keys of a JWKS body, [`KeyStore`] the keys that verify at one moment, [`Schedule`] the times of the
//! fetches. None of them touches the network or a clock.

mod ed25519;
mod key;
mod refresh;
mod roca;
mod set;
mod store;

pub(crate) use self::store::{KeyUse, Snapshot};
pub use self::{
    refresh::{FetchResult, RefreshPolicy, Schedule, Step, Ticket, WaitersFullError},
    set::{InlineKeysError, KeyFault, KeyLimits, KeyProblem, KeySet, KeySetError},
    store::{KeyChange, KeyStatus, KeyStore},
};
