//! Tokens as Oathkeeper signs them, each with its own id.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) struct Tokens {
    pub(crate) all: Vec<String>,
    pub(crate) jwks: Value,
    pub(crate) modulus: String,
    /// In PKCS #1.
    pub(crate) public_key: Vec<u8>,
}

impl Tokens {
    pub(crate) fn mint(count: usize) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let modulus = URL_SAFE_NO_PAD.encode(key.public_key().modulus().big_endian_without_leading_zero());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "kid": KID, "typ": "JWT" }).to_string());
        let all = (0..count)
            .map(|number| {
                let claims = json!({
                    "aud": [AUDIENCE, "inventory-api"], "exp": now + 3600, "iat": now, "nbf": now, "iss": ISSUER,
                    "jti": format!("bdb1b763-ccc4-4ef1-8da4-{number:012}"), "metadataPublic": { "roles": ["warehouse:admin"] },
                    "sub": "3550201f-950b-4744-a6cd-d675d0ca2ea4", "tenant": "default",
                });
                let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
                format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
            })
            .collect();
        let jwks = json!({ "keys": [{ "use": "sig", "kty": "RSA", "kid": KID, "alg": "RS256", "n": modulus, "e": "AQAB" }] });
        let public_key = key.public_key().as_ref().to_vec();
        Self {
            all,
            jwks,
            modulus,
            public_key,
        }
    }
}

pub(crate) const AUDIENCE: &str = "orders-api";
pub(crate) const ISSUER: &str = "http://127.0.0.1:4455/";
pub(crate) const KID: &str = "7f78898c-bcc7-4e32-b06e-6a5c88b23a63";
