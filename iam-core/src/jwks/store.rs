//! The keys that currently verify tokens.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

use super::{
    KeySet, RefreshPolicy,
    key::{ParsedKey, VerificationKey},
};
use crate::{
    clock::Timestamp,
    jwt::{Algorithm, TokenFault},
};

/// The keys of one issuer for one tenant: read without a lock by every request, replaced as a whole after each fetch.
///
/// A key that has left the set still verifies for [`RefreshPolicy::grace`], so that tokens which were signed before are not refused.
/// When every fetch fails for [`RefreshPolicy::refresh`] and [`RefreshPolicy::stale`] together, or none ever succeeded, there are no
/// keys: fails closed.
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

    /// Installs a key set that was fetched at `now`, and returns the changes.
    ///
    /// A key that the set no longer holds retires for the grace period, unless it has no `kid`, which a token would have to name,
    /// or another key has taken over its id for one of its algorithms. A fixed store installs nothing.
    pub fn install(&self, keys: KeySet, now: Timestamp) -> KeyChange {
        let Some(policy) = self.policy else {
            return KeyChange::default();
        };
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.snapshot.load();

        let gone = |key: &Arc<VerificationKey>| !keys.keys().iter().any(|new| new.is_same(key));
        let until = now.saturating_add(policy.grace);
        let leaving: Vec<_> = old.keys.keys().iter().filter(|key| gone(key)).cloned().collect();
        let added = keys
            .keys()
            .iter()
            .filter(|key| !old.keys.keys().iter().any(|old| old.is_same(key)))
            .count();
        let change = KeyChange {
            added,
            removed: leaving.len(),
            usable: keys.len(),
        };
        let largest = old.largest.max(keys.len());
        let most = MIN_RETIRED.max(largest.saturating_mul(2));
        let withdrawn = old.withdrawn_after(&leaving, &keys, now, most);
        let mut retired: Vec<_> = leaving.into_iter().map(|key| Retired { key, until }).collect();
        // A retired key that is published again is current again.
        retired.extend(
            old.retired
                .iter()
                .filter(|retired| now < retired.until && gone(&retired.key))
                .cloned(),
        );
        // INVARIANT: no id and algorithm are those of two keys, current or on grace, so that an older key never answers for a newer.
        // A key whose private part is published, or whose id is ambiguous now, verifies no longer at once.
        retired.retain(|Retired { key, .. }| {
            key.kid().is_some()
                && !keys.compromises(key)
                && !keys.keys().iter().any(|new| new.is_successor_of(key))
        });
        retired.truncate(most);

        self.snapshot.store(Arc::new(Snapshot {
            keys,
            retired,
            withdrawn,
            largest,
            usable_until: now.saturating_add(policy.refresh).saturating_add(policy.stale),
            // A new key counts as a change too: it may have taken over the id of a key on grace, and a token without an id
            // may be from either key.
            generation: if (change.added, change.removed) == (0, 0) {
                old.generation
            } else {
                old.generation.wrapping_add(1)
            },
            failing_since: None,
        }));
        change
    }

    /// Records a failed fetch. The keys are kept until they are too old.
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

    /// Ends the grace of all keys that have left the set, and returns their number.
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

    /// Returns the state of the keys: for readiness and metrics.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        let snapshot = self.snapshot.load();
        if !snapshot.is_available(now) {
            return KeyStatus::Unavailable;
        }
        if snapshot.keys.is_empty() {
            return KeyStatus::Empty;
        }

        match snapshot.failing_since {
            Some(since) => KeyStatus::Stale { since },
            None => KeyStatus::Fresh,
        }
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

/// The changes by a new key set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The number of added keys.
    pub added: usize,
    /// The number of removed keys.
    pub removed: usize,
    /// The number of usable keys in the new set. If zero, every token is refused once the grace of the old keys is over.
    pub usable: usize,
}

/// The state of a store's keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "readiness must decide about each")]
pub enum KeyStatus {
    /// The last fetched set has no usable key: all tokens are refused, except those of keys on grace.
    Empty,
    /// The last fetch succeeded, or the keys are fixed.
    Fresh,
    /// Fetches fail, and the last good set is used.
    Stale {
        /// When the first fetch failed after the last success.
        since: Timestamp,
    },
    /// There are no keys: never fetched, or too old.
    Unavailable,
}

/// The keys at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    keys: KeySet,
    /// Keys on grace; the longest retired comes last.
    retired: Vec<Retired>,
    /// The ids that left the set within the last hour; the longest withdrawn comes last.
    withdrawn: Vec<Withdrawn>,
    /// The number of keys of the largest set so far.
    largest: usize,
    /// The time until which the keys are usable; the start of time if nothing has been fetched yet.
    usable_until: Timestamp,
    generation: u64,
    failing_since: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Retired {
    key: Arc<VerificationKey>,
    until: Timestamp,
}

#[derive(Clone)]
struct Withdrawn {
    kid: Arc<str>,
    until: Timestamp,
}

impl fmt::Debug for Withdrawn {
    /// Prints no id, which is the issuer's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Withdrawn")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// The state of a key when a token was verified with it.
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

    /// Returns the one key for a token. An unknown `kid` never leads to another key (RFC 8725 §3.10).
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
            Some(kid) => match self.keys.find(kid, algorithm) {
                Some(key) => (key, Timestamp::MAX),
                None => self
                    .retired(kid, algorithm, now)
                    .ok_or_else(|| self.fault(kid, now))?,
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

    fn retired(
        &self,
        kid: &str,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Option<(&Arc<VerificationKey>, Timestamp)> {
        self.on_grace(kid, now)
            .find(|retired| retired.key.with(algorithm).is_some())
            .map(|retired| (&retired.key, retired.until))
    }

    fn on_grace(&self, kid: &str, now: Timestamp) -> impl Iterator<Item = &Retired> {
        self.retired
            .iter()
            .filter(move |retired| retired.key.kid() == Some(kid) && now < retired.until)
    }

    /// Returns why no key was found under an id.
    fn fault(&self, kid: &str, now: Timestamp) -> TokenFault {
        let is_withdrawn = |one: &Withdrawn| *one.kid == *kid && now < one.until;
        if self.keys.has_kid(kid) || self.on_grace(kid, now).next().is_some() {
            TokenFault::AlgorithmNotOfKey
        } else if self.withdrawn.iter().any(is_withdrawn) {
            TokenFault::KeyWithdrawn
        } else {
            TokenFault::KeyUnknown
        }
    }

    /// Returns the ids that have left the set, once these keys leave it for others.
    fn withdrawn_after(
        &self,
        leaving: &[Arc<VerificationKey>],
        keys: &KeySet,
        now: Timestamp,
        most: usize,
    ) -> Vec<Withdrawn> {
        let until = now.saturating_add(REMEMBERED);
        let newly = leaving.iter().filter_map(|key| key.kid()).map(|kid| Withdrawn {
            kid: kid.into(),
            until,
        });

        newly
            .chain(self.withdrawn.iter().filter(|one| now < one.until).cloned())
            .filter(|one| !keys.has_kid(&one.kid))
            .take(most)
            .collect()
    }
}

/// How long a fault says that its key has left the set: tokens that outlive their key usually live for minutes.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Keys on grace and withdrawn ids beyond this number, or beyond twice the number of keys of the largest set, are dropped early, the
/// longest gone first: an issuer that replaces its whole set again and again must not fill the memory. Two replacements lose none.
const MIN_RETIRED: usize = 200;
