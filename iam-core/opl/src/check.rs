//! The input of a check, its limits and its answers.

use std::fmt;

use thiserror::Error;

/// `namespace:object#relation`, of any text.
///
/// A server stores more than the notation of tuples can express: no character is reserved, and the relation may be empty.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the three parts are fixed by Keto, and callers write them out"
)]
pub struct ObjectRelation<'a> {
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The object.
    pub object: &'a str,
    /// The relation or permit.
    pub relation: &'a str,
}

/// The subject of a tuple or a check: an id, or a subject set. The id `user:bob` and the set `user:bob#` are different subjects.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind of subject")]
pub enum Subject<'a> {
    /// An opaque id.
    Id(&'a str),
    /// A subject set.
    Set(ObjectRelation<'a>),
}

/// The answer of a check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide about each of them")]
pub enum Answer {
    /// The subject has the relation.
    Allow,
    /// The subject does not have it.
    Deny,
    /// No path to the relation was found within the limits, and some paths exceeded them. Keto denies.
    Exhausted,
}

impl Answer {
    /// Tells whether the answer is [`Answer::Allow`].
    pub fn is_allow(self) -> bool {
        self == Self::Allow
    }
}

/// The reason why a check has no answer. `Debug` prints the same as `Display`.
#[derive(Clone, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide about each of them")]
pub enum CheckError {
    /// The check took too many steps. Permits that refer to each other in a circle are the usual cause.
    #[error("the check takes too many steps")]
    TooManySteps,
    /// The namespace is not declared.
    #[error("unknown namespace `{namespace}`")]
    UnknownNamespace {
        /// The name of the namespace.
        namespace: String,
    },
    /// The namespace is declared and has no such relation or permit.
    #[error("unknown relation `{relation}` of namespace `{namespace}`")]
    UnknownRelation {
        /// The namespace.
        namespace: String,
        /// The name of the relation.
        relation: String,
    },
}

impl fmt::Debug for CheckError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The limits of a check. Defaults to Keto's: depth 5, width 100, lenient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckLimits {
    pub(crate) depth: u32,
    pub(crate) width: u32,
    pub(crate) mode: Mode,
}

/// Decides whether undeclared subject sets are followed (Keto's `experimental_strict_mode`).
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
    /// Sets the most hops of a path. Defaults to [`DEFAULT_DEPTH`].
    #[must_use]
    pub fn depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Sets the most subject sets of one relation that are followed. Defaults to [`DEFAULT_WIDTH`].
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

/// The most hops of a path by default, as in Keto.
pub const DEFAULT_DEPTH: u32 = 5;

/// The most subject sets of one relation that are followed by default, as in Keto.
pub const DEFAULT_WIDTH: u32 = 100;
