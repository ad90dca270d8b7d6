use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{AUDIENCE, ISSUER};

/// Signs tokens as the gateway does, with a key of its own.
pub(crate) struct Issuer {
    kid: String,
    key: EcdsaKeyPair,
    issued: AtomicUsize,
}

impl Issuer {
    pub(crate) fn new(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            issued: AtomicUsize::new(0),
        }
    }

    /// Returns the public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
        })
    }

    /// Returns a token for `alice` with an id of its own; `claims` are added, or replace what is there.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let now = SystemClock::new().now().as_secs();
        let number = self.issued.fetch_add(1, SeqCst);
        let mut payload = json!({
            "iss": ISSUER, "aud": [AUDIENCE], "sub": "alice",
            "iat": now, "nbf": now, "exp": now.saturating_add(600), "jti": format!("{}-{number}", self.kid),
        });
        let members = payload.as_object_mut().unwrap();
        members.extend(claims.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());

        self.sign(&payload)
    }

    fn sign(&self, payload: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.kid });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(payload.to_string())
        );
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();

        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
