//! Keys come, go and age; valid tokens are not refused for it, and removed or outdated keys are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use iam_core::{
    clock::Timestamp,
    jwks::{KeyLimits, KeySet, KeyStatus, KeyStore, RefreshPolicy},
    jwt::{Algorithm, TokenFault, Verifier, VerifyError},
};
use serde_json::{Value, json};

use crate::support::{ABSENT, NOW, Signer, claims_with, key_set, profile};

const DAY: u64 = 24 * 60 * 60;

struct World {
    store: Arc<KeyStore>,
    verifier: Verifier,
    old: Signer,
    new: Signer,
}

impl World {
    /// With a cache, so that it is tested along.
    fn new() -> Self {
        let store = Arc::new(KeyStore::remote(RefreshPolicy::default()));
        let verifier = Verifier::new(profile().build().unwrap(), Arc::clone(&store), 100);
        let (old, new) = (
            Signer::named("old", Algorithm::EdDsa),
            Signer::named("new", Algorithm::EdDsa),
        );
        Self {
            store,
            verifier,
            old,
            new,
        }
    }

    fn install<const N: usize>(&self, signers: [&Signer; N], secs: u64) {
        self.store.install(key_set(signers.map(Signer::jwk)), at(secs));
    }

    /// Installs a set in which not every key is usable.
    fn install_with_faults(&self, keys: Vec<Value>, secs: u64) {
        let body = json!({ "keys": keys }).to_string();
        let (set, problems) = KeySet::parse(body.as_bytes(), KeyLimits::default()).unwrap();
        assert!(!problems.is_empty());
        self.store.install(set, at(secs));
    }

    /// Verifies one long-lived token of a signer.
    fn verdict(&self, signer: &Signer, secs: u64) -> Option<VerifyError> {
        let token = signer.token(&claims_with(
            json!({"exp": NOW.as_secs() + DAY - 60, "jti": signer.kid}),
        ));
        self.verifier.verify(token.as_bytes(), at(secs)).err()
    }
}

fn at(secs: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(secs))
}

/// R083, D16: no keys is no answer, and not a forged signature.
#[test]
fn without_a_first_fetch_there_is_no_answer() {
    let world = World::new();
    assert_eq!(world.verdict(&world.old, 0), Some(VerifyError::KeysUnavailable));
    world.store.fetch_failed(at(1));
    assert_eq!(world.verdict(&world.old, 2), Some(VerifyError::KeysUnavailable));
    assert_eq!(world.store.status(at(2)), KeyStatus::Unavailable);

    world.install([&world.old], 3);
    assert_eq!(world.verdict(&world.old, 3), None);
    assert_eq!(world.store.status(at(3)), KeyStatus::Fresh);
}

/// D16: the last good set serves for refresh and stale together, to the millisecond; then nothing, cached tokens included.
#[test]
fn outage_is_bridged_for_the_stated_time_and_no_longer() {
    let world = World::new();
    world.install([&world.old], 0);
    assert_eq!(world.verdict(&world.old, 1), None);
    world.store.fetch_failed(at(600));
    world.store.fetch_failed(at(700));
    assert_eq!(world.store.status(at(700)), KeyStatus::Stale { since: at(600) });

    let end = 600 + 3600;
    assert_eq!(world.verdict(&world.old, end - 1), None);
    assert_eq!(world.verdict(&world.old, end), Some(VerifyError::KeysUnavailable));
    assert_eq!(world.verdict(&world.new, end), Some(VerifyError::KeysUnavailable));
    assert_eq!(world.store.status(at(end)), KeyStatus::Unavailable);

    world.install([&world.old], end + 5);
    assert_eq!(world.verdict(&world.old, end + 5), None);
    assert_eq!(world.store.status(at(end + 5)), KeyStatus::Fresh);
}

/// 2.3, R036: a key whose private part is published, or whose id means two keys now, verifies no longer, without a grace.
#[test]
fn key_that_became_an_incident_had_its_grace() {
    let fresh = || {
        let world = World::new();
        world.install([&world.old, &world.new], 0);
        assert_eq!(world.verdict(&world.old, 0), None);
        world
    };

    let world = fresh();
    let leaked = world.old.jwk_with(json!({"d": "AQAB"}));
    world.install_with_faults(vec![leaked, world.new.jwk()], 1);
    assert_eq!(world.verdict(&world.old, 1), Some(VerifyError::UnknownKey));
    assert_eq!(world.verdict(&world.new, 1), None);

    let world = fresh();
    let impostor = Signer::named("old", Algorithm::EdDsa);
    world.install_with_faults(vec![world.old.jwk(), impostor.jwk(), world.new.jwk()], 1);
    assert_eq!(world.verdict(&world.old, 1), Some(VerifyError::UnknownKey));
    assert_eq!(world.verdict(&impostor, 1), Some(VerifyError::UnknownKey));
    assert_eq!(world.verdict(&world.new, 1), None);
}

/// R153: a key that leaves the set is refused after its grace, and its tokens leave the cache.
#[test]
fn removed_key_is_refused_after_its_grace() {
    let world = World::new();
    world.install([&world.old], 0);
    assert_eq!(world.verdict(&world.old, 0), None);
    assert_eq!(world.verdict(&world.new, 0), Some(VerifyError::UnknownKey));

    world.install([&world.new], 100);
    assert_eq!(world.verdict(&world.new, 100), None);
    assert_eq!(world.verdict(&world.old, 100), None);
    assert_eq!(world.verdict(&world.old, 159), None);
    assert_eq!(world.verdict(&world.old, 160), Some(VerifyError::UnknownKey));
    assert_eq!(world.verdict(&world.new, 160), None);
}

/// R153: the grace of a key is not prolonged by further fetches.
#[test]
fn grace_begins_once() {
    let world = World::new();
    world.install([&world.old], 0);
    for secs in (100..=150).step_by(10) {
        world.install([&world.new], secs);
    }

    assert_eq!(world.verdict(&world.old, 159), None);
    assert_eq!(world.verdict(&world.old, 160), Some(VerifyError::UnknownKey));
}

/// R153: a purge ends the grace at once, for cached tokens too.
#[test]
fn purge_ends_the_grace_at_once() {
    let world = World::new();
    world.install([&world.old], 0);
    world.install([&world.new], 10);
    assert_eq!(world.verdict(&world.old, 11), None);

    assert_eq!(world.store.purge(at(12)), 1);
    assert_eq!(world.verdict(&world.old, 12), Some(VerifyError::UnknownKey));
    assert_eq!(world.verdict(&world.new, 12), None);
    assert_eq!(world.store.purge(at(13)), 0);
}

#[test]
fn key_that_comes_back_is_current_again() {
    let world = World::new();
    world.install([&world.old], 0);
    world.install([&world.new], 10);
    world.install([&world.old, &world.new], 20);

    assert_eq!(world.verdict(&world.old, 200), None);
    assert_eq!(world.store.purge(at(201)), 0);
}

/// An issuer that withdraws everything is believed.
#[test]
fn empty_set_retires_every_key() {
    let world = World::new();
    world.install([&world.old], 0);
    assert_eq!(world.verdict(&world.old, 1), None);
    world.install([], 10);

    assert_eq!(world.verdict(&world.old, 69), None);
    assert_eq!(world.verdict(&world.old, 70), Some(VerifyError::UnknownKey));
}

/// An id names one key: the successor under the same id ends its predecessor's grace before it begins.
#[test]
fn key_replaced_under_its_own_id_has_no_grace() {
    let world = World::new();
    let successor = Signer::named("old", Algorithm::EdDsa);
    world.install([&world.old], 0);
    assert_eq!(world.verdict(&world.old, 1), None);
    world.install([&successor], 10);

    assert_eq!(world.verdict(&world.old, 10), Some(VerifyError::InvalidSignature));
    assert_eq!(world.verdict(&successor, 10), None);
}

/// R153: also where its predecessor is on grace already, and its tokens are in the cache.
#[test]
fn key_on_grace_ends_with_the_successor_under_its_id() {
    let world = World::new();
    let successor = Signer::named("old", Algorithm::EdDsa);
    world.install([&world.old, &world.new], 0);
    world.install([&world.new], 10);
    assert_eq!(world.verdict(&world.old, 11), None);

    world.install([&successor, &world.new], 12);

    assert_eq!(world.verdict(&world.old, 13), Some(VerifyError::InvalidSignature));
    assert_eq!(world.verdict(&successor, 13), None);
}

/// R153: the cache knows no more of keys on grace than the store does.
#[test]
fn key_that_is_dropped_early_leaves_no_token_in_the_cache() {
    let world = World::new();
    world.install([&world.old], 0);
    world.install([], 10);
    assert_eq!(world.verdict(&world.old, 11), None);

    for round in 0..21 {
        let others: Vec<_> = (0..10)
            .map(|index| {
                let signer = Signer::new(Algorithm::EdDsa);
                signer.jwk_with(json!({"kid": format!("{round}-{index}")}))
            })
            .collect();
        world.store.install(key_set(others), at(12));
    }

    assert_eq!(world.verdict(&world.old, 13), Some(VerifyError::UnknownKey));
}

/// R153: a token that names no key is good only while one key alone can have signed it, from the cache as well.
#[test]
fn cached_token_without_a_key_id_is_refused_when_it_may_be_of_another_key() {
    let world = World::new();
    let token = world.old.raw(
        json!({"alg": "EdDSA", "typ": "JWT"}).to_string(),
        claims_with(json!({})).to_string(),
    );
    world.install([&world.old], 0);
    assert!(world.verifier.examine(token.as_bytes(), at(1)).is_ok());

    world.install([&world.old, &world.new], 2);

    assert_eq!(
        world.verifier.examine(token.as_bytes(), at(3)).err(),
        Some(TokenFault::KeyIdMissing)
    );
}

/// R153: the same numbers with another `alg` are another key.
#[test]
fn key_that_changes_its_algorithm_is_another_key() {
    let store = Arc::new(KeyStore::remote(RefreshPolicy::default()));
    let verifier = Verifier::new(profile().build().unwrap(), Arc::clone(&store), 100);
    let signer = Signer::new(Algorithm::Rs256);
    let token = signer.token(&claims_with(json!({})));
    store.install(key_set([signer.jwk_with(json!({"alg": "RS256"}))]), NOW);
    assert!(verifier.verify(token.as_bytes(), NOW).is_ok());

    let change = store.install(key_set([signer.jwk_with(json!({"alg": "PS256"}))]), NOW);

    assert_eq!((change.added, change.removed), (1, 1));
    assert_eq!(
        verifier.verify(token.as_bytes(), NOW).err(),
        Some(VerifyError::InvalidSignature)
    );
}

/// A fetch that finds nothing new changes nothing: cached tokens stay in the cache.
#[test]
fn unchanged_set_keeps_cached_tokens() {
    let world = World::new();
    let token = world.old.token(&claims_with(json!({})));
    let verify = || world.verifier.verify(token.as_bytes(), at(1)).unwrap();
    world.install([&world.old, &world.new], 0);
    let claims = verify();

    world.install([&world.old, &world.new], 20);
    world.install([&world.new, &world.old], 30);
    assert!(Arc::ptr_eq(&claims, &verify()));
    world.install([&world.old], 40);
    assert!(!Arc::ptr_eq(&claims, &verify()));
}

/// R034, R153: a current key of another type takes no grace from one of the same id, and answers for none of its tokens.
#[test]
fn retired_key_keeps_its_grace_beside_a_key_of_another_type_and_the_same_id() {
    let world = World::new();
    let ec = Signer::named("old", Algorithm::Es256);
    world.install([&world.old], 0);
    assert_eq!(world.verdict(&world.old, 1), None);
    world.install([&ec], 10);

    assert_eq!(world.verdict(&ec, 11), None);
    assert_eq!(world.verdict(&world.old, 69), None);
    assert_eq!(world.verdict(&world.old, 70), Some(VerifyError::InvalidSignature));
    assert_eq!(world.verdict(&ec, 70), None);

    // The other way round, with the successor of its own type in between.
    world.install([&world.old], 100);
    assert_eq!(world.verdict(&ec, 101), None);
    let successor = Signer::named("old", Algorithm::Es256);
    world.install([&world.old, &successor], 110);
    assert_eq!(world.verdict(&ec, 111), Some(VerifyError::InvalidSignature));
    assert_eq!(world.verdict(&successor, 111), None);
    assert_eq!(world.verdict(&world.old, 111), None);
    assert_eq!(world.store.purge(at(112)), 0);
}

/// R034, R153: of two keys of one id, the one that stays does not shorten the grace of the one that leaves.
#[test]
fn key_that_leaves_another_key_of_its_id_behind_has_its_grace() {
    let world = World::new();
    let ec = Signer::named("old", Algorithm::Es256);
    world.install([&world.old, &ec], 0);
    world.install([&ec], 10);

    assert_eq!(world.verdict(&world.old, 69), None);
    assert_eq!(world.verdict(&world.old, 70), Some(VerifyError::InvalidSignature));
    assert_eq!(world.verdict(&ec, 70), None);
}

/// An operator who reads `kid_unknown` looks for a forger; a withdrawn key points at `grace`.
#[test]
fn token_of_a_key_that_left_the_set_within_the_hour_is_told_apart() {
    let world = World::new();
    let fault = |signer: &Signer, secs: u64| {
        let token = signer.token(&claims_with(json!({"exp": NOW.as_secs() + DAY - 60})));
        world.verifier.examine(token.as_bytes(), at(secs)).err()
    };
    world.install([&world.old], 0);
    world.install([&world.new], 10);

    assert_eq!(fault(&world.old, 69), None);
    assert_eq!(fault(&world.old, 70), Some(TokenFault::KeyWithdrawn));
    assert_eq!(TokenFault::KeyWithdrawn.error(), VerifyError::UnknownKey);
    let stranger = Signer::named("stranger", Algorithm::EdDsa);
    assert_eq!(fault(&stranger, 70), Some(TokenFault::KeyUnknown));
    // Fetches that find the same prolong nothing, and a purge takes nothing away.
    world.install([&world.new], 3000);
    world.store.purge(at(3001));
    assert_eq!(fault(&world.old, 3609), Some(TokenFault::KeyWithdrawn));
    assert_eq!(fault(&world.old, 3610), Some(TokenFault::KeyUnknown));

    // A key that comes back is not withdrawn.
    world.install([&world.old], 3700);
    assert_eq!(fault(&world.old, 3701), None);
    world.store.purge(at(3702));
    assert_eq!(fault(&world.new, 3703), Some(TokenFault::KeyWithdrawn));
}

/// The memory for withdrawn ids is bounded: of too many, the longest withdrawn is forgotten.
#[test]
fn of_too_many_withdrawn_ids_the_longest_withdrawn_is_forgotten() {
    let world = World::new();
    world.install([&world.old], 0);
    let fault = |secs: u64| {
        let token = world.old.token(&claims_with(json!({})));
        world.verifier.examine(token.as_bytes(), at(secs)).err()
    };
    let install = |round: u64, count: usize| {
        let keys = (0..count).map(|index| world.new.jwk_with(json!({"kid": format!("{round}-{index}")})));
        world.store.install(key_set(keys), at(10 + round));
    };
    install(0, 0);
    world.store.purge(at(10));
    install(1, 99);
    install(2, 99);
    install(3, 1);
    assert_eq!(fault(20), Some(TokenFault::KeyWithdrawn));
    install(4, 1);
    install(5, 1);
    assert_eq!(fault(20), Some(TokenFault::KeyUnknown));
}

/// Nothing verifies, and yet every fetch succeeds: readiness and log have to be able to say so.
#[test]
fn set_without_a_usable_key_has_a_status_of_its_own() {
    let world = World::new();
    world.install([&world.old], 0);
    let change = world.store.install(KeySet::default(), at(10));
    assert_eq!((change.removed, change.usable), (1, 0));
    assert_eq!(world.store.status(at(11)), KeyStatus::Empty);
    world.store.fetch_failed(at(20));
    assert_eq!(world.store.status(at(21)), KeyStatus::Empty);

    let change = world.store.install(key_set([world.new.jwk()]), at(30));
    assert_eq!((change.added, change.usable), (1, 1));
    assert_eq!(world.store.status(at(31)), KeyStatus::Fresh);
    assert_eq!(KeyStore::fixed(KeySet::default()).status(NOW), KeyStatus::Empty);
}

#[test]
fn fixed_keys_never_age_and_take_nothing_over() {
    let signer = Signer::named("old", Algorithm::EdDsa);
    let store = Arc::new(KeyStore::fixed(key_set([signer.jwk()])));
    store.fetch_failed(NOW);
    let change = store.install(KeySet::default(), NOW);

    assert_eq!((change.added, change.removed), (0, 0));
    assert_eq!(
        store.status(Timestamp::from_secs(u64::MAX / 2000)),
        KeyStatus::Fresh
    );
    let verifier = Verifier::new(profile().build().unwrap(), Arc::clone(&store), 0);
    let token = signer.token(&claims_with(json!({})));
    assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
    assert!(store.policy().is_none());
}

/// R164: what happens to one tenant's keys is not seen by another.
#[test]
fn keys_of_one_tenant_are_not_those_of_another() {
    let (ours, theirs) = (World::new(), World::new());
    ours.install([&ours.old], 0);
    theirs.install([&theirs.old], 0);
    assert_eq!(ours.verdict(&ours.old, 1), None);
    assert_eq!(theirs.verdict(&ours.old, 1), Some(VerifyError::InvalidSignature));

    theirs.install([], 2);
    theirs.store.purge(at(3));
    assert_eq!(ours.verdict(&ours.old, 3), None);
    assert_eq!(theirs.verdict(&theirs.old, 3), Some(VerifyError::UnknownKey));
}

/// R143, R153, D1: while sets are exchanged under load, no token of a published key is refused.
#[test]
fn rotation_under_load_refuses_no_valid_token() {
    let world = World::new();
    world.install([&world.old], 0);
    let tokens: Vec<_> = (0..50)
        .map(|jti| world.old.token(&claims_with(json!({"jti": jti.to_string()}))))
        .collect();
    let done = AtomicBool::new(false);

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for token in &tokens {
                        assert_eq!(world.verifier.verify(token.as_bytes(), at(1)).err(), None);
                    }
                }
            });
        }
        for _ in 0..200 {
            world.install([&world.new], 1);
            world.install([&world.old, &world.new], 1);
            world.install([&world.old], 1);
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// R153: the count is of what could still have verified a token.
#[test]
fn purge_counts_the_keys_that_were_on_grace_and_no_others() {
    let world = World::new();
    world.install([&world.old], 0);
    world.install([&world.new], 10);
    assert_eq!(world.store.purge(at(70)), 0);

    // Another key has taken over the id.
    world.install([&world.old], 100);
    world.install([&Signer::named("new", Algorithm::EdDsa)], 110);
    assert_eq!(world.store.purge(at(111)), 1);
    assert_eq!(world.store.purge(at(112)), 0);

    // Without an id it cannot be named.
    let nameless = world.old.jwk_with(json!({"kid": ABSENT}));
    let token = world.old.raw(
        json!({"alg": "EdDSA", "typ": "JWT"}).to_string(),
        claims_with(json!({"exp": NOW.as_secs() + 3600})).to_string(),
    );
    world.store.install(key_set([nameless]), at(200));
    assert!(world.verifier.examine(token.as_bytes(), at(201)).is_ok());
    world.install([], 210);
    assert_eq!(
        world.verifier.examine(token.as_bytes(), at(211)).err(),
        Some(TokenFault::KeyIdMissing)
    );
    assert_eq!(world.store.purge(at(212)), 1);
}

/// R153, R161: the successor's own grace may end first, where the clock was set back between the two.
#[test]
fn key_does_not_come_back_when_its_successor_goes() {
    let world = World::new();
    let successor = Signer::named("old", Algorithm::EdDsa);
    world.install([&world.old], 3600);
    world.install([], 3610);

    world.install([&successor], 0);
    world.install([], 5);
    assert_eq!(world.verdict(&successor, 64), None);

    for secs in [65, 70, 3600] {
        assert_eq!(world.verdict(&successor, secs), Some(VerifyError::UnknownKey));
        assert_eq!(world.verdict(&world.old, secs), Some(VerifyError::UnknownKey));
    }
}

/// R153: one key too many, and the one that has been on grace for longest goes.
#[test]
fn of_too_many_keys_on_grace_the_longest_retired_goes() {
    let world = World::new();
    let rounds = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
        "u",
    ]
    .map(|kid| Signer::named(kid, Algorithm::EdDsa));
    world.install([&world.old], 0);
    for first in &rounds {
        let others = (1..10).map(|index| first.jwk_with(json!({"kid": format!("{}-{index}", first.kid)})));
        let all = [first.jwk()].into_iter().chain(others);
        assert_eq!(world.verdict(&world.old, 10), None);
        world.store.install(key_set(all), at(10));
    }

    assert_eq!(world.verdict(&world.old, 10), Some(VerifyError::UnknownKey));
    for signer in &rounds {
        assert_eq!(world.verdict(signer, 10), None, "{}", signer.kid);
    }
}

/// R153: a large set keeps its grace when it is replaced whole, and while its successors go, too.
#[test]
fn large_set_that_is_replaced_whole_keeps_its_grace() {
    let world = World::new();
    let mut limits = KeyLimits::default();
    limits.max_keys = 1_000;
    let install = |name: &str, signer: &Signer, count: usize, secs: u64| {
        let keys: Vec<_> = (0..count)
            .map(|index| signer.jwk_with(json!({"kid": format!("{name}-{index}")})))
            .collect();
        let body = json!({ "keys": keys }).to_string();
        let (set, problems) = KeySet::parse(body.as_bytes(), limits).unwrap();
        assert_eq!((set.len(), problems.len()), (count, 0));
        world.store.install(set, at(secs));
    };

    install("a", &world.old, 1_000, 0);
    install("b", &world.new, 1_000, 10);
    install("c", &world.new, 1, 11);
    for index in [0, 199, 200, 999] {
        let token = world.old.raw(
            json!({"alg": "EdDSA", "typ": "JWT", "kid": format!("a-{index}")}).to_string(),
            claims_with(json!({"exp": NOW.as_secs() + 3600})).to_string(),
        );
        assert_eq!(
            world.verifier.verify(token.as_bytes(), at(69)).err(),
            None,
            "{index}"
        );
    }
    assert_eq!(world.store.purge(at(12)), 2_000);

    // And still there is a bound.
    for round in 0..5 {
        install(&round.to_string(), &world.new, 1_000, 20);
    }
    assert_eq!(world.store.purge(at(21)), 2_000);
}

/// Memory stays bounded when the issuer replaces its whole set with every fetch.
#[test]
fn keys_on_grace_are_bounded() {
    let store = KeyStore::remote(RefreshPolicy::default());
    for _ in 0..30 {
        let kids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let body = json!({"keys": kids.map(|kid| {
            let signer = Signer::named(kid, Algorithm::EdDsa);
            signer.jwk_with(json!({"kid": signer.jwk()["x"]}))
        })});
        let (set, _) = KeySet::parse(body.to_string().as_bytes(), KeyLimits::default()).unwrap();
        store.install(set, NOW);
    }

    assert_eq!(store.purge(NOW), 200);
}
