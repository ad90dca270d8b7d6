//! How much memory do remembered tokens take, whatever their claims?
//!
//! A program of its own, for it counts every byte that is allocated.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_core::{
    clock::Timestamp,
    jwks::{KeyLimits, KeySet, KeyStore},
    jwt::{Algorithm, DEFAULT_MAX_TOKEN_BYTES, Profile, Verifier},
};
use peak_alloc::PeakAlloc;
use serde_json::json;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Tokens of each shape.
const TOKENS: usize = 16;

/// The longest token, its payload, and the claims taken out of it.
const MOST: usize = DEFAULT_MAX_TOKEN_BYTES * (1 + 1 + 4);

/// R053: people who can fill their own metadata choose what a token holds, and each request brings another one.
#[test]
fn remembered_tokens_take_little_memory_whatever_their_claims_hold() {
    let key = Ed25519KeyPair::generate().unwrap();
    let jwks =
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key())}]});
    let (keys, _) = KeySet::parse(jwks.to_string().as_bytes(), KeyLimits::default()).unwrap();
    let keys = Arc::new(KeyStore::fixed(keys));

    let shapes = [
        r#"{"":0},"#,
        r#"{"":{}},"#,
        r#"{"":[0]},"#,
        "0,",
        r#""","#,
        r#""abc","#,
        "[],",
        "[0],",
        "[[[0]]],",
        "{},",
        "1.5,",
        r#"{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0},"#,
    ];
    for shape in shapes {
        for times in [1, 20, 40, 80, 160, 320, 2560] {
            if shape.len() * times > 11_000 {
                continue;
            }
            let profile = Profile::builder("i", vec!["a".to_owned()])
                .algorithms(vec![Algorithm::EdDsa])
                .build()
                .unwrap();
            let verifier = Verifier::new(profile, Arc::clone(&keys), TOKENS * 100);
            let filled = shape.repeat(times);
            let before = MEMORY.current_usage();
            for number in 0..TOKENS {
                let payload = format!(
                    r#"{{"iss":"i","aud":"a","sub":"{number}","exp":1800000060,"x":[{}]}}"#,
                    filled.trim_end_matches(',')
                );
                let token = token(&key, &payload);
                for _ in 0..2 {
                    let claims = verifier.verify(token.as_bytes(), NOW).unwrap();
                    assert!(claims.claim("x").is_some());
                }
            }
            let each = MEMORY.current_usage().saturating_sub(before) / TOKENS;
            assert!(each <= MOST, "{shape} {times} times: {each} bytes");
        }
    }
}

fn token(key: &Ed25519KeyPair, payload: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(r#"{"alg":"EdDSA"}"#), encode(payload));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())))
}
