//! The same tokens through `jsonwebtoken`: where the two differ, it is for a reason that is written here.

use iam_core::jwt::{Algorithm, TokenFault};
use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};
use serde_json::{Value, json};

use crate::support::{
    ABSENT, AUDIENCE, ISSUER, NOW, NOW_SECS, Signer, good_claims, key_set, profile, verifier, verifier_of,
};

/// Those of our algorithms that the other library has.
const SHARED: [(Algorithm, jsonwebtoken::Algorithm); 9] = [
    (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
    (Algorithm::Es384, jsonwebtoken::Algorithm::ES384),
    (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
    (Algorithm::Ps256, jsonwebtoken::Algorithm::PS256),
    (Algorithm::Ps384, jsonwebtoken::Algorithm::PS384),
    (Algorithm::Ps512, jsonwebtoken::Algorithm::PS512),
    (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256),
    (Algorithm::Rs384, jsonwebtoken::Algorithm::RS384),
    (Algorithm::Rs512, jsonwebtoken::Algorithm::RS512),
];

/// Accepts what the other library accepts when it is told to be as strict as it can. Time is ours to test: it reads the
/// system's clock.
fn other_accepts(signer: &Signer, algorithm: jsonwebtoken::Algorithm, token: &str) -> bool {
    let jwk: Jwk = serde_json::from_value(signer.jwk()).unwrap();
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;

    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).is_ok()
}

/// R179: both accept what is good and refuse what is plainly bad.
#[test]
fn both_agree_on_good_and_on_plainly_bad_tokens() {
    for (algorithm, other) in SHARED {
        let signer = Signer::new(algorithm);
        let verifier = verifier(&signer);
        let good = signer.token(&good_claims());
        let mut tokens = vec![
            good.clone(),
            good[..good.len() - 4].to_owned(),
            good.replacen('.', "", 1),
            format!("{good}."),
            format!("{good}="),
            signer.with_header(json!({"alg": "none"})),
            signer.with_header(json!({"alg": "HS256"})),
            signer.with_header(json!({"crit": ["x"], "x": 1})),
            signer.with_header(json!({"crit": []})),
            signer.raw(signer.header().to_string(), "[]"),
            signer.raw(signer.header().to_string(), "{"),
        ];
        for claims in [
            json!({"iss": "https://other.example/"}),
            json!({"iss": ABSENT}),
            json!({"iss": 1}),
            json!({"aud": "billing-api"}),
            json!({"aud": ABSENT}),
            json!({"aud": 1}),
            json!({"aud": AUDIENCE}),
            json!({"aud": [AUDIENCE]}),
            json!({"sub": ABSENT}),
            json!({"sub": 1}),
            json!({"exp": ABSENT}),
        ] {
            tokens.push(signer.with_claims(claims));
        }
        let mut accepted = 0;
        for token in &tokens {
            let ours = verifier.verify(token.as_bytes(), NOW).is_ok();
            assert_eq!(ours, other_accepts(&signer, other, token), "{algorithm} {token}");
            accepted += usize::from(ours);
        }
        assert_eq!(accepted, 3);
    }
}

/// R179, R026, R027, R030, R051: where this library is stricter, token by token.
#[test]
fn differences_are_the_known_ones() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    let known = [
        (
            signer.with_header(json!({"b64": true, "crit": ["b64"]})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"cty": "JWT"})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"jku": "https://attacker.example/keys"})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"jwk": signer.jwk()})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"x5u": "https://attacker.example/chain"})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"x5c": ["MAo="]})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"zip": "DEF"})),
            TokenFault::HeaderMember,
        ),
        (
            signer.with_header(json!({"typ": "logout+jwt"})),
            TokenFault::TypeOther,
        ),
        (
            signer.with_claims(json!({"sub": ""})),
            TokenFault::AnonymousSubject,
        ),
        (
            signer.with_claims(json!({"sub": "a\nb"})),
            TokenFault::SubjectType,
        ),
        (
            signer.with_claims(json!({"iat": NOW_SECS + 3600, "exp": NOW_SECS + 7200})),
            TokenFault::IssuedInFuture,
        ),
        (
            signer.with_claims(json!({"exp": NOW_SECS + 90_000})),
            TokenFault::LifetimeTooLong,
        ),
        (
            signer.with_claims(json!({"jti": {"a": 1}})),
            TokenFault::TokenIdType,
        ),
    ];
    for (token, fault) in known {
        assert!(
            other_accepts(&signer, jsonwebtoken::Algorithm::EdDSA, &token),
            "{fault:?}"
        );
        assert_eq!(verifier.examine(token.as_bytes(), NOW).err(), Some(fault));
    }
}

/// R179: nothing that we accept is refused there, under any change of one character.
#[test]
fn whatever_is_accepted_here_is_accepted_there() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier_of(profile(), key_set([signer.jwk()]));
    let good = signer.token(&good_claims());
    for at in 0..good.len() {
        for character in ["A", "_", ".", "=", "\n", ""] {
            let mut token = good.clone();
            token.replace_range(at..=at, character);
            if verifier.verify(token.as_bytes(), NOW).is_ok() {
                assert!(other_accepts(&signer, jsonwebtoken::Algorithm::EdDSA, &token));
                assert_eq!(token, good);
            }
        }
    }
}
