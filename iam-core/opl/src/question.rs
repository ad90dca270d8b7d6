//! What is asked, how far is looked, and what may the answer be?

use thiserror::Error;

/// `namespace:object#relation`, of any text.
///
/// What a server stores is laxer than the notation: here nothing is reserved, and the relation may be empty.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_structs,
    reason = "three names make a question, and callers write them out"
)]
pub struct ObjectRelation<'a> {
    /// The kind of object.
    pub namespace: &'a str,
    /// The object.
    pub object: &'a str,
    /// What is asked of it.
    pub relation: &'a str,
}

/// Who asks: an id, or all of a set. `user:bob` as an id and the set `user:bob#` are different subjects.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind of subject")]
pub enum Subject<'a> {
    /// An opaque id.
    Id(&'a str),
    /// A subject set.
    Set(ObjectRelation<'a>),
}

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide about each of them")]
pub enum Answer {
    /// The subject has the relation.
    Allow,
    /// The subject does not have it.
    Deny,
    /// No way to the relation was found within the limits, and some ways were cut off there. Keto says deny.
    Exhausted,
}

impl Answer {
    /// Tells whether it is [`Answer::Allow`].
    pub fn is_allow(self) -> bool {
        self == Self::Allow
    }
}

/// Why a check has no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide about each of them")]
pub enum CheckError {
    /// The check took more steps than are allowed. Permits that refer to each other in a circle are the usual cause.
    #[error("the check takes too many steps")]
    TooManySteps,
    /// The namespace is not declared.
    #[error("unknown namespace `{namespace}`")]
    UnknownNamespace {
        /// Its name.
        namespace: String,
    },
    /// The namespace is declared and has no such relation or permit.
    #[error("unknown relation `{relation}` of namespace `{namespace}`")]
    UnknownRelation {
        /// The namespace.
        namespace: String,
        /// The name that it does not have.
        relation: String,
    },
}

/// How far a check goes. Defaults to what Keto does unless configured: depth 5, width 100, lenient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckLimits {
    pub(super) depth: u32,
    pub(super) width: u32,
    pub(super) mode: Mode,
}

/// Whether only declared subject sets are followed (Keto's `experimental_strict_mode`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Every stored subject set is followed, and tuples written for a permit count.
    #[default]
    Lenient,
    /// Subject sets are followed where a `SubjectSet<…>` is declared, and tuples written for a permit do not count.
    Strict,
}

impl CheckLimits {
    /// Sets how many hops a way may have. Defaults to [`DEFAULT_DEPTH`].
    #[must_use]
    pub fn depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Sets how many subject sets of one relation are followed. Defaults to [`DEFAULT_WIDTH`].
    #[must_use]
    pub fn width(mut self, width: u32) -> Self {
        self.width = width;
        self
    }

    /// Sets the mode. Defaults to [`Mode::Lenient`].
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }
}

impl Default for CheckLimits {
    fn default() -> Self {
        Self {
            depth: DEFAULT_DEPTH,
            width: DEFAULT_WIDTH,
            mode: Mode::Lenient,
        }
    }
}

/// How many hops a way may have unless configured; it is Keto's default.
pub const DEFAULT_DEPTH: u32 = 5;

/// How many subject sets of one relation are followed unless configured; it is Keto's default.
pub const DEFAULT_WIDTH: u32 = 100;
