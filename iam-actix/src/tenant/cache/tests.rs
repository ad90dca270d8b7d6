use std::{collections::HashMap, time::Duration};

use iam_core::fingerprint::FingerprintKey;
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const TTL: Duration = Duration::from_secs(60);
const NEGATIVE_TTL: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    owner: u8,
    validity: Validity,
}

impl Conclusion for Seen {
    fn validity(&self) -> Validity {
        self.validity
    }
}

const fn of(owner: u8) -> Seen {
    until(owner, Timestamp::MAX)
}

const fn until(owner: u8, end: Timestamp) -> Seen {
    Seen {
        owner,
        validity: Validity::Until(end),
    }
}

const fn refused() -> Seen {
    Seen {
        owner: 0,
        validity: Validity::Refusal,
    }
}

fn settings() -> CacheSettings {
    CacheSettings::new(TTL).negative_ttl(NEGATIVE_TTL)
}

fn cache(limit: usize) -> Cache<Seen> {
    Cache::new(settings().max_entries(limit))
}

/// Makes fingerprints of numbers.
struct Keys(FingerprintKey);

impl Keys {
    fn new() -> Self {
        Self(FingerprintKey::random().unwrap())
    }

    fn of(&self, number: u32) -> Fingerprint {
        self.0.credential("default", "cookie", &number.to_le_bytes())
    }
}

fn put(cache: &Cache<Seen>, key: Fingerprint, value: Seen, now: Timestamp) {
    let token = cache.begin(key, now).unwrap();
    cache.fill(&token, value, now);
}

const fn after(millis: u64) -> Timestamp {
    Timestamp::from_millis(START.as_millis().saturating_add(millis))
}

/// R142
#[test]
fn a_hundred_thousand_keys_never_take_more_places_than_the_limit() {
    let keys = Keys::new();
    for limit in [1, 63, 64, 65, 1_000, 10_000] {
        let cache = cache(limit);
        for number in 0..100_000 {
            put(&cache, keys.of(number), of(1), START);
        }

        let len = cache.len();
        assert!(len <= limit, "{len} of {limit}");
        assert!(limit / 2 < len, "{len} of {limit}");
        assert!(cache.get(keys.of(99_999), START).is_some());
        assert!(cache.get(keys.of(0), START).is_none());
    }
}

/// D37: an entry that was written again was evicted as the oldest.
#[test]
fn the_least_recently_used_entry_is_evicted() {
    let keys = Keys::new();
    let cache = cache(3);
    for number in [1, 2, 3] {
        put(&cache, keys.of(number), of(1), START);
    }
    put(&cache, keys.of(1), of(2), START);
    assert!(cache.get(keys.of(2), START).is_some());

    put(&cache, keys.of(4), of(1), START);

    let left = [1, 2, 3, 4].map(|number| cache.get(keys.of(number), START).is_some());
    assert_eq!(left, [true, true, false, true]);
}

#[test]
fn an_entry_lives_as_long_as_its_ttl_counted_from_the_start_of_the_fetch() {
    let keys = Keys::new();
    let cache = cache(10);
    let token = cache.begin(keys.of(1), START).unwrap();
    cache.fill(&token, of(1), after(4_000));

    assert_eq!(cache.get(keys.of(1), after(59_999)), Some(of(1)));
    assert_eq!(cache.get(keys.of(1), after(60_000)), None);
    assert_eq!(cache.len(), 0, "an expired entry gives its place back");
}

/// R080
#[test]
fn an_entry_never_outlives_the_end_of_what_it_says() {
    let keys = Keys::new();
    let cache = cache(10);
    put(&cache, keys.of(1), until(1, after(2_000)), START);
    put(&cache, keys.of(2), until(1, START), START);

    assert!(cache.get(keys.of(1), after(1_999)).is_some());
    assert_eq!(cache.get(keys.of(1), after(2_000)), None);
    assert_eq!(cache.get(keys.of(2), START), None);
}

#[test]
fn a_fetch_that_took_longer_than_the_ttl_leaves_nothing() {
    let keys = Keys::new();
    let cache = cache(10);
    let token = cache.begin(keys.of(1), START).unwrap();

    cache.fill(&token, of(1), after(60_000));

    assert_eq!(cache.len(), 0);
}

#[test]
fn a_clock_that_was_set_back_does_not_make_entries_live_longer() {
    let keys = Keys::new();
    let cache = cache(10);
    put(&cache, keys.of(1), of(1), after(3_600_000));

    assert_eq!(cache.get(keys.of(1), START), None);
}

/// R080: the time of refusals is bounded by their own setting, whatever that of the others is.
#[test]
fn a_refusal_lives_as_long_as_its_own_ttl() {
    let keys = Keys::new();
    let cache = cache(10);
    put(&cache, keys.of(1), refused(), START);

    assert!(cache.get(keys.of(1), after(1_999)).is_some());
    assert_eq!(cache.get(keys.of(1), after(2_000)), None);
}

#[test]
fn what_has_a_ttl_of_zero_is_not_cached_and_the_other_kind_is() {
    let keys = Keys::new();
    for (ttl, negative_ttl, cached) in [
        (Duration::ZERO, NEGATIVE_TTL, [false, true]),
        (TTL, Duration::ZERO, [true, false]),
    ] {
        let cache = Cache::new(CacheSettings::new(ttl).negative_ttl(negative_ttl));
        put(&cache, keys.of(1), of(1), START);
        put(&cache, keys.of(2), refused(), START);

        let found = [1, 2].map(|number| cache.get(keys.of(number), START).is_some());
        assert_eq!(found, cached);
    }
}

/// R109, D20
#[test]
fn a_revocation_wins_over_a_fetch_that_began_before_it_whichever_ends_first() {
    let keys = Keys::new();
    let by_key = |cache: &Cache<Seen>| cache.revoke(keys.of(1));
    let by_value = |cache: &Cache<Seen>| cache.revoke_if(|seen| seen.owner == 1);
    for revoke in [&by_key as &dyn Fn(&Cache<Seen>), &by_value] {
        let cache = cache(1_000);
        let token = cache.begin(keys.of(1), START).unwrap();
        revoke(&cache);
        cache.fill(&token, of(1), START);
        assert_eq!(cache.get(keys.of(1), START), None, "revoked, then filled");

        let token = cache.begin(keys.of(1), START).unwrap();
        cache.fill(&token, of(1), START);
        assert!(
            cache.get(keys.of(1), START).is_some(),
            "began after the revocation"
        );
        revoke(&cache);
        assert_eq!(cache.get(keys.of(1), START), None, "filled, then revoked");
    }
}

#[test]
fn a_revocation_leaves_what_it_does_not_concern() {
    let keys = Keys::new();
    let cache = cache(1_000);
    for number in 0..100 {
        put(
            &cache,
            keys.of(number),
            of(u8::try_from(number % 2).unwrap()),
            START,
        );
    }

    cache.revoke_if(|seen| seen.owner == 1);
    cache.revoke(keys.of(0));

    for number in 1..100 {
        let is_found = cache.get(keys.of(number), START).is_some();
        assert_eq!(is_found, number % 2 == 0, "{number}");
    }
    assert_eq!(cache.get(keys.of(0), START), None);
}

#[test]
fn an_earlier_fetch_that_ends_later_does_not_replace_the_answer_of_a_later_one() {
    let keys = Keys::new();
    let cache = cache(10);
    let early = cache.begin(keys.of(1), START).unwrap();
    let late = cache.begin(keys.of(1), START).unwrap();

    cache.fill(&late, refused(), START);
    cache.fill(&early, of(1), START);

    assert_eq!(cache.get(keys.of(1), START), Some(refused()));
}

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Begin(u32),
    /// Ends one of the fetches that have begun.
    Fill(usize, Seen),
    Get(u32),
    Revoke(u32),
    RevokeOwner(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..4_u32;
    let seen = prop_oneof![
        3 => (1..3_u8, 0..90_000_u64).prop_map(|(owner, end)| until(owner, after(end))),
        1 => Just(refused()),
    ];
    prop_oneof![
        2 => (0..20_000_u64).prop_map(Step::Advance),
        4 => key.clone().prop_map(Step::Begin),
        6 => (any::<usize>(), seen).prop_map(|(index, seen)| Step::Fill(index, seen)),
        6 => key.clone().prop_map(Step::Get),
        1 => key.prop_map(Step::Revoke),
        1 => (1..3_u8).prop_map(Step::RevokeOwner),
    ]
}

/// What a cache of one shard without a limit holds: every fetch in the order of its start, and what became of it.
#[derive(Default)]
struct Model {
    fetches: Vec<Fetch>,
    held: HashMap<u32, usize>,
}

struct Fetch {
    key: u32,
    began: Timestamp,
    revoked: bool,
    seen: Option<Seen>,
}

impl Model {
    fn begin(&mut self, key: u32, now: Timestamp) {
        self.fetches.push(Fetch {
            key,
            began: now,
            revoked: false,
            seen: None,
        });
    }

    fn fill(&mut self, index: usize, seen: Seen, now: Timestamp) {
        let fetch = &mut self.fetches[index];
        fetch.seen = Some(seen);
        let is_superseded = self.held.get(&fetch.key).is_some_and(|held| index < *held);
        if !fetch.revoked && !is_superseded && now < deadline(fetch) {
            self.held.insert(fetch.key, index);
        }
    }

    fn revoke(&mut self, is_revoked: impl Fn(&Fetch) -> bool) {
        self.held.retain(|_, index| !is_revoked(&self.fetches[*index]));
        self.fetches.iter_mut().for_each(|fetch| fetch.revoked = true);
    }

    fn get(&mut self, key: u32, now: Timestamp) -> Option<Seen> {
        let fetch = &self.fetches[*self.held.get(&key)?];
        if now < deadline(fetch) {
            return fetch.seen.clone();
        }
        self.held.remove(&key);
        None
    }
}

fn deadline(fetch: &Fetch) -> Timestamp {
    match fetch.seen.as_ref().unwrap().validity {
        Validity::Never => fetch.began,
        Validity::Until(end) => fetch.began.saturating_add(TTL).min(end),
        Validity::Refusal => fetch.began.saturating_add(NEGATIVE_TTL),
    }
}

proptest! {
    #[test]
    fn the_cache_answers_as_a_list_of_all_fetches_does(steps in prop::collection::vec(step(), 1..120)) {
        let keys = Keys::new();
        // One shard, whose limit is out of reach.
        let cache = cache(64);
        let mut model = Model::default();
        let mut tokens = Vec::new();
        let mut now = START;
        for step in steps {
            match step {
                Step::Advance(millis) => now = now.saturating_add(Duration::from_millis(millis)),
                Step::Begin(key) => {
                    model.begin(key, now);
                    tokens.push(cache.begin(keys.of(key), now).unwrap());
                }
                Step::Fill(_, _) if tokens.is_empty() => {}
                Step::Fill(index, seen) => {
                    let index = index.checked_rem(tokens.len()).unwrap();
                    if model.fetches[index].seen.is_none() {
                        cache.fill(&tokens[index], seen.clone(), now);
                        model.fill(index, seen, now);
                    }
                }
                Step::Get(key) => prop_assert_eq!(cache.get(keys.of(key), now), model.get(key, now)),
                Step::Revoke(key) => {
                    cache.revoke(keys.of(key));
                    model.revoke(|fetch| fetch.key == key);
                }
                Step::RevokeOwner(owner) => {
                    cache.revoke_if(|seen| seen.owner == owner);
                    model.revoke(|fetch| fetch.seen.as_ref().is_some_and(|seen| seen.owner == owner));
                }
            }
        }
    }
}
