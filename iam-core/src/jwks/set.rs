//! The keys that an issuer publishes.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

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
    /// The ids of keys that are an [incident](KeyFault::is_incident): a key of such an id gets no grace.
    compromised: Vec<String>,
}

impl KeySet {
    /// Reads a key set that was fetched. A key that cannot be used is left out and reported; the others serve (RFC 7517 §5).
    /// A set without any usable key is valid: it withdraws the issuer's keys. A byte order mark at the start is ignored.
    ///
    /// Keys of one `kid` are told apart by the token's `alg` (RFC 7517 §4.5), and a key that is published twice counts once. Where
    /// one token could mean two different keys, both are left out.
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
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
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

    /// Reads the keys of a configuration. Every problem is an error, because the operator can correct it.
    ///
    /// # Errors
    ///
    /// All problems of all keys, or that there is no key at all.
    pub fn inline(keys: &[Value], limits: KeyLimits) -> Result<Self, InlineKeysError> {
        if keys.is_empty() {
            return Err(InlineKeysError { problems: Vec::new() });
        }

        // Duplicate members cannot be detected any more, because the configuration is already parsed. All other checks
        // apply.
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

    /// Tells whether the set holds an incident under the id of a key.
    pub(super) fn compromises(&self, key: &VerificationKey) -> bool {
        let kid = key.kid();
        self.compromised
            .iter()
            .any(|compromised| Some(compromised.as_str()) == kid)
    }

    pub(super) fn keys(&self) -> &[Arc<VerificationKey>] {
        &self.keys
    }

    /// Returns the key that a token means. There are [`KeyLimits::max_keys`] at most, and mostly two.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&Arc<VerificationKey>> {
        self.keys
            .iter()
            .find(|key| key.kid() == Some(kid) && key.with(algorithm).is_some())
    }

    pub(super) fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// Returns the only key that can have signed with an algorithm.
    pub(super) fn sole(&self, algorithm: Algorithm) -> Result<&Arc<VerificationKey>, TokenFault> {
        let mut fitting = self.keys.iter().filter(|key| key.with(algorithm).is_some());
        let first = fitting.next().ok_or(TokenFault::KeyIdMissing)?;
        if fitting.any(|other| !other.has_material_of(first)) {
            return Err(TokenFault::KeyIdMissing);
        }

        Ok(first)
    }

    fn collect(
        jwks: impl Iterator<Item = Result<Map<String, Value>, JsonError>>,
        limits: KeyLimits,
    ) -> (Self, Vec<KeyProblem>) {
        let mut problems = Vec::new();
        let mut usable: Vec<(usize, VerificationKey)> = Vec::new();
        let mut unusable = HashSet::new();
        for (index, jwk) in jwks.enumerate() {
            let jwk = jwk.map(without_nulls);
            let kid = jwk.as_ref().ok().and_then(|jwk| key::key_id(jwk).ok().flatten());
            let read = jwk
                .as_ref()
                .map_err(|err| KeyFault::from(*err))
                .and_then(|jwk| VerificationKey::read(jwk, limits));
            match read {
                Ok(key) => usable.push((index, key)),
                Err(fault) => {
                    if let (Ok(jwk), Some(kid)) = (&jwk, &kid) {
                        let algorithms = key::claimed_algorithms(jwk);
                        unusable.extend(algorithms.into_iter().map(|algorithm| (kid.clone(), algorithm)));
                    }
                    problems.push(KeyProblem { index, kid, fault });
                }
            }
        }

        let ambiguous = ambiguous(&usable, unusable);
        let mut set = Self::default();
        for (index, key) in usable {
            let is_ambiguous = |kid: &str| {
                key.algorithms()
                    .any(|algorithm| ambiguous.contains(&(kid.to_owned(), algorithm)))
            };
            if key.kid().is_some_and(is_ambiguous) {
                problems.push(KeyProblem {
                    index,
                    kid: key.kid().map(str::to_owned),
                    fault: KeyFault::DuplicateKid,
                });
            } else if !set.keys.iter().any(|other| other.is_same(&key)) {
                set.keys.push(Arc::new(key));
            }
        }
        problems.sort_by_key(|problem| problem.index);
        let incidents = problems.iter().filter(|problem| problem.fault.is_incident());
        set.compromised = incidents.filter_map(|problem| problem.kid.clone()).collect();
        (set, problems)
    }
}

/// Removes members that are `null`, which some servers write for absent members.
fn without_nulls(mut jwk: Map<String, Value>) -> Map<String, Value> {
    jwk.retain(|_, value| !value.is_null());
    jwk
}

/// Returns the pairs of `kid` and `alg` by which a token could mean two different keys (RFC 7517 §4.5). Choosing one of
/// them would be a guess, even if one is unusable.
fn ambiguous(
    usable: &[(usize, VerificationKey)],
    unusable: HashSet<(String, Algorithm)>,
) -> HashSet<(String, Algorithm)> {
    let mut ambiguous = unusable;
    let mut first = HashMap::new();
    for (_, key) in usable {
        let Some(kid) = key.kid() else { continue };
        for algorithm in key.algorithms() {
            let seen = first.entry((kid, algorithm)).or_insert(key);
            if !seen.has_material_of(key) {
                ambiguous.insert((kid.to_owned(), algorithm));
            }
        }
    }
    ambiguous
}

/// A key of a set that is not used, and the reason: for the log and, if [`KeyFault::is_incident`], for the audit.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyProblem {
    /// The position in the set, from 0.
    pub index: usize,
    /// The key's id, if it is readable. From outside: must be escaped where it is printed.
    pub kid: Option<String>,
    /// The fault.
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

/// Why a key is not used. A text is the name of the invalid member, or describes the fault.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// `alg` is unknown, or is not one of the key's type or curve.
    #[error("`alg` is unknown or does not fit `kty` and `crv`")]
    AlgorithmMismatch,
    /// Another key of the set has the same `kid`, and a token could mean either.
    #[error(
        "another key has the same `kid`, and a token could mean either: give each key a `kid` of its own"
    )]
    DuplicateKid,
    /// A member occurs twice.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// A coordinate has another length than the curve's, or the point is not a valid one of the curve.
    #[error("`x` and `y` are not a valid point of the curve")]
    InvalidPoint,
    /// A member has the wrong type or encoding.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    /// A required member is absent or `null`.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member says that the key is not, or not only, for signatures.
    #[error("`{0}` says that the key is not for signatures alone")]
    NotForSignatures(&'static str),
    /// The key comes with its private part.
    #[error("`{0}` is private: replace the key, which is public now")]
    PrivateMaterial(&'static str),
    /// The key is symmetric.
    #[error("`kty` is `oct`, a symmetric key: replace the key, which is public now")]
    Symmetric,
    /// The curve is not supported.
    #[error("`crv` is not a supported curve")]
    UnknownCurve,
    /// The key type is not supported.
    #[error("`kty` is not a supported key type")]
    UnknownType,
    /// Not a JSON object, or nested too deep.
    #[error("not a JSON object")]
    Unreadable,
    /// An RSA key that is too short, too long, of a broken generator, or has an even number or an exponent out of range.
    #[error("weak or oversized RSA key: {0}")]
    Weak(&'static str),
}

impl KeyFault {
    /// Returns the stable code of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlgorithmMismatch => "jwks.algorithm_mismatch",
            Self::DuplicateKid => "jwks.duplicate_kid",
            Self::DuplicateMember => "jwks.duplicate_member",
            Self::InvalidPoint => "jwks.invalid_point",
            Self::Malformed(_) | Self::Missing(_) | Self::Unreadable => "jwks.malformed",
            Self::NotForSignatures(_) => "jwks.not_for_signatures",
            Self::PrivateMaterial(_) => "jwks.private_material",
            Self::Symmetric => "jwks.symmetric",
            Self::UnknownCurve => "jwks.unknown_curve",
            Self::UnknownType => "jwks.unknown_type",
            Self::Weak(_) => "jwks.weak",
        }
    }

    /// Tells whether the issuer must act: a secret is published, or valid tokens are refused because two keys cannot be told apart.
    pub const fn is_incident(self) -> bool {
        matches!(
            self,
            Self::DuplicateKid | Self::PrivateMaterial(_) | Self::Symmetric
        )
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
            | JsonError::WrongShape => Self::Unreadable,
        }
    }
}

/// Why a body is not a key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not strict JSON, too long, or without an array `keys`.
    #[error("not a key set: {0}")]
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
    /// Every problem; empty if there was no key.
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

/// Some servers begin a UTF-8 text with it, although RFC 8259 §8.1 forbids that.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A JWK is flat; certificates and foreign members may add a little.
const MAX_DEPTH: usize = 16;
