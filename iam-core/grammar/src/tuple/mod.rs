//! What is one relationship? `namespace:object#relation@subject`, in Keto's notation.
//!
//! | Text | Object | Subject |
//! |---|---|---|
//! | `Toy:1#owners@bob` | `1` | the id `bob` |
//! | `Toy:1#owners@ann@example.com` | `1` | the id `ann@example.com` |
//! | `Toy:1#owners@"user:bob"` | `1` | the id `user:bob` |
//! | `Toy:1#owners@User:bob` | `1` | the subject set `User:bob#`, whose relation is empty |
//! | `Toy:1#owners@Group:urn:team:7#members` | `1` | the subject set `Group:urn:team:7#members` |
//! | `Toy:urn:toy:1 (red)#owners@bob` | `urn:toy:1 (red)` | the id `bob` |
//! | `Toy:"a#b"#owners@bob` | `a#b` | the id `bob` |
//!
//! A text is cut where Keto cuts it: the namespace ends at the first `:`, the object at the first `#` behind it, and the relation
//! at the first `@` behind that. A subject with a `:` is a subject set. One pair of parentheses may enclose the subject.
//!
//! Quotation marks are an addition to Keto's notation. Keto holds the id `user:bob` and the set `user:bob#` for different subjects,
//! and quotes mark the id. Around an object they count only if it contains a `#`, a `"` or a brace, or starts with a `:`; otherwise
//! they are part of the object, as they are to Keto. Inside of quotes `""` is one `"`. A mark twice (`ns::object`, `@@id`) is
//! an error.
//!
//! Blanks around a part are dropped. Printing a tuple and reading it again gives the same tuple, and no two tuples print the same.
//!
//! # Characters of a part
//!
//! Keto's HTTP interface takes the parts of a tuple separately, so an object and a subject id may contain every character of the
//! notation: `ann@example.com`, `https://app.example/u/7` and `Ann (ext)` are good ids. They contain none of the
//! [characters that are refused everywhere](crate::name#characters-that-are-refused-everywhere). Namespaces and relations are
//! names, which the author of a route chooses, and contain no mark of the notation.

use std::{fmt, str::FromStr};

pub use crate::notation::MAX_TUPLE_LENGTH;
use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part},
    name::{MAX_NAME_LENGTH, NameError, check_namespace, check_relation, check_spaces, deception},
    notation::{self, Braces, Piece, SubjectNotation},
};

/// The longest object and the longest subject id, in bytes.
pub const MAX_OBJECT_LENGTH: usize = 1024;

// INVARIANT: the longest tuple prints to a text that is not too long to be read again. Inside of quotes, a `"` takes two bytes.
const _: () = assert!(4 * MAX_NAME_LENGTH + 4 * MAX_OBJECT_LENGTH + 16 <= MAX_TUPLE_LENGTH);

/// One relationship: the subject has the relation to the object.
///
/// Every part is checked, whether the tuple is read or made of its parts.
///
/// ```
/// use iam_grammar::{RelationTuple, Subject};
///
/// # fn main() -> Result<(), iam_grammar::GrammarError> {
/// let tuple: RelationTuple = "Toy:1#owners@(Group:staff#members)".parse()?;
/// assert_eq!(tuple.object(), "1");
///
/// let tuple = RelationTuple::new("Toy", "1", "owners", Subject::id("user:bob")?)?;
/// assert_eq!(tuple.to_string(), r#"Toy:1#owners@"user:bob""#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationTuple {
    namespace: String,
    object: String,
    relation: String,
    subject: Subject,
}

impl RelationTuple {
    /// Makes a tuple of its parts.
    ///
    /// # Errors
    ///
    /// A part that is empty, too long, or contains a character that is not allowed in it. The position counts from the start of that part.
    pub fn new(
        namespace: impl Into<String>,
        object: impl Into<String>,
        relation: impl Into<String>,
        subject: Subject,
    ) -> Result<Self, GrammarError> {
        let (namespace, object, relation) = (namespace.into(), object.into(), relation.into());

        namespace_is_legal(&namespace)?;
        object_is_legal(&object)?;
        relation_is_legal(&relation)?;
        subject.is_legal()?;
        Ok(Self {
            namespace,
            object,
            relation,
            subject,
        })
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the object.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Returns the relation.
    pub fn relation(&self) -> &str {
        &self.relation
    }

    /// Returns the subject.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl FromStr for RelationTuple {
    type Err = GrammarError;

    /// Reads a whole tuple. A tuple without a subject is an error.
    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let notation = notation::tuple(text, Braces::Text)?;
        let Some(subject) = notation.subject else {
            return Err(GrammarError::new(Kind::Expected('@'), notation.end));
        };

        Ok(Self {
            namespace: read(notation.namespace, namespace_is_legal, Part::Namespace)?,
            object: read(notation.object, object_is_legal, Part::Object)?,
            relation: read(notation.relation, relation_is_legal, Part::Relation)?,
            subject: Subject::from_notation(subject)?,
        })
    }
}

impl fmt::Display for RelationTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}#{}@{}",
            self.namespace,
            ObjectText(&self.object, Braces::Text),
            self.relation,
            self.subject
        )
    }
}

/// The subject of a tuple.
///
/// The variants are open so that they can be matched. Their contents are checked where a [`RelationTuple`] is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "Keto knows exactly these two kinds of subject"
)]
pub enum Subject {
    /// An opaque id. Keto never looks inside it.
    Id(String),
    /// The subjects that have the relation of the set to the object of the set.
    Set(SubjectSet),
}

impl Subject {
    /// Makes a subject of an id.
    ///
    /// # Errors
    ///
    /// An id that is empty, longer than [`MAX_OBJECT_LENGTH`], or contains one of the
    /// [characters that are refused everywhere](crate::name#characters-that-are-refused-everywhere), or spaces other than single
    /// ones between other characters.
    pub fn id(id: impl Into<String>) -> Result<Self, GrammarError> {
        let id = id.into();
        subject_id_is_legal(&id)?;
        Ok(Self::Id(id))
    }

    /// Makes a subject of a subject set; the relation may be empty.
    ///
    /// # Errors
    ///
    /// The errors of [`SubjectSet::new`].
    pub fn set(
        namespace: impl Into<String>,
        object: impl Into<String>,
        relation: impl Into<String>,
    ) -> Result<Self, GrammarError> {
        SubjectSet::new(namespace, object, relation).map(Self::Set)
    }

    fn from_notation(notation: SubjectNotation<'_>) -> Result<Self, GrammarError> {
        match notation {
            SubjectNotation::Id(id) => read(id, subject_id_is_legal, Part::Subject).map(Self::Id),
            SubjectNotation::Set {
                namespace,
                object,
                relation,
            } => Ok(Self::Set(SubjectSet {
                namespace: read(namespace, namespace_is_legal, Part::Namespace)?,
                object: read(object, object_is_legal, Part::Object)?,
                relation: relation.map_or_else(
                    || Ok(String::new()),
                    |it| read(it, relation_is_legal, Part::Relation),
                )?,
            })),
        }
    }

    fn is_legal(&self) -> Result<(), GrammarError> {
        match self {
            Self::Id(id) => subject_id_is_legal(id),
            // INVARIANT: a `SubjectSet` is checked when it is made.
            Self::Set(_) => Ok(()),
        }
    }
}

impl FromStr for Subject {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        Self::from_notation(notation::subject(text)?)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => SubjectIdText(id, Braces::Text).fmt(f),
            Self::Set(set) => set.fmt(f),
        }
    }
}

impl From<SubjectSet> for Subject {
    fn from(set: SubjectSet) -> Self {
        Self::Set(set)
    }
}

/// The subjects that have a relation to an object; with an empty relation, the object itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectSet {
    namespace: String,
    object: String,
    relation: String,
}

impl SubjectSet {
    /// Makes a subject set of its parts; the relation may be empty.
    ///
    /// # Errors
    ///
    /// A part that is empty, too long, or contains a character that is not allowed in it. The position counts from the start of that part.
    pub fn new(
        namespace: impl Into<String>,
        object: impl Into<String>,
        relation: impl Into<String>,
    ) -> Result<Self, GrammarError> {
        let (namespace, object, relation) = (namespace.into(), object.into(), relation.into());

        namespace_is_legal(&namespace)?;
        object_is_legal(&object)?;
        if !relation.is_empty() {
            relation_is_legal(&relation)?;
        }
        Ok(Self {
            namespace,
            object,
            relation,
        })
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the object.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Returns the relation, which may be empty.
    pub fn relation(&self) -> &str {
        &self.relation
    }
}

impl fmt::Display for SubjectSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SubjectSetText {
            namespace: &self.namespace,
            object: ObjectText(&self.object, Braces::Text),
            relation: &self.relation,
        }
        .fmt(f)
    }
}

/// Prints an object, in quotes if the notation needs them.
pub(crate) struct ObjectText<'a>(pub(crate) &'a str, pub(crate) Braces);

impl fmt::Display for ObjectText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(object, braces) = self;
        if braces.object_needs_quotes(object) {
            return quoted(object, f);
        }
        f.write_str(object)
    }
}

/// Prints a subject id, in quotes if it contains a mark of the notation.
pub(crate) struct SubjectIdText<'a>(pub(crate) &'a str, pub(crate) Braces);

impl fmt::Display for SubjectIdText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, braces) = self;
        if braces.subject_id_needs_quotes(id) {
            return quoted(id, f);
        }
        f.write_str(id)
    }
}

/// Prints a subject set.
pub(crate) struct SubjectSetText<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) object: ObjectText<'a>,
    pub(crate) relation: &'a str,
}

impl fmt::Display for SubjectSetText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.object)?;
        // Without the `#`, a parenthesis at the end would be taken for one around the subject.
        if self.relation.is_empty() && !self.object.0.ends_with(')') {
            return Ok(());
        }
        write!(f, "#{}", self.relation)
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('"', "\"\""))
}

fn read(
    piece: Piece<'_>,
    is_legal: impl Fn(&str) -> Result<(), GrammarError>,
    part: Part,
) -> Result<String, GrammarError> {
    let checked = match piece.text.find(['{', '}']) {
        // In a text that is no template, it is a placeholder that nothing fills.
        Some(brace) if !piece.is_quoted => Err(GrammarError::new(Kind::Character(part), brace)),
        Some(_) | None => is_legal(&piece.text),
    };
    checked.map_err(|err| err.behind(piece.at))?;

    Ok(piece.text.into_owned())
}

pub(crate) fn namespace_is_legal(text: &str) -> Result<(), GrammarError> {
    check_namespace(text).map_err(|err| of_part(err, Part::Namespace))
}

pub(crate) fn relation_is_legal(text: &str) -> Result<(), GrammarError> {
    check_relation(text).map_err(|err| of_part(err, Part::Relation))
}

fn object_is_legal(text: &str) -> Result<(), GrammarError> {
    text_is_legal(text, Part::Object)
}

fn subject_id_is_legal(text: &str) -> Result<(), GrammarError> {
    text_is_legal(text, Part::Subject)
}

fn text_is_legal(text: &str, part: Part) -> Result<(), GrammarError> {
    if text.is_empty() {
        return Err(GrammarError::new(Kind::Empty(part), 0));
    }
    if MAX_OBJECT_LENGTH < text.len() {
        return Err(GrammarError::new(Kind::TooLong(part), MAX_OBJECT_LENGTH));
    }
    if let Some((position, _)) = text.char_indices().find(|(_, c)| deception(*c).is_some()) {
        return Err(GrammarError::new(Kind::Character(part), position));
    }
    check_spaces(text).map_err(|err| of_part(err, part))
}

pub(crate) fn of_part(err: NameError, part: Part) -> GrammarError {
    match err {
        NameError::Character { position } => GrammarError::new(Kind::Character(part), position),
        NameError::Empty => GrammarError::new(Kind::Empty(part), 0),
        NameError::TooLong { max } => GrammarError::new(Kind::TooLong(part), max),
    }
}

#[cfg(test)]
mod tests;
