//! `POST /opl/syntax/check`: is this a permission file?

use actix_web::HttpResponse;
use iam_opl::{Fault, OplError};
use serde::Serialize;

use super::{
    answer::{self, Refusal},
    body::{self, Read},
};

/// Answers 200 with the mistakes of the body, or without any.
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
        // Keto stops at the first mistake in the grammar.
        errors.truncate(1);
    }
    let errors = errors.iter().map(|err| Mistake::of(source, err)).collect();
    Ok(answer::json(&Report { errors }))
}

#[derive(Serialize)]
struct Mistake {
    message: String,
    start: Place,
    end: Place,
}

impl Mistake {
    fn of(source: &str, err: &OplError) -> Self {
        let span = err.span();
        Self {
            message: err.message().to_owned(),
            start: Place::of(source, span.start),
            end: Place::of(source, span.end),
        }
    }
}

/// A place as Keto counts it: the line from one, the column from zero but never less than one, and the first column of
/// a line as the end of the line before.
#[derive(Serialize)]
struct Place {
    #[serde(rename = "Line")]
    line: usize,
    column: usize,
}

impl Place {
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
