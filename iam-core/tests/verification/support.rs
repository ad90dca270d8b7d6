//! Keys, tokens and verifiers to test with. Signs whatever it is told to, well-formed or not.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_core::{
    clock::Timestamp,
    jwks::{KeyLimits, KeySet, KeyStore},
    jwt::{Algorithm, Profile, ProfileBuilder, TokenFault, Verifier, VerifyError},
};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example/";
pub(crate) const AUDIENCE: &str = "orders-api";
pub(crate) const NOW_SECS: u64 = 1_800_000_000;
pub(crate) const NOW: Timestamp = Timestamp::from_secs(NOW_SECS);

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A key pair and the one algorithm that it signs with.
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pub(crate) algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(&'static RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self::named("k1", algorithm)
    }

    pub(crate) fn named(kid: &'static str, algorithm: Algorithm) -> Self {
        static RSA: OnceLock<RsaKeyPair> = OnceLock::new();
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Algorithm::Es384 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            Algorithm::Es512 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap()),
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Pair::Rsa(RSA.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        };
        Self { kid, algorithm, pair }
    }

    /// RSA keys are slow to make, so all signers share one; this one has a key of its own.
    pub(crate) fn other_rsa(kid: &'static str) -> Self {
        static OTHER: OnceLock<RsaKeyPair> = OnceLock::new();
        let pair = OTHER.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self {
            kid,
            algorithm: Algorithm::Rs256,
            pair: Pair::Rsa(pair),
        }
    }

    /// The public key, without `alg`, `use` and `key_ops`.
    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref());
                json!({"kid": self.kid, "kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kid": self.kid, "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Ed(pair) => {
                json!({"kid": self.kid, "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
        }
    }

    pub(crate) fn jwk_with(&self, members: Value) -> Value {
        merged(self.jwk(), members)
    }

    /// The public key as PKCS #1 or as it comes.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn sign_with(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_with(self.algorithm, message)
    }

    /// Signs any header and any payload, as bytes.
    pub(crate) fn raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "kid": self.kid, "typ": "JWT"})
    }

    /// Signs claims under the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.raw(self.header().to_string(), claims.to_string())
    }

    /// Signs good claims under the usual header with some members replaced; see [`claims_with`].
    pub(crate) fn with_header(&self, members: Value) -> String {
        self.raw(
            merged(self.header(), members).to_string(),
            good_claims().to_string(),
        )
    }

    /// Signs good claims with some replaced; see [`claims_with`].
    pub(crate) fn with_claims(&self, members: Value) -> String {
        self.token(&claims_with(members))
    }
}

/// Reads modulus and exponent from PKCS #1: a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    fn take(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), &der[4..]),
            0x81 => (usize::from(der[2]), &der[3..]),
            short => (usize::from(short), &der[2..]),
        };
        rest.split_at(length)
    }
    fn positive(number: &[u8]) -> &[u8] {
        number.strip_prefix(&[0]).unwrap_or(number)
    }

    let (sequence, _) = take(der);
    let (modulus, rest) = take(sequence);
    (positive(modulus), positive(take(rest).0))
}

/// What an issuer like Oathkeeper says, valid at [`NOW`].
pub(crate) fn good_claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "3550201f-950b-4744-a6cd-d675d0ca2ea4",
        "aud": [AUDIENCE, "inventory-api"],
        "exp": NOW_SECS + 60,
        "nbf": NOW_SECS,
        "iat": NOW_SECS,
        "jti": "bdb1b763-ccc4-4ef1-8da4-82060706c330",
    })
}

/// Good claims with some replaced; `"\0absent"` removes one, for `null` is a value to test with.
pub(crate) fn claims_with(members: Value) -> Value {
    merged(good_claims(), members)
}

pub(crate) const ABSENT: &str = "\0absent";

fn merged(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else {
        return object;
    };
    for (name, value) in members {
        if value == ABSENT {
            object.as_object_mut().unwrap().remove(&name);
        } else {
            object[name] = value;
        }
    }
    object
}

pub(crate) fn jwks(keys: impl IntoIterator<Item = Value>) -> String {
    json!({"keys": keys.into_iter().collect::<Vec<_>>()}).to_string()
}

/// Parses a set that is expected to be free of problems.
pub(crate) fn key_set(keys: impl IntoIterator<Item = Value>) -> KeySet {
    let (set, problems) = KeySet::parse(jwks(keys).as_bytes(), KeyLimits::default()).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    set
}

pub(crate) fn profile() -> ProfileBuilder {
    Profile::builder(ISSUER, vec![AUDIENCE.to_owned()]).algorithms(Algorithm::ALL.to_vec())
}

pub(crate) fn verifier_of(profile: ProfileBuilder, keys: KeySet) -> Verifier {
    Verifier::new(profile.build().unwrap(), Arc::new(KeyStore::fixed(keys)), 0)
}

/// A verifier for the one key of a signer.
pub(crate) fn verifier(signer: &Signer) -> Verifier {
    verifier_of(profile(), key_set([signer.jwk()]))
}

pub(crate) fn fault(verifier: &Verifier, token: impl AsRef<[u8]>) -> TokenFault {
    let token = token.as_ref();
    let fault = verifier
        .examine(token, NOW)
        .expect_err(&String::from_utf8_lossy(token));
    assert_eq!(verifier.verify(token, NOW).err(), Some(fault.error()));
    fault
}

pub(crate) fn error(verifier: &Verifier, token: impl AsRef<[u8]>) -> VerifyError {
    fault(verifier, token).error()
}
