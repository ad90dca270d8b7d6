//! The edges of time, with `now` in hand.

use std::time::Duration;

use iam_core::{
    clock::Timestamp,
    jwt::{Algorithm, ProfileBuilder, TokenFault, Verifier},
};
use serde_json::{Value, json};

use crate::support::{ABSENT, NOW, NOW_SECS, Signer, claims_with, key_set, profile, verifier_of};

struct World {
    signer: Signer,
    verifier: Verifier,
}

impl World {
    fn new(profile: ProfileBuilder) -> Self {
        let signer = Signer::new(Algorithm::EdDsa);
        let verifier = verifier_of(profile, key_set([signer.jwk()]));
        Self { signer, verifier }
    }

    fn at(&self, now: Timestamp, claims: Value) -> Option<TokenFault> {
        self.verifier
            .examine(self.signer.with_claims(claims).as_bytes(), now)
            .err()
    }

    fn now(&self, claims: Value) -> Option<TokenFault> {
        self.at(NOW, claims)
    }
}

fn skewed(secs: u64) -> World {
    World::new(profile().clock_skew(Duration::from_secs(secs)))
}

/// R046: `now >= exp + skew` is expired.
#[test]
fn token_expires_at_the_millisecond() {
    for skew in [0, 30, 300] {
        let world = skewed(skew);
        for (exp, fault) in [
            (NOW_SECS - skew - 1, Some(TokenFault::ExpiryPassed)),
            (NOW_SECS - skew, Some(TokenFault::ExpiryPassed)),
            (NOW_SECS - skew + 1, None),
        ] {
            let claims = json!({"exp": exp, "iat": exp - 60, "nbf": exp - 60});
            assert_eq!(world.now(claims), fault, "skew {skew}, exp {exp}");
        }
        let claims = json!({"exp": NOW_SECS, "iat": NOW_SECS - 60, "nbf": NOW_SECS - 60});
        let end = Timestamp::from_secs(NOW_SECS + skew);
        assert_eq!(
            world.at(end.saturating_sub(Duration::from_millis(1)), claims.clone()),
            None
        );
        assert_eq!(world.at(end, claims), Some(TokenFault::ExpiryPassed));
    }
}

/// R049: `nbf` with the same skew.
#[test]
fn token_becomes_valid_at_the_second() {
    for skew in [0, 30] {
        let world = skewed(skew);
        for (nbf, fault) in [
            (NOW_SECS + skew, None),
            (NOW_SECS + skew + 1, Some(TokenFault::NotBeforeInFuture)),
            (NOW_SECS + 3600, Some(TokenFault::NotBeforeInFuture)),
            (0, None),
        ] {
            assert_eq!(world.now(json!({"nbf": nbf})), fault, "skew {skew}, nbf {nbf}");
        }
    }
}

/// R050, D8: `iat` far in the future.
#[test]
fn token_issued_in_the_future_is_refused() {
    let world = skewed(30);
    for (iat, fault) in [
        (NOW_SECS + 30, None),
        (NOW_SECS + 31, Some(TokenFault::IssuedInFuture)),
        (NOW_SECS + 3600, Some(TokenFault::IssuedInFuture)),
    ] {
        assert_eq!(
            world.now(json!({"iat": iat, "exp": NOW_SECS + 7200})),
            fault,
            "{iat}"
        );
    }
}

/// R050, D3, D6: from `iat`, else from `nbf`, else from now.
#[test]
fn token_that_lives_too_long_is_refused() {
    let world = World::new(profile().max_lifetime(Duration::from_secs(600)));
    let too_long = Some(TokenFault::LifetimeTooLong);
    for (claims, fault) in [
        (json!({"iat": NOW_SECS, "exp": NOW_SECS + 600}), None),
        (json!({"iat": NOW_SECS, "exp": NOW_SECS + 601}), too_long),
        (json!({"iat": NOW_SECS - 10, "exp": NOW_SECS + 591}), too_long),
        (
            json!({"iat": ABSENT, "nbf": NOW_SECS - 10, "exp": NOW_SECS + 590}),
            None,
        ),
        (
            json!({"iat": ABSENT, "nbf": NOW_SECS - 10, "exp": NOW_SECS + 591}),
            too_long,
        ),
        (json!({"iat": ABSENT, "nbf": ABSENT, "exp": NOW_SECS + 600}), None),
        (
            json!({"iat": ABSENT, "nbf": ABSENT, "exp": NOW_SECS + 601}),
            too_long,
        ),
        (json!({"exp": 9_007_199_254_740_991_u64}), too_long),
    ] {
        assert_eq!(world.now(claims.clone()), fault, "{claims}");
    }
}

/// R046, R047, D6, D7: without a readable expiry there is no token.
#[test]
fn token_without_a_readable_expiry_is_refused() {
    let world = skewed(30);
    assert_eq!(world.now(json!({"exp": ABSENT})), Some(TokenFault::ExpiryMissing));
    for exp in odd_times() {
        assert_eq!(
            world.now(json!({"exp": exp})),
            Some(TokenFault::ExpiryType),
            "{exp}"
        );
    }
}

/// R044: also where the claim is optional.
#[test]
fn optional_time_of_another_type_is_malformed_not_absent() {
    let world = skewed(30);
    assert_eq!(world.now(json!({"nbf": ABSENT, "iat": ABSENT})), None);
    for time in odd_times() {
        assert_eq!(
            world.now(json!({"nbf": time})),
            Some(TokenFault::NotBeforeType),
            "{time}"
        );
        assert_eq!(
            world.now(json!({"iat": time})),
            Some(TokenFault::IssuedType),
            "{time}"
        );
    }
}

/// R044, R048: what is not a number in [0, 2^53).
fn odd_times() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!("9999999999"),
        json!("2027-01-15T08:00:00Z"),
        json!("never"),
        json!([NOW_SECS]),
        json!({"secs": NOW_SECS}),
        json!(-1),
        json!(-0.5),
        json!(i64::MIN),
        json!(1_u64 << 53),
        json!(9_007_199_254_740_992.0),
        json!(1e16),
        json!(1e300),
        json!(u64::MAX >> 1),
        json!(u64::MAX),
    ]
}

/// R044: written with a fraction or an exponent, they are still numbers.
#[test]
fn fraction_and_exponent_are_legal_numbers() {
    let world = skewed(0);
    let raw = |exp: &str| {
        let claims = claims_with(json!({"exp": "\u{1}"}))
            .to_string()
            .replace("\"\\u0001\"", exp);
        let token = world.signer.raw(world.signer.header().to_string(), claims);
        world.verifier.examine(token.as_bytes(), NOW)
    };

    assert_eq!(
        raw("1.80000006e9").unwrap().expires_at(),
        Timestamp::from_secs(NOW_SECS + 60)
    );
    assert_eq!(
        raw("1800000060.25").unwrap().expires_at(),
        Timestamp::from_millis(NOW_SECS * 1000 + 60_250)
    );
    assert_eq!(
        raw("1800000000.5").unwrap().expires_at(),
        Timestamp::from_millis(NOW_SECS * 1000 + 500)
    );
    assert_eq!(raw("1800000000.0").err(), Some(TokenFault::ExpiryPassed));
    assert_eq!(raw("1.5e9").err(), Some(TokenFault::ExpiryPassed));
    assert_eq!(raw("-0").err(), Some(TokenFault::ExpiryPassed));
    for text in [
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "0x6B49D200",
        "01800000060",
        "+1800000060",
        "1800000060.",
    ] {
        assert_eq!(raw(text).err(), Some(TokenFault::ClaimsUnreadable), "{text}");
    }
}

/// R048: nothing overflows, at either end of time.
#[test]
fn arithmetic_at_the_ends_of_time_refuses_and_does_not_panic() {
    let world = World::new(
        profile()
            .clock_skew(Duration::from_secs(300))
            .max_lifetime(Duration::MAX),
    );
    let last = 9_007_199_254_740_991_u64;
    for now in [
        Timestamp::default(),
        Timestamp::from_millis(1),
        NOW,
        Timestamp::MAX,
    ] {
        for exp in [0, 1, NOW_SECS, last] {
            for start in [0, NOW_SECS, last] {
                let _verdict = world.at(now, json!({"exp": exp, "nbf": start, "iat": start}));
            }
        }
    }
    assert_eq!(
        world.at(Timestamp::MAX, json!({"exp": last})),
        Some(TokenFault::KeysUnavailable)
    );
    assert_eq!(world.now(json!({"exp": last})), None);
}
