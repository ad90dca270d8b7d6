//! A cache of verified tokens.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hasher},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use constant_time_eq::constant_time_eq;
use lru::LruCache;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{TokenFault, VerifiedClaims};
use crate::{clock::Timestamp, jwks::KeyUse};

/// Caches a fixed number of verified tokens. The least recently used one is evicted, to within a second.
pub(super) struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
    /// The largest memory of one cached token's claims. Persons who can edit their own metadata control its content.
    max_claims_bytes: usize,
}

type Shard = LruCache<Tail, Entry, BuildHasherDefault<Spread>>;

/// The end of a token's signature, which is the key of an entry. All bytes of the token are compared afterwards.
type Tail = [u8; 8];

struct Entry {
    /// Zeroized when the entry is dropped.
    token: SecretSlice<u8>,
    claims: Arc<VerifiedClaims>,
    key: KeyUse,
    /// When the entry was last moved to the front.
    renewed: Timestamp,
}

impl TokenCache {
    /// Creates a cache, or `None` for zero entries. Tokens whose claims may take more than `max_claims_bytes` are not
    /// cached.
    pub(super) fn new(entries: usize, max_claims_bytes: usize) -> Option<Self> {
        NonZeroUsize::new(entries)?;
        let shards = entries.div_ceil(ENTRIES_PER_SHARD).min(MAX_SHARDS);
        let each = NonZeroUsize::new(entries.checked_div(shards)?)?;
        let shard = |_| Mutex::new(LruCache::with_hasher(each, BuildHasherDefault::default()));

        Some(Self {
            shards: (0..shards).map(shard).collect(),
            max_claims_bytes,
        })
    }

    /// Returns the claims of a cached token if its key is still usable. Otherwise the token must be verified.
    pub(super) fn find(
        &self,
        token: &[u8],
        now: Timestamp,
        still_usable: impl FnOnce(&KeyUse) -> bool,
    ) -> Option<Result<Arc<VerifiedClaims>, TokenFault>> {
        let tail = tail(token)?;
        let mut shard = self.shard(tail)?;
        let entry = shard.peek(&tail)?;
        // Compared in constant time, so that timing reveals nothing to a guess, and in blocks, because a token has hundreds
        // of bytes.
        if !constant_time_eq(entry.token.expose_secret(), token) {
            return None;
        }
        if !still_usable(&entry.key) {
            shard.pop(&tail);
            return None;
        }

        let claims = Arc::clone(&entry.claims);
        if let Err(fault) = claims.check_time(now) {
            shard.pop(&tail);
            return Some(Err(fault));
        }
        // Most hits write nothing, because moving an entry to the front also writes to its neighbours.
        if now.duration_since(entry.renewed) >= RENEW_AFTER
            && let Some(entry) = shard.get_mut(&tail)
        {
            entry.renewed = now;
        }
        Some(Ok(claims))
    }

    /// Caches a token that was just verified, unless its claims may take too much memory.
    pub(super) fn insert(&self, token: &[u8], claims: &Arc<VerifiedClaims>, key: KeyUse, now: Timestamp) {
        if claims.max_bytes() > self.max_claims_bytes {
            return;
        }
        let Some(tail) = tail(token) else { return };
        let entry = Entry {
            token: SecretSlice::from(token.to_vec()),
            claims: Arc::clone(claims),
            key,
            renewed: now,
        };
        let Some(mut shard) = self.shard(tail) else {
            return;
        };
        let displaced = shard.push(tail, entry);
        // Claims are freed after the lock.
        drop(shard);
        drop(displaced);
    }

    fn shard(&self, tail: Tail) -> Option<MutexGuard<'_, Shard>> {
        // The table itself uses the highest and the lowest bits.
        let [_, _, middle, ..] = spread(tail).to_be_bytes();
        let index = usize::from(middle).checked_rem(self.shards.len())?;
        let shard = self.shards.get(index)?;

        // Nothing panics while the lock is held, and a cache has no invariant that half an operation could break.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

fn tail(token: &[u8]) -> Option<Tail> {
    token.last_chunk().copied()
}

/// Spreads the few bits of each letter over all bits. Only verified tokens are stored, so an attacker cannot choose their places.
fn spread(tail: Tail) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

    let product = u64::from_le_bytes(tail).wrapping_mul(ODD);
    product ^ (product >> 32)
}

#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = tail(bytes) {
            self.0 = spread(tail);
        }
    }

    // A tail is hashed as a slice: its length, the same for all, comes first.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How long an entry keeps its place after it has been moved to the front.
const RENEW_AFTER: Duration = Duration::from_secs(1);

const MAX_SHARDS: usize = 16;
const ENTRIES_PER_SHARD: usize = 64;
