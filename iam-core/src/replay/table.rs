//! A hash table of used ids.
//!
//! Probing starts at the place of the hash and ends at the next free place. A new entry may replace an expired entry on the
//! way. A sweep removes other expired entries, some places at a time, so that no single claim pays for the whole table.
//! Live entries are never removed. A claim touches few cache lines, which dominate its cost.

use std::{mem, time::Duration};

use super::Claim;
use crate::clock::Timestamp;

/// The hash of an id. Its first half names the place in a table.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Hash(pub(super) u64, pub(super) u64);

/// Linear probing: an entry is at the place that its hash names, or behind it with no free place between.
pub(super) struct Table {
    places: Vec<Entry>,
    taken: usize,
    /// No entry expires before this second.
    earliest: u32,
    swept_until: Timestamp,
    cursor: usize,
    inserts: u32,
}

/// The result of a lookup.
pub(super) enum Place {
    /// The id is at this place.
    Known(usize),
    /// The id is absent, and this place has an expired entry.
    Over(usize),
    /// The id is absent, and this place is free.
    Free(usize),
    /// The id is absent, and no place is available.
    Nowhere,
}

impl Table {
    /// Answers a claim of a stored id.
    pub(super) fn renew(&mut self, place: usize, until: Timestamp, now: Timestamp) -> Option<Claim> {
        let entry = self.places.get_mut(place)?;
        let over = entry.is_over(now);
        let first_seen = entry.first_seen(now);

        // A token with a later expiry may have the same id, so the id must be stored for longer.
        let until_secs = seconds_up(until);
        if entry.until < until_secs {
            entry.until = until_secs;
        }
        if over && now < until {
            entry.first_seen = low_millis(now);
            return Some(Claim::First);
        }
        Some(Claim::Replayed { first_seen })
    }

    /// Replaces an expired entry by a live one.
    pub(super) fn replace(
        &mut self,
        place: usize,
        hash: Hash,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<()> {
        let old = self.places.get_mut(place)?;
        let over = mem::replace(old, Entry::new(hash, until, now));

        // INVARIANT: `earliest` is unchanged: it is no later than the old entry's expiry, and the new entry expires later.
        self.swept_until = self.swept_until.max(over.until());
        Some(())
    }

    /// Puts an id in a free place, and returns the number of removed expired entries. Only this function fills the table,
    /// so only this one sweeps.
    pub(super) fn insert(
        &mut self,
        place: Option<usize>,
        hash: Hash,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<usize> {
        let entry = Entry::new(hash, until, now);
        let (place, removed) = match place {
            Some(place) if self.taken.saturating_mul(3) < self.places.len().saturating_mul(2) => (place, 0),
            _ => {
                let removed = self.make_room(now);
                (self.free(hash)?, removed)
            }
        };

        *self.places.get_mut(place)? = entry;
        self.taken = self.taken.saturating_add(1);
        self.earliest = self.earliest.min(entry.until);
        Some(removed.saturating_add(self.sweep_on(now)))
    }

    /// Occasionally removes some of the expired entries, and returns their number.
    fn sweep_on(&mut self, now: Timestamp) -> usize {
        self.inserts = self.inserts.wrapping_add(1);
        if !self.inserts.is_multiple_of(INSERTS_PER_SWEEP) || !self.may_be_over(now) {
            return 0;
        }

        let taken = self.taken;
        for _ in 0..PLACES_PER_SWEEP {
            match self.places.get(self.cursor) {
                None => self.cursor = 0,
                Some(entry) if entry.is_over(now) => self.remove(self.cursor),
                Some(_) => self.cursor = self.cursor.saturating_add(1),
            }
        }
        taken.saturating_sub(self.taken)
    }

    /// Removes all expired entries, and returns their number.
    pub(super) fn sweep(&mut self, now: Timestamp) -> usize {
        // Without this check, a full store would scan all entries for each claim that it refuses.
        if !self.may_be_over(now) {
            return 0;
        }

        let taken = self.taken;
        let mut earliest = u32::MAX;
        let mut place = 0_usize;
        while let Some(entry) = self.places.get(place) {
            if entry.is_over(now) {
                self.remove(place);
                continue;
            }
            if !entry.is_free() {
                earliest = earliest.min(entry.until);
            }
            place = place.saturating_add(1);
        }
        self.earliest = earliest;
        taken.saturating_sub(self.taken)
    }

    /// Looks for an id.
    pub(super) fn find(&self, hash: Hash, now: Timestamp) -> Place {
        let mut over = None;
        let mut place = self.home(hash);
        loop {
            let Some(entry) = self.places.get(place) else {
                return Place::Nowhere;
            };
            if entry.is_free() {
                return over.map_or(Place::Free(place), Place::Over);
            }
            if entry.hash == hash {
                return Place::Known(place);
            }
            if over.is_none() && entry.is_over(now) {
                over = Some(place);
            }
            place = self.after(place);
        }
    }

    /// Returns the time up to which removed entries expired.
    pub(super) fn swept_until(&self) -> Timestamp {
        self.swept_until
    }

    /// Frees a place, and moves later entries so that each remains reachable from the place of its hash.
    fn remove(&mut self, mut gap: usize) {
        if let Some(entry) = self.places.get(gap) {
            self.swept_until = self.swept_until.max(entry.until());
        }
        self.taken = self.taken.saturating_sub(1);

        let mut place = gap;
        loop {
            place = self.after(place);
            let Some(entry) = self.places.get(place).copied().filter(|entry| !entry.is_free()) else {
                break;
            };
            // An entry may move into the gap unless its home lies behind the gap, cyclically.
            if self.distance(self.home(entry.hash), place) >= self.distance(gap, place) {
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

    /// Makes room, at least a third of all places, so that probes are short. Removes expired entries first. If that is not
    /// enough, the table grows by a third; doubling would leave most places empty.
    fn make_room(&mut self, now: Timestamp) -> usize {
        let removed = self.sweep(now);
        let places = self.places.len();
        if self.taken.saturating_mul(5) < places.saturating_mul(3) {
            return removed;
        }

        let more = places.saturating_add(places / 3).max(MIN_PLACES);
        let old = mem::replace(&mut self.places, vec![Entry::FREE; more]);
        for entry in old.into_iter().filter(|entry| !entry.is_free()) {
            if let Some(place) = self.free(entry.hash).and_then(|place| self.places.get_mut(place)) {
                *place = entry;
            }
        }
        removed
    }

    /// Returns the free place for an absent id.
    fn free(&self, hash: Hash) -> Option<usize> {
        let mut place = self.home(hash);
        while !self.places.get(place)?.is_free() {
            place = self.after(place);
        }
        Some(place)
    }

    fn may_be_over(&self, now: Timestamp) -> bool {
        u64::from(self.earliest) <= now.as_secs()
    }

    /// Spreads hashes evenly over any number of places.
    fn home(&self, hash: Hash) -> usize {
        let wide = u128::from(hash.0).saturating_mul(self.places.len() as u128);

        usize::try_from(wide >> 64).unwrap_or(usize::MAX)
    }

    fn after(&self, place: usize) -> usize {
        let next = place.saturating_add(1);

        if next < self.places.len() { next } else { 0 }
    }

    /// The cyclic distance from `from` to `to`.
    fn distance(&self, from: usize, to: usize) -> usize {
        match to.checked_sub(from) {
            Some(ahead) => ahead,
            None => self.places.len().saturating_sub(from).saturating_add(to),
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            taken: 0,
            earliest: u32::MAX,
            swept_until: Timestamp::default(),
            cursor: 0,
            inserts: 0,
        }
    }
}

/// An entry for one id. `until` is in seconds, rounded up: an entry may be kept a second longer, never shorter.
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

    fn is_free(&self) -> bool {
        self.until == 0
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.is_free() && self.until() <= now
    }

    fn until(&self) -> Timestamp {
        Timestamp::from_secs(self.until.into())
    }

    fn first_seen(&self, now: Timestamp) -> Timestamp {
        let back = low_millis(now).wrapping_sub(self.first_seen);
        // If the clock was set back, the difference wraps. The first use then counts as just now.
        let back = if back > u32::MAX / 2 { 0 } else { back };
        now.saturating_sub(Duration::from_millis(back.into()))
    }
}

fn seconds_up(time: Timestamp) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

fn low_millis(time: Timestamp) -> u32 {
    let [a, b, c, d, ..] = time.as_millis().to_le_bytes();

    u32::from_le_bytes([a, b, c, d])
}

const MIN_PLACES: usize = 16;

/// The number of new ids between two steps of the sweep: reading one long stretch is faster than several short ones.
const INSERTS_PER_SWEEP: u32 = 16;

/// With this stride, the sweep completes a round before the number of new ids reaches half the number of live ids.
const PLACES_PER_SWEEP: u32 = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// Spreads the ids over the table.
    fn hash(id: u64) -> Hash {
        Hash(id.wrapping_mul(0x9E37_79B9_7F4A_7C15), id)
    }

    /// Claims like the store, without a capacity.
    fn claim(table: &mut Table, hash: Hash, until: Timestamp, now: Timestamp) {
        let done = match table.find(hash, now) {
            Place::Known(place) => table.renew(place, until, now).map(drop),
            _ if until <= now.max(table.swept_until()) => Some(()),
            Place::Over(place) => table.replace(place, hash, until, now),
            Place::Free(place) => table.insert(Some(place), hash, until, now).map(drop),
            Place::Nowhere => table.insert(None, hash, until, now).map(drop),
        };
        assert_eq!(done, Some(()));
    }

    /// R160: a full store is swept for each claim that it refuses, and must not scan all entries each time.
    #[test]
    fn full_table_is_walked_only_when_an_entry_may_be_over() {
        let mut table = Table::default();
        for id in 0..100 {
            claim(&mut table, hash(id), at(100), at(9));
        }

        let mut walks = Vec::new();
        for second in 10..500 {
            // Each claim is for a token with a later expiry, so a scan finds that nothing has expired yet, and records
            // that.
            for id in 0..100 {
                claim(&mut table, hash(id), at(second + 90), at(second));
            }
            for _ in 0..10 {
                let thought = table.earliest;
                assert_eq!(table.sweep(at(second)), 0);
                if table.earliest != thought {
                    walks.push(second);
                }
            }
        }

        assert_eq!(walks, [100, 190, 280, 370, 460]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// R160: otherwise a sweep would miss expired entries, and a store would stay full, whatever the clock does.
        #[test]
        fn no_entry_is_over_before_the_table_looks_for_it(
            steps in proptest::collection::vec((0_u64..40, 0_u64..60_000, 0_u64..60_000), 1..300),
        ) {
            let mut table = Table::default();
            for (id, now, lifetime) in steps {
                let now = Timestamp::from_millis(now);
                if id == 0 {
                    table.sweep(now);
                } else {
                    claim(&mut table, hash(id), now.saturating_add(Duration::from_millis(lifetime)), now);
                }

                let earliest = table.places.iter().filter(|entry| !entry.is_free()).map(|entry| entry.until).min();
                prop_assert!(earliest.is_none_or(|earliest| table.earliest <= earliest));
            }
        }
    }
}
