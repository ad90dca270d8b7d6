//! A signature verifies with its own algorithm, under its own key, in its own form; nothing else does.

use iam_core::jwt::{Algorithm, TokenFault};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    NOW, Signer, decode, encode, fault, good_claims, jwks, key_set, profile, verifier, verifier_of,
};

fn with_signature(token: &str, signature: &[u8]) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", encode(signature))
}

fn signature(token: &str) -> Vec<u8> {
    decode(token.rsplit_once('.').unwrap().1)
}

#[test]
fn token_of_every_algorithm_is_accepted() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new(algorithm);
        let exact = verifier_of(
            profile().algorithms(vec![algorithm]),
            key_set([signer.jwk_with(json!({"alg": algorithm.name(), "use": "sig", "key_ops": ["verify"]}))]),
        );
        for verifier in [verifier(&signer), exact] {
            assert!(
                verifier
                    .verify(signer.token(&good_claims()).as_bytes(), NOW)
                    .is_ok(),
                "{algorithm}"
            );
        }
    }
}

/// R056: RFC 9864's name for the same algorithm, in the token and in the key.
#[test]
fn ed25519_goes_by_either_name() {
    let signer = Signer::new(Algorithm::EdDsa);
    for (key, token) in [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA"), ("Ed25519", "Ed25519")] {
        let verifier = verifier_of(profile(), key_set([signer.jwk_with(json!({"alg": key}))]));
        let token = signer.with_header(json!({"alg": token}));
        assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
    }
}

/// R002: a key that names its algorithm is good for no other one, though the signature itself would verify.
#[test]
fn key_bound_to_one_algorithm_verifies_no_other() {
    let signer = Signer::new(Algorithm::Rs256);
    let bound = verifier_of(profile(), key_set([signer.jwk_with(json!({"alg": "RS256"}))]));
    let free = verifier(&signer);
    for algorithm in [
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ] {
        let other = Signer::new(algorithm);
        let token = other.token(&good_claims());
        assert_eq!(
            fault(&bound, &token),
            TokenFault::AlgorithmNotOfKey,
            "{algorithm}"
        );
        assert!(free.verify(token.as_bytes(), NOW).is_ok(), "{algorithm}");
    }
}

/// R002, R039: every algorithm against the key of every other family and curve.
#[test]
fn key_of_another_type_or_curve_is_never_tried() {
    for signed in Algorithm::ALL {
        let signer = Signer::new(signed);
        for of_key in Algorithm::ALL {
            let rsa = |algorithm: Algorithm| algorithm.name().starts_with(['R', 'P']);
            if signed == of_key || rsa(signed) && rsa(of_key) {
                continue;
            }
            let verifier = verifier(&Signer::new(of_key));
            assert_eq!(
                fault(&verifier, signer.token(&good_claims())),
                TokenFault::AlgorithmNotOfKey,
                "{signed} {of_key}"
            );
        }
    }
}

/// R005, R041, D14: the public key as a shared secret, in every form that it comes in.
#[test]
fn token_with_a_mac_over_the_public_key_is_refused() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let signer = Signer::new(algorithm);
        let verifier = verifier(&signer);
        let jwk = signer.jwk();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
            encode(signer.public_der())
        );
        let raw = jwk
            .get("n")
            .or_else(|| jwk.get("x"))
            .and_then(Value::as_str)
            .unwrap()
            .to_owned();
        let secrets = [
            signer.public_der(),
            pem.clone().into_bytes(),
            format!("{pem}\n").into_bytes(),
            jwk.to_string().into_bytes(),
            jwks([jwk.clone()]).into_bytes(),
            decode(&raw),
            raw.into_bytes(),
            Vec::new(),
        ];
        for (hash, name) in [
            (aws_lc_rs::hmac::HMAC_SHA256, "HS256"),
            (aws_lc_rs::hmac::HMAC_SHA512, "HS512"),
        ] {
            for secret in &secrets {
                let header = json!({"alg": name, "kid": "k1", "typ": "JWT"});
                let signed = format!(
                    "{}.{}",
                    encode(header.to_string()),
                    encode(good_claims().to_string())
                );
                let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(hash, secret), signed.as_bytes());
                let token = format!("{signed}.{}", encode(tag));
                assert_eq!(fault(&verifier, token), TokenFault::AlgorithmNotAllowed);
                // The same tag under the key's own algorithm.
                let genuine = with_signature(&signer.token(&good_claims()), tag.as_ref());
                assert_eq!(fault(&verifier, genuine), TokenFault::Signature);
            }
        }
    }
}

/// R041: with a signature that would be right, with another's, with an empty one.
#[test]
fn unsecured_token_is_refused() {
    let signer = Signer::new(Algorithm::Rs256);
    let verifier = verifier(&signer);
    let token = signer.with_header(json!({"alg": "none"}));

    assert_eq!(fault(&verifier, &token), TokenFault::AlgorithmNotAllowed);
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(fault(&verifier, format!("{signed}.")), TokenFault::CompactForm);
}

/// R038: ECDSA signatures are r and s at full length, both in [1, n).
#[test]
fn ecdsa_signature_of_another_form_or_range_is_refused() {
    let orders = [
        (
            Algorithm::Es256,
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        ),
        (
            Algorithm::Es384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
        (
            Algorithm::Es512,
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        ),
    ];
    for (algorithm, order) in orders {
        let signer = Signer::new(algorithm);
        let verifier = verifier(&signer);
        let token = signer.token(&good_claims());
        let good = signature(&token);
        let order: Vec<u8> = (0..order.len() / 2)
            .map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let length = order.len();
        assert_eq!(good.len(), 2 * length);
        let (r, s) = good.split_at(length);
        let zero = vec![0; length];
        let one = {
            let mut one = zero.clone();
            one[length - 1] = 1;
            one
        };
        let largest = vec![0xff; length];
        let bad = [
            [&zero[..], s].concat(),
            [r, &zero].concat(),
            [&zero[..], &zero].concat(),
            [&zero[..], &one].concat(),
            [&one[..], &zero].concat(),
            [&one[..], &one].concat(),
            [&order[..], s].concat(),
            [r, &order].concat(),
            [&order[..], &order].concat(),
            [&largest[..], &largest].concat(),
            [&largest[..], s].concat(),
            [r, &largest].concat(),
            [s, r].concat(),
            der(r, s),
            [&[0], r, &[0], s].concat(),
            [&[0], &good[..]].concat(),
            [&good[..], &[0]].concat(),
            good[1..].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&r[1..], &s[1..]].concat(),
            r.to_vec(),
            [&good[..], &good[..]].concat(),
        ];
        for bad in bad {
            assert_eq!(
                fault(&verifier, with_signature(&token, &bad)),
                TokenFault::Signature,
                "{algorithm} {bad:02x?}"
            );
        }
    }
}

/// Wraps r and s as X.509 has them.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let mut body: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        if body.first().is_some_and(|high| *high >= 0x80) {
            body.insert(0, 0);
        }
        [&[2, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    };
    let body = [integer(r), integer(s)].concat();
    match u8::try_from(body.len()).unwrap() {
        short @ 0..0x80 => [&[0x30, short], &body[..]].concat(),
        long => [&[0x30, 0x81, long], &body[..]].concat(),
    }
}

/// R040: PSS with another hash, PKCS #1 v1.5 for PSS and the reverse, and signatures of wrong length.
#[test]
fn rsa_signature_of_another_scheme_hash_or_length_is_refused() {
    const RSA: [Algorithm; 6] = [
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
    ];
    for named in RSA {
        let signer = Signer::new(named);
        let verifier = verifier(&signer);
        let token = signer.token(&good_claims());
        let (signed, _) = token.rsplit_once('.').unwrap();
        for used in RSA.into_iter().filter(|used| *used != named) {
            let bad = signer.sign_with(used, signed.as_bytes());
            assert_eq!(
                fault(&verifier, with_signature(&token, &bad)),
                TokenFault::Signature,
                "{named} {used}"
            );
        }
        let good = signature(&token);
        for bad in [
            good[1..].to_vec(),
            good[..255].to_vec(),
            [&[0], &good[..]].concat(),
            [&good[..], &[0]].concat(),
            vec![0; 256],
            vec![1],
            vec![0xff; 256],
            {
                let mut one = vec![0; 256];
                one[255] = 1;
                one
            },
        ] {
            assert_eq!(
                fault(&verifier, with_signature(&token, &bad)),
                TokenFault::Signature,
                "{named}"
            );
        }
    }
}

/// R057: s at or above the group order is another spelling of the same signature.
#[test]
fn ed25519_signature_with_s_beyond_the_order_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    let token = signer.token(&good_claims());
    let good = signature(&token);
    let mut shifted = good.clone();
    let mut carry = 0_u16;
    for (byte, order) in shifted[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);

    let identity = {
        let mut one = vec![0; 64];
        one[0] = 1;
        one
    };
    for bad in [
        shifted,
        good[..63].to_vec(),
        [&good[..], &[0]].concat(),
        vec![0; 64],
        identity,
    ] {
        assert_eq!(
            fault(&verifier, with_signature(&token, &bad)),
            TokenFault::Signature,
            "{bad:02x?}"
        );
    }
}

/// R028: any cut of a genuine signature.
#[test]
fn trimmed_signature_is_refused() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new(algorithm);
        let verifier = verifier(&signer);
        let token = signer.token(&good_claims());
        for cut in 1..=8 {
            assert!(
                verifier
                    .verify(&token.as_bytes()[..token.len() - cut], NOW)
                    .is_err(),
                "{algorithm}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// R180: any single byte of a genuine token, changed to any other.
    #[test]
    fn token_with_any_byte_changed_is_refused(at in 0_usize..4096, byte: u8, which in 0_usize..10) {
        thread_local! {
            static TOKENS: Vec<(iam_core::jwt::Verifier, String)> = Algorithm::ALL
                .into_iter()
                .map(Signer::new)
                .map(|signer| (verifier(&signer), signer.token(&good_claims())))
                .collect();
        }
        TOKENS.with(|tokens| {
            let (verifier, token) = &tokens[which];
            let mut token = token.clone().into_bytes();
            let at = at % token.len();
            if token[at] != byte {
                token[at] = byte;
                assert!(verifier.verify(&token, NOW).is_err());
            }
        });
    }

    /// R180: the order of claims does not matter.
    #[test]
    fn order_of_claims_keeps_the_verdict(order in Just((0..7).collect::<Vec<usize>>()).prop_shuffle(), expired: bool) {
        let signer = Signer::new(Algorithm::EdDsa);
        let mut claims = good_claims();
        if expired {
            claims["exp"] = json!(1);
        }
        let members: Vec<_> = claims.as_object().unwrap().iter().collect();
        let text: Vec<_> = order.iter().map(|at| format!("{:?}:{}", members[*at].0, members[*at].1)).collect();
        let token = signer.raw(signer.header().to_string(), format!("{{{}}}", text.join(",")));
        prop_assert_eq!(verifier(&signer).verify(token.as_bytes(), NOW).is_ok(), !expired);
    }
}
