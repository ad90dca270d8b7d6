//! Why was a text refused, and where?

use std::fmt;

use thiserror::Error;

/// Tells why a text is no tuple, template or permission, and at which byte the trouble starts.
///
/// The message never repeats the text: it may come from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} (at byte {position})")]
pub struct GrammarError {
    kind: GrammarErrorKind,
    position: usize,
}

impl GrammarError {
    pub(crate) const fn new(kind: GrammarErrorKind, position: usize) -> Self {
        Self { kind, position }
    }

    /// Moves the error behind `offset` bytes that stood in front of the text it was found in.
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

    /// Returns the byte of the text at which the trouble starts, counted from 0.
    pub const fn position(&self) -> usize {
        self.position
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrammarErrorKind {
    /// Two placeholders without anything between them.
    #[error(
        "two placeholders need something between them that their values do not contain, as in `{{shop}}/{{id}}`"
    )]
    Adjacent,
    /// A `{` or `}` that does not enclose a placeholder.
    #[error("`{{` and `}}` may only enclose a placeholder, as in `{{id}}`")]
    Brace,
    /// A character that this part may not contain.
    #[error("a character that is not allowed in the {0}")]
    Character(Part),
    /// A `:` inside an object that is not in quotes.
    #[error("a `:` inside an object has to stand in quotes, as in `orders:\"a:b\"#view`")]
    Colon,
    /// A part without any character.
    #[error("an empty {0}")]
    Empty(Part),
    /// A mark that has to stand here and does not.
    #[error("expected `{0}`: a tuple is written `namespace:object#relation@subject`")]
    Expected(char),
    /// A permission that nests deeper than [`MAX_DEPTH`](crate::permission::MAX_DEPTH).
    #[error("`any` and `all` are nested too deeply")]
    Nesting,
    /// An opening parenthesis without its closing one.
    #[error("the parenthesis around the subject is not closed")]
    Parenthesis,
    /// A placeholder where only fixed text may stand.
    #[error("a {0} cannot contain a placeholder")]
    Placeholder(Part),
    /// A quoted part where quotes are not possible, or text beside a quoted part.
    #[error("quotes may only enclose a whole object or a whole subject id")]
    Quote,
    /// A subject with a relation but without a namespace.
    #[error("a subject with a relation is written `namespace:object#relation`")]
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
    /// An `any` or `all` without a member: it would be true or false of nothing.
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
/// Nothing is asked in any of these cases. The message names no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each reason has one status, matched exhaustively by the callers"
)]
pub enum ResolveError {
    /// A value contains a control character, or another one that is not seen or turns what is seen: two different objects could
    /// look alike.
    #[error("a value for a placeholder contains a control character or one that is not seen")]
    Control,
    /// A value is empty.
    #[error("a value for a placeholder is empty")]
    Empty,
    /// What the permission asks is about the other kind of principal, in every tuple that could allow. This is a denial,
    /// and nobody's mistake.
    #[error("the permission is about another kind of principal")]
    Inapplicable,
    /// There is no value of that name. This is a mistake of the application, not of the caller.
    #[error("there is no value for a placeholder")]
    Missing,
    /// A value contains a character that separates the parts of a tuple, the text that separates it from the next value, white space
    /// that could be trimmed away, or what looks like a space and is none.
    #[error("a value for a placeholder contains a reserved character")]
    Reserved,
    /// The default subject is not one that a tuple can have. This is a mistake of the application, not of the caller.
    #[error("the default subject is not a valid subject")]
    Subject,
    /// A value, or the text that it became part of, is too long.
    #[error("a value for a placeholder is too long")]
    TooLong,
    /// A value contains U+FFFD, which stands for bytes that were not UTF-8: two different objects could look alike.
    #[error("a value for a placeholder was not valid UTF-8")]
    Undecodable,
}
