//! A bounded cache of what the core concluded about upstream answers.
//!
//! A fill takes a token before its fetch. Tokens and revocations are numbered in their order, so that a revocation wins over every
//! fetch that began before it, whichever of them ends first.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use iam_core::service::Validity;
use iam_core::{clock::Timestamp, fingerprint::Fingerprint, tenant::CacheSettings};
use lru::LruCache;

/// What the core concluded about an upstream's answer.
pub(crate) trait Conclusion: Clone + Send + Sync + 'static {
    /// Returns what decides how long the conclusion may be kept.
    fn validity(&self) -> Validity;
}

/// Keeps a fixed number of conclusions, each until its deadline. The least recently used one is evicted.
pub(crate) struct Cache<V> {
    settings: CacheSettings,
    shards: Box<[Mutex<Shard<V>>]>,
    /// The largest number of entries of one shard.
    limit: usize,
}

struct Shard<V> {
    entries: LruCache<Fingerprint, Entry<V>>,
    /// The number of the last token or revocation.
    turn: u64,
    /// The number of the last revocation.
    revoked: u64,
}

struct Entry<V> {
    value: V,
    /// When the fetch began. A clock that was set back to before this time makes the entry unusable.
    since: Timestamp,
    until: Timestamp,
    turn: u64,
}

/// The permission to cache the result of a fetch that begins after the token was taken.
#[must_use]
#[derive(Debug)]
pub(crate) struct FillToken {
    key: Fingerprint,
    started: Timestamp,
    turn: u64,
}

impl<V: Conclusion> Cache<V> {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        let shards = settings.limit().div_ceil(ENTRIES_PER_SHARD).clamp(1, MAX_SHARDS);
        Self {
            settings,
            // INVARIANT: rounded down, so that all shards together hold no more than the limit.
            limit: settings.limit().checked_div(shards).unwrap_or(0),
            shards: (0..shards).map(|_| Mutex::new(Shard::new())).collect(),
        }
    }

    /// Returns a conclusion that has not expired.
    pub(crate) fn get(&self, key: Fingerprint, now: Timestamp) -> Option<V> {
        let mut shard = self.shard(key)?;
        let entry = shard.entries.get(&key)?;
        if entry.since <= now && now < entry.until {
            return Some(entry.value.clone());
        }

        let expired = shard.entries.pop(&key);
        // Values are freed after the lock.
        drop(shard);
        drop(expired);
        None
    }

    /// Returns the token of a fetch. Take it before the fetch begins.
    pub(crate) fn begin(&self, key: Fingerprint, now: Timestamp) -> Option<FillToken> {
        Some(FillToken {
            key,
            started: now,
            turn: self.shard(key)?.next_turn(),
        })
    }

    /// Caches the conclusion of a fetch, unless there was a revocation since the token was taken, or a later fetch has ended.
    pub(crate) fn fill(&self, token: &FillToken, value: V, now: Timestamp) {
        let (ttl, end) = match value.validity() {
            Validity::Never => return,
            Validity::Until(end) => (self.settings.life_of(false), end),
            Validity::Refusal => (self.settings.life_of(true), Timestamp::MAX),
        };
        // Counted from the start of the fetch: the answer may be as old.
        let until = token.started.saturating_add(ttl).min(end);
        if until <= now {
            return;
        }

        let Some(mut shard) = self.shard(token.key) else {
            return;
        };
        let is_superseded = |entry: &Entry<V>| token.turn < entry.turn;
        if token.turn < shard.revoked || shard.entries.peek(&token.key).is_some_and(is_superseded) {
            return;
        }
        let entry = Entry {
            value,
            since: token.started,
            until,
            turn: token.turn,
        };
        let replaced = shard.entries.push(token.key, entry);
        let evicted = if self.limit < shard.entries.len() {
            shard.entries.pop_lru()
        } else {
            None
        };
        drop(shard);
        drop((replaced, evicted));
    }

    /// Drops one conclusion. A fetch that began before fills nothing.
    pub(crate) fn revoke(&self, key: Fingerprint) {
        let Some(mut shard) = self.shard(key) else { return };
        shard.revoke_turn();
        let revoked = shard.entries.pop(&key);
        drop(shard);
        drop(revoked);
    }

    /// Drops the conclusions that `is_revoked` is true of. A fetch that began before fills nothing, whatever it brings.
    pub(crate) fn revoke_if(&self, is_revoked: impl Fn(&V) -> bool) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            // The values of fetches in flight are not known yet, so none of them is cached.
            shard.revoke_turn();
            let keys: Vec<_> = shard
                .entries
                .iter()
                .filter(|(_, entry)| is_revoked(&entry.value))
                .map(|(key, _)| *key)
                .collect();
            let revoked: Vec<_> = keys.iter().filter_map(|key| shard.entries.pop(key)).collect();
            drop(shard);
            drop(revoked);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    fn shard(&self, key: Fingerprint) -> Option<MutexGuard<'_, Shard<V>>> {
        let index = key.half().checked_rem(u64::try_from(self.shards.len()).ok()?)?;
        self.shards.get(usize::try_from(index).ok()?).map(lock)
    }
}

impl<V> Shard<V> {
    fn new() -> Self {
        Self {
            // The table grows with its entries, up to the limit of the cache.
            entries: LruCache::unbounded(),
            turn: 0,
            revoked: 0,
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.turn = self.turn.saturating_add(1);
        self.turn
    }

    fn revoke_turn(&mut self) {
        self.revoked = self.next_turn();
    }
}

/// Nothing panics while a shard is locked, except for the predicate of a revocation, and half a revocation breaks no invariant.
fn lock<V>(shard: &Mutex<Shard<V>>) -> MutexGuard<'_, Shard<V>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const MAX_SHARDS: usize = 16;
const ENTRIES_PER_SHARD: usize = 64;

#[cfg(test)]
mod tests;
