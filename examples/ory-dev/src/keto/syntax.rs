//! `POST /opl/syntax/check`: checks the syntax of a permission file.

use actix_web::HttpResponse;
use iam_opl::{Fault, OplError};
use serde::Serialize;

use super::{
    answer::{self, Refusal},
    body::{self, Read},
};

/// Answers 200 with the mistakes in the body, if any.
pub(super) async fn check(body: Read) -> Result<HttpResponse, Refusal> {
    #[derive(Default, Serialize)]
    struct Report {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        errors: Vec<Mistake>,
    }

    let bytes = body::bytes(body)?;
    let Ok(source) = std::str::from_utf8(&bytes) else {
        return Err(Refusal::malformed("the source is not UTF-8"));
    };
    let mut errors = iam_opl::parse(source).err().unwrap_or_default();
    if errors.first().is_some_and(|first| first.fault() == Fault::Syntax) {
        // Keto reports only the first mistake in the grammar.
        errors.truncate(1);
    }
    let errors = errors.iter().map(|err| Mistake::of(source, err)).collect();
    Ok(answer::json(&Report { errors }))
}

#[derive(Serialize)]
struct Mistake {
    message: String,
    start: Position,
    end: Position,
}

impl Mistake {
    fn of(source: &str, err: &OplError) -> Self {
        let span = err.span();
        Self {
            message: err.message().to_owned(),
            start: Position::of(source, span.start),
            end: Position::of(source, span.end),
        }
    }
}

/// A position as Keto counts it. Lines start at one. Columns start at zero, but are reported as at least one. The first
/// column of a line is reported as the end of the line before.
#[derive(Serialize)]
struct Position {
    #[serde(rename = "Line")]
    line: usize,
    column: usize,
}

impl Position {
    fn of(source: &str, offset: usize) -> Self {
        let (mut line, mut column) = (1_usize, 0_usize);
        let mut left = offset;
        for character in source.chars() {
            column = column.saturating_add(1);
            left = left.saturating_sub(1);
            if left == 0 {
                break;
            }
            if character == '\n' {
                line = line.saturating_add(1);
                column = 0;
            }
        }
        Self { line, column }
    }
}
