//! Which published keys may verify tokens?

use std::fmt;

use aws_lc_rs::{
    digest::{self, Context, SHA256, SHA384, SHA512, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
        EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    },
};
use serde_json::{Map, Value};

use super::{KeyFault, KeyLimits, ed25519};
use crate::{
    ascii,
    jwt::{self, Algorithm, MAX_KID_BYTES, TokenFault},
};

/// A public key that passed every check, parsed once for each algorithm that it may be used with.
pub(crate) struct VerificationKey {
    kid: Option<String>,
    /// Tells this key from every other one, another `alg` for the same numbers included.
    identity: [u8; 32],
    parsed: Vec<ParsedKey>,
}

impl VerificationKey {
    /// Reads a JWK (RFC 7517 §4).
    pub(super) fn read(jwk: &Map<String, Value>, limits: KeyLimits) -> Result<Self, KeyFault> {
        let key_type = text(jwk, "kty")?.ok_or(KeyFault::Malformed)?;
        // Before anything else: a private or symmetric key in a published set is an incident, whatever else is wrong with it.
        if key_type == "oct" {
            return Err(KeyFault::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|&member| jwk.contains_key(member)) {
            return Err(KeyFault::PrivateMaterial);
        }
        let kid = key_id(jwk)?;
        check_purpose(jwk)?;

        let parsed = match key_type {
            "RSA" => rsa(jwk, limits),
            "EC" => ec(jwk),
            "OKP" => okp(jwk),
            _ => Err(KeyFault::UnknownType),
        }?;
        Ok(Self {
            kid,
            identity: identity(&parsed)?,
            parsed,
        })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity && self.kid == other.kid
    }

    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.parsed.iter().map(|parsed| parsed.algorithm)
    }

    /// Returns the key as parsed for an algorithm, if it may be used with it.
    pub(super) fn with(&self, algorithm: Algorithm) -> Option<&ParsedKey> {
        self.parsed.iter().find(|parsed| parsed.algorithm == algorithm)
    }
}

impl fmt::Debug for VerificationKey {
    /// Prints no id, which is the issuer's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("algorithms", &self.algorithms().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A public key as parsed for one algorithm.
pub(crate) struct ParsedKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl ParsedKey {
    /// Checks a signature over a message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenFault> {
        // In one call, aws-lc would copy its hash context.
        match hash_of(self.algorithm) {
            Some(hash) => self.key.verify_digest_sig(&digest(hash, message), signature),
            None => self.key.verify_sig(message, signature),
        }
        .map_err(|_unspecified| TokenFault::Signature)
    }
}

/// Returns what an algorithm hashes a message with before the signature comes into play (RFC 7518 §3.1). Ed25519 signs the
/// message itself (RFC 8032 §5.1).
fn hash_of(algorithm: Algorithm) -> Option<&'static digest::Algorithm> {
    match algorithm {
        Algorithm::Es256 | Algorithm::Ps256 | Algorithm::Rs256 => Some(&SHA256),
        Algorithm::Es384 | Algorithm::Ps384 | Algorithm::Rs384 => Some(&SHA384),
        Algorithm::Es512 | Algorithm::Ps512 | Algorithm::Rs512 => Some(&SHA512),
        Algorithm::EdDsa => None,
    }
}

pub(super) fn key_id(jwk: &Map<String, Value>) -> Result<Option<String>, KeyFault> {
    match text(jwk, "kid")? {
        Some(kid) if kid.len() > MAX_KID_BYTES || ascii::has_control(kid) => Err(KeyFault::Malformed),
        kid => Ok(kid.map(str::to_owned)),
    }
}

/// `use` must be absent or `sig`; `key_ops` absent, or `verify`, at most together with its counterpart `sign`, each once
/// (RFC 7517 §4.2, §4.3). Whatever passes both is consistent with itself.
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyFault> {
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::NotForSignatures);
    }
    let Some(operations) = jwk.get("key_ops") else {
        return Ok(());
    };

    let operations = operations.as_array().ok_or(KeyFault::Malformed)?;
    let count = |name: &str| {
        operations
            .iter()
            .filter(|operation| operation.as_str() == Some(name))
            .count()
    };
    match (count("verify"), count("sign"), operations.len()) {
        (1, 0, 1) | (1, 1, 2) => Ok(()),
        _ => Err(KeyFault::NotForSignatures),
    }
}

/// Restricts the algorithms of a key type to the one that the JWK names, if it names one.
fn permitted<T: Copy>(
    jwk: &Map<String, Value>,
    family: &[(Algorithm, T)],
) -> Result<Vec<(Algorithm, T)>, KeyFault> {
    let Some(name) = text(jwk, "alg")? else {
        return Ok(family.to_vec());
    };

    let named = name
        .parse::<Algorithm>()
        .map_err(|_err| KeyFault::AlgorithmMismatch)?;
    let found = family
        .iter()
        .find(|(algorithm, _)| *algorithm == named)
        .ok_or(KeyFault::AlgorithmMismatch)?;
    Ok(vec![*found])
}

fn rsa(jwk: &Map<String, Value>, limits: KeyLimits) -> Result<Vec<ParsedKey>, KeyFault> {
    let components = RsaPublicKeyComponents {
        n: bytes(jwk, "n")?,
        e: bytes(jwk, "e")?,
    };
    check_rsa(&components.n, &components.e, limits)?;

    permitted(jwk, &RSA)?
        .into_iter()
        .map(|(algorithm, parameters)| {
            let key = components
                .to_parsed_public_key(parameters)
                .map_err(|_err| KeyFault::Malformed)?;
            Ok(ParsedKey { algorithm, key })
        })
        .collect()
}

/// RFC 7518 §6.3.1: the shortest big-endian form, so a leading zero is refused, which also keeps the size honest.
fn check_rsa(modulus: &[u8], exponent: &[u8], limits: KeyLimits) -> Result<(), KeyFault> {
    let (Some(&high), Some(&low)) = (modulus.first(), modulus.last()) else {
        return Err(KeyFault::Malformed);
    };
    if high == 0 || exponent.first() == Some(&0) {
        return Err(KeyFault::Malformed);
    }
    let bits = modulus
        .len()
        .saturating_mul(8)
        .saturating_sub(high.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=limits.max_rsa_bits.min(MAX_RSA_BITS)).contains(&bits) {
        return Err(KeyFault::Weak);
    }
    if exponent.len() > 5 {
        return Err(KeyFault::Weak);
    }
    let exponent = exponent
        .iter()
        .fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
    if low % 2 == 0 || exponent % 2 == 0 || !(3..=1 << 32).contains(&exponent) {
        return Err(KeyFault::Weak);
    }

    Ok(())
}

fn ec(jwk: &Map<String, Value>) -> Result<Vec<ParsedKey>, KeyFault> {
    let curve = text(jwk, "crv")?.ok_or(KeyFault::Malformed)?;
    let (_, length, family) = EC
        .iter()
        .find(|(name, _, _)| *name == curve)
        .ok_or(KeyFault::UnknownCurve)?;
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    // RFC 7518 §6.2.1.2: the full length of a coordinate, leading zeros included.
    if x.len() != *length || y.len() != *length {
        return Err(KeyFault::InvalidPoint);
    }

    // SEC 1 §2.3.3, uncompressed. Parsing checks that the point lies on the curve.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    permitted(jwk, &[*family])?
        .into_iter()
        .map(|(algorithm, parameters)| {
            let key = ParsedPublicKey::new(parameters, &point).map_err(|_err| KeyFault::InvalidPoint)?;
            Ok(ParsedKey { algorithm, key })
        })
        .collect()
}

fn okp(jwk: &Map<String, Value>) -> Result<Vec<ParsedKey>, KeyFault> {
    // RFC 8037 §3.1: X25519 and X448 are for key agreement. Ed448 is not implemented.
    if text(jwk, "crv")?.ok_or(KeyFault::Malformed)? != "Ed25519" {
        return Err(KeyFault::UnknownCurve);
    }
    permitted(jwk, &[(Algorithm::EdDsa, ())])?;
    let point = bytes(jwk, "x")?
        .try_into()
        .map_err(|_err| KeyFault::InvalidPoint)?;
    ed25519::check(&point)?;

    let key = ParsedPublicKey::new(&ED25519, point).map_err(|_err| KeyFault::InvalidPoint)?;
    Ok(vec![ParsedKey {
        algorithm: Algorithm::EdDsa,
        key,
    }])
}

fn identity(parsed: &[ParsedKey]) -> Result<[u8; 32], KeyFault> {
    let mut context = Context::new(&SHA256);
    for ParsedKey { algorithm, key } in parsed {
        context.update(algorithm.name().as_bytes());
        context.update(key.as_ref());
    }

    context
        .finish()
        .as_ref()
        .try_into()
        .map_err(|_err| KeyFault::Malformed)
}

fn text<'j>(jwk: &'j Map<String, Value>, name: &str) -> Result<Option<&'j str>, KeyFault> {
    jwk.get(name)
        .map(|value| value.as_str().ok_or(KeyFault::Malformed))
        .transpose()
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyFault> {
    let encoded = text(jwk, name)?.ok_or(KeyFault::Malformed)?;

    jwt::decode(encoded.as_bytes()).map_err(|_err| KeyFault::Malformed)
}

/// RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The shortest RSA key in bits (RFC 7518 §3.3, §3.5).
const MIN_RSA_BITS: usize = 2048;

/// The longest RSA key in bits that any limit may allow.
pub(super) const MAX_RSA_BITS: usize = 8192;

static RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
];

type Curve = (
    &'static str,
    usize,
    (Algorithm, &'static EcdsaVerificationAlgorithm),
);

/// Curve, length of a coordinate, and the one algorithm of the curve (RFC 7518 §3.4).
static EC: [Curve; 3] = [
    ("P-256", 32, (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED)),
    ("P-384", 48, (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED)),
    ("P-521", 66, (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED)),
];
