//! Was this very token verified before?

use std::{
    fmt,
    hash::{BuildHasherDefault, Hasher},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use lru::LruCache;

use super::{TokenFault, VerifiedClaims};
use crate::{clock::Timestamp, jwks::KeyUse};

/// The hash of a token. A cache belongs to one verifier, so that tenant, issuer, audience and key set need not be part of it.
pub(super) type TokenHash = [u8; 32];

/// Remembers verified tokens, at most a fixed number, the least recently used forgotten first, give or take a second.
pub(super) struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
}

type Shard = LruCache<TokenHash, Entry, BuildHasherDefault<FirstBytes>>;

struct Entry {
    claims: Arc<VerifiedClaims>,
    key: KeyUse,
    /// When it was last put in front of those that are to be forgotten first.
    renewed: Timestamp,
}

impl TokenCache {
    /// Creates a cache, or none for no entries.
    pub(super) fn new(entries: usize) -> Option<Self> {
        NonZeroUsize::new(entries)?;
        let shards = entries.div_ceil(ENTRIES_PER_SHARD).min(MAX_SHARDS);
        let each = NonZeroUsize::new(entries.checked_div(shards)?)?;
        let shard = |_| Mutex::new(LruCache::with_hasher(each, BuildHasherDefault::default()));

        Some(Self {
            shards: (0..shards).map(shard).collect(),
        })
    }

    /// Returns the claims of a token that was verified before, if its key still verifies: `None` means verify again.
    pub(super) fn find(
        &self,
        hash: &TokenHash,
        now: Timestamp,
        still_usable: impl FnOnce(&KeyUse) -> bool,
    ) -> Option<Result<Arc<VerifiedClaims>, TokenFault>> {
        let mut shard = self.shard(hash)?;
        let entry = shard.peek(hash)?;
        if !still_usable(&entry.key) {
            shard.pop(hash);
            return None;
        }

        let claims = Arc::clone(&entry.claims);
        // Most hits write nothing: moving an entry to the front touches its neighbours too.
        if now.duration_since(entry.renewed) >= RENEW_AFTER
            && let Some(entry) = shard.get_mut(hash)
        {
            entry.renewed = now;
        }
        drop(shard);
        Some(claims.check_time(now).map(|()| claims))
    }

    /// Remembers a token that has just been verified.
    pub(super) fn insert(&self, hash: TokenHash, claims: &Arc<VerifiedClaims>, key: KeyUse, now: Timestamp) {
        let entry = Entry {
            claims: Arc::clone(claims),
            key,
            renewed: now,
        };
        let Some(mut shard) = self.shard(&hash) else {
            return;
        };
        let displaced = shard.push(hash, entry);
        // Claims are freed after the lock.
        drop(shard);
        drop(displaced);
    }

    /// The last byte chooses the shard, the first ones the place in it.
    fn shard(&self, hash: &TokenHash) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::from(hash[31]).checked_rem(self.shards.len())?;
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

pub(super) fn hash(token: &[u8]) -> Option<TokenHash> {
    digest(&SHA256, token).as_ref().try_into().ok()
}

/// Takes the first eight bytes of a SHA-256 for its hash: nobody can choose them, for only verified tokens get in here.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    // A hash is hashed as a slice: its length, the same for all, comes first.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How long an entry keeps its place among those that are to be forgotten.
const RENEW_AFTER: Duration = Duration::from_secs(1);

const MAX_SHARDS: usize = 16;
const ENTRIES_PER_SHARD: usize = 64;
