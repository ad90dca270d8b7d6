//! How does one process remember used ids, exactly and in little space?
//!
//! An id is a 128-bit hash. An entry is 24 bytes in a table that is probed from the place that the hash names; beside it, each
//! interval of time has a list of the hashes that expire in it. Each claim removes a few entries of intervals that are over, so
//! that no claim pays for all of them; a live entry is never removed. Few cache lines are touched for a claim, which is what
//! it costs.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
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
            capacity,
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
#[derive(Clone, Copy, Eq, PartialEq)]
struct Hash(u64, u64);

impl Hash {
    fn shard(self) -> usize {
        usize::from(self.1.to_le_bytes()[0]) % SHARDS
    }
}

/// What is known of one id. `until` is in seconds, rounded up: an entry may be kept a second longer, never shorter.
#[derive(Clone, Copy)]
struct Entry {
    hash: Hash,
    /// Zero marks a free place.
    until: u32,
    /// The lowest 32 bits of the milliseconds: enough for seven weeks back.
    first_seen: u32,
}

impl Entry {
    const FREE: Self = Self {
        hash: Hash(0, 0),
        until: 0,
        first_seen: 0,
    };

    fn new(hash: Hash, until: Timestamp, now: Timestamp) -> Self {
        Self {
            hash,
            until: seconds_up(until),
            first_seen: low_millis(now),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        Timestamp::from_secs(self.until.into()) <= now
    }

    fn first_seen(&self, now: Timestamp) -> Timestamp {
        let back = low_millis(now).wrapping_sub(self.first_seen);
        // A clock that was set back makes the difference wrap: then it was just now, as far as this clock can tell.
        let back = if back > u32::MAX / 2 { 0 } else { back };
        now.saturating_sub(Duration::from_millis(back.into()))
    }
}

/// Linear probing: an entry lies at the place that its hash names, or at the next free one after it, with no gap between.
#[derive(Default)]
struct Shard {
    places: Vec<Entry>,
    live: usize,
    /// The first halves of the hashes that expire in each interval.
    intervals: BTreeMap<u32, Vec<u64>>,
    swept_until: Timestamp,
}

impl Shard {
    /// Answers a claim of an id that is remembered.
    fn renew(&mut self, hash: Hash, until: Timestamp, now: Timestamp) -> Option<Claim> {
        let place = self.find(|entry| entry.hash == hash, hash.0)?;
        let entry = self.places.get_mut(place)?;
        let first_seen = entry.first_seen(now);
        let over = entry.is_over(now);
        // The same id in a token that lives longer: it must be remembered as long. The sweep moves it to a later interval when it
        // comes by.
        entry.until = entry.until.max(seconds_up(until));
        if over && now < until {
            entry.first_seen = low_millis(now);
            return Some(Claim::First);
        }
        Some(Claim::Replayed { first_seen })
    }

    fn insert(&mut self, hash: Hash, until: Timestamp, now: Timestamp) -> Result<Claim, ReplayError> {
        self.grow();
        self.put(Entry::new(hash, until, now))
            .ok_or(ReplayError::Unavailable)?;
        self.expire_in(seconds_up(until) / INTERVAL_SECS, hash.0);
        self.live = self.live.saturating_add(1);
        Ok(Claim::First)
    }

    /// Looks at no more than `most` entries of intervals that are over, removes those that are, and returns how many.
    fn sweep(&mut self, now: Timestamp, most: usize) -> usize {
        let mut removed = 0_usize;
        let mut seen = 0_usize;
        while seen < most {
            let Some(mut first) = self.intervals.first_entry() else {
                break;
            };
            let interval = *first.key();
            // An interval is over when its last second is.
            let end = u64::from(interval)
                .saturating_add(1)
                .saturating_mul(INTERVAL_SECS.into());
            if Timestamp::from_secs(end) > now {
                break;
            }
            let Some(half) = first.get_mut().pop() else {
                first.remove();
                continue;
            };

            seen = seen.saturating_add(1);
            // By half a hash two entries may be meant; each of them is found, for each is listed.
            let over = self.find(
                |entry| entry.hash.0 == half && entry.until / INTERVAL_SECS <= interval,
                half,
            );
            let Some(place) = over else {
                self.relist(half, interval);
                continue;
            };
            if let Some(entry) = self.places.get(place) {
                self.swept_until = self.swept_until.max(Timestamp::from_secs(entry.until.into()));
            }
            self.remove(place);
            removed = removed.saturating_add(1);
        }
        removed
    }

    /// Lists an entry that was renewed after it had been listed.
    fn relist(&mut self, half: u64, interval: u32) {
        let renewed = self.find(
            |entry| entry.hash.0 == half && entry.until / INTERVAL_SECS > interval,
            half,
        );
        if let Some(later) = renewed
            .and_then(|place| self.places.get(place))
            .map(|entry| entry.until / INTERVAL_SECS)
        {
            self.expire_in(later, half);
        }
    }

    fn expire_in(&mut self, interval: u32, half: u64) {
        self.intervals.entry(interval).or_default().push(half);
    }

    fn find(&self, wanted: impl Fn(&Entry) -> bool, half: u64) -> Option<usize> {
        let mut place = self.home(half)?;
        loop {
            let entry = self.places.get(place)?;
            if entry.until == 0 {
                return None;
            }
            if wanted(entry) {
                return Some(place);
            }
            place = self.after(place);
        }
    }

    fn put(&mut self, entry: Entry) -> Option<()> {
        let mut place = self.home(entry.hash.0)?;
        while self.places.get(place)?.until != 0 {
            place = self.after(place);
        }

        *self.places.get_mut(place)? = entry;
        Some(())
    }

    /// Frees a place, and moves the entries behind it so that none is cut off from the place that its hash names.
    fn remove(&mut self, mut gap: usize) {
        let mut place = gap;
        self.live = self.live.saturating_sub(1);
        loop {
            place = self.after(place);
            let Some(entry) = self.places.get(place).copied().filter(|entry| entry.until != 0) else {
                break;
            };
            let Some(home) = self.home(entry.hash.0) else {
                break;
            };
            // An entry may move into the gap unless its home lies behind the gap, going round.
            if self.distance(home, place) >= self.distance(gap, place) {
                if let Some(free) = self.places.get_mut(gap) {
                    *free = entry;
                }
                gap = place;
            }
        }
        if let Some(free) = self.places.get_mut(gap) {
            *free = Entry::FREE;
        }
    }

    /// Keeps a fifth of the places free at least, for probes to be short. Grows by a third, for doubling would leave most of them empty.
    fn grow(&mut self) {
        let places = self.places.len();
        if self.live < places.saturating_sub(places / 5) {
            return;
        }

        let more = places.saturating_add(places / 3).max(MIN_PLACES);
        let old = mem::replace(&mut self.places, vec![Entry::FREE; more]);
        for entry in old.into_iter().filter(|entry| entry.until != 0) {
            // There is room for all of them.
            let _put = self.put(entry);
        }
    }

    /// Spreads hashes evenly over any number of places.
    fn home(&self, half: u64) -> Option<usize> {
        let wide = u128::from(half).checked_mul(self.places.len() as u128)?;

        usize::try_from(wide >> 64).ok()
    }

    fn after(&self, place: usize) -> usize {
        let next = place.saturating_add(1);

        if next < self.places.len() { next } else { 0 }
    }

    /// How far `to` lies behind `from`, going round.
    fn distance(&self, from: usize, to: usize) -> usize {
        match to.checked_sub(from) {
            Some(ahead) => ahead,
            None => self.places.len().saturating_sub(from).saturating_add(to),
        }
    }
}

fn seconds_up(time: Timestamp) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

fn low_millis(time: Timestamp) -> u32 {
    let [a, b, c, d, ..] = time.as_millis().to_le_bytes();

    u32::from_le_bytes([a, b, c, d])
}

/// Nothing panics while a shard is locked.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;

const MIN_PLACES: usize = 16;

/// Ids that expire in the same stretch of this length are listed together: a place is freed so much later at most, and a day has few
/// enough lists that they do not count.
const INTERVAL_SECS: u32 = 8;

/// More than the one that a claim adds, so that the sweep keeps up.
const SWEPT_PER_CLAIM: usize = 4;

/// Room for a tenant, an issuer and a `jti` of usual length; longer ones take the slower way.
const TEXT_BYTES: usize = 256;
