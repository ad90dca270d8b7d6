//! The published keys that may verify tokens.

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

use super::{KeyFault, KeyLimits, ed25519, roca};
use crate::{
    ascii,
    jwt::{self, Algorithm, MAX_KID_BYTES, TokenFault},
};

/// A public key that passed every check, parsed once for each algorithm that it may be used with.
pub(crate) struct VerificationKey {
    kid: Option<String>,
    /// The hash of the public numbers.
    material: [u8; 32],
    parsed: Vec<ParsedKey>,
}

impl VerificationKey {
    /// Reads a JWK (RFC 7517 §4) whose `null` members have been removed.
    pub(super) fn read(jwk: &Map<String, Value>, limits: KeyLimits) -> Result<Self, KeyFault> {
        let key_type = text(jwk, "kty")?.ok_or(KeyFault::Missing("kty"))?;
        // This check comes first: a private or symmetric key in a published set is an incident, even if other members are
        // invalid.
        if key_type == "oct" {
            return Err(KeyFault::Symmetric);
        }
        if let Some(member) = PRIVATE_MEMBERS.iter().find(|&&member| jwk.contains_key(member)) {
            return Err(KeyFault::PrivateMaterial(member));
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
            material: material(&parsed)?,
            parsed,
        })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Tells whether both are the same key under the same id, for the same algorithms.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.has_material_of(other) && self.kid == other.kid && self.algorithms().eq(other.algorithms())
    }

    /// Tells whether both have the same public numbers, so that every signature of one is a signature of the other.
    pub(super) fn has_material_of(&self, other: &Self) -> bool {
        self.material == other.material
    }

    /// Tells whether a token could mean either key by their common id, or both have the same numbers.
    pub(super) fn is_successor_of(&self, other: &Self) -> bool {
        self.kid == other.kid
            && (self.has_material_of(other) || self.algorithms().any(|one| other.with(one).is_some()))
    }

    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.parsed.iter().map(|parsed| parsed.algorithm)
    }

    /// Returns the key as parsed for an algorithm, if it may be used with it.
    pub(super) fn with(&self, algorithm: Algorithm) -> Option<&ParsedKey> {
        self.parsed.iter().find(|parsed| parsed.algorithm == algorithm)
    }
}

/// Returns the algorithms of the tokens that a key could have signed, according to its own members, even if the key is
/// unusable.
pub(super) fn claimed_algorithms(jwk: &Map<String, Value>) -> Vec<Algorithm> {
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    if check_purpose(jwk).is_err_and(|fault| matches!(fault, KeyFault::NotForSignatures(_))) {
        return Vec::new();
    }
    let family: Vec<_> = match (member("kty"), member("crv")) {
        (Some("RSA"), _) => RSA.iter().map(|(algorithm, _)| *algorithm).collect(),
        (Some("EC"), Some(curve)) => EC
            .iter()
            .filter(|(name, _, _)| *name == curve)
            .map(|(_, _, (algorithm, _))| *algorithm)
            .collect(),
        (Some("OKP"), Some("Ed25519")) => vec![Algorithm::EdDsa],
        _ => Vec::new(),
    };

    match member("alg") {
        None => family,
        Some(name) => family
            .into_iter()
            .filter(|algorithm| name.parse() == Ok(*algorithm))
            .collect(),
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

/// Returns the hash that an algorithm signs (RFC 7518 §3.1). Ed25519 signs the message itself (RFC 8032 §5.1).
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
        Some(kid) if kid.len() > MAX_KID_BYTES || ascii::has_control(kid) => Err(KeyFault::Malformed("kid")),
        kid => Ok(kid.map(str::to_owned)),
    }
}

/// `use` must be absent or `sig`; `key_ops` absent, or `verify`, at most together with its counterpart `sign`, each once
/// (RFC 7517 §4.2, §4.3); `alg` absent, or not one of the algorithms for encryption (RFC 7518 §4.1).
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyFault> {
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::NotForSignatures("use"));
    }
    if text(jwk, "alg")?.is_some_and(is_for_encryption) {
        return Err(KeyFault::NotForSignatures("alg"));
    }
    let Some(operations) = jwk.get("key_ops") else {
        return Ok(());
    };

    let operations = operations.as_array().ok_or(KeyFault::Malformed("key_ops"))?;
    let count = |name: &str| {
        operations
            .iter()
            .filter(|operation| operation.as_str() == Some(name))
            .count()
    };
    match (count("verify"), count("sign"), operations.len()) {
        (1, 0, 1) | (1, 1, 2) => Ok(()),
        _ => Err(KeyFault::NotForSignatures("key_ops")),
    }
}

fn is_for_encryption(algorithm: &str) -> bool {
    let families = ["RSA-OAEP", "ECDH-ES", "PBES2-"];

    families.iter().any(|family| algorithm.starts_with(family))
        || algorithm == "RSA1_5"
        || algorithm == "dir"
        || (algorithm.starts_with('A') && algorithm.ends_with("KW"))
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
    if roca::has_fingerprint(&components.n) {
        return Err(KeyFault::Weak("`n` has the fingerprint of CVE-2017-15361 (ROCA)"));
    }

    permitted(jwk, &RSA)?
        .into_iter()
        .map(|(algorithm, parameters)| {
            let key = components
                .to_parsed_public_key(parameters)
                .map_err(|_err| KeyFault::Malformed("n"))?;
            Ok(ParsedKey { algorithm, key })
        })
        .collect()
}

/// RFC 7518 §6.3.1: the shortest big-endian form, so a leading zero is refused, which also keeps the size honest.
fn check_rsa(modulus: &[u8], exponent: &[u8], limits: KeyLimits) -> Result<(), KeyFault> {
    let (Some(&high), Some(&low)) = (modulus.first(), modulus.last()) else {
        return Err(KeyFault::Malformed("n"));
    };
    if high == 0 {
        return Err(KeyFault::Malformed("n"));
    }
    if exponent.first() == Some(&0) {
        return Err(KeyFault::Malformed("e"));
    }
    let bits = modulus
        .len()
        .saturating_mul(8)
        .saturating_sub(high.leading_zeros() as usize);
    if bits < MIN_RSA_BITS {
        return Err(KeyFault::Weak("`n` has less than 2048 bits"));
    }
    if bits > limits.max_rsa_bits.min(MAX_RSA_BITS) {
        return Err(KeyFault::Weak("`n` has more bits than allowed"));
    }
    if low % 2 == 0 {
        return Err(KeyFault::Weak("`n` is even"));
    }
    // At most five bytes are needed, and six fit.
    let value = exponent
        .iter()
        .take(6)
        .fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
    if value % 2 == 0 || !(3..=1 << 32).contains(&value) {
        return Err(KeyFault::Weak("`e` is not an odd number from 3 to 2^32"));
    }

    Ok(())
}

fn ec(jwk: &Map<String, Value>) -> Result<Vec<ParsedKey>, KeyFault> {
    let curve = text(jwk, "crv")?.ok_or(KeyFault::Missing("crv"))?;
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
    if text(jwk, "crv")?.ok_or(KeyFault::Missing("crv"))? != "Ed25519" {
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

/// Hashes the public numbers. Their form is the same for all algorithms of a key, so the first one is enough.
fn material(parsed: &[ParsedKey]) -> Result<[u8; 32], KeyFault> {
    let ParsedKey { algorithm, key } = parsed.first().ok_or(KeyFault::AlgorithmMismatch)?;
    let mut context = Context::new(&SHA256);
    context.update(key_type_of(*algorithm).as_bytes());
    context.update(key.as_ref());

    context
        .finish()
        .as_ref()
        .try_into()
        .map_err(|_err| KeyFault::AlgorithmMismatch)
}

/// Returns the key type and curve of an algorithm's keys.
fn key_type_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "P-256",
        Algorithm::Es384 => "P-384",
        Algorithm::Es512 => "P-521",
        Algorithm::EdDsa => "Ed25519",
        Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512 => "RSA",
    }
}

fn text<'j>(jwk: &'j Map<String, Value>, name: &'static str) -> Result<Option<&'j str>, KeyFault> {
    jwk.get(name)
        .map(|value| value.as_str().ok_or(KeyFault::Malformed(name)))
        .transpose()
}

fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    let encoded = text(jwk, name)?.ok_or(KeyFault::Missing(name))?;

    jwt::decode(encoded.as_bytes()).map_err(|_err| KeyFault::Malformed(name))
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
