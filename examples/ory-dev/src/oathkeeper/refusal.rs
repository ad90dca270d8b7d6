//! Errors of the gateway: Oathkeeper's error body and its headers.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
};
use serde::Serialize;

/// Why a request is not forwarded.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    reason: Option<&'static str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the answer has no body, as when the real gateway cannot reach the service.
    is_bare: bool,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            reason: None,
            headers: Vec::new(),
            is_bare: false,
        }
    }

    /// No rule matches the request.
    pub(crate) fn no_rule() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Requested url does not match any rules")
    }

    /// More than one rule matches the request.
    pub(crate) fn several_rules() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Expected exactly one rule but found multiple rules",
        )
    }

    /// No authenticator accepted the credentials.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Access credentials are invalid")
    }

    /// The authorizer denied access.
    pub(crate) fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Access credentials are not sufficient to access this resource",
        )
    }

    /// The session check failed. The real gateway answers as for rejected credentials.
    pub(crate) fn unchecked(reason: &'static str) -> Self {
        Self {
            reason: Some(reason),
            ..Self::forbidden()
        }
    }

    /// The session check answered 429; its rate-limit headers are relayed.
    pub(crate) fn too_many_requests(answer: &HeaderMap) -> Self {
        let hints = RATE_LIMIT_HEADERS.into_iter().filter_map(|name| {
            let name = HeaderName::from_static(name);
            answer.get(&name).map(|value| (name, value.clone()))
        });
        Self {
            headers: hints.collect(),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests")
        }
    }

    /// An error that the operator has to fix.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// No rule has this id.
    pub(crate) fn no_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, "The requested resource could not be found")
    }

    /// The service did not answer, or its answer was invalid.
    pub(crate) fn bad_gateway() -> Self {
        Self {
            is_bare: true,
            ..Self::new(StatusCode::BAD_GATEWAY, "")
        }
    }

    /// The service did not answer in time.
    pub(crate) fn gateway_timeout() -> Self {
        Self {
            is_bare: true,
            ..Self::new(StatusCode::GATEWAY_TIMEOUT, "")
        }
    }

    /// The same error without details, for a gateway that is not configured to be verbose.
    pub(crate) fn terse(self) -> Self {
        let message = match self.status.as_u16() {
            401 => "The request could not be authorized",
            403 => "The requested action was forbidden",
            404 => "The requested resource could not be found",
            500 => "An internal server error occurred, please contact the system administrator",
            _ => return self,
        };
        Self {
            message: message.to_owned(),
            reason: None,
            ..self
        }
    }

    /// Writes the answer. `request` is the caller's request id, if any.
    pub(crate) fn into_response(self, request: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.is_bare {
            return response.finish();
        }
        for header in self.headers {
            response.insert_header(header);
        }
        response.insert_header((CONTENT_TYPE, "application/json"));
        response.insert_header(("Ory-Error-Id", ""));
        json_line(
            &mut response,
            &Container {
                error: Body {
                    code: self.status.as_u16(),
                    status: self.status.canonical_reason().unwrap_or_default(),
                    request: request.filter(|id| !id.is_empty()),
                    reason: self.reason,
                    message: &self.message,
                },
            },
        )
    }
}

/// Ends a response with a JSON value and a line feed, as the real servers write it.
pub(crate) fn json_line(
    response: &mut actix_web::HttpResponseBuilder,
    value: &impl Serialize,
) -> HttpResponse {
    match serde_json::to_string(value) {
        Ok(text) => response.body(format!("{text}\n")),
        Err(error) => {
            tracing::error!(%error, "an answer of the embedded gateway is not JSON");
            HttpResponse::InternalServerError().finish()
        }
    }
}

#[derive(Serialize)]
struct Container<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: u16,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    message: &'a str,
}

const RATE_LIMIT_HEADERS: [&str; 5] = [
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-type",
];

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn terse_refusals_keep_the_status_and_lose_what_went_wrong() {
        for refusal in [
            Refusal::no_rule(),
            Refusal::several_rules(),
            Refusal::unauthorized(),
            Refusal::unchecked("a detail"),
            Refusal::internal("a detail"),
        ] {
            let (status, message) = (refusal.status, refusal.message.clone());

            let terse = refusal.terse();

            assert_eq!(terse.status, status);
            assert_ne!(terse.message, message);
            assert_eq!(terse.reason, None);
        }
        assert!(Refusal::bad_gateway().terse().is_bare);
    }
}
