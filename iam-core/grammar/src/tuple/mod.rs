//! What is one relationship? `namespace:object#relation@subject`, in Keto's notation, read strictly.
//!
//! | Text | Subject |
//! |---|---|
//! | `Toy:1#owners@bob` | the id `bob` |
//! | `Toy:1#owners@"user:bob"` | the id `user:bob`: quotes take away the meaning of the marks between them |
//! | `Toy:1#owners@User:bob` | the subject set `User:bob#`, whose relation is empty |
//! | `Toy:1#owners@Group:staff#members` | the subject set `Group:staff#members` |
//!
//! Keto holds the id `user:bob` and the set `user:bob#` for different subjects, so both have a form of their own. One
//! pair of parentheses may enclose the subject. An object that contains `:` stands in quotes: `orders:"eu:7"#view@bob`.
//! Blanks around a part are dropped; a blank part, a second `:`, `#` or `@`, and any other parenthesis are errors that
//! tell the byte at which they stand. Printing a tuple and reading it again gives the same tuple.

use std::{fmt, str::FromStr};

use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part},
    name::{MAX_NAME_LENGTH, NameError, RESERVED, check_namespace, check_relation, check_spaces, deception},
    notation::{self, Piece, SubjectNotation},
};

/// The longest object and the longest subject id, in bytes.
pub const MAX_OBJECT_LENGTH: usize = 1024;

/// The longest text of a tuple, in bytes.
pub const MAX_TUPLE_LENGTH: usize = 4096;

// INVARIANT: the longest tuple prints to a text that is not too long to be read again.
const _: () = assert!(4 * MAX_NAME_LENGTH + 2 * MAX_OBJECT_LENGTH + 16 <= MAX_TUPLE_LENGTH);

/// One relationship: the subject has the relation to the object.
///
/// Every part is checked, whichever way the tuple came to be.
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
    /// A part that is empty, too long, or contains what it may not. The position counts from the start of that part.
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

    /// Reads a whole tuple. A tuple without a subject is an error, never another kind of question.
    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let notation = notation::tuple(text)?;
        let Some(subject) = notation.subject else {
            return Err(GrammarError::new(Kind::Expected('@'), notation.end));
        };

        Ok(Self {
            namespace: read(notation.namespace, namespace_is_legal)?,
            object: read(notation.object, object_is_legal)?,
            relation: read(notation.relation, relation_is_legal)?,
            subject: Subject::from_notation(&subject)?,
        })
    }
}

impl fmt::Display for RelationTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}#{}@{}",
            self.namespace,
            Quoted(&self.object),
            self.relation,
            self.subject
        )
    }
}

/// Who has the relation.
///
/// The variants are open so that they can be matched; what is in them is checked where a [`RelationTuple`] is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "Keto knows exactly these two kinds of subject"
)]
pub enum Subject {
    /// An opaque id. Keto never looks inside it.
    Id(String),
    /// All that have the relation of the set to the object of the set.
    Set(SubjectSet),
}

impl Subject {
    /// Makes a subject of an id.
    ///
    /// # Errors
    ///
    /// An id that is empty, longer than [`MAX_OBJECT_LENGTH`], or contains `"`, `{`, `}`, one of the
    /// [characters that are nowhere](crate::name#characters-that-are-nowhere), or spaces other than single ones between other
    /// characters.
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

    fn from_notation(notation: &SubjectNotation<'_>) -> Result<Self, GrammarError> {
        match *notation {
            SubjectNotation::Id(id) => read(id, subject_id_is_legal).map(Self::Id),
            SubjectNotation::Set {
                namespace,
                object,
                relation,
            } => Ok(Self::Set(SubjectSet {
                namespace: read(namespace, namespace_is_legal)?,
                object: read(object, object_is_legal)?,
                relation: relation.map_or_else(|| Ok(String::new()), |it| read(it, relation_is_legal))?,
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
        Self::from_notation(&notation::subject(text)?)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => Quoted(id).fmt(f),
            Self::Set(set) => set.fmt(f),
        }
    }
}

impl From<SubjectSet> for Subject {
    fn from(set: SubjectSet) -> Self {
        Self::Set(set)
    }
}

/// All that have a relation to an object; with an empty relation, that object itself.
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
    /// A part that is empty, too long, or contains what it may not. The position counts from the start of that part.
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

    /// Returns the relation, `""` when the set has none.
    pub fn relation(&self) -> &str {
        &self.relation
    }
}

impl fmt::Display for SubjectSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, Quoted(&self.object))?;
        if self.relation.is_empty() {
            return Ok(());
        }
        write!(f, "#{}", self.relation)
    }
}

/// Prints a part in quotes if a mark inside it would be read as the end of the part.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Braces are not quoted: they only occur in templates, where they keep their meaning inside quotes too.
        if self.0.contains([':', '#', '@', '(', ')']) {
            return write!(f, "\"{}\"", self.0);
        }
        f.write_str(self.0)
    }
}

fn read(
    piece: Piece<'_>,
    is_legal: impl Fn(&str) -> Result<(), GrammarError>,
) -> Result<String, GrammarError> {
    is_legal(piece.text).map_err(|err| err.behind(piece.at))?;

    Ok(piece.text.to_owned())
}

pub(crate) fn namespace_is_legal(text: &str) -> Result<(), GrammarError> {
    check_namespace(text).map_err(|err| of_part(err, Part::Namespace))
}

pub(crate) fn relation_is_legal(text: &str) -> Result<(), GrammarError> {
    check_relation(text).map_err(|err| of_part(err, Part::Relation))
}

fn object_is_legal(text: &str) -> Result<(), GrammarError> {
    text_is_legal(text, Part::Object, is_object_character)
}

fn subject_id_is_legal(text: &str) -> Result<(), GrammarError> {
    text_is_legal(text, Part::Subject, is_subject_id_character)
}

/// An object is looked up as a whole, so `:` may be in it; what starts a relation or a subject may not, so that no id
/// that came from outside can ever look like the rest of another tuple.
pub(crate) fn is_object_character(c: char) -> bool {
    deception(c).is_none() && (c == ':' || !RESERVED.contains(&c))
}

/// An id may be an email address or a URL, and is always the last part of its tuple.
pub(crate) fn is_subject_id_character(c: char) -> bool {
    deception(c).is_none() && !matches!(c, '"' | '{' | '}')
}

fn text_is_legal(text: &str, part: Part, allowed: impl Fn(char) -> bool) -> Result<(), GrammarError> {
    if text.is_empty() {
        return Err(GrammarError::new(Kind::Empty(part), 0));
    }
    if MAX_OBJECT_LENGTH < text.len() {
        return Err(GrammarError::new(Kind::TooLong(part), MAX_OBJECT_LENGTH));
    }
    if let Some((position, _)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
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
