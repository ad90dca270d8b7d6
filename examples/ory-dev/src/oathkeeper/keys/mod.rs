//! The signing key and the published keys, both from one copy of the key file.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::oathkeeper::{
    key_file::{KeyFile, KeyFileError},
    value,
};

/// A key file that is reloaded while the gateway runs.
#[derive(Debug)]
pub(crate) struct KeyRing {
    file: KeyFile,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    text: String,
    keys: Arc<Keys>,
}

impl fmt::Debug for Loaded {
    /// Omits the text, which contains private keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("kid", &self.keys.kid)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads the file. If it does not exist, creates it with one new key.
    pub(crate) fn open(path: &Path) -> Result<Self, KeyFileError> {
        let file = KeyFile::at(path);
        file.ensure()?;
        let text = file.read_text()?;
        let keys = parse_keys(path, &text)?;
        Ok(Self {
            file,
            loaded: RwLock::new(Loaded {
                text,
                keys: Arc::new(keys),
            }),
        })
    }

    /// Returns the keys that were read last.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).keys)
    }

    /// Reads the file again. An invalid file leaves the keys unchanged.
    pub(crate) fn reload(&self) -> Result<(), KeyFileError> {
        let text = self.file.read_text()?;
        if self.loaded.read().unwrap_or_else(PoisonError::into_inner).text == text {
            return Ok(());
        }
        let keys = Arc::new(parse_keys(self.file.path(), &text)?);
        tracing::info!(kid = keys.kid, "the key file changed");
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Loaded { text, keys };
        Ok(())
    }
}

/// The parsed content of a key file.
#[derive(Debug)]
pub(crate) struct Keys {
    signer: Signer,
    kid: String,
    public: Vec<Value>,
}

impl Keys {
    /// The public part of every key, in the order of the file.
    pub(crate) fn public(&self) -> &[Value] {
        &self.public
    }

    /// The `kid` that tokens carry.
    #[cfg(test)]
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs claims as a compact JWS (RFC 7515 §7.1); `None` when the cryptographic library fails.
    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> Option<String> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.signer.algorithm().into());
        header.insert("kid".to_owned(), self.kid.clone().into());
        header.insert("typ".to_owned(), "JWT".into());
        let header = URL_SAFE_NO_PAD.encode(value::to_json(&Value::Object(header)));
        let claims = URL_SAFE_NO_PAD.encode(value::to_json(&Value::Object(claims.clone())));
        let message = format!("{header}.{claims}");
        let signature = self.signer.sign(message.as_bytes())?;
        Some(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[derive(Debug)]
enum Signer {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

impl Signer {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
        }
    }
}

/// The members of a JSON Web Key set that the gateway reads. Unknown members are ignored (RFC 7517 §4).
#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: String,
    alg: Option<String>,
    r#use: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

/// Selects the signing key as the real gateway does. The last private key signs. If all keys are private, its `kid` is
/// used. If there are public keys, the `kid` of a public one is used and ends the search once a private key is known, so a
/// mixed file labels its tokens wrongly, as in the real gateway.
pub(crate) fn parse_keys(path: &Path, text: &str) -> Result<Keys, KeyFileError> {
    let set: JwkSet = serde_json::from_str(text).map_err(|error| KeyFileError::Json {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    let mut public = Vec::with_capacity(set.keys.len());
    for (index, key) in set.keys.iter().enumerate() {
        public.push(
            key.public()
                .map_err(|problem| problem.at(path, index, &key.kid))?,
        );
    }

    let mut private: Option<(usize, &Jwk)> = None;
    let mut public_kid = "";
    for (index, key) in set.keys.iter().enumerate() {
        if key.d.is_some() {
            private = Some((index, key));
        } else {
            public_kid = &key.kid;
        }
        if private.is_some() && !public_kid.is_empty() {
            break;
        }
    }
    let Some((index, key)) = private.filter(|(_, key)| !key.kid.is_empty()) else {
        return Err(KeyFileError::NoSigningKey {
            path: path.to_owned(),
        });
    };
    let signer = key
        .signer()
        .map_err(|problem| problem.at(path, index, &key.kid))?;
    let kid = if public_kid.is_empty() {
        key.kid.clone()
    } else {
        public_kid.to_owned()
    };
    Ok(Keys { signer, kid, public })
}

/// A fault of one key.
struct Problem(&'static str);

impl Problem {
    fn at(&self, path: &Path, index: usize, kid: &str) -> KeyFileError {
        KeyFileError::Key {
            path: PathBuf::from(path),
            index,
            kid: kid.to_owned(),
            problem: self.0,
        }
    }
}

impl Jwk {
    fn public(&self) -> Result<Value, Problem> {
        let mut out = Map::new();
        let mut put = |name: &str, text: Option<&String>| {
            if let Some(text) = text {
                out.insert(name.to_owned(), text.clone().into());
            }
        };
        put("use", self.r#use.as_ref());
        put("kty", Some(&self.kty));
        put("kid", Some(&self.kid).filter(|kid| !kid.is_empty()));
        put("alg", self.alg.as_ref());
        match self.kty.as_str() {
            "RSA" => {
                member(self.n.as_ref(), "`n` must be base64url")?;
                member(self.e.as_ref(), "`e` must be base64url")?;
                put("n", self.n.as_ref());
                put("e", self.e.as_ref());
            }
            "EC" => {
                if !matches!(self.crv.as_deref(), Some("P-256" | "P-384" | "P-521")) {
                    return Err(Problem("`crv` must be P-256, P-384 or P-521"));
                }
                member(self.x.as_ref(), "`x` must be base64url")?;
                member(self.y.as_ref(), "`y` must be base64url")?;
                put("crv", self.crv.as_ref());
                put("x", self.x.as_ref());
                put("y", self.y.as_ref());
            }
            _ => return Err(Problem("`kty` must be RSA or EC")),
        }
        Ok(Value::Object(out))
    }

    fn signer(&self) -> Result<Signer, Problem> {
        match (self.kty.as_str(), self.alg.as_deref()) {
            ("RSA", Some("RS256")) => {
                let key = RsaKeyPair::from_components(&KeyPairComponents {
                    public_key: PublicKeyComponents {
                        n: member(self.n.as_ref(), "`n` must be base64url")?,
                        e: member(self.e.as_ref(), "`e` must be base64url")?,
                    },
                    d: member(self.d.as_ref(), "`d` must be base64url")?,
                    p: member(self.p.as_ref(), "`p` must be base64url")?,
                    q: member(self.q.as_ref(), "`q` must be base64url")?,
                    dP: member(self.dp.as_ref(), "`dp` must be base64url")?,
                    dQ: member(self.dq.as_ref(), "`dq` must be base64url")?,
                    qInv: member(self.qi.as_ref(), "`qi` must be base64url")?,
                });
                let key = key.map_err(|_| Problem("not a valid RSA key of 2048 to 8192 bits"))?;
                Ok(Signer::Rs256(Box::new(key)))
            }
            ("EC", Some("ES256")) if self.crv.as_deref() == Some("P-256") => {
                let x = member(self.x.as_ref(), "`x` must be base64url")?;
                let y = member(self.y.as_ref(), "`y` must be base64url")?;
                // The uncompressed point of SEC 1 §2.3.3.
                let point = [&[4_u8], x.as_slice(), y.as_slice()].concat();
                let secret = member(self.d.as_ref(), "`d` must be base64url")?;
                let key = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &secret,
                    &point,
                );
                let key = key.map_err(|_| Problem("not a valid key on the curve P-256"))?;
                Ok(Signer::Es256(Box::new(key)))
            }
            (_, _) => Err(Problem(
                "the signing key must be RSA with `alg` RS256, or EC P-256 with `alg` ES256",
            )),
        }
    }
}

fn member(text: Option<&String>, problem: &'static str) -> Result<Vec<u8>, Problem> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
        .ok_or(Problem(problem))
}

#[cfg(test)]
mod tests;
