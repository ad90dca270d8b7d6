//! What does the caller see of a refusal?
//!
//! A status, fixed texts, and an id to ask about. Everything else is in the audit event.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use iam_core::decision::{Class, Reason, Refusal};
use serde::Serialize;

use crate::{challenge::challenge, request_id::RequestId};

/// Seconds after which a caller may try again what an upstream could not answer.
const RETRY_SECONDS: &str = "1";

/// A refusal that an extractor or [`Access`](crate::Access) returns in a handler.
///
/// As a response it is what the gate itself would have answered: status, challenge, and a body of RFC 9457 with fixed
/// texts. It holds no credential, no upstream answer and no value of the request.
///
/// | Status | Reasons |
/// |---|---|
/// | 400 | `ambiguous_credential`, `invalid_object` |
/// | 401 | `missing_credential`, `malformed`, `invalid_signature`, `expired`, `not_yet_valid`, `audience_mismatch`, `issuer_mismatch`, `unknown_key`, `replay`, `tenant_mismatch` |
/// | 403 | `csrf`, `role_deny`, `scope_deny`, `permission_deny` |
/// | 500 | `policy_conflict`, `invalid_requirement`, `unknown_tenant` |
/// | 503 | `keys_unavailable`, `permission_unavailable`, `replay_unavailable` |
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::{Access, Error};
///
/// async fn close(access: Access, id: web::Path<String>) -> Result<HttpResponse, Error> {
///     access.require("orders", "edit", &id).await?;
///     Ok(HttpResponse::NoContent().finish())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    refusal: Refusal,
    request_id: Option<RequestId>,
    development: bool,
    /// Told when this error becomes the response, so that the audit event says what the caller saw.
    answered: Arc<AtomicBool>,
}

impl Error {
    pub(crate) fn new(refusal: Refusal, request_id: Option<RequestId>, development: bool) -> Self {
        Self {
            refusal,
            request_id,
            development,
            answered: Arc::default(),
        }
    }

    /// Makes the error of a request that did not pass the gate.
    pub(crate) fn without_gate() -> Self {
        Self::new(
            Refusal::with_detail(Reason::InvalidRequirement, "no_gate"),
            None,
            false,
        )
    }

    /// Returns why the request is refused.
    ///
    /// # Security
    ///
    /// The reason is for code, logs and audit. A response should not tell it.
    pub const fn reason(&self) -> Reason {
        self.refusal.reason
    }

    pub(crate) fn answered(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.answered)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(title(status(self.refusal.reason)))
    }
}

impl std::error::Error for Error {}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.refusal.reason)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.answered.store(true, Ordering::Relaxed);
        response(self.refusal.reason, self.request_id.as_ref(), self.development)
    }
}

/// Returns the status of a reason: that of its class, and no other place that says so.
pub(crate) const fn status(reason: Reason) -> StatusCode {
    match reason.class() {
        Class::BadRequest => StatusCode::BAD_REQUEST,
        Class::Denied => StatusCode::FORBIDDEN,
        Class::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        Class::Unauthenticated => StatusCode::UNAUTHORIZED,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Builds the response of a refusal.
pub(crate) fn response(
    reason: Reason,
    request_id: Option<&RequestId>,
    development: bool,
) -> HttpResponse<BoxBody> {
    let status = status(reason);
    let problem = Problem {
        kind: "about:blank",
        title: title(status),
        status: status.as_u16(),
        request_id: request_id.map(RequestId::as_str),
        reason: development.then(|| reason.code()),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();

    let mut response = HttpResponse::new(status).set_body(BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(challenge) = challenge(reason) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    }
    response
}

/// Problem details of RFC 9457 §3. With `about:blank` the title is that of the status.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Refused")
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    fn body(reason: Reason, development: bool) -> String {
        let body = response(reason, None, development).into_body();
        String::from_utf8(body.try_into_bytes().unwrap().to_vec()).unwrap()
    }

    /// R067, R084, R096, D85
    #[test]
    fn every_refusal_is_a_problem_with_the_headers_of_its_status() {
        for reason in Reason::ALL {
            let response = response(reason, None, false);
            let headers = response.headers();
            let status = response.status();

            assert_eq!(headers.get(CACHE_CONTROL).unwrap(), "no-store");
            assert_eq!(headers.get(CONTENT_TYPE).unwrap(), "application/problem+json");
            assert_eq!(headers.contains_key(RETRY_AFTER), status == 503, "{reason}");
            if status == 401 {
                assert_eq!(headers.get_all(WWW_AUTHENTICATE).count(), 1, "{reason}");
            }
        }
    }

    /// R097, R135
    #[test]
    fn bodies_of_one_status_are_equal_and_name_no_reason() {
        for one in Reason::ALL {
            assert!(!body(one, false).contains(one.code()));
            for other in Reason::ALL {
                if status(one) == status(other) {
                    assert_eq!(body(one, false), body(other, false));
                }
            }
        }
    }

    #[test]
    fn the_status_is_the_one_that_the_table_of_reasons_prints() {
        for reason in Reason::ALL {
            assert_eq!(status(reason).as_u16(), reason.class().status(), "{reason}");
        }
    }

    #[test]
    fn development_mode_names_the_reason() {
        assert_eq!(
            body(Reason::Expired, true),
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"reason":"expired"}"#
        );
    }

    #[test]
    fn an_error_prints_the_title_of_its_status() {
        let error = Error::new(Refusal::new(Reason::Replay), None, false);

        assert_eq!(error.to_string(), "Unauthorized");
        assert!(!error.answered().load(Ordering::Relaxed));
        let _ = error.error_response();
        assert!(error.answered().load(Ordering::Relaxed));
    }
}
