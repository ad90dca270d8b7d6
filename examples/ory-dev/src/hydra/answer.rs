//! Hydra's answers: JSON, redirects and OAuth 2 errors.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::{Value, json};

/// The answer of a handler.
pub(crate) type Answer = Result<HttpResponse, Refusal>;

/// An error as Hydra writes it: `{"error", "error_description"}`.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: Cow<'static, str>,
    description: Cow<'static, str>,
    writer: Writer,
}

/// The error writer of Hydra that produces the error. The two writers send different headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Admin,
    OAuth,
}

impl Refusal {
    /// An error of the admin interface.
    pub(crate) fn admin(
        status: StatusCode,
        error: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            error: error.into(),
            description: description.into(),
            writer: Writer::Admin,
        }
    }

    /// A resource of the admin interface that does not exist.
    pub(crate) fn no_such_resource() -> Self {
        Self::admin(StatusCode::NOT_FOUND, "Unable to locate the resource", "")
    }

    /// A login or consent request that does not exist.
    pub(crate) fn no_such_request() -> Self {
        Self::admin(
            StatusCode::NOT_FOUND,
            "Not Found",
            "Unable to locate the requested resource",
        )
    }

    /// A body of the admin interface that describes no valid client.
    pub(crate) fn bad_metadata(hint: &str) -> Self {
        Self::admin(
            StatusCode::BAD_REQUEST,
            "invalid_client_metadata",
            format!("{BAD_METADATA} {hint}"),
        )
    }

    pub(crate) fn access_denied() -> Self {
        Self::oauth(
            StatusCode::FORBIDDEN,
            "access_denied",
            "The resource owner or authorization server denied the request.",
        )
    }

    pub(crate) fn invalid_client() -> Self {
        Self::oauth(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client authentication failed (e.g., unknown client, no client authentication included, or unsupported \
             authentication method).",
        )
    }

    pub(crate) fn invalid_grant() -> Self {
        Self::oauth(
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            "The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token \
             is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or \
             was issued to another client.",
        )
    }

    pub(crate) fn invalid_request() -> Self {
        Self::oauth(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The request is missing a required parameter, includes an invalid parameter value, includes a parameter \
             more than once, or is otherwise malformed.",
        )
    }

    pub(crate) fn invalid_scope() -> Self {
        Self::oauth(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "The requested scope is invalid, unknown, or malformed.",
        )
    }

    pub(crate) fn invalid_state() -> Self {
        Self::oauth(
            StatusCode::BAD_REQUEST,
            "invalid_state",
            "The state is missing or does not have enough characters and is therefore considered too weak.",
        )
    }

    pub(crate) fn request_forbidden() -> Self {
        Self::oauth(
            StatusCode::FORBIDDEN,
            "request_forbidden",
            "The request is not allowed.",
        )
    }

    pub(crate) fn request_unauthorized() -> Self {
        Self::oauth(
            StatusCode::UNAUTHORIZED,
            "request_unauthorized",
            "The request could not be authorized.",
        )
    }

    pub(crate) fn server_error() -> Self {
        Self::oauth(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "The authorization server encountered an unexpected condition that prevented it from fulfilling the \
             request.",
        )
    }

    pub(crate) fn unauthorized_client() -> Self {
        Self::oauth(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            "The client is not authorized to request a token using this method.",
        )
    }

    pub(crate) fn unsupported_response_type() -> Self {
        Self::oauth(
            StatusCode::BAD_REQUEST,
            "unsupported_response_type",
            "The authorization server does not support obtaining a token using this method.",
        )
    }

    /// Appends a sentence about this case to the description of the error.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.description = format!("{} {hint}", self.description).into();
        self
    }

    /// An error that a login or consent application chose.
    pub(crate) fn chosen(error: String, description: String) -> Self {
        Self::oauth(StatusCode::BAD_REQUEST, error, description)
    }

    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    fn oauth(
        status: StatusCode,
        error: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            error: error.into(),
            description: description.into(),
            writer: Writer::OAuth,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let body = json!({"error": self.error, "error_description": self.description});
        match self.writer {
            Writer::Admin => HttpResponse::build(self.status)
                .insert_header((header::CONTENT_TYPE, "application/json"))
                .body(body.to_string()),
            Writer::OAuth => uncached(self.status, &body),
        }
    }
}

/// Answers with JSON, as the admin interface does.
pub(crate) fn json(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
        .body(body.to_string())
}

/// Answers with JSON and forbids caches to keep it, as the token endpoint does.
pub(crate) fn uncached(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, OAUTH_JSON))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .body(body.to_string())
}

/// Answers an unknown path of the public interface.
pub(crate) async fn no_such_page() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(include_str!("../oathkeeper/404.html"))
}

pub(crate) const OAUTH_JSON: &str = "application/json;charset=UTF-8";

const BAD_METADATA: &str = "The value of one of the Client Metadata fields is invalid and the server has rejected \
    this request. Note that an Authorization Server MAY choose to substitute a valid value for any requested \
    parameter of a Client's Metadata.";
