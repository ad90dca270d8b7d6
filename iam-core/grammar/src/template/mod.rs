//! Which object does a request name? Text with placeholders, filled from the values of one request.
//!
//! A placeholder is a name between `{` and `}`: ASCII letters, digits, `_` and `.`, not starting with a digit or `.`.
//! There is no escape: `{{` and `}}` are errors. Two placeholders need fixed text between them.
//!
//! A value is checked on its own before it becomes part of the text. Keto's HTTP interface takes the parts of a tuple separately,
//! so the marks of the notation are data in a value: `ann@example.com`, `urn:isbn:0451450523` and `report (final)` are objects like
//! any other. No two sets of values make the same text: with `{shop}/{id}`, order `b/c` of shop `a` is asked about, and shop `a/b`
//! is refused.
//!
//! | A value that | gives |
//! |---|---|
//! | is absent | [`ResolveError::Missing`] |
//! | is empty or consists of blanks | [`ResolveError::Empty`] |
//! | is longer than 512 bytes, or makes the text longer than 1024 | [`ResolveError::TooLong`] |
//! | contains a control character or an invisible one | [`ResolveError::Control`] |
//! | contains U+FFFD, which replaces bytes that were not UTF-8 | [`ResolveError::Undecodable`] |
//! | contains a character that looks like a plain space, or a plain space at either end or beside another one | [`ResolveError::Blank`] |
//! | contains a dot segment | [`ResolveError::DotSegment`] |
//! | contains the fixed text that ends it, where another placeholder follows, or makes it begin sooner | [`ResolveError::Ambiguous`] |
//!
//! The section on [characters](crate::name#characters-that-are-refused-everywhere) lists the control and invisible ones.
//!
//! # Dot segments
//!
//! A value is cut at each `/`, and refused if one of the segments is `.` or `..`: `..`, `a/../b` and `./a`. Whatever loads the
//! object by a path would load another one than Keto was asked about. `a..b`, `...` and `v1.2` are ordinary values. A value that
//! completes a dot segment together with the fixed text beside it is refused as well.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part, ResolveError},
    name::{Deception, check_spaces, deception},
    tuple::MAX_OBJECT_LENGTH,
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
/// assert_eq!(template.resolve(&|_| Some("urn:7".into()))?, "orders:urn:7");
/// assert_eq!(template.resolve(&|_| Some("../7".into())), Err(ResolveError::DotSegment));
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
    /// Reads a template of an object.
    ///
    /// # Errors
    ///
    /// An empty or too long text, a character that an object may not contain, a `#` in the fixed text, a brace without its other
    /// half, and a placeholder without a valid name.
    pub fn parse(text: &str) -> Result<Self, GrammarError> {
        Self::read(text, Part::Object)
    }

    /// Reads a template of a subject id.
    ///
    /// # Errors
    ///
    /// As for [`Template::parse`], except that the fixed text may contain a `#` and must not contain a `"`.
    pub fn parse_subject_id(text: &str) -> Result<Self, GrammarError> {
        Self::read(text, Part::Subject)
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

    /// Returns the number of bytes outside of the placeholders.
    pub fn fixed_length(&self) -> usize {
        let literals = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(literal) => literal.len(),
            Piece::Placeholder(_) => 0,
        });
        literals.fold(0, usize::saturating_add)
    }

    /// Tells whether the template could make this text, judged by the fixed text at both ends.
    ///
    /// ```
    /// use iam_grammar::Template;
    ///
    /// # fn main() -> Result<(), iam_grammar::GrammarError> {
    /// let template = Template::parse("client:{client_id}")?;
    ///
    /// assert!(template.could_make("client:7"));
    /// assert!(!template.could_make("user:7"));
    /// assert!(!template.could_make("client:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn could_make(&self, text: &str) -> bool {
        let fixed = |piece: Option<&Piece>| match piece {
            Some(Piece::Literal(literal)) => literal.clone(),
            Some(Piece::Placeholder(_)) | None => String::new(),
        };
        if self.placeholders().next().is_none() {
            return text == self.text;
        }

        text.strip_prefix(&fixed(self.pieces.first()))
            .and_then(|rest| rest.strip_suffix(&fixed(self.pieces.last())))
            .is_some_and(|values| !values.is_empty())
    }

    /// Fills the placeholders with the values of one request.
    ///
    /// # Errors
    ///
    /// The first value that is absent or contains what a value may not: see the [module](self).
    pub fn resolve<'v>(&self, values: &dyn Fn(&str) -> Option<Cow<'v, str>>) -> Result<String, ResolveError> {
        self.fill(values).map_err(|unfilled| unfilled.reason)
    }

    /// Fills the placeholders, and tells in an error which of them failed.
    pub(crate) fn fill<'v>(
        &self,
        values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Result<String, Unfilled<'_>> {
        let mut text = String::with_capacity(self.text.len());
        let mut pieces = self.pieces.as_slice();
        while let [piece, behind @ ..] = pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Placeholder(name) => {
                    let separator = match behind {
                        [Piece::Literal(separator), _, ..] => Some(separator.as_str()),
                        _ => None,
                    };
                    let value = value(values(name), separator).map_err(|reason| Unfilled {
                        placeholder: Some(name),
                        reason,
                    })?;
                    text.push_str(&value);
                }
            }
            pieces = behind;
        }

        self.check_whole(&text).map_err(|reason| Unfilled {
            placeholder: None,
            reason,
        })?;
        Ok(text)
    }

    /// Checks what the values and the fixed text beside them make together.
    fn check_whole(&self, text: &str) -> Result<(), ResolveError> {
        if MAX_OBJECT_LENGTH < text.len() {
            return Err(ResolveError::TooLong);
        }
        if has_dot_segment(text) && !has_dot_segment(&self.text) {
            return Err(ResolveError::DotSegment);
        }
        // A value beside a space of the fixed text can make two spaces of one.
        check_spaces(text).map_err(|_| ResolveError::Blank)
    }

    fn read(text: &str, part: Part) -> Result<Self, GrammarError> {
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
            let (piece, behind) = cut(rest, part).map_err(|err| err.behind(at))?;
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
fn cut(text: &str, part: Part) -> Result<(Piece, &str), GrammarError> {
    if let Some(behind) = text.strip_prefix('{') {
        return placeholder(behind).map_err(|err| err.behind(1));
    }

    let end = text.find('{').unwrap_or(text.len());
    let (literal, behind) = text.split_at_checked(end).unwrap_or((text, ""));
    let mistakes = literal.char_indices();
    let mut mistakes = mistakes.filter_map(|(at, c)| Some((at, literal_mistake(c, part)?)));
    match mistakes.next() {
        Some((position, kind)) => Err(GrammarError::new(kind, position)),
        None => Ok((Piece::Literal(literal.to_owned()), behind)),
    }
}

/// Tells why a character cannot stand in the fixed text of a template.
fn literal_mistake(c: char, part: Part) -> Option<Kind> {
    match c {
        '}' => Some(Kind::Brace),
        // Most likely the text is a whole tuple in the place of its object.
        '#' if part == Part::Object => Some(Kind::ObjectWithRelation),
        '"' if part == Part::Subject => Some(Kind::Character(part)),
        _ => deception(c).map(|_| Kind::Character(part)),
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

/// Checks a value that becomes a part of a tuple: an object, or an id of a principal.
///
/// ```
/// use iam_grammar::{ResolveError, check_value};
///
/// assert_eq!(check_value("ann@example.com"), Ok(()));
/// assert_eq!(check_value(".."), Err(ResolveError::DotSegment));
/// ```
///
/// # Errors
///
/// What the value contains and may not: see the [module](self).
pub fn check_value(value: &str) -> Result<(), ResolveError> {
    if value.chars().all(is_blank) {
        return Err(ResolveError::Empty);
    }
    if MAX_VALUE_LENGTH < value.len() {
        return Err(ResolveError::TooLong);
    }

    for c in value.chars() {
        match deception(c) {
            Some(Deception::Undecodable) => return Err(ResolveError::Undecodable),
            Some(Deception::Unseen) => return Err(ResolveError::Control),
            Some(Deception::Blank) => return Err(ResolveError::Blank),
            None => {}
        }
    }
    check_spaces(value).map_err(|_| ResolveError::Blank)?;
    if has_dot_segment(value) {
        return Err(ResolveError::DotSegment);
    }
    Ok(())
}

/// A placeholder without a usable value.
#[derive(Debug)]
pub(crate) struct Unfilled<'t> {
    /// The name of the placeholder; absent if the values are usable each, and not together.
    pub(crate) placeholder: Option<&'t str>,
    pub(crate) reason: ResolveError,
}

/// Checks the value of a placeholder with the fixed text that separates it from the next one.
fn value<'v>(value: Option<Cow<'v, str>>, separator: Option<&str>) -> Result<Cow<'v, str>, ResolveError> {
    let value = value.ok_or(ResolveError::Missing)?;
    check_value(&value)?;

    if separator.is_some_and(|separator| !ends_at_first(&value, separator)) {
        return Err(ResolveError::Ambiguous);
    }
    Ok(value)
}

/// Tells whether a value ends where the fixed text behind it is first found, so that the two can be told apart again.
fn ends_at_first(value: &str, separator: &str) -> bool {
    let text = [value, separator].concat();

    text.find(separator) == Some(value.len())
}

fn has_dot_segment(text: &str) -> bool {
    text.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn is_blank(c: char) -> bool {
    c == ' ' || deception(c) == Some(Deception::Blank)
}

#[cfg(test)]
mod tests;
