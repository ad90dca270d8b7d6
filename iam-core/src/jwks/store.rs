//! Which keys verify tokens right now?

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::{
    KeySet, RefreshPolicy,
    key::{ParsedKey, VerificationKey},
};
use crate::{
    clock::Timestamp,
    jwt::{Algorithm, TokenFault},
};

/// The keys of one issuer for one tenant: read without a lock by every request, replaced whole by whoever fetches.
///
/// Between two sets nothing is lost: a key that has left still verifies for [`RefreshPolicy::grace`], so that a token which is
/// on its way is not refused. When nothing could be fetched for [`RefreshPolicy::refresh`] and [`RefreshPolicy::stale`]
/// together, or ever, there are no keys: fails closed.
#[derive(Debug)]
pub struct KeyStore {
    policy: Option<RefreshPolicy>,
    snapshot: ArcSwap<Snapshot>,
    writer: Mutex<()>,
}

impl KeyStore {
    /// Creates a store for keys that stand in the configuration and are valid as long as the process runs.
    pub fn fixed(keys: KeySet) -> Self {
        Self::with(
            None,
            Snapshot {
                keys,
                usable_until: Timestamp::MAX,
                ..Snapshot::default()
            },
        )
    }

    /// Creates a store for keys that have yet to be fetched.
    pub fn remote(policy: RefreshPolicy) -> Self {
        Self::with(Some(policy), Snapshot::default())
    }

    /// Takes over a key set that was fetched just now, and returns what it changed.
    ///
    /// A key that the set no longer holds retires for the grace period, unless it has no `kid`, which a token would have to name,
    /// or another key has taken it over: an id names one key. A fixed store takes nothing over.
    pub fn install(&self, keys: KeySet, now: Timestamp) -> KeyChange {
        let Some(policy) = self.policy else {
            return KeyChange::default();
        };
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.snapshot.load();

        let gone = |key: &Arc<VerificationKey>| !keys.keys().iter().any(|new| new.is_same(key));
        let until = now.saturating_add(policy.grace);
        let leaving: Vec<_> = old.keys.keys().iter().filter(|key| gone(key)).cloned().collect();
        let change = KeyChange {
            added: keys
                .keys()
                .iter()
                .filter(|key| !old.keys.keys().iter().any(|old| old.is_same(key)))
                .count(),
            removed: leaving.len(),
        };
        let mut retired: Vec<_> = leaving.into_iter().map(|key| Retired { key, until }).collect();
        // A retired key that is published again is current again.
        retired.extend(
            old.retired
                .iter()
                .filter(|retired| now < retired.until && gone(&retired.key))
                .cloned(),
        );
        // INVARIANT: no id is that of two keys, be they current or on grace, so that none is ever answered with an older one.
        retired.retain(|retired| retired.key.kid().is_some_and(|kid| keys.by_kid(kid).is_none()));
        let largest = old.largest.max(keys.len());
        retired.truncate(MIN_RETIRED.max(largest.saturating_mul(2)));

        self.snapshot.store(Arc::new(Snapshot {
            keys,
            retired,
            largest,
            usable_until: now.saturating_add(policy.refresh).saturating_add(policy.stale),
            // Also for a key that came: it may have taken over the id of one on grace, or a token without an id may be either's now.
            generation: if change == KeyChange::default() {
                old.generation
            } else {
                old.generation.wrapping_add(1)
            },
            fetched_at: Some(now),
            failing_since: None,
        }));
        change
    }

    /// Notes that a fetch has failed. The keys stay as they are until they are too old.
    pub fn fetch_failed(&self, now: Timestamp) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.snapshot.load();
        if self.policy.is_some() && old.failing_since.is_none() {
            self.snapshot.store(Arc::new(Snapshot {
                failing_since: Some(now),
                ..old.as_ref().clone()
            }));
        }
    }

    /// Ends the grace of all keys that have left the set, and returns how many they were.
    pub fn purge(&self, now: Timestamp) -> usize {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.snapshot.load();
        let ended = old.retired.iter().filter(|retired| now < retired.until).count();
        self.snapshot.store(Arc::new(Snapshot {
            retired: Vec::new(),
            generation: old.generation.wrapping_add(1),
            ..old.as_ref().clone()
        }));

        ended
    }

    /// Returns a number that changes whenever the set changes or the grace of a key is ended.
    pub fn generation(&self) -> u64 {
        self.snapshot.load().generation
    }

    /// Returns how the keys stand: for readiness and metrics.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        let snapshot = self.snapshot.load();
        if !snapshot.is_available(now) {
            return KeyStatus::Unavailable;
        }

        match snapshot.failing_since {
            Some(since) => KeyStatus::Stale { since },
            None => KeyStatus::Fresh,
        }
    }

    /// Returns the ids of the keys of the current set.
    pub fn kids(&self) -> Vec<String> {
        self.snapshot.load().keys.kids().map(str::to_owned).collect()
    }

    /// Returns when the current set was fetched.
    pub fn fetched_at(&self) -> Option<Timestamp> {
        self.snapshot.load().fetched_at
    }

    /// Returns the policy of a store whose keys are fetched.
    pub fn policy(&self) -> Option<&RefreshPolicy> {
        self.policy.as_ref()
    }

    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    fn with(policy: Option<RefreshPolicy>, snapshot: Snapshot) -> Self {
        Self {
            policy,
            snapshot: ArcSwap::from_pointee(snapshot),
            writer: Mutex::new(()),
        }
    }
}

/// What a new key set has changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The number of keys that were not there before.
    pub added: usize,
    /// The number of keys that are no longer there.
    pub removed: usize,
}

/// How the keys of a store stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "readiness must decide about each")]
pub enum KeyStatus {
    /// The last fetch succeeded, or the keys are fixed.
    Fresh,
    /// Fetches fail, the last good set serves.
    Stale {
        /// When the first fetch failed after the last success.
        since: Timestamp,
    },
    /// There are no keys: never fetched, or too old.
    Unavailable,
}

/// What holds at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    keys: KeySet,
    /// The longest retired last.
    retired: Vec<Retired>,
    /// The number of keys of the largest set so far.
    largest: usize,
    /// The start of time, when nothing has been fetched yet.
    usable_until: Timestamp,
    generation: u64,
    fetched_at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Retired {
    key: Arc<VerificationKey>,
    until: Timestamp,
}

/// The right to use a key, as it stood when a token was verified with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUse {
    generation: u64,
    until: Timestamp,
}

impl Snapshot {
    pub(crate) fn is_available(&self, now: Timestamp) -> bool {
        now < self.usable_until
    }

    /// Tells whether a key may still be used: the set has not changed since, and its grace, if it was on it, is not over.
    pub(crate) fn still_usable(&self, key: &KeyUse, now: Timestamp) -> bool {
        key.generation == self.generation && now < key.until
    }

    /// Returns the one key for a token. An unknown `kid` is never answered with another key (RFC 8725 §3.10).
    pub(crate) fn select(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<(&ParsedKey, KeyUse), TokenFault> {
        if !self.is_available(now) {
            return Err(TokenFault::KeysUnavailable);
        }

        let (key, until) = match kid {
            None => (self.keys.sole(algorithm)?, Timestamp::MAX),
            Some(kid) => match self.keys.by_kid(kid) {
                Some(key) => (key, Timestamp::MAX),
                None => self.retired(kid, now).ok_or(TokenFault::KeyUnknown)?,
            },
        };
        let parsed = key.with(algorithm).ok_or(TokenFault::AlgorithmNotOfKey)?;
        Ok((
            parsed,
            KeyUse {
                generation: self.generation,
                until,
            },
        ))
    }

    fn retired(&self, kid: &str, now: Timestamp) -> Option<(&Arc<VerificationKey>, Timestamp)> {
        self.retired
            .iter()
            .find(|retired| retired.key.kid() == Some(kid) && now < retired.until)
            .map(|retired| (&retired.key, retired.until))
    }
}

/// Keys on grace beyond this number, or beyond twice the number of keys of the largest set, are dropped early, the longest retired
/// first: an issuer that replaces its whole set again and again must not fill the memory. One that replaces it twice loses none.
const MIN_RETIRED: usize = 200;
