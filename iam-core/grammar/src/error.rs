//! The reasons for rejecting a text or a value, and the position of the mistake.

use std::fmt;

use thiserror::Error;

/// Tells why a text is not a tuple, template or permission, and at which byte the mistake starts.
///
/// The message never repeats the text, which may come from a request. `Debug` prints the same as `Display`, so that the error is
/// readable when `main` returns it.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} (at byte {position})")]
pub struct GrammarError {
    kind: GrammarErrorKind,
    position: usize,
}

impl GrammarError {
    pub(crate) const fn new(kind: GrammarErrorKind, position: usize) -> Self {
        Self { kind, position }
    }

    /// Adds the `offset` at which the part with the mistake starts.
    pub(crate) const fn behind(self, offset: usize) -> Self {
        Self {
            kind: self.kind,
            position: self.position.saturating_add(offset),
        }
    }

    /// Returns what is wrong.
    pub const fn kind(&self) -> GrammarErrorKind {
        self.kind
    }

    /// Returns the byte of the text at which the mistake starts, counted from 0.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Debug for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The kind of a mistake in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrammarErrorKind {
    /// Two placeholders without anything between them.
    #[error(
        "two placeholders need fixed text between them that their values do not contain, as in `{{shop}}/{{id}}`"
    )]
    Adjacent,
    /// A `{` or `}` that does not enclose a placeholder.
    #[error("`{{` and `}}` may only enclose a placeholder, as in `{{id}}`")]
    Brace,
    /// A character that this part may not contain.
    #[error("a character that is not allowed in the {0}")]
    Character(Part),
    /// A part without any character.
    #[error("an empty {0}")]
    Empty(Part),
    /// A parenthesis at one end of a subject, which Keto would drop.
    #[error(
        "Keto drops parentheses at the ends of a subject: enclose a subject id in quotes, as in `\"Ann (ext)\"`, and end a \
         subject set with `#`"
    )]
    Enclosed,
    /// An absent mark.
    #[error("expected `{0}`: a tuple is written `namespace:object#relation@subject`")]
    Expected(char),
    /// A permission that nests deeper than [`MAX_DEPTH`](crate::permission::MAX_DEPTH).
    #[error("`any` and `all` are nested too deeply")]
    Nesting,
    /// A `#` in the fixed text of an object template.
    #[error(
        "a `#` in an object template: if a relation follows it, write the whole tuple, `namespace:object#relation`"
    )]
    ObjectWithRelation,
    /// An opening parenthesis without its closing one.
    #[error("the parenthesis around the subject is not closed")]
    Parenthesis,
    /// A placeholder where only fixed text may stand.
    #[error("a {0} cannot contain a placeholder")]
    Placeholder(Part),
    /// Quotes around a namespace or a relation, or a `"` inside an unquoted subject id.
    #[error(
        "quotes may only enclose a whole object or a whole subject id; inside of quotes, `\"\"` stands for one `\"`"
    )]
    Quote,
    /// A subject with a relation but without a namespace. Keto reads it as a subject id.
    #[error(
        "a subject set is written `namespace:object#relation`, and a subject id with a `#` in quotes, as in `\"a#b\"`"
    )]
    SubjectSet,
    /// A part that is longer than its bound.
    #[error("the {0} is too long")]
    TooLong(Part),
    /// A permission with more tuples than [`MAX_TUPLES`](crate::permission::MAX_TUPLES).
    #[error("too many tuples in one permission")]
    TooManyTuples,
    /// Text behind the end of the tuple.
    #[error("text behind the end of the tuple")]
    Trailing,
    /// A quotation mark without its closing one.
    #[error("the quotation mark is not closed")]
    UnclosedQuote,
    /// An `any` or `all` without a member.
    #[error("`any` and `all` need at least one permission")]
    Vacuous,
}

/// The part of a text that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The namespace of a tuple or of a subject set.
    Namespace,
    /// The object of a tuple or of a subject set.
    Object,
    /// The name between `{` and `}`.
    Placeholder,
    /// The relation of a tuple or of a subject set.
    Relation,
    /// The subject of a tuple.
    Subject,
    /// A whole template.
    Template,
    /// A whole tuple.
    Tuple,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "namespace",
            Self::Object => "object",
            Self::Placeholder => "placeholder name",
            Self::Relation => "relation",
            Self::Subject => "subject",
            Self::Template => "template",
            Self::Tuple => "tuple",
        })
    }
}

/// Tells why the values of a request do not fill a template.
///
/// Keto is not asked in any of these cases. The message contains no value. `Debug` prints the same as `Display`.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each reason has one status, matched exhaustively by the callers"
)]
pub enum ResolveError {
    /// A value contains the fixed text that separates it from the next value, so that other values would make the same text.
    #[error("a value for a placeholder contains the text that separates it from the next placeholder")]
    Ambiguous,
    /// A value contains a blank that print hides: at either end, beside another one, or a character that looks like a space.
    #[error(
        "a value for a placeholder contains a blank at one end, two blanks in a row, or a blank other than the plain space"
    )]
    Blank,
    /// A value contains a control character or an invisible one, so that two different objects could look alike.
    #[error("a value for a placeholder contains a control character or an invisible one")]
    Control,
    /// A value is `.` or `..`, or has one of them between slashes.
    #[error("a value for a placeholder contains a path segment `.` or `..`")]
    DotSegment,
    /// A value is empty or consists of blanks.
    #[error("a value for a placeholder is empty")]
    Empty,
    /// Every tuple that could allow is about the other kind of principal. This is a denial and not a mistake.
    #[error("the permission is about another kind of principal")]
    Inapplicable,
    /// A placeholder has no value. This is a mistake of the application, not of the caller.
    #[error("there is no value for a placeholder")]
    Missing,
    /// An id of the principal, or the default subject, cannot be part of a tuple. This is a denial and not a mistake.
    #[error("the principal's id cannot be part of a tuple")]
    Subject,
    /// A value, or the text that it is part of, is too long.
    #[error("a value for a placeholder is too long")]
    TooLong,
    /// A value contains U+FFFD, which replaces bytes that were not UTF-8, so that two different objects could look alike.
    #[error("a value for a placeholder was not valid UTF-8")]
    Undecodable,
}

impl fmt::Debug for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
