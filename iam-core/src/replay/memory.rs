//! How does one process remember used ids, exactly and in little space?
//!
//! An id is a 128-bit hash; an entry is a slot of 40 bytes in a slab, reached through a table of list heads, and hung
//! into the list of the interval in which it expires. Both lists run through the slots themselves. Each claim frees a few slots
//! of intervals that are over, so that no claim pays for all of them; a live entry is never freed.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    digest::{Context, SHA256},
    rand::{SecureRandom as _, SystemRandom},
};

use super::{Claim, ClaimFuture, ReplayError, ReplayId, ReplayStore};
use crate::clock::Timestamp;

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
pub struct MemoryReplayStore {
    shards: Box<[Mutex<Shard>]>,
    live: AtomicUsize,
    capacity: usize,
    /// Makes the places of ids unpredictable for whoever chooses them.
    key: [u8; 16],
}

impl MemoryReplayStore {
    /// Creates a store for at most `capacity` live ids. Memory is taken as ids come.
    pub fn new(capacity: usize) -> Self {
        let mut key = [0; 16];
        // Without a key the store is as exact; only its lists could be made long by whoever signs the tokens.
        let _unkeyed = SystemRandom::new().fill(&mut key);

        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            live: AtomicUsize::new(0),
            capacity: capacity.min(MAX_CAPACITY),
            key,
        }
    }

    /// Claims an id and answers at once. See [`ReplayStore::claim`].
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
        let hash = self.hash(id).ok_or(ReplayError::Unavailable)?;
        let shard = self.shards.get(hash.shard()).ok_or(ReplayError::Unavailable)?;

        let claim = self.claim_in(&mut lock(shard), hash, until, now);
        if claim != Err(ReplayError::Full) {
            return claim;
        }
        // The places of expired ids may lie in other shards. One lock at a time, so that no two threads wait for each other.
        for other in &self.shards {
            let freed = lock(other).sweep(now, usize::MAX);
            self.live.fetch_sub(freed, Ordering::Relaxed);
        }
        self.claim_in(&mut lock(shard), hash, until, now)
    }

    /// Returns the number of ids that are remembered, those included whose time is over and whose place is not yet free.
    pub fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Tells whether no id is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn claim_in(
        &self,
        shard: &mut Shard,
        hash: Hash,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, ReplayError> {
        let freed = shard.sweep(now, SWEPT_PER_CLAIM);
        self.live.fetch_sub(freed, Ordering::Relaxed);

        if let Some(claim) = shard.renew(hash, until, now) {
            return Ok(claim);
        }
        // INVARIANT: everything that was ever swept here expired by `swept_until`. After a clock was set back, an id from before
        // that point may have been claimed and forgotten; as that cannot be told, it counts as used.
        if until <= now.max(shard.swept_until) {
            return Ok(Claim::Replayed {
                first_seen: Timestamp::default(),
            });
        }
        let reserved = self
            .live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| {
                (live < self.capacity).then(|| live.saturating_add(1))
            });
        reserved.map_err(|_live| ReplayError::Full)?;

        shard.insert(hash, until, now).inspect_err(|_err| {
            self.live.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn hash(&self, id: ReplayId<'_>) -> Option<Hash> {
        let mut text = Text {
            bytes: [0; TEXT_BYTES],
            length: 0,
        };
        let fields = [id.tenant, id.issuer, id.jti];
        // The length before each field keeps ("ab", "c") and ("a", "bc") apart.
        let complete = text.push(&self.key)
            && fields
                .iter()
                .all(|field| text.push(&(field.len() as u64).to_le_bytes()) && text.push(field.as_bytes()));
        let digest = if complete {
            aws_lc_rs::digest::digest(&SHA256, text.bytes.get(..text.length)?)
        } else {
            let mut context = Context::new(&SHA256);
            context.update(&self.key);
            for field in fields {
                context.update(&(field.len() as u64).to_le_bytes());
                context.update(field.as_bytes());
            }
            context.finish()
        };

        let (high, rest) = digest.as_ref().split_first_chunk()?;
        Some(Hash(
            u64::from_le_bytes(*high),
            u64::from_le_bytes(*rest.first_chunk()?),
        ))
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

/// What is hashed, put together on the stack: one call is cheaper than several.
struct Text {
    bytes: [u8; TEXT_BYTES],
    length: usize,
}

impl Text {
    /// Appends bytes, or tells that they do not fit.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(end) = self.length.checked_add(bytes.len()) else {
            return false;
        };
        let Some(place) = self.bytes.get_mut(self.length..end) else {
            return false;
        };
        place.copy_from_slice(bytes);
        self.length = end;
        true
    }
}

/// 128 bits of SHA-256: two ids share one by chance once in 2^88 stores of a million.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Hash(u64, u64);

impl Hash {
    fn shard(self) -> usize {
        usize::from(self.1.to_le_bytes()[0]) % SHARDS
    }
}

/// The number of a slot in its shard; `NONE` ends a list.
type Place = u32;

const NONE: Place = Place::MAX;

#[derive(Clone, Copy)]
struct Slot {
    hash: Hash,
    until: Timestamp,
    first_seen: Timestamp,
    /// The next slot under the same head.
    next: Place,
    /// The next slot that expires in the same interval; or the next free slot.
    later: Place,
}

struct Shard {
    heads: Vec<Place>,
    /// Slots never move, and the slab grows by whole chunks: doubling one vector would waste up to half of it.
    chunks: Vec<Box<[Slot]>>,
    unused: Place,
    free: Place,
    live: usize,
    /// The first slot of each interval.
    intervals: BTreeMap<u64, Place>,
    swept_until: Timestamp,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            heads: Vec::new(),
            chunks: Vec::new(),
            unused: 0,
            free: NONE,
            live: 0,
            intervals: BTreeMap::new(),
            swept_until: Timestamp::default(),
        }
    }
}

impl Shard {
    /// Answers a claim of an id that is remembered.
    fn renew(&mut self, hash: Hash, until: Timestamp, now: Timestamp) -> Option<Claim> {
        let place = self.find(hash)?;
        let slot = self.slot_mut(place)?;
        let first_seen = slot.first_seen;
        let over = slot.until <= now;
        // The same id in a token that lives longer: it must be remembered as long. Its slot is hung into a later interval when
        // the sweep comes by.
        slot.until = slot.until.max(until);
        if over && now < until {
            slot.first_seen = now;
            return Some(Claim::First);
        }
        Some(Claim::Replayed { first_seen })
    }

    fn insert(&mut self, hash: Hash, until: Timestamp, now: Timestamp) -> Result<Claim, ReplayError> {
        self.grow_heads();
        let head = self.head(hash).ok_or(ReplayError::Unavailable)?;
        let next = *self.heads.get(head).ok_or(ReplayError::Unavailable)?;
        let place = self.take_place().ok_or(ReplayError::Full)?;
        let slot = self.slot_mut(place).ok_or(ReplayError::Unavailable)?;
        *slot = Slot {
            hash,
            until,
            first_seen: now,
            next,
            later: NONE,
        };

        if let Some(head) = self.heads.get_mut(head) {
            *head = place;
        }
        self.hang(place, until);
        self.live = self.live.saturating_add(1);
        Ok(Claim::First)
    }

    /// Frees at most `most` slots of intervals that are over, and returns how many it freed.
    fn sweep(&mut self, now: Timestamp, most: usize) -> usize {
        let mut freed = 0_usize;
        let mut seen = 0_usize;
        while seen < most {
            let Some(mut first) = self.intervals.first_entry() else {
                break;
            };
            // An interval is over when its last millisecond is.
            if first.key().saturating_add(1).saturating_mul(INTERVAL_MILLIS) > now.as_millis() {
                break;
            }
            let place = *first.get();
            let Some((hash, until, later)) = self
                .chunks
                .get(chunk_of(place))
                .and_then(|chunk| chunk.get(offset_of(place)))
                .map(|slot| (slot.hash, slot.until, slot.later))
            else {
                first.remove();
                continue;
            };
            if later == NONE {
                first.remove();
            } else {
                first.insert(later);
            }

            seen = seen.saturating_add(1);
            if until <= now {
                self.swept_until = self.swept_until.max(until);
                self.release(place, hash);
                freed = freed.saturating_add(1);
            } else {
                self.hang(place, until);
            }
        }
        freed
    }

    fn find(&self, hash: Hash) -> Option<Place> {
        let mut place = *self.heads.get(self.head(hash)?)?;
        loop {
            let slot = self.slot(place)?;
            if slot.hash == hash {
                return Some(place);
            }
            place = slot.next;
        }
    }

    /// Takes a slot out of the list of its head and makes it free.
    fn release(&mut self, place: Place, hash: Hash) {
        let Some(next) = self.slot(place).map(|slot| slot.next) else {
            return;
        };
        let Some(head) = self.head(hash) else { return };
        match self.heads.get_mut(head) {
            Some(first) if *first == place => *first = next,
            Some(first) => {
                let mut before = *first;
                while let Some(slot) = self.slot_mut(before) {
                    if slot.next == place {
                        slot.next = next;
                        break;
                    }
                    before = slot.next;
                }
            }
            None => {}
        }

        let free = mem::replace(&mut self.free, place);
        if let Some(slot) = self.slot_mut(place) {
            slot.later = free;
        }
        self.live = self.live.saturating_sub(1);
    }

    /// Hangs a slot into the list of the interval in which it expires.
    fn hang(&mut self, place: Place, until: Timestamp) {
        let first = self.intervals.insert(until.as_millis() / INTERVAL_MILLIS, place);
        if let Some(slot) = self.slot_mut(place) {
            slot.later = first.unwrap_or(NONE);
        }
    }

    fn take_place(&mut self) -> Option<Place> {
        if let Some(free) = self.slot(self.free) {
            let later = free.later;
            return Some(mem::replace(&mut self.free, later));
        }

        let place = self.unused;
        if place == NONE {
            return None;
        }
        if chunk_of(place) == self.chunks.len() {
            self.chunks.push(vec![EMPTY; CHUNK].into_boxed_slice());
        }
        self.unused = place.saturating_add(1);
        Some(place)
    }

    /// Keeps as many heads as slots at least, a power of two.
    fn grow_heads(&mut self) {
        if self.live < self.heads.len() {
            return;
        }

        let heads = self.heads.len().saturating_mul(2).max(MIN_HEADS);
        let old = mem::replace(&mut self.heads, vec![NONE; heads]);
        for mut place in old {
            while let Some(slot) = self.slot(place) {
                let (hash, following) = (slot.hash, slot.next);
                if let Some(first) = self.head(hash).and_then(|head| self.heads.get_mut(head)) {
                    let next = mem::replace(first, place);
                    if let Some(slot) = self.slot_mut(place) {
                        slot.next = next;
                    }
                }
                place = following;
            }
        }
    }

    fn head(&self, hash: Hash) -> Option<usize> {
        let mask = (self.heads.len() as u64).checked_sub(1)?;

        usize::try_from(hash.0 & mask).ok()
    }

    fn slot(&self, place: Place) -> Option<&Slot> {
        self.chunks.get(chunk_of(place))?.get(offset_of(place))
    }

    fn slot_mut(&mut self, place: Place) -> Option<&mut Slot> {
        self.chunks.get_mut(chunk_of(place))?.get_mut(offset_of(place))
    }
}

/// Nothing panics while a shard is locked.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chunk_of(place: Place) -> usize {
    place as usize / CHUNK
}

fn offset_of(place: Place) -> usize {
    place as usize % CHUNK
}

const EMPTY: Slot = Slot {
    hash: Hash(0, 0),
    until: Timestamp::from_millis(0),
    first_seen: Timestamp::from_millis(0),
    next: NONE,
    later: NONE,
};

const SHARDS: usize = 16;

/// 20 KiB at a time.
const CHUNK: usize = 512;

const MIN_HEADS: usize = 64;

/// Places are numbered with 32 bits in each shard; ids spread evenly, and half the numbers are left for when they do not.
const MAX_CAPACITY: usize = SHARDS.saturating_mul(u32::MAX as usize / 2);

/// Ids that expire in the same stretch of this length hang in one list: a place is freed so much later at most, and a day has
/// few enough lists that they do not count.
const INTERVAL_MILLIS: u64 = 8 * 1024;

/// More than the one that a claim adds, so that the sweep keeps up.
const SWEPT_PER_CLAIM: usize = 4;

/// Room for a tenant, an issuer and a `jti` of usual length; longer ones take the slower way.
const TEXT_BYTES: usize = 256;
