//! Payloads with a valid signature, as a careless or hostile issuer could create them.

use std::{
    fmt::Debug,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_core::{
    clock::Timestamp,
    jwks::{KeyLimits, KeySet, KeyStore},
    jwt::{Algorithm, Profile, TenantRule, VerifiedClaims, Verifier},
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_795_328_690);

const ISSUER: &str = "http://127.0.0.1:4455/";

const AUDIENCE: &str = "orders-api";

/// Payloads up to this length stay within every limit with one byte more.
const LONGEST: usize = 4 * 1024;

struct World {
    key: Ed25519KeyPair,
    verifier: Verifier,
}

impl World {
    /// Signs any payload.
    fn token(&self, payload: &[u8]) -> String {
        let [header, payload] = [br#"{"alg":"EdDSA"}"#, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{payload}");
        let signature = self.key.sign(signed.as_bytes());

        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A naive reader also accepts every accepted payload, with the same claims, and its notation makes no difference.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let Some(world) = WORLD.get_or_init(world) else {
        return;
    };
    let read = |payload: &[u8]| world.verifier.examine(world.token(payload).as_bytes(), NOW);
    let verified = read(data);
    // An empty payload is not a segment, which is another fault.
    if (1..=LONGEST).contains(&data.len()) {
        let behind_a_blank = read(&[b" ", data].concat());
        assert_eq!(
            verified.as_deref().map(said),
            behind_a_blank.as_deref().map(said),
            "a blank in front makes a difference"
        );
    }
    let Ok(claims) = verified else {
        return;
    };

    let naive: Value = serde_json::from_slice(data).unwrap_or_default();
    let text = |name: &str| naive.get(name).and_then(Value::as_str);
    assert_eq!(text("iss"), Some(ISSUER));
    assert_eq!(text("sub"), Some(claims.subject()));
    let audience = naive.get("aud").cloned().unwrap_or_default();
    let listed = audience
        .as_array()
        .is_some_and(|all| all.contains(&Value::from(AUDIENCE)));
    assert!(listed || audience == AUDIENCE, "accepted for another audience");
    let heard: Vec<_> = match audience.as_array() {
        Some(all) => all.iter().filter_map(Value::as_str).collect(),
        None => audience.as_str().into_iter().collect(),
    };
    assert_eq!(claims.audience(), heard);
    let expiry = naive.get("exp").and_then(Value::as_f64).unwrap_or_default();
    assert!(expiry + 30.001 > 1_795_328_690.0, "accepted after it expired");
    assert!(
        naive.get("tenant").is_none_or(|tenant| tenant == "default"),
        "accepted for another tenant"
    );
    let metadata = naive.get("metadataPublic");
    assert_eq!(claims.claim("tenant"), naive.get("tenant"));
    assert_eq!(claims.claim("metadataPublic"), metadata);
    assert_eq!(
        claims.metadata(),
        metadata.filter(|metadata| metadata.is_object())
    );
}

/// The claims that are extracted from every payload.
fn said(claims: &VerifiedClaims) -> impl PartialEq + Debug {
    (
        [
            Some(claims.subject()),
            claims.client_id(),
            claims.jti(),
            claims.scope(),
            claims.tenant(),
        ],
        [Some(claims.expires_at()), claims.not_before(), claims.issued_at()],
    )
}

fn world() -> Option<World> {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).ok()?;
    let jwks =
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key())}]});
    let (keys, _problems) = KeySet::parse(jwks.to_string().as_bytes(), KeyLimits::default()).ok()?;
    let profile = Profile::builder(ISSUER, vec![AUDIENCE.to_owned()])
        .algorithms(vec![Algorithm::EdDsa])
        .tenant(TenantRule::new("tenant", "default"))
        .metadata_claim("metadataPublic")
        .build()
        .ok()?;

    Some(World {
        key,
        verifier: Verifier::new(profile, Arc::new(KeyStore::fixed(keys)), 16),
    })
}
