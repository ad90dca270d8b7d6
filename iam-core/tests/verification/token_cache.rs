//! A token that was verified before is still checked against time and keys.

use std::{sync::Arc, time::Duration};

use iam_core::{
    clock::Timestamp,
    jwks::KeyStore,
    jwt::{Algorithm, Verifier, VerifyError},
};
use serde_json::json;

use crate::support::{NOW, Signer, good_claims, key_set, profile};

fn cached(signer: &Signer, entries: usize) -> Verifier {
    let store = Arc::new(KeyStore::fixed(key_set([signer.jwk()])));
    Verifier::new(
        profile().clock_skew(Duration::from_secs(10)).build().unwrap(),
        store,
        entries,
    )
}

/// R046, R049: on every hit.
#[test]
fn cached_token_expires_and_is_not_yet_valid_like_any_other() {
    let signer = Signer::new(Algorithm::EdDsa);
    let token = signer.token(&good_claims());
    let (with, without) = (cached(&signer, 10), cached(&signer, 0));
    assert!(with.verify(token.as_bytes(), NOW).is_ok());

    for (at, verdict) in [
        (NOW.saturating_add(Duration::from_millis(69_999)), None),
        (
            NOW.saturating_add(Duration::from_secs(70)),
            Some(VerifyError::Expired),
        ),
        (NOW.saturating_sub(Duration::from_secs(10)), None),
        (
            NOW.saturating_sub(Duration::from_millis(10_001)),
            Some(VerifyError::NotYetValid),
        ),
        (Timestamp::default(), Some(VerifyError::NotYetValid)),
        (NOW, None),
    ] {
        assert_eq!(with.verify(token.as_bytes(), at).err(), verdict, "{at:?}");
        assert_eq!(without.verify(token.as_bytes(), at).err(), verdict, "{at:?}");
    }
}

/// D5: the same token again gives the same claims, without a second verification.
#[test]
fn cached_token_gives_the_very_same_claims() {
    let signer = Signer::new(Algorithm::EdDsa);
    let token = signer.token(&good_claims());
    let twice = |verifier: &Verifier| {
        let first = verifier.verify(token.as_bytes(), NOW).unwrap();
        Arc::ptr_eq(&first, &verifier.verify(token.as_bytes(), NOW).unwrap())
    };

    assert!(twice(&cached(&signer, 1)));
    assert!(!twice(&cached(&signer, 0)));
}

/// A refusal is not remembered, and a cached token opens nothing for a similar one.
#[test]
fn cached_token_opens_nothing_for_another() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = cached(&signer, 10);
    let token = signer.token(&good_claims());
    assert!(verifier.verify(token.as_bytes(), NOW).is_ok());

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let swapped: String = signature.chars().rev().collect();
    assert!(
        verifier
            .verify(format!("{signed}.{swapped}").as_bytes(), NOW)
            .is_err()
    );
    assert!(verifier.verify(format!("{token} ").as_bytes(), NOW).is_err());
    assert!(
        verifier
            .verify(&token.as_bytes()[..token.len() - 1], NOW)
            .is_err()
    );
}

/// A cached token is found by its end, and it is the same only byte by byte.
#[test]
fn cached_token_opens_nothing_for_one_that_ends_alike() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = cached(&signer, 10);
    let token = signer.token(&good_claims());
    let other = signer.with_claims(json!({ "sub": "mallory" }));
    let first = verifier.verify(token.as_bytes(), NOW).unwrap();

    let (_, signature) = token.rsplit_once('.').unwrap();
    let (forged, _) = other.rsplit_once('.').unwrap();
    assert!(
        verifier
            .verify(format!("{forged}.{signature}").as_bytes(), NOW)
            .is_err()
    );
    for at in 0..token.len() - 8 {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(verifier.verify(&changed, NOW).is_err(), "byte {at}");
    }

    assert!(Arc::ptr_eq(
        &first,
        &verifier.verify(token.as_bytes(), NOW).unwrap()
    ));
}

/// R142: whatever comes, the newest are kept and the number of entries is not exceeded.
#[test]
fn least_recently_used_token_makes_room() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = cached(&signer, 2);
    let tokens: Vec<_> = (0..3)
        .map(|jti| signer.with_claims(json!({"jti": jti.to_string()})))
        .collect();
    let verify = |at: usize, secs: u64| {
        let now = NOW.saturating_add(Duration::from_secs(secs));
        verifier.verify(tokens[at].as_bytes(), now).unwrap()
    };

    let (first, second) = (verify(0, 0), verify(1, 0));
    // A token keeps its place for a second, so that hits write nothing.
    assert!(Arc::ptr_eq(&first, &verify(0, 1)));
    let third = verify(2, 1);

    assert!(Arc::ptr_eq(&first, &verify(0, 1)));
    assert!(Arc::ptr_eq(&third, &verify(2, 1)));
    assert!(!Arc::ptr_eq(&second, &verify(1, 1)));
}

/// R080, R164: two verifiers share nothing.
#[test]
fn cache_of_one_verifier_is_not_that_of_another() {
    let signer = Signer::new(Algorithm::EdDsa);
    let ours = cached(&signer, 10);
    let store = Arc::clone(ours.keys());
    let theirs = Verifier::new(
        iam_core::jwt::Profile::builder(crate::support::ISSUER, vec!["billing-api".to_owned()])
            .algorithms(vec![Algorithm::EdDsa])
            .build()
            .unwrap(),
        store,
        10,
    );
    let token = signer.token(&good_claims());

    assert!(ours.verify(token.as_bytes(), NOW).is_ok());
    assert_eq!(
        theirs.verify(token.as_bytes(), NOW).err(),
        Some(VerifyError::AudienceMismatch)
    );
}
