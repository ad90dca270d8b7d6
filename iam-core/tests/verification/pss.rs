//! RSASSA-PSS with parameters that our own signer cannot produce: vectors that OpenSSL signed. The file of the vectors says
//! how they can be made again.

use iam_core::jwt::{Algorithm, TokenFault, Verifier};
use serde_json::{Value, json};

use crate::support::{NOW, fault, key_set, profile, verifier_of};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../recordings/pss.json")).unwrap()
}

fn verifier(key: &Value) -> Verifier {
    verifier_of(profile(), key_set([key.clone()]))
}

/// R040: the salt is as long as the hash, and the mask is made with the same hash (RFC 7518 §3.5). Everything else is
/// refused, even though it is a sound signature of the very key under parameters of its own.
#[test]
fn pss_signature_with_another_salt_length_or_mask_hash_is_refused() {
    let vectors = vectors();
    let mut counts = [0, 0];

    for vector in vectors["vectors"].as_array().unwrap() {
        let algorithm: Algorithm = vector["algorithm"].as_str().unwrap().parse().unwrap();
        let token = vector["token"].as_str().unwrap();
        let mut named = vectors["key"].clone();
        named["alg"] = json!(algorithm.name());

        for key in [&vectors["key"], &named] {
            let verifier = verifier(key);
            if vector["valid"] == true {
                assert!(verifier.verify(token.as_bytes(), NOW).is_ok(), "{vector:#}");
            } else {
                assert_eq!(fault(&verifier, token), TokenFault::Signature, "{vector:#}");
            }
        }
        counts[usize::from(vector["valid"] == true)] += 1;
    }

    assert_eq!(counts, [21, 3]);
}

/// The vectors cover, for each algorithm, what its test promises.
#[test]
fn pss_vectors_have_a_control_and_every_fault_for_each_algorithm() {
    let vectors = vectors();
    let vectors = vectors["vectors"].as_array().unwrap();

    for (algorithm, hash, salt) in [
        ("PS256", "sha256", 32),
        ("PS384", "sha384", 48),
        ("PS512", "sha512", 64),
    ] {
        let has = |salt: u64, mgf1: &str, valid: bool| {
            vectors.iter().any(|vector| {
                vector["algorithm"] == algorithm
                    && vector["salt"] == salt
                    && vector["mgf1"] == mgf1
                    && vector["valid"] == valid
            })
        };
        // RFC 8017 §9.1.1: the hash, the salt and two bytes fill the encoded message.
        let longest = 256 - salt - 2;

        assert!(has(salt, hash, true), "{algorithm}");
        for bad in [0, 20, salt - 1, salt + 1, longest] {
            assert!(has(bad, hash, false), "{algorithm} {bad}");
        }
        assert!(has(salt, "sha1", false), "{algorithm}");
    }
}
