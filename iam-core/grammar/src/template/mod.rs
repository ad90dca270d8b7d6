//! Which object does this request name? Text with placeholders, filled from the values of one request.
//!
//! A placeholder is a name between `{` and `}`: ASCII letters, digits, `_` and `.`, not starting with a digit or `.`.
//! There is no escape: `{{` and `}}` are errors. Between two placeholders stands fixed text. Values are judged one by one, before
//! they become part of the text, so no value can end one part of a tuple and start the next, and no two sets of values make the
//! same text: with `{shop}/{id}`, order `b/c` of shop `a` is asked about, and shop `a/b` is refused.
//!
//! | A value that | gives |
//! |---|---|
//! | is not there | [`ResolveError::Missing`] |
//! | is empty | [`ResolveError::Empty`] |
//! | is longer than 512 bytes, or makes the text longer than 1024 | [`ResolveError::TooLong`] |
//! | contains a control character, or another one that is not seen or turns what is seen | [`ResolveError::Control`] |
//! | contains U+FFFD, which stands for bytes that were not UTF-8 | [`ResolveError::Undecodable`] |
//! | contains `:` `#` `@` `(` `)` `"` `{` `}`, what looks like a plain space and is none, or a plain space at either end or beside another one | [`ResolveError::Reserved`] |
//! | contains the fixed text that ends it, where another placeholder follows, or makes it begin sooner | [`ResolveError::Reserved`] |
//!
//! Which characters are not seen, [`name`](crate::name#characters-that-are-nowhere) tells. Everything else is taken as it is: `a/b`
//! and `..` are ordinary objects to Keto.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part, ResolveError},
    name::{Deception, RESERVED, check_spaces, deception},
    tuple::{MAX_OBJECT_LENGTH, is_object_character, is_subject_id_character},
};

/// The longest value of a placeholder, in bytes.
pub const MAX_VALUE_LENGTH: usize = 512;

/// The longest name of a placeholder, in bytes.
pub const MAX_PLACEHOLDER_LENGTH: usize = 64;

/// The most placeholders of one template.
pub const MAX_PLACEHOLDERS: usize = 16;

/// Text with placeholders: `orders:{id}`.
///
/// ```
/// use iam_grammar::{ResolveError, Template};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let template = Template::parse("orders:{id}")?;
///
/// assert_eq!(template.resolve(&|_| Some("7".into()))?, "orders:7");
/// assert_eq!(template.resolve(&|_| Some("7#owners@User:evil".into())), Err(ResolveError::Reserved));
/// assert_eq!(template.resolve(&|_| None), Err(ResolveError::Missing));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Piece {
    Literal(String),
    Placeholder(String),
}

impl Template {
    /// Reads a template of an object. Its fixed text may be what an object may be, `:` included.
    ///
    /// # Errors
    ///
    /// An empty or too long text, a character that an object may not contain, a brace without its other half, and a
    /// placeholder whose name is none.
    pub fn parse(text: &str) -> Result<Self, GrammarError> {
        Self::read(text, Part::Object, is_object_character)
    }

    /// Reads a template of a subject id, whose fixed text may be what a subject id may be.
    ///
    /// # Errors
    ///
    /// As for [`Template::parse`].
    pub fn parse_subject_id(text: &str) -> Result<Self, GrammarError> {
        Self::read(text, Part::Subject, is_subject_id_character)
    }

    /// Returns the names of the placeholders in the order of the text; a name that is used twice comes twice.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Fills the placeholders with the values of one request.
    ///
    /// # Errors
    ///
    /// The first value that is not there or contains what a value may not: see the [module](self).
    pub fn resolve<'v>(&self, values: &dyn Fn(&str) -> Option<Cow<'v, str>>) -> Result<String, ResolveError> {
        let mut text = String::with_capacity(self.text.len());
        let mut pieces = self.pieces.as_slice();
        while let [piece, behind @ ..] = pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Placeholder(name) => {
                    let value = values(name).ok_or(ResolveError::Missing)?;
                    value_is_legal(&value)?;
                    if let [Piece::Literal(separator), _, ..] = behind
                        && !ends_at_first(&value, separator)
                    {
                        return Err(ResolveError::Reserved);
                    }
                    text.push_str(&value);
                }
            }
            pieces = behind;
        }

        if MAX_OBJECT_LENGTH < text.len() {
            return Err(ResolveError::TooLong);
        }
        // A value beside a space of the fixed text can make two spaces of one.
        check_spaces(&text).map_err(|_| ResolveError::Reserved)?;
        Ok(text)
    }

    fn read(text: &str, part: Part, allowed: fn(char) -> bool) -> Result<Self, GrammarError> {
        if text.is_empty() {
            return Err(GrammarError::new(Kind::Empty(part), 0));
        }
        if MAX_OBJECT_LENGTH < text.len() {
            return Err(GrammarError::new(Kind::TooLong(part), MAX_OBJECT_LENGTH));
        }

        let mut pieces = Vec::new();
        let mut placeholders = 0_usize;
        let mut rest = text;
        while !rest.is_empty() {
            let at = text.len().saturating_sub(rest.len());
            let (piece, behind) = cut(rest, part, allowed).map_err(|err| err.behind(at))?;
            if matches!(piece, Piece::Placeholder(_)) {
                placeholders = placeholders.saturating_add(1);
                if matches!(pieces.last(), Some(Piece::Placeholder(_))) {
                    return Err(GrammarError::new(Kind::Adjacent, at));
                }
            }
            if MAX_PLACEHOLDERS < placeholders {
                return Err(GrammarError::new(Kind::TooLong(Part::Template), at));
            }
            pieces.push(piece);
            rest = behind;
        }

        let legal = check_spaces(text);
        legal.map_err(|err| crate::tuple::of_part(err, part))?;
        Ok(Self {
            text: text.to_owned(),
            pieces,
        })
    }
}

impl FromStr for Template {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        Self::parse(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes the first piece off a text that is not empty.
fn cut(text: &str, part: Part, allowed: fn(char) -> bool) -> Result<(Piece, &str), GrammarError> {
    if let Some(behind) = text.strip_prefix('{') {
        return placeholder(behind).map_err(|err| err.behind(1));
    }

    let end = text.find('{').unwrap_or(text.len());
    let (literal, behind) = text.split_at_checked(end).unwrap_or((text, ""));
    match literal.char_indices().find(|(_, c)| !allowed(*c)) {
        Some((position, '}')) => Err(GrammarError::new(Kind::Brace, position)),
        Some((position, _)) => Err(GrammarError::new(Kind::Character(part), position)),
        None => Ok((Piece::Literal(literal.to_owned()), behind)),
    }
}

/// Reads the name of a placeholder and its closing brace.
fn placeholder(text: &str) -> Result<(Piece, &str), GrammarError> {
    let Some((name, behind)) = text.split_once('}') else {
        return Err(GrammarError::new(Kind::Brace, 0));
    };
    if name.is_empty() {
        return Err(GrammarError::new(Kind::Empty(Part::Placeholder), 0));
    }
    if MAX_PLACEHOLDER_LENGTH < name.len() {
        return Err(GrammarError::new(
            Kind::TooLong(Part::Placeholder),
            MAX_PLACEHOLDER_LENGTH,
        ));
    }

    let wrong = name.char_indices().find(|(at, c)| {
        let first = c.is_ascii_alphabetic() || *c == '_';
        let later = first || c.is_ascii_digit() || *c == '.';
        if *at == 0 { !first } else { !later }
    });
    match wrong {
        Some((position, '{')) => Err(GrammarError::new(Kind::Brace, position)),
        Some((position, _)) => Err(GrammarError::new(Kind::Character(Part::Placeholder), position)),
        None => Ok((Piece::Placeholder(name.to_owned()), behind)),
    }
}

/// Tells whether a value ends where the fixed text behind it is first found, so that the two can be told apart again.
fn ends_at_first(value: &str, separator: &str) -> bool {
    let text = [value, separator].concat();

    text.find(separator) == Some(value.len())
}

fn value_is_legal(value: &str) -> Result<(), ResolveError> {
    if value.is_empty() {
        return Err(ResolveError::Empty);
    }
    if MAX_VALUE_LENGTH < value.len() {
        return Err(ResolveError::TooLong);
    }

    for c in value.chars() {
        match deception(c) {
            Some(Deception::Undecodable) => return Err(ResolveError::Undecodable),
            Some(Deception::Unseen) => return Err(ResolveError::Control),
            Some(Deception::Blank) => return Err(ResolveError::Reserved),
            None if RESERVED.contains(&c) => return Err(ResolveError::Reserved),
            None => {}
        }
    }
    check_spaces(value).map_err(|_| ResolveError::Reserved)
}

#[cfg(test)]
mod tests;
