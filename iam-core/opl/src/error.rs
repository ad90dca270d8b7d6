//! The mistakes in a permission file and their positions.

use std::{fmt, ops::Range};

use thiserror::Error;

/// One mistake in a permission file.
///
/// Prints as `line 2, column 16: namespace "nope" was not declared`, also with `Debug`, so that the error is readable when `main`
/// returns it. The text repeats names of the source, which is configuration.
#[derive(Clone, Eq, Error, PartialEq)]
#[error("{start}: {message}")]
pub struct OplError {
    fault: Fault,
    message: String,
    start: Position,
    span: Range<usize>,
}

/// The kind of a mistake.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A namespace, relation or permit is used and not declared.
    Reference,
    /// The source does not follow the grammar, declares a name twice, or is too large.
    Syntax,
}

/// A position in a source. Lines and columns are counted from one, columns in characters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    line: usize,
    column: usize,
}

impl OplError {
    pub(crate) fn syntax(source: &str, span: Range<usize>, message: String) -> Self {
        Self::new(Fault::Syntax, source, span, message)
    }

    pub(crate) fn reference(source: &str, span: Range<usize>, message: String) -> Self {
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

    /// Returns the message without the position.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the kind of the mistake.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Returns the position at which the mistake starts.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Returns the bytes of the source that the mistake covers.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Debug for OplError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Position {
    pub(crate) fn of(source: &str, offset: usize) -> Self {
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
