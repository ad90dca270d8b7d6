//! Which keys does the issuer publish?

use std::{collections::HashMap, fmt, sync::Arc};

use serde_json::{Map, Value};

use super::key::{self, MAX_RSA_BITS, VerificationKey};
use crate::{
    json::{self, JsonError, JsonLimits},
    jwt::{Algorithm, TokenFault},
};

/// How much of a key set is accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyLimits {
    /// The longest body in bytes. Defaults to 256 KiB.
    pub max_body: usize,
    /// The largest number of keys, unusable ones included. Defaults to 100.
    pub max_keys: usize,
    /// The longest RSA key in bits, 8192 at most, which is the default. A verification costs the square of it.
    pub max_rsa_bits: usize,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self {
            max_body: 256 * 1024,
            max_keys: 100,
            max_rsa_bits: MAX_RSA_BITS,
        }
    }
}

/// The usable keys of a JSON Web Key Set (RFC 7517 §5): immutable, replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
}

impl KeySet {
    /// Reads a key set that was fetched. A key that cannot be used is left out and reported; the others serve (RFC 7517 §5).
    /// A set without any usable key is a set: an issuer that withdraws its keys is believed.
    ///
    /// ```
    /// use iam_core::jwks::{KeyFault, KeyLimits, KeySet};
    ///
    /// let (keys, problems) = KeySet::parse(br#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#, KeyLimits::default())?;
    /// assert!(keys.is_empty());
    /// assert_eq!(problems[0].fault, KeyFault::Symmetric);
    /// # Ok::<(), iam_core::jwks::KeySetError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A body that is too long, is not strict JSON, has no array `keys`, or holds too many keys.
    pub fn parse(body: &[u8], limits: KeyLimits) -> Result<(Self, Vec<KeyProblem>), KeySetError> {
        let elements = json::elements(body, "keys", JsonLimits::new(limits.max_body, MAX_DEPTH))?;
        if elements.len() > limits.max_keys {
            return Err(KeySetError::TooManyKeys);
        }

        Ok(Self::collect(
            elements.iter().map(|raw| {
                json::parse_object(raw.get().as_bytes(), JsonLimits::new(limits.max_body, MAX_DEPTH))
            }),
            limits,
        ))
    }

    /// Takes keys that stand in the configuration. Here every problem counts, for the person at fault is at hand.
    ///
    /// # Errors
    ///
    /// All problems of all keys, or that there is no key at all.
    pub fn inline(keys: &[Value], limits: KeyLimits) -> Result<Self, InlineKeysError> {
        if keys.is_empty() {
            return Err(InlineKeysError { problems: Vec::new() });
        }

        // What was read with the configuration cannot be examined for duplicates any more; the rest is the same.
        let (set, problems) = Self::collect(
            keys.iter()
                .map(|key| key.as_object().cloned().ok_or(JsonError::WrongShape)),
            limits,
        );
        if problems.is_empty() {
            Ok(set)
        } else {
            Err(InlineKeysError { problems })
        }
    }

    /// Returns the number of usable keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the ids of the usable keys.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid())
    }

    pub(super) fn keys(&self) -> &[Arc<VerificationKey>] {
        &self.keys
    }

    /// Returns the key of that id. There are [`KeyLimits::max_keys`] at most, and mostly two.
    pub(super) fn by_kid(&self, kid: &str) -> Option<&Arc<VerificationKey>> {
        self.keys.iter().find(|key| key.kid() == Some(kid))
    }

    /// Returns the only key that can have signed with an algorithm.
    pub(super) fn sole(&self, algorithm: Algorithm) -> Result<&Arc<VerificationKey>, TokenFault> {
        let mut fitting = self.keys.iter().filter(|key| key.with(algorithm).is_some());
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(TokenFault::KeyIdMissing),
        }
    }

    fn collect(
        jwks: impl Iterator<Item = Result<Map<String, Value>, JsonError>>,
        limits: KeyLimits,
    ) -> (Self, Vec<KeyProblem>) {
        let mut problems = Vec::new();
        let mut usable = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, jwk) in jwks.enumerate() {
            let kid = jwk.as_ref().ok().and_then(|jwk| key::key_id(jwk).ok().flatten());
            let read = jwk
                .map_err(KeyFault::from)
                .and_then(|jwk| VerificationKey::read(&jwk, limits));
            // A key for encryption under the same `kid` confuses nobody; anything else does.
            if let Some(kid) = kid
                .clone()
                .filter(|_| !matches!(read, Err(KeyFault::NotForSignatures)))
            {
                let count = seen.entry(kid).or_default();
                *count = count.saturating_add(1);
            }
            match read {
                Ok(key) => usable.push((index, key)),
                Err(fault) => problems.push(KeyProblem { index, kid, fault }),
            }
        }

        let mut set = Self::default();
        for (index, key) in usable {
            let count = key.kid().and_then(|kid| seen.get(kid));
            // RFC 7517 §4.5 wants distinct ids. Which of two would be meant is a guess, so neither is used.
            if count.is_some_and(|&count| count > 1) {
                problems.push(KeyProblem {
                    index,
                    kid: key.kid().map(str::to_owned),
                    fault: KeyFault::DuplicateKid,
                });
                continue;
            }
            set.keys.push(Arc::new(key));
        }
        problems.sort_by_key(|problem| problem.index);
        (set, problems)
    }
}

/// A key of a set that is not used, and why: for the log and, if [`KeyFault::is_incident`], for the audit.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyProblem {
    /// The position in the set, from 0.
    pub index: usize,
    /// The key's id, if it has one that can be read. From outside: to be escaped where it is printed.
    pub kid: Option<String>,
    /// What is wrong.
    pub fault: KeyFault,
}

impl fmt::Debug for KeyProblem {
    /// Prints no id, which is the issuer's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyProblem")
            .field("index", &self.index)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// `alg` is unknown, or is not one of the key's type or curve.
    #[error("`alg` does not fit the key")]
    AlgorithmMismatch,
    /// Another key of the set has the same `kid`.
    #[error("another key has the same `kid`")]
    DuplicateKid,
    /// A member occurs twice.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// A coordinate has another length than the curve's, or the point is not a valid one of the curve.
    #[error("not a valid point of the curve")]
    InvalidPoint,
    /// Not an object, or a member is missing, mistyped or not base64url.
    #[error("a member is missing or malformed")]
    Malformed,
    /// `use` or `key_ops` say that the key is not, or not only, for signatures.
    #[error("not for signatures")]
    NotForSignatures,
    /// The key comes with its private part.
    #[error("holds private material")]
    PrivateMaterial,
    /// The key is symmetric.
    #[error("symmetric")]
    Symmetric,
    /// The curve is unknown here.
    #[error("unknown curve")]
    UnknownCurve,
    /// `kty` is unknown here.
    #[error("unknown key type")]
    UnknownType,
    /// An RSA key that is too short, too long, or has an even number or an exponent out of range.
    #[error("weak or oversized RSA key")]
    Weak,
}

impl KeyFault {
    /// Returns the stable code of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlgorithmMismatch => "jwks.algorithm_mismatch",
            Self::DuplicateKid => "jwks.duplicate_kid",
            Self::DuplicateMember => "jwks.duplicate_member",
            Self::InvalidPoint => "jwks.invalid_point",
            Self::Malformed => "jwks.malformed",
            Self::NotForSignatures => "jwks.not_for_signatures",
            Self::PrivateMaterial => "jwks.private_material",
            Self::Symmetric => "jwks.symmetric",
            Self::UnknownCurve => "jwks.unknown_curve",
            Self::UnknownType => "jwks.unknown_type",
            Self::Weak => "jwks.weak",
        }
    }

    /// Tells whether a secret has been published, so that somebody has to be called.
    pub const fn is_incident(self) -> bool {
        matches!(self, Self::PrivateMaterial | Self::Symmetric)
    }
}

impl From<JsonError> for KeyFault {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::DuplicateMember => Self::DuplicateMember,
            JsonError::Malformed
            | JsonError::TooDeep
            | JsonError::TooLong
            | JsonError::TooManyMembers
            | JsonError::WrongShape => Self::Malformed,
        }
    }
}

/// Why a body is not a key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not strict JSON, too long, or without an array `keys`.
    #[error("not a key set")]
    Json(#[from] JsonError),
    /// More keys than allowed.
    #[error("more keys than allowed")]
    TooManyKeys,
}

/// Why configured keys are refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", Self::text(.problems))]
#[non_exhaustive]
pub struct InlineKeysError {
    /// Every problem; empty when there was no key.
    pub problems: Vec<KeyProblem>,
}

impl InlineKeysError {
    fn text(problems: &[KeyProblem]) -> String {
        if problems.is_empty() {
            return "there is no key".to_owned();
        }

        let texts: Vec<_> = problems
            .iter()
            .map(|problem| format!("key {}: {}", problem.index, problem.fault))
            .collect();
        texts.join("; ")
    }
}

/// A JWK is flat; certificates and foreign members may add a little.
const MAX_DEPTH: usize = 16;
