//! A key that could not be trusted is left out and reported; the good ones beside it serve.

use std::sync::Arc;

use iam_core::{
    json::JsonError,
    jwks::{KeyFault, KeyLimits, KeySet, KeySetError, KeyStore, RefreshPolicy},
    jwt::{Algorithm, TokenFault, Verifier},
};
use serde_json::{Value, json};

use crate::support::{
    ABSENT, NOW, Signer, decode, encode, fault, good_claims, jwks, key_set, profile, verifier_of,
};

fn parse(body: impl AsRef<[u8]>) -> (KeySet, Vec<KeyFault>) {
    let (set, problems) = KeySet::parse(body.as_ref(), KeyLimits::default()).unwrap();
    (set, problems.into_iter().map(|problem| problem.fault).collect())
}

/// Puts a key beside a good one, asserts that it is left out for this reason, and that the good one still serves.
fn left_out(key: Value, fault_of: KeyFault) {
    let good = Signer::named("good", Algorithm::EdDsa);
    let (set, faults) = parse(jwks([key.clone(), good.jwk()]));
    assert_eq!(faults, [fault_of], "{key}");
    assert_eq!(set.kids().collect::<Vec<_>>(), ["good"]);
    assert!(
        verifier_of(profile(), set)
            .verify(good.token(&good_claims()).as_bytes(), NOW)
            .is_ok()
    );
    assert!(
        KeySet::inline(&[key.clone(), good.jwk()], KeyLimits::default()).is_err(),
        "{key}"
    );
}

fn rsa() -> Signer {
    Signer::new(Algorithm::Rs256)
}

fn modulus() -> Vec<u8> {
    decode(rsa().jwk()["n"].as_str().unwrap())
}

/// R036: private or symmetric keys, whatever else is right about them.
#[test]
fn private_or_symmetric_key_is_left_out_and_is_an_incident() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let fault = KeyFault::PrivateMaterial(member);
        left_out(rsa().jwk_with(json!({member: "AQAB"})), fault);
        left_out(Signer::new(Algorithm::Es256).jwk_with(json!({member: ""})), fault);
        left_out(
            Signer::new(Algorithm::EdDsa).jwk_with(json!({member: "AA"})),
            fault,
        );
    }
    left_out(
        json!({"kty": "oct", "kid": "k1", "k": encode([7; 32]), "alg": "HS256"}),
        KeyFault::Symmetric,
    );
    left_out(json!({"kty": "oct"}), KeyFault::Symmetric);

    assert!(KeyFault::PrivateMaterial("d").is_incident() && KeyFault::Symmetric.is_incident());
    assert_eq!(KeyFault::PrivateMaterial("d").code(), "jwks.private_material");
    assert!(!KeyFault::Weak("").is_incident());
}

/// 3.10, CVE-2017-15361 (Wycheproof JWK 7): a power of 65537 has the fingerprint, whatever it is a remainder of.
#[test]
fn rsa_key_of_the_vulnerable_generator_was_accepted() {
    let mut modulus = vec![1_u8];
    for _ in 0..128 {
        // Times 65537 is the number and the number shifted by two bytes.
        let mut product = [modulus.clone(), vec![0, 0]].concat();
        let mut carry = 0_u16;
        for (place, digit) in product.iter_mut().rev().enumerate() {
            let added = modulus.len().checked_sub(place + 1).map_or(0, |at| modulus[at]);
            let sum = u16::from(*digit) + u16::from(added) + carry;
            *digit = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        modulus = product;
    }
    assert_eq!(modulus.len(), 257, "2049 bits");

    left_out(
        json!({"kty": "RSA", "kid": "k1", "n": encode(&modulus), "e": "AQAB"}),
        KeyFault::Weak("`n` has the fingerprint of CVE-2017-15361 (ROCA)"),
    );
    // One more is no power of it.
    *modulus.last_mut().unwrap() ^= 2;
    let (set, faults) = parse(jwks([
        json!({"kty": "RSA", "kid": "k1", "n": encode(&modulus), "e": "AQAB"}),
    ]));
    assert_eq!((set.len(), faults), (1, Vec::new()));
}

/// R033: what a key is for.
#[test]
fn key_that_is_not_for_signatures_alone_is_left_out() {
    for (member, members) in [
        ("use", json!({"use": "enc"})),
        ("use", json!({"use": ""})),
        ("use", json!({"use": "SIG"})),
        ("key_ops", json!({"use": "sig", "key_ops": ["encrypt"]})),
        ("key_ops", json!({"key_ops": []})),
        ("key_ops", json!({"key_ops": ["sign"]})),
        ("key_ops", json!({"key_ops": ["verify", "verify"]})),
        ("key_ops", json!({"key_ops": ["verify", "sign", "verify"]})),
        ("key_ops", json!({"key_ops": ["verify", "encrypt"]})),
        ("key_ops", json!({"key_ops": ["verify", 1]})),
        ("key_ops", json!({"key_ops": ["Verify"]})),
        ("use", json!({"use": "enc", "key_ops": ["verify"]})),
    ] {
        left_out(rsa().jwk_with(members), KeyFault::NotForSignatures(member));
    }
    left_out(
        rsa().jwk_with(json!({"use": ["sig"]})),
        KeyFault::Malformed("use"),
    );
    left_out(
        rsa().jwk_with(json!({"key_ops": "verify"})),
        KeyFault::Malformed("key_ops"),
    );
    for members in [
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
        json!({"use": "sig", "key_ops": ["sign", "verify"]}),
    ] {
        assert_eq!(key_set([rsa().jwk_with(members)]).len(), 1);
    }
}

/// RFC 7518 §4.1: `alg` alone says what the key is for.
#[test]
fn key_whose_algorithm_is_for_encryption_is_left_out() {
    for alg in ENCRYPTION {
        left_out(
            rsa().jwk_with(json!({"alg": alg})),
            KeyFault::NotForSignatures("alg"),
        );
    }
}

const ENCRYPTION: [&str; 12] = [
    "RSA1_5",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "RSA-OAEP-512",
    "ECDH-ES",
    "ECDH-ES+A128KW",
    "ECDH-ES+A256KW",
    "A128KW",
    "A256GCMKW",
    "PBES2-HS256+A128KW",
    "PBES2-HS512+A256KW",
    "dir",
];

/// Some writers render an absent member as `null`.
#[test]
fn member_that_is_null_is_absent() {
    for member in [
        "use", "key_ops", "alg", "kid", "d", "p", "q", "dp", "dq", "qi", "oth", "k", "x5c", "x5t",
    ] {
        assert_eq!(
            key_set([rsa().jwk_with(json!({member: null}))]).len(),
            1,
            "{member}"
        );
    }
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier_of(
        profile(),
        key_set([signer.jwk_with(json!({"alg": null, "d": null}))]),
    );
    assert!(
        verifier
            .verify(signer.token(&good_claims()).as_bytes(), NOW)
            .is_ok()
    );
    for (member, fault) in [
        ("kty", KeyFault::Missing("kty")),
        ("n", KeyFault::Missing("n")),
        ("e", KeyFault::Missing("e")),
    ] {
        left_out(rsa().jwk_with(json!({member: null})), fault);
    }
}

/// R002: `alg` must be one of the key's type and curve.
#[test]
fn key_that_names_a_foreign_algorithm_is_left_out() {
    for alg in ["ES256", "EdDSA", "HS256", "none", "rs256", "RS1", ""] {
        left_out(rsa().jwk_with(json!({"alg": alg})), KeyFault::AlgorithmMismatch);
    }
    for alg in ["ES384", "ES512", "RS256", "ES256K"] {
        left_out(
            Signer::new(Algorithm::Es256).jwk_with(json!({"alg": alg})),
            KeyFault::AlgorithmMismatch,
        );
    }
    left_out(
        Signer::new(Algorithm::EdDsa).jwk_with(json!({"alg": "ES256"})),
        KeyFault::AlgorithmMismatch,
    );
    left_out(rsa().jwk_with(json!({"alg": 256})), KeyFault::Malformed("alg"));
}

/// R037: sizes and exponents.
#[test]
fn rsa_key_of_bad_size_or_exponent_is_left_out() {
    let sized = |bytes: usize, high: u8| {
        let mut n = vec![0xff; bytes];
        n[0] = high;
        rsa().jwk_with(json!({"n": encode(n)}))
    };
    let short = KeyFault::Weak("`n` has less than 2048 bits");
    let long = KeyFault::Weak("`n` has more bits than allowed");
    left_out(sized(128, 0xff), short);
    left_out(sized(256, 0x7f), short);
    left_out(sized(255, 0xff), short);
    left_out(sized(1025, 0x01), long);
    left_out(sized(2048, 0xff), long);
    left_out(rsa().jwk_with(json!({"n": encode([1])})), short);
    assert_eq!(key_set([sized(256, 0x80)]).len(), 1);
    assert_eq!(key_set([sized(1024, 0xff)]).len(), 1);

    let mut even = modulus();
    *even.last_mut().unwrap() &= 0xfe;
    left_out(
        rsa().jwk_with(json!({"n": encode(even)})),
        KeyFault::Weak("`n` is even"),
    );

    for e in [
        &[1][..],
        &[2],
        &[1, 0, 0],
        &[1, 0, 0, 0, 0],
        &[1, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0],
        &[0xff; 32],
    ] {
        left_out(rsa().jwk_with(json!({"e": encode(e)})), BAD_EXPONENT);
    }
    for e in [&[3][..], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(
            key_set([rsa().jwk_with(json!({"e": encode(e)}))]).len(),
            1,
            "{e:?}"
        );
    }
}

const BAD_EXPONENT: KeyFault = KeyFault::Weak("`e` is not an odd number from 3 to 2^32");

#[test]
fn rsa_limit_can_be_lowered_and_not_raised() {
    let n = vec![0xff; 512];
    let body = jwks([rsa().jwk_with(json!({"n": encode(n)}))]);
    let mut limits = KeyLimits::default();
    limits.max_rsa_bits = 4096;
    assert_eq!(KeySet::parse(body.as_bytes(), limits).unwrap().0.len(), 1);
    limits.max_rsa_bits = 4095;
    assert_eq!(KeySet::parse(body.as_bytes(), limits).unwrap().0.len(), 0);

    let giant = jwks([rsa().jwk_with(json!({"n": encode(vec![0xff; 2048])}))]);
    limits.max_rsa_bits = usize::MAX;
    assert_eq!(KeySet::parse(giant.as_bytes(), limits).unwrap().0.len(), 0);
}

/// R043: a leading zero is refused, so that it cannot lie about the size.
#[test]
fn rsa_number_with_a_leading_zero_is_left_out() {
    left_out(
        rsa().jwk_with(json!({"n": encode([&[0], &modulus()[..]].concat())})),
        KeyFault::Malformed("n"),
    );
    // Whatever follows: what the library that parses the keys thinks of the form is not waited for, nor what is said of the value.
    for e in [
        &[0, 1, 0, 1][..],
        &[0],
        &[0, 1],
        &[0, 2],
        &[0, 1, 0, 0, 0, 1],
        &[0; 32],
    ] {
        left_out(rsa().jwk_with(json!({"e": encode(e)})), KeyFault::Malformed("e"));
    }
    let short = [&[0], &modulus()[..128]].concat();
    left_out(
        rsa().jwk_with(json!({"n": encode(short)})),
        KeyFault::Malformed("n"),
    );
    left_out(rsa().jwk_with(json!({"n": ""})), KeyFault::Malformed("n"));
    left_out(rsa().jwk_with(json!({"e": ""})), BAD_EXPONENT);
}

/// R010, R039, R042: a point has full length and lies on its curve.
#[test]
fn ec_point_of_wrong_length_curve_or_place_is_left_out() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
        let signer = Signer::new(algorithm);
        let jwk = signer.jwk();
        let (x, y) = (
            decode(jwk["x"].as_str().unwrap()),
            decode(jwk["y"].as_str().unwrap()),
        );
        let mut off = y.clone();
        *off.last_mut().unwrap() ^= 1;
        let zero = vec![0; x.len()];
        for (x, y) in [
            (&x[1..], &y[..]),
            (&x[..], &y[1..]),
            (&[&[0], &x[..]].concat()[..], &y[..]),
            (&x[..], &[&y[..], &[0]].concat()[..]),
            (&x[..], &off[..]),
            (&y[..], &x[..]),
            (&zero[..], &zero[..]),
            (&vec![0xff; x.len()][..], &y[..]),
            (&[][..], &[][..]),
            (&[&x[..], &y[..]].concat()[..], &[][..]),
        ] {
            left_out(
                signer.jwk_with(json!({"x": encode(x), "y": encode(y)})),
                KeyFault::InvalidPoint,
            );
        }
        for curve in ["P-256", "P-384", "P-521"]
            .into_iter()
            .filter(|curve| jwk["crv"] != *curve)
        {
            left_out(signer.jwk_with(json!({"crv": curve})), KeyFault::InvalidPoint);
        }
        for curve in ["secp256k1", "p-256", "Ed25519", "brainpoolP256r1", ""] {
            left_out(signer.jwk_with(json!({"crv": curve})), KeyFault::UnknownCurve);
        }
        for member in ["x", "y", "crv"] {
            left_out(
                signer.jwk_with(json!({member: ABSENT})),
                KeyFault::Missing(member),
            );
            left_out(signer.jwk_with(json!({member: 5})), KeyFault::Malformed(member));
        }
    }
}

/// R056, R057: keys of other purposes, of small order, in second spellings.
#[test]
fn okp_key_of_another_curve_order_or_length_is_left_out() {
    let signer = Signer::new(Algorithm::EdDsa);
    for curve in ["X25519", "Ed448", "X448", "ed25519", "P-256", ""] {
        left_out(signer.jwk_with(json!({"crv": curve})), KeyFault::UnknownCurve);
    }
    left_out(
        signer.jwk_with(json!({"crv": "X25519", "alg": "EdDSA"})),
        KeyFault::UnknownCurve,
    );
    let x = decode(signer.jwk()["x"].as_str().unwrap());
    let identity = {
        let mut one = vec![0; 32];
        one[0] = 1;
        one
    };
    for x in [
        x[1..].to_vec(),
        [&x[..], &[0]].concat(),
        Vec::new(),
        vec![0; 32],
        vec![0xff; 32],
        identity,
    ] {
        left_out(signer.jwk_with(json!({"x": encode(x)})), KeyFault::InvalidPoint);
    }
    left_out(signer.jwk_with(json!({"x": ABSENT})), KeyFault::Missing("x"));
}

/// R023, R035: keys that are no keys, and numbers that are not base64url.
#[test]
fn malformed_key_is_left_out() {
    for key in [json!(null), json!(5), json!("key"), json!([])] {
        left_out(key, KeyFault::Unreadable);
    }
    for key in [json!({}), json!({"kty": null}), json!({"kid": "k1"})] {
        left_out(key, KeyFault::Missing("kty"));
    }
    left_out(json!({"kty": ["RSA"]}), KeyFault::Malformed("kty"));
    for kind in ["foo", "rsa", "", "Rsa", "AKP"] {
        left_out(rsa().jwk_with(json!({"kty": kind})), KeyFault::UnknownType);
    }
    for kid in [json!(5), json!({}), json!("k".repeat(257)), json!("a\nb")] {
        left_out(rsa().jwk_with(json!({"kid": kid})), KeyFault::Malformed("kid"));
    }
    let n = rsa().jwk()["n"].as_str().unwrap().to_owned();
    for n in [
        json!(5),
        json!(format!("{n}=")),
        json!(format!("{n}\n")),
        json!(n.replacen(&n[..1], "+", 1)),
    ] {
        left_out(rsa().jwk_with(json!({"n": n})), KeyFault::Malformed("n"));
    }
    left_out(rsa().jwk_with(json!({"n": ABSENT})), KeyFault::Missing("n"));
    left_out(rsa().jwk_with(json!({"e": ABSENT})), KeyFault::Missing("e"));
}

/// R032: a member that occurs twice spoils its key, and no other.
#[test]
fn key_with_a_repeated_member_is_left_out() {
    let good = Signer::named("good", Algorithm::EdDsa);
    let (n, e) = (&rsa().jwk()["n"], &rsa().jwk()["e"]);
    for key in [
        format!(r#"{{"kty":"RSA","kty":"EC","kid":"bad","n":{n},"e":{e}}}"#),
        format!(r#"{{"kty":"RSA","kid":"bad","n":{n},"e":{e},"e":{e}}}"#),
        format!(r#"{{"kty":"RSA","kid":"bad","kid":"good","n":{n},"e":{e}}}"#),
        format!(r#"{{"kty":"RSA","kid":"bad","n":{n},"e":{e},"x":{{"y":1,"\u0079":1}}}}"#),
    ] {
        let (set, faults) = parse(format!(r#"{{"keys":[{key},{}]}}"#, good.jwk()));
        assert_eq!(faults, [KeyFault::DuplicateMember], "{key}");
        assert_eq!(set.kids().collect::<Vec<_>>(), ["good"]);
    }
}

/// R034: of two keys that one token could mean, neither is used, and the issuer hears of it.
#[test]
fn keys_that_one_token_could_mean_are_all_left_out_and_reported() {
    let (one, two) = (Signer::new(Algorithm::EdDsa), Signer::new(Algorithm::EdDsa));
    let good = Signer::named("good", Algorithm::EdDsa);
    let (set, faults) = parse(jwks([one.jwk(), two.jwk(), good.jwk()]));
    assert_eq!(faults, [KeyFault::DuplicateKid, KeyFault::DuplicateKid]);
    assert!(KeyFault::DuplicateKid.is_incident());
    assert_eq!(set.kids().collect::<Vec<_>>(), ["good"]);
    let verifier = verifier_of(profile(), set);
    for signer in [&one, &two] {
        assert_eq!(
            fault(&verifier, signer.token(&good_claims())),
            TokenFault::KeyUnknown
        );
    }

    let (rsa, other) = (rsa(), Signer::other_rsa("k1"));
    for (one, two) in [
        (json!({}), json!({})),
        (json!({"alg": "RS256"}), json!({"alg": "RS256"})),
        (json!({"alg": "PS256"}), json!({})),
        (json!({}), json!({"alg": "RS512"})),
    ] {
        let (set, faults) = parse(jwks([rsa.jwk_with(one), other.jwk_with(two)]));
        assert_eq!(faults, [KeyFault::DuplicateKid, KeyFault::DuplicateKid]);
        assert!(set.is_empty());
    }
    // The unusable one may be the one that is meant.
    let (set, faults) = parse(jwks([rsa.jwk(), other.jwk_with(json!({"e": "AQ"}))]));
    assert_eq!(faults, [KeyFault::DuplicateKid, BAD_EXPONENT]);
    assert!(set.is_empty());
    let (set, faults) = parse(jwks([rsa.jwk(), rsa.jwk_with(json!({"d": "AQAB"}))]));
    assert_eq!(faults, [KeyFault::DuplicateKid, KeyFault::PrivateMaterial("d")]);
    assert!(set.is_empty());
}

/// R034: an issuer that lists one key twice, with the same members or with more, locks nobody out.
#[test]
fn key_that_is_published_twice_is_one_key() {
    let signer = rsa();
    for (first, second) in [
        (json!({}), json!({})),
        (json!({"alg": "RS256"}), json!({"alg": "RS256", "use": "sig"})),
        (json!({"alg": "RS256"}), json!({})),
        (
            json!({"key_ops": ["verify"]}),
            json!({"x5t": "AAAA", "alg": null}),
        ),
    ] {
        let set = key_set([signer.jwk_with(first.clone()), signer.jwk_with(second.clone())]);
        let verifier = verifier_of(profile(), set);
        let token = signer.token(&good_claims());
        assert!(verifier.verify(token.as_bytes(), NOW).is_ok(), "{first} {second}");
    }
    let twice = [signer.jwk(), signer.jwk()];
    assert_eq!(key_set(twice.clone()).len(), 1);
    assert_eq!(KeySet::inline(&twice, KeyLimits::default()).unwrap().len(), 1);

    // Also for a token that names no key.
    let nameless = signer.raw(r#"{"alg":"RS256","typ":"JWT"}"#, good_claims().to_string());
    let other_id = signer.jwk_with(json!({"kid": "k2"}));
    let verifier = verifier_of(profile(), key_set([signer.jwk(), other_id]));
    assert!(verifier.verify(nameless.as_bytes(), NOW).is_ok());
}

/// R034, RFC 7517 §4.5: the token's `alg` tells which of the keys of one id is meant.
#[test]
fn keys_of_one_id_and_different_types_are_told_apart_by_the_algorithm() {
    let signers = [
        Signer::new(Algorithm::Rs256),
        Signer::new(Algorithm::Es256),
        Signer::new(Algorithm::Es384),
        Signer::new(Algorithm::Es512),
        Signer::new(Algorithm::EdDsa),
    ];
    let set = key_set(signers.iter().map(Signer::jwk));
    assert_eq!(set.len(), signers.len());
    let verifier = verifier_of(profile(), set);
    for signer in &signers {
        let token = signer.token(&good_claims());
        assert!(
            verifier.verify(token.as_bytes(), NOW).is_ok(),
            "{}",
            signer.algorithm
        );
    }

    // Two RSA keys, each for an algorithm of its own; a token of the one is never verified with the other.
    let (one, two) = (rsa(), Signer::other_rsa("k1"));
    let set = key_set([
        one.jwk_with(json!({"alg": "RS256"})),
        two.jwk_with(json!({"alg": "PS256"})),
    ]);
    let verifier = verifier_of(profile(), set);
    let token = |signer: &Signer, algorithm: Algorithm| {
        let header = json!({"alg": algorithm.name(), "kid": "k1"}).to_string();
        let signed = format!("{}.{}", encode(header), encode(good_claims().to_string()));
        let signature = encode(signer.sign_with(algorithm, signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    for (signer, algorithm, is_good) in [
        (&one, Algorithm::Rs256, true),
        (&two, Algorithm::Ps256, true),
        (&two, Algorithm::Rs256, false),
        (&one, Algorithm::Ps256, false),
    ] {
        let verified = verifier.verify(token(signer, algorithm).as_bytes(), NOW);
        assert_eq!(verified.is_ok(), is_good, "{algorithm}");
    }
    assert_eq!(
        fault(&verifier, token(&one, Algorithm::Rs512)),
        TokenFault::AlgorithmNotOfKey
    );
}

/// R034: a key for encryption beside the one for signatures confuses nobody, and neither does an unusable one of another type.
#[test]
fn key_for_encryption_or_of_another_type_under_the_same_id_harms_no_key() {
    let (one, two) = (rsa(), Signer::other_rsa("k1"));
    let mut others: Vec<_> = ENCRYPTION.iter().map(|alg| json!({"alg": alg})).collect();
    others.extend([json!({"use": "enc"}), json!({"key_ops": ["wrapKey"]})]);
    others.extend([json!({"kty": "AKP"}), json!({"kty": "EC", "crv": "P-256"})]);
    for members in others {
        let (set, faults) = parse(jwks([two.jwk_with(members.clone()), one.jwk()]));
        assert_eq!((set.len(), faults.len()), (1, 1), "{members}");
        let verifier = verifier_of(profile(), set);
        assert!(verifier.verify(one.token(&good_claims()).as_bytes(), NOW).is_ok());
    }
}

/// RFC 8259 §8.1 lets a reader ignore it; some servers write it.
#[test]
fn byte_order_mark_before_a_key_set_is_ignored() {
    let signer = Signer::new(Algorithm::EdDsa);
    let body = [b"\xEF\xBB\xBF", jwks([signer.jwk()]).as_bytes()].concat();
    assert_eq!(parse(&body).0.len(), 1);

    let twice = [b"\xEF\xBB\xBF", &body[..]].concat();
    let within = jwks([signer.jwk()]).replacen('[', "\u{feff}[", 1);
    let utf_16: Vec<u8> = "{\"keys\":[]}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for body in [twice, within.into_bytes(), [b"\xFF\xFE", &utf_16[..]].concat()] {
        assert!(KeySet::parse(&body, KeyLimits::default()).is_err());
    }
}

/// The log has to say what the issuer must change.
#[test]
fn fault_of_a_key_names_the_member() {
    for (members, text) in [
        (json!({"n": null}), "`n` is missing"),
        (json!({"e": 3}), "`e` is malformed"),
        (
            json!({"use": "enc"}),
            "`use` says that the key is not for signatures alone",
        ),
        (
            json!({"d": "AQAB"}),
            "`d` is private: replace the key, which is public now",
        ),
        (
            json!({"alg": "ES256"}),
            "`alg` is unknown or does not fit `kty` and `crv`",
        ),
        (json!({"kty": "AKP"}), "`kty` is not a supported key type"),
    ] {
        let (_, faults) = parse(jwks([rsa().jwk_with(members)]));
        assert_eq!(faults[0].to_string(), text);
    }
}

/// R035, R053, R058, R142: the set itself.
#[test]
fn body_that_is_no_key_set_is_refused() {
    let refusal = |body: &[u8]| KeySet::parse(body, KeyLimits::default()).err();
    for body in [
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":"x"}"#,
        "[]",
        "null",
        "",
        "<html>",
        r#"{"keys":[]}{}"#,
        "{\"keys\":[}",
    ] {
        assert!(
            matches!(refusal(body.as_bytes()), Some(KeySetError::Json(_))),
            "{body}"
        );
    }
    assert_eq!(refusal(b"{}"), Some(KeySetError::Json(JsonError::WrongShape)));
    assert_eq!(
        refusal(b"{\"keys\":[\"\xFF\"]}"),
        Some(KeySetError::Json(JsonError::Malformed))
    );
    assert_eq!(
        refusal(br#"{"keys":[],"keys":[]}"#),
        Some(KeySetError::Json(JsonError::DuplicateMember))
    );

    let keys = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec!["null"; count].join(","));
    assert_eq!(parse(keys(100)).1.len(), 100);
    assert_eq!(refusal(keys(101).as_bytes()), Some(KeySetError::TooManyKeys));

    let padded = |length: usize| format!(r#"{{"keys":[]}}{}"#, " ".repeat(length - 11));
    assert!(refusal(padded(256 * 1024).as_bytes()).is_none());
    assert_eq!(
        refusal(padded(256 * 1024 + 1).as_bytes()),
        Some(KeySetError::Json(JsonError::TooLong))
    );
}

#[test]
fn unknown_members_of_a_key_and_a_set_are_ignored() {
    let signer = Signer::new(Algorithm::EdDsa);
    let key = signer.jwk_with(json!({"x5t": "AAAA", "x5c": ["AAAA"], "foo": {"bar": [1]}}));
    let body = json!({"issuer": "x", "keys": [key], "next": null}).to_string();

    assert_eq!(parse(body).0.len(), 1);
}

/// R036: in the configuration every problem counts, and all are told at once.
#[test]
fn inline_keys_report_every_problem() {
    assert_eq!(
        KeySet::inline(&[], KeyLimits::default()).unwrap_err().to_string(),
        "there is no key"
    );

    let keys = [
        json!({"kty": "oct", "k": "canary"}),
        rsa().jwk(),
        rsa().jwk_with(json!({"kid": "k2", "d": "canary"})),
        json!({}),
    ];
    let error = KeySet::inline(&keys, KeyLimits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key 0: `kty` is `oct`, a symmetric key: replace the key, which is public now; key 2: `d` is private: replace the key, which is public now; key 3: `kty` is missing"
    );
    assert!(!format!("{error:?}").contains("canary"));

    assert_eq!(
        KeySet::inline(&keys[1..2], KeyLimits::default()).unwrap().len(),
        1
    );
}

/// R131: what an issuer calls its keys does not print, nor what a token says of them.
#[test]
fn debug_output_holds_no_id_of_a_key() {
    let signer = Signer::named("canary", Algorithm::EdDsa);
    let token = signer.token(&good_claims());
    let store = Arc::new(KeyStore::remote(RefreshPolicy::default()));
    let verifier = Verifier::new(profile().build().unwrap(), Arc::clone(&store), 10);
    store.install(key_set([signer.jwk()]), NOW);
    assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
    let before = format!("{store:?} {verifier:?}");
    store.install(KeySet::default(), NOW);
    let after = format!("{store:?} {verifier:?}");

    let weak = signer.jwk_with(json!({"use": "enc"}));
    let (_, problems) = KeySet::parse(jwks([weak.clone()]).as_bytes(), KeyLimits::default()).unwrap();
    assert_eq!(problems[0].kid.as_deref(), Some("canary"));
    let error = KeySet::inline(&[weak], KeyLimits::default()).unwrap_err();

    let header = format!("{:?}", token.split('.').next().unwrap().as_bytes());
    for text in [before, after, format!("{problems:?} {error:?} {error}")] {
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(header.trim_matches(['[', ']'])), "{text}");
    }
}
