//! Keto's answers.

use std::{
    fmt::{self, Write as _},
    io,
};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION},
    },
    web::Bytes,
};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;

/// Answers 200 with JSON.
pub(super) fn json(body: &impl Serialize) -> HttpResponse {
    json_with(StatusCode::OK, body)
}

/// Answers with JSON.
pub(super) fn json_with(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
        .body(line(body))
}

/// Answers 201 with JSON and a `Location`.
pub(super) fn created(location: &str, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((LOCATION, location))
        .body(line(body))
}

/// Answers 404 as Go's router does.
pub(super) fn plain_not_found() -> HttpResponse {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Answers 405 as Go's router does.
pub(super) fn method_not_allowed(methods: &'static str) -> HttpResponse {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

/// Closes the connection without an answer, as Go does when a handler panics.
pub(super) fn none() -> HttpResponse {
    // A body that fails before its first byte ends the connection before the head is sent.
    let failing = stream::once(async { Err::<Bytes, _>(io::Error::other("no answer")) });
    HttpResponse::Ok().streaming(failing)
}

fn plain(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(text)
}

/// Serializes JSON with a line feed at the end, as Go's encoder does.
fn line(body: &impl Serialize) -> String {
    // Serialization fails only for maps whose keys are not text, and no answer has such maps.
    let mut text = serde_json::to_string(body).unwrap_or_default();
    text.push('\n');
    text
}

/// A rejected request, with Keto's error body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    status: StatusCode,
    reason: Option<String>,
    message: String,
}

impl Refusal {
    /// 400 with a message of its own.
    pub(super) fn malformed(message: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: None,
            message: message.to_owned(),
        }
    }

    /// 400 with Keto's general message.
    pub(super) fn bad_request(reason: Option<String>) -> Self {
        let message = "The request was malformed or contained invalid parameters".to_owned();
        Self {
            status: StatusCode::BAD_REQUEST,
            reason,
            message,
        }
    }

    /// 404 for a namespace.
    pub(super) fn unknown_namespace(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            reason: Some(format!("Unknown namespace with name {}.", go_quote(name))),
            message: "The requested resource could not be found".to_owned(),
        }
    }

    /// 400 for a tuple without a subject.
    pub(super) fn no_subject() -> Self {
        Self::malformed("subject is not allowed to be nil")
    }

    /// Any other status.
    pub(super) fn with_status(status: StatusCode, message: &str, reason: Option<String>) -> Self {
        Self {
            status,
            reason,
            message: message.to_owned(),
        }
    }

    /// Returns whether the status is 404.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Error<'a> {
            code: u16,
            status: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
            message: &'a str,
        }

        let error = Error {
            code: self.status.as_u16(),
            status: self.status.canonical_reason().unwrap_or_default(),
            reason: self.reason.as_deref(),
            message: &self.message,
        };
        HttpResponse::build(self.status)
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header(("Ory-Error-Id", ""))
            .body(line(&json!({ "error": error })))
    }
}

/// Quotes a text as Go's `%q` does.
pub(super) fn go_quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a string is infallible.
                let _ = write!(quoted, "\\x{:02x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
