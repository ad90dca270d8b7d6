//! Whole tokens, as they arrive.

use std::sync::{Arc, OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_core::{
    clock::Timestamp,
    jwks::{KeyLimits, KeySet, KeyStore},
    jwt::{Algorithm, Profile, Verifier},
};
use serde_json::Value;

/// The recorded gateway's key set; its tokens are in the corpus.
const KEYS: &[u8] = include_bytes!("../corpus/jwks/oathkeeper.json");

/// A moment at which the recorded tokens are valid.
const NOW: Timestamp = Timestamp::from_secs(1_795_328_690);

/// Every accepted token has exactly one spelling, and an allowed algorithm.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    static VERIFIER: OnceLock<Option<Verifier>> = OnceLock::new();
    let Some(verifier) = VERIFIER.get_or_init(verifier) else {
        return;
    };
    let Ok(claims) = verifier.verify(data, NOW) else {
        return;
    };

    let segments: Vec<_> = data.split(|byte| *byte == b'.').collect();
    assert_eq!(segments.len(), 3, "accepted without three segments");
    let decoded: Vec<_> = segments
        .iter()
        .map(|segment| URL_SAFE_NO_PAD.decode(segment).unwrap_or_default())
        .collect();
    for (segment, decoded) in segments.iter().zip(&decoded) {
        assert_eq!(
            URL_SAFE_NO_PAD.encode(decoded).as_bytes(),
            *segment,
            "accepted in a second spelling"
        );
    }
    let header = decoded
        .first()
        .and_then(|text| serde_json::from_slice::<Value>(text).ok());
    assert_eq!(
        header.and_then(|header| header.get("alg").cloned()),
        Some(Value::from("RS256"))
    );
    assert!(!claims.subject().is_empty(), "accepted without a subject");
}

fn verifier() -> Option<Verifier> {
    let (keys, _problems) = KeySet::parse(KEYS, KeyLimits::default()).ok()?;
    let profile = Profile::builder("http://127.0.0.1:4455/", vec!["orders-api".to_owned()])
        .algorithms(vec![Algorithm::Rs256])
        .build()
        .ok()?;

    Some(Verifier::new(profile, Arc::new(KeyStore::fixed(keys)), 0))
}
