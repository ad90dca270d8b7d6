//! Tokens for this crate's unit tests, signed with a generated Ed25519 key.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// An issuer with one key.
pub(crate) struct Mint {
    key: Ed25519KeyPair,
    kid: &'static str,
}

impl Mint {
    pub(crate) fn new(kid: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            key: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(),
            kid,
        }
    }

    /// Returns the public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x})
    }

    /// Returns a token with valid claims for the tenant `default`, overridden by `more`.
    pub(crate) fn token(&self, more: &Value) -> String {
        let mut claims = json!({
            "iss": "https://gateway.example/",
            "sub": "alice",
            "aud": ["orders-api"],
            "exp": NOW + 60,
            "iat": NOW,
            "nbf": NOW,
            "jti": "one",
            "tenant": "default",
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }

        self.sign(&json!({"typ": "JWT"}), &claims)
    }

    /// Returns a token with further header members and exactly these claims.
    pub(crate) fn sign(&self, more: &Value, claims: &Value) -> String {
        let mut header = json!({"alg": "EdDSA", "kid": self.kid});
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// The time at which the tokens are valid, in seconds.
pub(crate) const NOW: u64 = 1_700_000_000;
