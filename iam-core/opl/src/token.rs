//! Splits a permission file into tokens.

use crate::error::OplError;

/// The kind of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// The end of the source. The parser never moves past it.
    End,
    /// A name. Keywords are names as well: the parser knows where it expects one.
    Identifier,
    /// The text between two equal quotation marks.
    Literal,
    /// An operator or a bracket.
    Symbol,
}

/// A piece of the source and its position in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token<'source> {
    pub(crate) kind: Kind,
    pub(crate) text: &'source str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Splits `source` into tokens; the last one is [`Kind::End`]. Comments are dropped.
///
/// # Errors
///
/// Returns the first character that starts no token, or the comment or literal that does not end.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token<'_>>, OplError> {
    let mut cursor = Cursor { source, at: 0 };
    let mut found = Vec::new();
    loop {
        cursor.skip_blank()?;
        let start = cursor.at;
        let Some(first) = cursor.rest().chars().next() else {
            found.push(Token {
                kind: Kind::End,
                text: "",
                start,
                end: start,
            });
            return Ok(found);
        };
        found.push(cursor.token(first)?);
    }
}

#[derive(Debug)]
struct Cursor<'source> {
    source: &'source str,
    at: usize,
}

impl<'source> Cursor<'source> {
    fn token(&mut self, first: char) -> Result<Token<'source>, OplError> {
        if first == '"' || first == '\'' {
            return self.literal(first);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let rest = self.rest();
            let length = rest
                .find(|next: char| !next.is_ascii_alphanumeric() && next != '_')
                .unwrap_or(rest.len());
            return Ok(self.take(Kind::Identifier, length));
        }
        let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) else {
            return Err(self.error(first.len_utf8(), format!("unexpected character {first:?}")));
        };
        Ok(self.take(Kind::Symbol, symbol.len()))
    }

    /// Reads a literal. There are no escapes in this language: it ends at the next mark of the same kind.
    fn literal(&mut self, mark: char) -> Result<Token<'source>, OplError> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let Some(length) = inner.find(mark) else {
            return Err(self.error(1, "unclosed string literal".to_owned()));
        };
        let value = inner.get(..length).unwrap_or_default();
        if value.is_empty() {
            return Err(self.error(2, "empty string literal".to_owned()));
        }
        if value.contains(|next: char| next.is_control() || next == '\\') {
            let message = "a string literal may not contain control characters or backslashes";
            return Err(self.error(length, message.to_owned()));
        }

        self.at = self.at.saturating_add(1);
        let token = self.take(Kind::Literal, length);
        self.at = self.at.saturating_add(1);
        Ok(token)
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<(), OplError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(['\t', '\n', '\u{b}', '\u{c}', '\r', ' ']);
            self.at = self.at.saturating_add(rest.len().saturating_sub(trimmed.len()));
            let length = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if let Some(inner) = trimmed.strip_prefix("/*") {
                let Some(length) = inner.find("*/") else {
                    return Err(self.error(2, "unclosed comment".to_owned()));
                };
                length.saturating_add(4)
            } else {
                return Ok(());
            };
            self.at = self.at.saturating_add(length);
        }
    }

    fn take(&mut self, kind: Kind, length: usize) -> Token<'source> {
        let start = self.at;
        let end = start.saturating_add(length);
        self.at = end;
        Token {
            kind,
            text: self.source.get(start..end).unwrap_or_default(),
            start,
            end,
        }
    }

    fn rest(&self) -> &'source str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn error(&self, length: usize, message: String) -> OplError {
        OplError::syntax(self.source, self.at..self.at.saturating_add(length), message)
    }
}

/// The longer ones first: `=>` is not `=`.
const SYMBOLS: &[&str] = &[
    "=>", "||", "&&", ":", ".", "(", ")", "[", "]", "{", "}", "<", ">", "=", ",", ";", "|", "!",
];
