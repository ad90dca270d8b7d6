//! The issuer of a test's tokens.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use iam_core::jwt::Algorithm;
use jsonwebtoken::{EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use serde_json::{Value, json};

/// An issuer in this process that signs real tokens with its own keys.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use iam_actix::testing::TestIssuer;
/// use serde_json::json;
///
/// let issuer = TestIssuer::new()?;
/// let token = issuer.sign(&json!({ "iss": "https://issuer.example/", "sub": "alice" }))?;
/// assert_eq!(token.split('.').count(), 3);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestIssuer {
    kind: Kind,
    /// The last key signs.
    keys: Mutex<Vec<Key>>,
    made: AtomicU64,
}

/// The algorithms of a test issuer.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Es256,
    Rs256,
}

struct Key {
    jwk: Value,
    kid: String,
    signing: EncodingKey,
}

impl TestIssuer {
    /// Makes an issuer with one ES256 key.
    ///
    /// # Errors
    ///
    /// Returns [`IssuerError::Key`] if key generation fails.
    pub fn new() -> Result<Self, IssuerError> {
        Self::signing_with(&[Algorithm::Es256])
    }

    /// Makes an issuer with one key, for ES256 if `allowed` contains it, otherwise for RS256.
    ///
    /// # Errors
    ///
    /// Returns an [`IssuerError`] if `allowed` contains neither algorithm, or if key generation fails.
    pub fn signing_with(allowed: &[Algorithm]) -> Result<Self, IssuerError> {
        let kind = [Kind::Es256, Kind::Rs256]
            .into_iter()
            .find(|kind| allowed.contains(&kind.algorithm()))
            .ok_or(IssuerError::Algorithm)?;
        let issuer = Self {
            kind,
            keys: Mutex::default(),
            made: AtomicU64::new(0),
        };
        issuer.add_key()?;
        Ok(issuer)
    }

    /// Adds a key, publishes it, and signs with it from now on, as Oathkeeper does. Returns its id.
    ///
    /// # Errors
    ///
    /// Returns [`IssuerError::Key`] if key generation fails.
    pub fn add_key(&self) -> Result<String, IssuerError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let kid = format!("test-key-{number}");
        let (jwk, signing) = match self.kind {
            Kind::Es256 => ec(&kid)?,
            Kind::Rs256 => rsa(&kid)?,
        };
        self.keys().push(Key {
            jwk,
            kid: kid.clone(),
            signing,
        });
        Ok(kid)
    }

    /// Removes a key: it is neither published nor used for signatures any more.
    pub fn remove_key(&self, kid: &str) {
        self.keys().retain(|key| key.kid != kid);
    }

    /// Returns the published key set.
    pub fn key_set(&self) -> Value {
        let keys: Vec<_> = self.keys().iter().map(|key| key.jwk.clone()).collect();
        json!({ "keys": keys })
    }

    /// Signs claims with the newest key. The claims are not validated.
    ///
    /// # Errors
    ///
    /// Returns [`IssuerError::Key`] if there is no key.
    pub fn sign(&self, claims: &Value) -> Result<String, IssuerError> {
        let keys = self.keys();
        let key = keys.last().ok_or(IssuerError::Key)?;
        sign(key, &self.header(&key.kid), self.kind, claims)
    }

    /// Signs claims with the newest key, as a token of another type (`typ`) than `JWT`.
    pub(super) fn sign_type(&self, token_type: &str, claims: &Value) -> Result<String, IssuerError> {
        let keys = self.keys();
        let key = keys.last().ok_or(IssuerError::Key)?;
        let header = json!({ "alg": self.kind.algorithm().name(), "kid": key.kid, "typ": token_type });
        sign(key, &header, self.kind, claims)
    }

    /// Signs claims with the newest key, and names another key id in the header.
    ///
    /// # Errors
    ///
    /// Returns [`IssuerError::Key`] if there is no key.
    pub fn sign_as(&self, kid: &str, claims: &Value) -> Result<String, IssuerError> {
        let keys = self.keys();
        let key = keys.last().ok_or(IssuerError::Key)?;
        sign(key, &self.header(kid), self.kind, claims)
    }

    fn header(&self, kid: &str) -> Value {
        json!({ "alg": self.kind.algorithm().name(), "kid": kid, "typ": "JWT" })
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuer")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The error of a test issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The tenant allows neither ES256 nor RS256, or the tenants with one `jwks.url` have neither of them in common.
    #[error(
        "the test issuer signs with ES256 or RS256 only: allow one of them in all tenants with the same `jwks.url`"
    )]
    Algorithm,
    /// The issuer has no key, or key generation failed.
    #[error("the test issuer has no key to sign with")]
    Key,
}

impl Kind {
    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::Es256,
            Self::Rs256 => Algorithm::Rs256,
        }
    }
}

fn sign(key: &Key, header: &Value, kind: Kind, claims: &Value) -> Result<String, IssuerError> {
    let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let algorithm = match kind {
        Kind::Es256 => jsonwebtoken::Algorithm::ES256,
        Kind::Rs256 => jsonwebtoken::Algorithm::RS256,
    };

    // `jsonwebtoken::encode` guesses the provider, and panics in a program with two of them.
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, &key.signing).map_err(|_| IssuerError::Key)?;
    let signature = signer
        .try_sign(message.as_bytes())
        .map_err(|_| IssuerError::Key)?;
    Ok(format!("{message}.{}", encode(signature)))
}

fn ec(kid: &str) -> Result<(Value, EncodingKey), IssuerError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| IssuerError::Key)?;
    let private = pair.to_pkcs8v1().map_err(|_| IssuerError::Key)?;
    // SEC 1 §2.3.3: one byte, then both coordinates.
    let point = pair.public_key().as_ref();
    let (x, y) = point
        .get(1..)
        .and_then(|coordinates| coordinates.split_at_checked(32))
        .ok_or(IssuerError::Key)?;

    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": encode(x), "y": encode(y)
    });
    Ok((jwk, EncodingKey::from_ec_der(private.as_ref())))
}

fn rsa(kid: &str) -> Result<(Value, EncodingKey), IssuerError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| IssuerError::Key)?;
    let private = pair.as_der().map_err(|_| IssuerError::Key)?;
    // RFC 5208 §5: the signer takes the PKCS #1 key inside, which follows a header of this length in every RSA key of this
    // size.
    let private = private.as_ref().get(26..).ok_or(IssuerError::Key)?;
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());

    let jwk = json!({
        "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": encode(&public.n), "e": encode(&public.e)
    });
    Ok((jwk, EncodingKey::from_rsa_der(private)))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use iam_core::{
        clock::Timestamp,
        jwks::{KeyLimits, KeySet, KeyStore},
        jwt::{Profile, Verifier, VerifyError},
    };

    use super::*;

    #[test]
    fn tokens_of_both_kinds_verify_with_the_published_keys() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let issuer = TestIssuer::signing_with(&[algorithm]).unwrap();
            let body = issuer.key_set().to_string();
            let (keys, problems) = KeySet::parse(body.as_bytes(), KeyLimits::default()).unwrap();
            let profile = Profile::builder("https://issuer.example/", vec!["a".to_owned()])
                .build()
                .unwrap();
            let verifier = Verifier::new(profile, Arc::new(KeyStore::fixed(keys)), 0);
            let now = Timestamp::from_secs(1_700_000_000);
            let claims = json!({
                "iss": "https://issuer.example/", "aud": "a", "sub": "alice",
                "iat": now.as_secs(), "exp": now.saturating_add(Duration::from_secs(60)).as_secs(),
            });

            let token = issuer.sign(&claims).unwrap();
            let other = issuer.sign_as("unknown", &claims).unwrap();

            assert!(problems.is_empty());
            assert_eq!(verifier.verify(token.as_bytes(), now).unwrap().subject(), "alice");
            assert_eq!(
                verifier.verify(other.as_bytes(), now).err(),
                Some(VerifyError::UnknownKey)
            );
        }
    }
}
