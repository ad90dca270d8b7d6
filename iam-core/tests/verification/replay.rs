//! An id is used once: under contention, under pressure, under a clock that jumps.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use iam_core::{
    clock::Timestamp,
    replay::{Claim, ClaimFuture, MemoryReplayStore, ReplayError, ReplayId, ReplayStore},
};
use proptest::prelude::*;

use crate::support::NOW;

const MINUTE: Duration = Duration::from_secs(60);

fn id(jti: &str) -> ReplayId<'_> {
    ReplayId {
        tenant: "default",
        issuer: "https://issuer.example/",
        jti,
    }
}

fn claim(
    store: &MemoryReplayStore,
    jti: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Claim, ReplayError> {
    store.claim_now(id(jti), until, now)
}

fn until() -> Timestamp {
    NOW.saturating_add(MINUTE)
}

#[test]
fn first_claim_wins_and_later_ones_learn_when_it_was() {
    let store = MemoryReplayStore::new(10);
    let later = NOW.saturating_add(Duration::from_millis(300));

    assert_eq!(claim(&store, "a", until(), NOW), Ok(Claim::First));
    assert_eq!(
        claim(&store, "a", until(), later),
        Ok(Claim::Replayed { first_seen: NOW })
    );
    assert_eq!(claim(&store, "b", until(), later), Ok(Claim::First));
    assert_eq!(store.len(), 2);
}

/// R158, D3: the same `jti` of another tenant or issuer is another id, and no two fields run together.
#[test]
fn id_is_unique_for_its_tenant_and_issuer() {
    let store = MemoryReplayStore::new(100);
    for (tenant, issuer, jti) in [
        ("a", "b", "c"),
        ("a2", "b", "c"),
        ("a", "b2", "c"),
        ("a", "b", "c2"),
        ("ab", "", "c"),
        ("", "ab", "c"),
        ("a", "bc", ""),
        ("", "", "abc"),
    ] {
        let id = ReplayId { tenant, issuer, jti };
        assert_eq!(
            store.claim_now(id, until(), NOW),
            Ok(Claim::First),
            "{id:?} {jti}"
        );
        assert!(matches!(
            store.claim_now(id, until(), NOW),
            Ok(Claim::Replayed { .. })
        ));
    }
}

#[test]
fn long_ids_are_told_apart_by_their_last_byte() {
    let store = MemoryReplayStore::new(10);
    let (one, two) = (
        format!("{}1", "x".repeat(10_000)),
        format!("{}2", "x".repeat(10_000)),
    );

    assert_eq!(claim(&store, &one, until(), NOW), Ok(Claim::First));
    assert_eq!(claim(&store, &two, until(), NOW), Ok(Claim::First));
    assert!(matches!(
        claim(&store, &one, until(), NOW),
        Ok(Claim::Replayed { .. })
    ));
}

/// R159, D3: to the last millisecond of `exp` and skew, whatever else is claimed meanwhile.
#[test]
fn id_is_remembered_as_long_as_its_token_could_be_accepted() {
    let store = MemoryReplayStore::new(100_000);
    let until = NOW.saturating_add(Duration::from_secs(3600 + 30));
    assert_eq!(claim(&store, "a", until, NOW), Ok(Claim::First));
    for second in 1..3630_u64 {
        let now = NOW.saturating_add(Duration::from_secs(second));
        for filler in 0..5 {
            let filler = format!("{second}-{filler}");
            assert_eq!(
                claim(&store, &filler, now.saturating_add(MINUTE), now),
                Ok(Claim::First)
            );
        }
        assert!(
            matches!(claim(&store, "a", until, now), Ok(Claim::Replayed { .. })),
            "{second}"
        );
    }
    let last = until.saturating_sub(Duration::from_millis(1));
    assert!(matches!(
        claim(&store, "a", until, last),
        Ok(Claim::Replayed { .. })
    ));
}

/// R160, D3: no live entry makes room for another.
#[test]
fn full_store_refuses_and_forgets_nothing() {
    let store = MemoryReplayStore::new(3);
    for jti in ["a", "b", "c"] {
        assert_eq!(claim(&store, jti, until(), NOW), Ok(Claim::First));
    }
    for _ in 0..10 {
        assert_eq!(claim(&store, "d", until(), NOW), Err(ReplayError::Full));
        for jti in ["a", "b", "c"] {
            assert_eq!(
                claim(&store, jti, until(), NOW),
                Ok(Claim::Replayed { first_seen: NOW })
            );
        }
    }
    assert_eq!(
        MemoryReplayStore::new(0).claim_now(id("a"), until(), NOW),
        Err(ReplayError::Full)
    );
}

/// Expired entries make room, wherever they lie.
#[test]
fn expired_ids_make_room() {
    let store = MemoryReplayStore::new(1_000);
    let mut now = NOW;
    for round in 0..20 {
        for jti in 0..1_000 {
            let jti = format!("{round}-{jti}");
            assert_eq!(
                claim(&store, &jti, now.saturating_add(MINUTE), now),
                Ok(Claim::First)
            );
        }
        assert_eq!(
            claim(&store, "one more", now.saturating_add(MINUTE), now),
            Err(ReplayError::Full)
        );
        now = now.saturating_add(MINUTE * 2);
    }
    assert!(store.len() <= 1_000);
}

/// The sweep keeps up with the claims: memory follows the live ids, not all that ever were.
#[test]
fn places_of_expired_ids_are_used_again() {
    let store = MemoryReplayStore::new(1_000_000);
    for second in 0..2_000_u64 {
        let now = NOW.saturating_add(Duration::from_secs(second));
        for jti in 0..20 {
            let jti = format!("{second}-{jti}");
            assert_eq!(
                claim(&store, &jti, now.saturating_add(MINUTE), now),
                Ok(Claim::First)
            );
        }
    }
    assert!(store.len() < 20 * 60 * 2, "{}", store.len());
}

/// R161: a jump of the clock, there and back, resurrects nothing.
#[test]
fn clock_that_jumps_ahead_and_back_resurrects_no_id() {
    let store = MemoryReplayStore::new(10_000);
    for jti in 0..1_000 {
        assert_eq!(claim(&store, &jti.to_string(), until(), NOW), Ok(Claim::First));
    }
    let ahead = NOW.saturating_add(Duration::from_secs(3600));
    for jti in 1_000..3_000 {
        assert_eq!(
            claim(&store, &jti.to_string(), ahead.saturating_add(MINUTE), ahead),
            Ok(Claim::First)
        );
    }
    for jti in 0..1_000 {
        assert!(
            matches!(
                claim(&store, &jti.to_string(), until(), NOW),
                Ok(Claim::Replayed { .. })
            ),
            "{jti}"
        );
    }
    // Tokens issued from now on outlive what was forgotten.
    assert_eq!(
        claim(&store, "new", until().saturating_add(Duration::from_secs(1)), NOW),
        Ok(Claim::First)
    );
}

/// R161: nor does one that went there and back while another id took the place of the first. Whether it does is up to the key of the
/// store: so there are many.
#[test]
fn id_whose_place_was_taken_is_not_first_again_when_the_clock_goes_back() {
    let secs = Timestamp::from_secs;
    let mut taken = 0;
    for _ in 0..10_000 {
        let store = MemoryReplayStore::new(10);
        assert_eq!(claim(&store, "a", secs(100), secs(10)), Ok(Claim::First));
        assert_eq!(claim(&store, "b", secs(300), secs(200)), Ok(Claim::First));
        if store.len() > 1 {
            continue;
        }

        taken += 1;
        assert!(matches!(
            claim(&store, "a", secs(100), secs(10)),
            Ok(Claim::Replayed { .. })
        ));
    }
    assert!(taken > 0);
}

/// An id whose time is over counts as used; the store never promises what it cannot remember.
#[test]
fn id_whose_time_is_over_is_never_the_first() {
    let store = MemoryReplayStore::new(10);

    for until in [NOW, NOW.saturating_sub(MINUTE), Timestamp::default()] {
        assert!(matches!(
            claim(&store, "a", until, NOW),
            Ok(Claim::Replayed { .. })
        ));
    }
    assert!(store.is_empty());
}

/// A second token with the same id and a longer life prolongs the memory of it.
#[test]
fn replay_with_a_longer_life_is_remembered_as_long() {
    let store = MemoryReplayStore::new(100);
    let longer = NOW.saturating_add(MINUTE * 10);
    assert_eq!(claim(&store, "a", until(), NOW), Ok(Claim::First));
    assert!(matches!(
        claim(&store, "a", longer, NOW),
        Ok(Claim::Replayed { .. })
    ));
    let later = NOW.saturating_add(MINUTE * 5);
    for filler in 0..50 {
        let filler = format!("filler {filler}");
        assert_eq!(
            claim(&store, &filler, later.saturating_add(MINUTE), later),
            Ok(Claim::First)
        );
    }

    assert!(matches!(
        claim(&store, "a", longer, later),
        Ok(Claim::Replayed { .. })
    ));
}

/// R158, D2, R181: two hundred claims of one id at once, fifty times; then many ids at once from all threads.
#[test]
fn of_simultaneous_claims_exactly_one_is_the_first() {
    let store = Arc::new(MemoryReplayStore::new(100_000));
    let firsts = AtomicUsize::new(0);
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..50 {
                    barrier.wait();
                    for _ in 0..25 {
                        if claim(&store, &format!("round {round}"), until(), NOW) == Ok(Claim::First) {
                            firsts.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                for jti in 0..5_000 {
                    if claim(&store, &jti.to_string(), until(), NOW) == Ok(Claim::First) {
                        firsts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });

    assert_eq!(firsts.load(Ordering::Relaxed), 50 + 5_000);
    assert_eq!(store.len(), 5_050);
}

/// R160: the bound holds under contention as well.
#[test]
fn simultaneous_claims_never_exceed_the_capacity() {
    let store = MemoryReplayStore::new(1_000);
    let firsts = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (store, firsts) = (&store, &firsts);
            scope.spawn(move || {
                for jti in 0..1_000 {
                    if claim(store, &format!("{thread}-{jti}"), until(), NOW) == Ok(Claim::First) {
                        firsts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });

    assert_eq!(firsts.load(Ordering::Relaxed), 1_000);
    assert_eq!(store.len(), 1_000);
}

#[test]
fn port_answers_at_once_or_later() {
    let poll = |mut future: ClaimFuture| {
        std::pin::Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
    };
    let store: Arc<dyn ReplayStore> = Arc::new(MemoryReplayStore::new(10));

    assert_eq!(
        poll(store.claim(id("a"), until(), NOW)),
        Poll::Ready(Ok(Claim::First))
    );
    assert_eq!(
        poll(ClaimFuture::boxed(async { Err(ReplayError::Unavailable) })),
        Poll::Ready(Err(ReplayError::Unavailable))
    );
    assert_eq!(poll(ClaimFuture::boxed(std::future::pending())), Poll::Pending);
}

/// R131: ids do not print.
#[test]
fn debug_output_holds_no_id() {
    let store = MemoryReplayStore::new(10);
    assert_eq!(claim(&store, "canary", until(), NOW), Ok(Claim::First));

    assert!(!format!("{store:?} {:?}", id("canary")).contains("canary"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// R158, R159: against a map that forgets nothing, time running forward. An entry lives to the end of its last second.
    #[test]
    fn store_agrees_with_a_naive_one(claims in proptest::collection::vec((0_u8..30, 1_u64..40_000, 0_u64..9_000), 1..300)) {
        let store = MemoryReplayStore::new(1_000);
        let mut naive = std::collections::HashMap::new();
        let mut now = NOW;
        for (jti, lifetime, pause) in claims {
            now = now.saturating_add(Duration::from_millis(pause));
            let until = now.saturating_add(Duration::from_millis(lifetime));
            let known: Option<&mut Timestamp> = naive.get_mut(&jti);
            let expected_first = known.as_ref().is_none_or(|known| **known <= now);
            let until_up = Timestamp::from_secs(until.as_millis().div_ceil(1000));
            let latest = known.map_or(until_up, |known| (*known).max(until_up));
            naive.insert(jti, latest);

            let first = claim(&store, &jti.to_string(), until, now) == Ok(Claim::First);
            prop_assert_eq!(first, expected_first);
        }
    }
}
