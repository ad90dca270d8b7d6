//! What is wrong with a permission file, and where.

use std::{fmt, ops::Range};

use thiserror::Error;

/// One mistake in a permission file.
///
/// Prints as `line 2, column 16: namespace "nope" was not declared`. The text repeats names of the source, which is configuration.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{start}: {message}")]
pub struct OplError {
    fault: Fault,
    message: String,
    start: Position,
    span: Range<usize>,
}

/// Whether the source does not follow the grammar, or follows it and names what does not exist.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A namespace, relation or permit is used and not declared, or declared twice.
    Reference,
    /// The source does not follow the grammar, or is larger than what is accepted.
    Syntax,
}

/// A place in a source, counted in characters from one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    line: usize,
    column: usize,
}

impl OplError {
    pub(super) fn syntax(source: &str, span: Range<usize>, message: String) -> Self {
        Self::new(Fault::Syntax, source, span, message)
    }

    pub(super) fn reference(source: &str, span: Range<usize>, message: String) -> Self {
        Self::new(Fault::Reference, source, span, message)
    }

    fn new(fault: Fault, source: &str, span: Range<usize>, message: String) -> Self {
        Self {
            fault,
            message,
            start: Position::of(source, span.start),
            span,
        }
    }

    /// Returns what is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns which kind of mistake it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Returns where the mistake starts.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Returns the bytes of the source that the mistake covers.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl Position {
    pub(super) fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let on_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: before.matches('\n').count().saturating_add(1),
            column: on_line.chars().count().saturating_add(1),
        }
    }

    /// Returns the line, the first being 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the column in characters, the first being 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}
