//! The cost of verifying a token, beside that of its signature.
//!
//! Prints ratios of one run: each contender runs seven times, in turn with the others, over the same 10,000 distinct RS256 tokens;
//! the medians are compared. Time on the processor, so that other programs do not count. `cargo bench -p iam-core --bench verify`
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement may fail"
)]

use std::{hint::black_box, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_core::{
    clock::{Clock, SystemClock},
    jwks::{KeyLimits, KeySet, KeyStore},
    jwt::{Algorithm, DEFAULT_CLOCK_SKEW, DEFAULT_MAX_LIFETIME, Profile, Verifier},
};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::json;

const TOKENS: usize = 10_000;
const RUNS: usize = 7;
const ISSUER: &str = "http://127.0.0.1:4455/";
const AUDIENCE: &str = "orders-api";

fn main() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
    let tokens = tokens(&pair);
    let bare = bare_inputs(&tokens);
    let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key()).expect("a key parses");
    let (key, validation) = peer(&pair);
    let (cold, warm) = (verifier(&pair, 0), verifier(&pair, TOKENS * 2));
    let clock = SystemClock::new();

    let medians = alternate(&mut [
        &mut || {
            for (signed, signature) in &bare {
                parsed
                    .verify_digest_sig(&digest(&SHA256, black_box(signed)), black_box(signature))
                    .expect("the signature is genuine");
            }
        },
        &mut || {
            for token in &tokens {
                black_box(cold.verify(black_box(token.as_bytes()), clock.now()))
                    .expect("the token is genuine");
            }
        },
        &mut || {
            for token in &tokens {
                let peer = jsonwebtoken::decode::<Claims>(black_box(token), &key, &validation)
                    .expect("the token is genuine");
                assert!(is_acceptable(&peer.claims), "the token is acceptable");
                black_box(peer);
            }
        },
        &mut || {
            for token in &tokens {
                black_box(warm.verify(black_box(token.as_bytes()), clock.now()))
                    .expect("the token is genuine");
            }
        },
    ]);

    let [bare, ours, peer, hit] = medians[..] else {
        return;
    };
    println!(
        "RS256, {TOKENS} distinct tokens of {} bytes, median of {RUNS} alternating runs",
        tokens[0].len()
    );
    println!("  aws-lc-rs, parsed key, signature only   {bare:>8.2} us");
    println!(
        "  iam-core, whole verification            {ours:>8.2} us   {:.3} x the bare signature",
        ours / bare
    );
    println!(
        "  jsonwebtoken (aws_lc_rs), same claims   {peer:>8.2} us   {:.3} x iam-core",
        peer / ours
    );
    println!(
        "  iam-core, verified-token cache hit      {hit:>8.2} us   {:.3} x the bare signature",
        hit / bare
    );
}

/// Runs the contenders in turn and returns the median time of each for one token, in microseconds.
fn alternate(contenders: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut times = vec![Vec::new(); contenders.len()];
    for contender in &mut *contenders {
        contender();
    }
    for _ in 0..RUNS {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let start = processor_secs();
            contender();
            times.push((processor_secs() - start) * 1e6 / TOKENS as f64);
        }
    }

    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[RUNS / 2]
        })
        .collect()
}

/// What the library leaves to its user.
fn is_acceptable(claims: &Claims) -> bool {
    let now = jsonwebtoken::get_current_timestamp();
    let (skew, lifetime) = (DEFAULT_CLOCK_SKEW.as_secs(), DEFAULT_MAX_LIFETIME.as_secs());

    claims.iat <= now + skew && claims.exp.saturating_sub(claims.iat) <= lifetime
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "claims are decoded to be validated")]
struct Claims {
    exp: u64,
    iat: u64,
    jti: String,
    sub: String,
    tenant: String,
}

fn processor_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn tokens(pair: &RsaKeyPair) -> Vec<String> {
    let now = SystemClock::new().now().as_secs();
    let header =
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"7f78898c-bcc7-4e32-b06e-6a5c88b23a63","typ":"JWT"}"#);
    (0..TOKENS)
        .map(|number| {
            // The claims that Oathkeeper writes with the template of the examples.
            let claims = json!({
                "aud": [AUDIENCE, "inventory-api"], "exp": now + 3600, "iat": now, "iss": ISSUER,
                "jti": format!("bdb1b763-ccc4-4ef1-8da4-{number:012}"),
                "metadataPublic": {"roles": ["warehouse:admin"]}, "nbf": now,
                "sub": "3550201f-950b-4744-a6cd-d675d0ca2ea4", "tenant": "default",
            });
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("a token can be signed");
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        })
        .collect()
}

fn bare_inputs(tokens: &[String]) -> Vec<(Vec<u8>, Vec<u8>)> {
    tokens
        .iter()
        .map(|token| {
            let (signed, signature) = token.rsplit_once('.').expect("a token has dots");
            (
                signed.as_bytes().to_vec(),
                URL_SAFE_NO_PAD.decode(signature).expect("a signature decodes"),
            )
        })
        .collect()
}

fn verifier(pair: &RsaKeyPair, cached_tokens: usize) -> Verifier {
    let (n, e) = numbers(pair);
    let jwks = json!({"keys": [{
        "kid": "7f78898c-bcc7-4e32-b06e-6a5c88b23a63", "kty": "RSA", "alg": "RS256", "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e),
    }]});
    let (keys, _problems) =
        KeySet::parse(jwks.to_string().as_bytes(), KeyLimits::default()).expect("a set parses");
    let profile = Profile::builder(ISSUER, vec![AUDIENCE.to_owned()])
        .algorithms(vec![Algorithm::Rs256])
        .metadata_claim("metadataPublic")
        .build()
        .expect("the profile is complete");

    Verifier::new(profile, Arc::new(KeyStore::fixed(keys)), cached_tokens)
}

/// The peer at its best: key built once, the same claims demanded.
fn peer(pair: &RsaKeyPair) -> (jsonwebtoken::DecodingKey, jsonwebtoken::Validation) {
    let (n, e) = numbers(pair);
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = DEFAULT_CLOCK_SKEW.as_secs();

    (
        jsonwebtoken::DecodingKey::from_rsa_raw_components(&n, &e),
        validation,
    )
}

/// Reads modulus and exponent from PKCS #1: a sequence of two integers with long and short lengths.
fn numbers(pair: &RsaKeyPair) -> (Vec<u8>, Vec<u8>) {
    let der = pair.public_key().as_ref();
    let modulus = pair.public_modulus_len();
    let start = der.len() - 5 - modulus;

    (
        der[start..start + modulus].to_vec(),
        der[der.len() - 3..].to_vec(),
    )
}
