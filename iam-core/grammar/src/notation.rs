//! How is a tuple written? Cuts a text into its parts, without judging what is inside a part.
//!
//! ```text
//! tuple   = namespace ":" object "#" relation [ "@" ( subject | "(" subject ")" ) ]
//! subject = id | namespace ":" object [ "#" [ relation ] ]
//! ```
//!
//! An object and a subject id may stand in quotes, which take away the meaning of every mark between them. There is no
//! escape: a quotation mark is in no part. Blanks around a part are not part of it.

use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part},
    tuple::MAX_TUPLE_LENGTH,
};

/// One part as written: its text without blanks and quotes, and the byte at which it starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

/// A tuple as written.
#[derive(Debug)]
pub(crate) struct Notation<'a> {
    pub(crate) namespace: Piece<'a>,
    pub(crate) object: Piece<'a>,
    pub(crate) relation: Piece<'a>,
    pub(crate) subject: Option<SubjectNotation<'a>>,
    /// Where the text ends, for the error about a subject that is not there.
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

/// Cuts a tuple, with or without its subject.
pub(crate) fn tuple(text: &str) -> Result<Notation<'_>, GrammarError> {
    let mut scanner = Scanner::new(text, Part::Tuple)?;

    let namespace = scanner.plain(Part::Namespace)?;
    scanner.expect(':')?;
    let object = scanner.quotable(Part::Object)?;
    scanner.expect_behind_object('#')?;
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
        end: scanner.at,
    })
}

/// Cuts a subject that stands alone.
pub(crate) fn subject(text: &str) -> Result<SubjectNotation<'_>, GrammarError> {
    Scanner::new(text, Part::Subject)?.subject()
}

/// The characters at which a part without quotes ends.
const MARKS: [char; 6] = [':', '#', '@', '(', ')', '"'];

struct Scanner<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, part: Part) -> Result<Self, GrammarError> {
        if MAX_TUPLE_LENGTH < text.len() {
            return Err(GrammarError::new(Kind::TooLong(part), MAX_TUPLE_LENGTH));
        }
        Ok(Self { rest: text, at: 0 })
    }

    /// Reads a subject, in parentheses or not, up to the end of the text.
    fn subject(&mut self) -> Result<SubjectNotation<'a>, GrammarError> {
        self.skip_blanks();
        let enclosed = self.take('(');

        let subject = self.open_subject()?;
        if enclosed && !self.take(')') {
            let kind = if self.rest.is_empty() {
                Kind::Parenthesis
            } else {
                Kind::Trailing
            };
            return Err(self.error(kind));
        }

        self.skip_blanks();
        if !self.rest.is_empty() {
            return Err(self.error(Kind::Trailing));
        }
        Ok(subject)
    }

    fn open_subject(&mut self) -> Result<SubjectNotation<'a>, GrammarError> {
        self.skip_blanks();
        let quoted_at = self.rest.starts_with('"').then_some(self.at);
        let first = self.quotable(Part::Subject)?;

        if self.rest.starts_with('#') {
            return Err(self.error(Kind::SubjectSet));
        }
        if !self.take(':') {
            return Ok(SubjectNotation::Id(first));
        }

        if let Some(quoted_at) = quoted_at {
            return Err(GrammarError::new(Kind::Quote, quoted_at));
        }
        let object = self.quotable(Part::Object)?;
        if self.rest.starts_with(':') {
            return Err(self.error(Kind::Colon));
        }
        let relation = if self.take('#') {
            self.optional_relation()?
        } else {
            None
        };
        Ok(SubjectNotation::Set {
            namespace: first,
            object,
            relation,
        })
    }

    /// Reads the relation of a subject set: nothing behind the `#` is the empty relation.
    fn optional_relation(&mut self) -> Result<Option<Piece<'a>>, GrammarError> {
        self.skip_blanks();
        if self.rest.is_empty() || self.rest.starts_with(')') {
            return Ok(None);
        }
        self.plain(Part::Relation).map(Some)
    }

    /// Reads a part that may be enclosed in quotes.
    fn quotable(&mut self, part: Part) -> Result<Piece<'a>, GrammarError> {
        self.skip_blanks();
        if !self.rest.starts_with('"') {
            return self.plain(part);
        }

        let opening = self.at;
        self.advance(1);
        let at = self.at;
        let Some(length) = self.rest.find('"') else {
            return Err(GrammarError::new(Kind::UnclosedQuote, opening));
        };
        let text = self.advance(length);
        self.advance(1);
        self.skip_blanks();

        if text.is_empty() {
            return Err(GrammarError::new(Kind::Empty(part), at));
        }
        if self.rest.starts_with(|c| !MARKS.contains(&c) || c == '"') {
            return Err(self.error(Kind::Quote));
        }
        Ok(Piece { text, at })
    }

    /// Reads a part up to the next mark.
    fn plain(&mut self, part: Part) -> Result<Piece<'a>, GrammarError> {
        self.skip_blanks();
        let at = self.at;
        let length = self.rest.find(MARKS).unwrap_or(self.rest.len());
        let text = self.advance(length).trim_end();

        if self.rest.starts_with('"') {
            return Err(self.error(Kind::Quote));
        }
        if text.is_empty() {
            return Err(GrammarError::new(Kind::Empty(part), at));
        }
        Ok(Piece { text, at })
    }

    fn expect(&mut self, mark: char) -> Result<(), GrammarError> {
        if self.take(mark) {
            return Ok(());
        }
        Err(self.error(Kind::Expected(mark)))
    }

    fn expect_behind_object(&mut self, mark: char) -> Result<(), GrammarError> {
        if self.rest.starts_with(':') {
            return Err(self.error(Kind::Colon));
        }
        self.expect(mark)
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
