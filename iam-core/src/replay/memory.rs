//! A replay store in memory, exact and small.
//!
//! An id is a 128-bit keyed hash, and an entry 24 bytes in one of a few [tables](super::table), each behind a lock of its own. A claim
//! looks at one place in memory: it finds the id there, or takes the place of an expired one, or a free one.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Claim, ClaimFuture, ReplayError, ReplayId, ReplayStore,
    table::{Hash, Place, Table},
};
use crate::{clock::Timestamp, keyed_hash::KeyedHash};

/// A replay store in the memory of this process, shared by all workers.
///
/// Exact: of any number of simultaneous claims of one id exactly one is the first. Bounded: at most `capacity` live ids, and no
/// live one is ever dropped; when all places are taken by live ids, claims fail with [`ReplayError::Full`]. An entry takes
/// less than 64 bytes.
///
/// ```
/// use iam_core::{clock::Timestamp, replay::{Claim, MemoryReplayStore, ReplayId}};
///
/// let store = MemoryReplayStore::new(100_000);
/// let id = ReplayId { tenant: "default", issuer: "https://issuer.example/", jti: "0b8f" };
/// let (now, until) = (Timestamp::from_secs(1_000), Timestamp::from_secs(1_060));
///
/// assert_eq!(store.claim_now(id, until, now)?, Claim::First);
/// assert_eq!(store.claim_now(id, until, now)?, Claim::Replayed { first_seen: now });
/// # Ok::<(), iam_core::replay::ReplayError>(())
/// ```
///
/// Two ids are taken for the same, and the second is refused, when they share a 128-bit hash. By chance that happens once in
/// 2^88 stores of a million ids, and it cannot be brought about: the hash is keyed at random for each store and never shown.
/// The opposite, a used id that is not recognised, cannot happen.
pub struct MemoryReplayStore {
    tables: Box<[Mutex<Table>]>,
    live: AtomicUsize,
    capacity: usize,
    keyed: KeyedHash,
}

impl MemoryReplayStore {
    /// Creates a store for at most `capacity` live ids. Memory is allocated as ids arrive.
    pub fn new(capacity: usize) -> Self {
        Self {
            tables: (0..TABLES).map(|_| Mutex::default()).collect(),
            live: AtomicUsize::new(0),
            capacity,
            // Without a random key the store still recognises every id; only the signer of the tokens could create ids with
            // equal hashes.
            keyed: KeyedHash::random().unwrap_or_else(KeyedHash::unkeyed),
        }
    }

    /// Claims an id immediately. See [`ReplayStore::claim`].
    ///
    /// # Errors
    ///
    /// [`ReplayError::Full`] when all places are taken by live ids.
    pub fn claim_now(
        &self,
        id: ReplayId<'_>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, ReplayError> {
        let hash = self.hash(id);
        let table = self.tables.get(table_of(hash)).ok_or(ReplayError::Unavailable)?;

        let claim = self.claim_in(&mut lock(table), hash, until, now);
        if claim != Err(ReplayError::Full) {
            return claim;
        }
        // Expired entries may be in other tables. Only one table is locked at a time, so that threads cannot deadlock.
        for other in &self.tables {
            let removed = lock(other).sweep(now);
            self.live.fetch_sub(removed, Ordering::Relaxed);
        }
        self.claim_in(&mut lock(table), hash, until, now)
    }

    /// Returns the number of stored ids, including expired ids whose places are not yet free.
    pub fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Tells whether the store is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn claim_in(
        &self,
        table: &mut Table,
        hash: Hash,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, ReplayError> {
        let place = table.find(hash, now);
        if let Place::Known(place) = place {
            return table.renew(place, until, now).ok_or(ReplayError::Unavailable);
        }
        // INVARIANT: all removed entries expired by `swept_until`. After the clock was set back, an id from before that
        // time may have been claimed and removed. The store cannot know, so the id counts as used.
        if until <= now.max(table.swept_until()) {
            return Ok(Claim::Replayed {
                first_seen: Timestamp::default(),
            });
        }
        let free = match place {
            Place::Over(place) => {
                let replaced = table.replace(place, hash, until, now);
                return replaced.map(|()| Claim::First).ok_or(ReplayError::Unavailable);
            }
            Place::Free(place) => Some(place),
            Place::Known(_) | Place::Nowhere => None,
        };

        let reserved = self
            .live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| {
                (live < self.capacity).then(|| live.saturating_add(1))
            });
        reserved.map_err(|_live| ReplayError::Full)?;
        let removed = table.insert(free, hash, until, now);
        let vacated = removed.unwrap_or(1);
        if vacated > 0 {
            self.live.fetch_sub(vacated, Ordering::Relaxed);
        }
        removed
            .map(|_removed| Claim::First)
            .ok_or(ReplayError::Unavailable)
    }

    fn hash(&self, id: ReplayId<'_>) -> Hash {
        let (one, other) = self.keyed.of([id.tenant, id.issuer, id.jti].map(str::as_bytes));
        Hash(one, other)
    }
}

impl ReplayStore for MemoryReplayStore {
    fn claim(&self, id: ReplayId<'_>, until: Timestamp, now: Timestamp) -> ClaimFuture {
        ClaimFuture::ready(self.claim_now(id, until, now))
    }
}

impl fmt::Debug for MemoryReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplayStore")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

fn table_of(hash: Hash) -> usize {
    usize::from(hash.1.to_le_bytes()[0]) % TABLES
}

/// Nothing panics while a table is locked.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

const TABLES: usize = 16;
