//! The notation of tuples: cuts a text into its parts, without checking the characters of a part.
//!
//! ```text
//! tuple   = namespace ":" object "#" relation [ "@" ( subject | "(" subject ")" ) ]
//! subject = id | namespace ":" object [ "#" [ relation ] ]
//! ```
//!
//! The text is cut where Keto cuts it: the namespace ends at the first `:`, the object at the first `#` behind it, and the
//! relation at the first `@` behind that. A subject with a `:` is a set. Everything between two cuts belongs to the part.
//!
//! Quotation marks are an addition to Keto's notation, for parts that it cannot express:
//!
//! - A subject id in quotes is an id whatever it contains.
//! - An object in quotes is enclosed by them only if it contains a `#`, a `"` or, outside of templates, a brace, or starts with a
//!   `:`. The quotation marks around any other object are part of the object, as they are to Keto.
//!
//! A mark twice, as in `ns::object` or `@@id`, is an error, although Keto takes the second one for a part of the object or the id.
//!
//! Inside of quotes `""` is one `"`. Blanks around a part are not part of it.

use std::borrow::Cow;

use crate::error::{GrammarError, GrammarErrorKind as Kind, Part};

/// The longest text of a tuple, in bytes.
pub const MAX_TUPLE_LENGTH: usize = 8192;

/// One part as written: its text without blanks and quotes, and the byte at which it starts.
#[derive(Debug, Clone)]
pub(crate) struct Piece<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) at: usize,
    /// Whether quotes enclosed the text.
    pub(crate) is_quoted: bool,
}

/// A tuple as written.
#[derive(Debug)]
pub(crate) struct Notation<'a> {
    pub(crate) namespace: Piece<'a>,
    pub(crate) object: Piece<'a>,
    pub(crate) relation: Piece<'a>,
    pub(crate) subject: Option<SubjectNotation<'a>>,
    /// Where the text ends, for the error about an absent subject.
    pub(crate) end: usize,
}

/// A subject as written.
#[derive(Debug)]
pub(crate) enum SubjectNotation<'a> {
    Id(Piece<'a>),
    Set {
        namespace: Piece<'a>,
        object: Piece<'a>,
        relation: Option<Piece<'a>>,
    },
}

/// What a brace means in the text that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Braces {
    /// A brace encloses a placeholder, inside of quotes too.
    Placeholder,
    /// A brace is a character, which has to stand in quotes.
    Text,
}

impl Braces {
    /// Tells whether an object with this text has to stand in quotes.
    pub(crate) fn object_needs_quotes(self, object: &str) -> bool {
        object.starts_with(':') || object.contains(['#', '"']) || self.need_quotes(object)
    }

    /// Tells whether a subject id with this text has to stand in quotes.
    pub(crate) fn subject_id_needs_quotes(self, id: &str) -> bool {
        id.contains(MARKS) || self.need_quotes(id)
    }

    fn need_quotes(self, text: &str) -> bool {
        self == Self::Text && text.contains(['{', '}'])
    }
}

/// Cuts a tuple, with or without its subject.
pub(crate) fn tuple(text: &str, braces: Braces) -> Result<Notation<'_>, GrammarError> {
    let mut scanner = Scanner::new(text, Part::Tuple, braces)?;

    let namespace = scanner.plain(Part::Namespace)?;
    scanner.expect(':')?;
    let object = scanner.object()?;
    scanner.expect_relation(&object)?;
    let relation = scanner.plain(Part::Relation)?;
    let subject = if scanner.rest.is_empty() {
        None
    } else {
        scanner.expect('@')?;
        Some(scanner.subject()?)
    };

    Ok(Notation {
        namespace,
        object,
        relation,
        subject,
        end: text.len(),
    })
}

/// Cuts a subject without a tuple around it.
pub(crate) fn subject(text: &str) -> Result<SubjectNotation<'_>, GrammarError> {
    Scanner::new(text, Part::Subject, Braces::Text)?.subject()
}

/// The characters that have a meaning somewhere in the notation. Namespaces and relations contain none of them.
const MARKS: [char; 6] = [':', '#', '@', '(', ')', '"'];

#[derive(Clone, Copy)]
struct Scanner<'a> {
    rest: &'a str,
    at: usize,
    braces: Braces,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, part: Part, braces: Braces) -> Result<Self, GrammarError> {
        if MAX_TUPLE_LENGTH < text.len() {
            return Err(GrammarError::new(Kind::TooLong(part), MAX_TUPLE_LENGTH));
        }
        Ok(Self {
            rest: text,
            at: 0,
            braces,
        })
    }

    /// Reads a subject, in parentheses or not, up to the end of the text.
    fn subject(mut self) -> Result<SubjectNotation<'a>, GrammarError> {
        self.skip_blanks();
        self.rest = self.rest.trim_end();
        let enclosed = self.take('(');
        self.skip_blanks();

        if self.rest.starts_with('"') {
            let id = self.quoted_subject_id()?;
            if enclosed && !self.take(')') {
                return Err(self.error(Kind::Parenthesis));
            }
            return self.end().map(|()| SubjectNotation::Id(id));
        }
        if enclosed {
            self.close()?;
        }
        // Keto drops every parenthesis at either end, so one that belongs to the subject would be lost.
        if self.rest.starts_with('(') {
            return Err(self.error(Kind::Enclosed));
        }
        if self.rest.ends_with(')') {
            self.advance(self.rest.len().saturating_sub(1));
            return Err(self.error(Kind::Enclosed));
        }
        self.open_subject()
    }

    /// Takes the closing parenthesis off the end of the text.
    fn close(&mut self) -> Result<(), GrammarError> {
        if let Some(inner) = self.rest.strip_suffix(')') {
            self.rest = inner.trim_end();
            return Ok(());
        }

        let kind = if let Some(closing) = self.rest.rfind(')') {
            self.advance(closing.saturating_add(1));
            Kind::Trailing
        } else {
            self.advance(self.rest.len());
            Kind::Parenthesis
        };
        Err(self.error(kind))
    }

    /// Reads a subject without parentheses and quotes around it.
    fn open_subject(mut self) -> Result<SubjectNotation<'a>, GrammarError> {
        if self.rest.starts_with('@') {
            return Err(self.error(Kind::Empty(Part::Subject)));
        }
        let set = self
            .rest
            .find('#')
            .map_or(self.rest, |hash| self.rest.get(..hash).unwrap_or_default());
        let Some(colon) = set.find(':') else {
            return self.subject_id().map(SubjectNotation::Id);
        };

        let namespace = self.piece(colon, Part::Subject)?;
        self.expect(':')?;
        let object = self.object()?;
        let relation = if self.take('#') {
            self.optional_relation()?
        } else {
            None
        };
        self.end()?;
        Ok(SubjectNotation::Set {
            namespace,
            object,
            relation,
        })
    }

    /// Reads a subject id without quotes, up to the end of the text.
    fn subject_id(mut self) -> Result<Piece<'a>, GrammarError> {
        for (mark, kind) in [('#', Kind::SubjectSet), ('"', Kind::Quote)] {
            if let Some(found) = self.rest.find(mark) {
                self.advance(found);
                return Err(self.error(kind));
            }
        }
        self.piece(self.rest.len(), Part::Subject)
    }

    fn quoted_subject_id(&mut self) -> Result<Piece<'a>, GrammarError> {
        let opening = self.at;
        let Some(id) = self.quoted() else {
            return Err(GrammarError::new(Kind::UnclosedQuote, opening));
        };
        if id.text.is_empty() {
            return Err(GrammarError::new(Kind::Empty(Part::Subject), id.at));
        }
        if self.rest.starts_with([':', '#']) {
            return Err(GrammarError::new(Kind::Quote, opening));
        }
        Ok(id)
    }

    /// Reads the relation of a subject set: nothing behind the `#` is the empty relation.
    fn optional_relation(&mut self) -> Result<Option<Piece<'a>>, GrammarError> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.plain(Part::Relation).map(Some)
    }

    /// Reads an object up to the `#` behind it, or up to the end.
    fn object(&mut self) -> Result<Piece<'a>, GrammarError> {
        self.skip_blanks();
        let mut ahead = *self;
        if let Some(object) = ahead.quoted()
            && (ahead.rest.is_empty() || ahead.rest.starts_with('#'))
            && self.braces.object_needs_quotes(&object.text)
        {
            *self = ahead;
            return Ok(object);
        }

        if self.rest.starts_with(':') {
            return Err(self.error(Kind::Empty(Part::Object)));
        }
        let length = self.rest.find('#').unwrap_or(self.rest.len());
        self.piece(length, Part::Object)
    }

    /// Reads a text in quotes and the blanks behind it, if there is one.
    fn quoted(&mut self) -> Option<Piece<'a>> {
        let inner = self.rest.strip_prefix('"')?;
        let mut from = 0;
        let end = loop {
            let quote = inner.get(from..)?.find('"')?.saturating_add(from);
            let behind = quote.saturating_add(1);
            if !inner.get(behind..)?.starts_with('"') {
                break quote;
            }
            from = behind.saturating_add(1);
        };

        self.advance(1);
        let at = self.at;
        let text = self.advance(end);
        self.advance(1);
        self.skip_blanks();
        Some(Piece {
            text: if text.contains('"') {
                Cow::Owned(text.replace("\"\"", "\""))
            } else {
                Cow::Borrowed(text)
            },
            at,
            is_quoted: true,
        })
    }

    /// Reads a name up to the next mark.
    fn plain(&mut self, part: Part) -> Result<Piece<'a>, GrammarError> {
        self.skip_blanks();
        let length = self.rest.find(MARKS).unwrap_or(self.rest.len());
        let mut ahead = *self;
        ahead.advance(length);
        if ahead.rest.starts_with('"') {
            return Err(ahead.error(Kind::Quote));
        }
        self.piece(length, part)
    }

    /// Reads a part of `length` bytes.
    fn piece(&mut self, length: usize, part: Part) -> Result<Piece<'a>, GrammarError> {
        let start = self.at;
        let written = self.advance(length);
        let text = written.trim_start();
        let at = start.saturating_add(written.len().saturating_sub(text.len()));
        let text = text.trim_end();

        if text.is_empty() {
            return Err(GrammarError::new(Kind::Empty(part), at));
        }
        Ok(Piece {
            text: Cow::Borrowed(text),
            at,
            is_quoted: false,
        })
    }

    fn expect(&mut self, mark: char) -> Result<(), GrammarError> {
        if self.take(mark) {
            return Ok(());
        }
        Err(self.error(Kind::Expected(mark)))
    }

    /// Requires a `#` behind an object. Without it, the object took in what was meant as the subject.
    fn expect_relation(&mut self, object: &Piece<'a>) -> Result<(), GrammarError> {
        if self.take('#') {
            return Ok(());
        }
        let position = object
            .text
            .find('@')
            .map_or(self.at, |subject| object.at.saturating_add(subject));
        Err(GrammarError::new(Kind::Expected('#'), position))
    }

    /// Requires the end of the text.
    fn end(&mut self) -> Result<(), GrammarError> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(Kind::Trailing))
    }

    fn take(&mut self, mark: char) -> bool {
        let found = self.rest.starts_with(mark);
        if found {
            self.advance(mark.len_utf8());
        }
        found
    }

    fn skip_blanks(&mut self) {
        let blanks = self.rest.len().saturating_sub(self.rest.trim_start().len());
        self.advance(blanks);
    }

    /// Takes `length` bytes off the rest and returns them.
    fn advance(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    fn error(&self, kind: Kind) -> GrammarError {
        GrammarError::new(kind, self.at)
    }
}
