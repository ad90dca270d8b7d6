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
    http::{StatusCode, header::WWW_AUTHENTICATE},
};
use iam_core::decision::{Class, Reason, Refusal};

use crate::{
    answer::problem::{Extension, ProblemDetails},
    answer::{challenge::challenge, fault},
    request::request_id::RequestId,
};

/// A refusal that an extractor or [`Access`](crate::Access) returns in a handler.
///
/// As a response it is what the gate itself would have answered: status, challenge, and a body of RFC 9457 with fixed
/// texts. It holds no credential, no upstream answer and no value of the request.
///
/// | Status | Reasons |
/// |---|---|
/// | 400 | `ambiguous_credential`, `invalid_object` |
/// | 401 | `missing_credential`, `malformed`, `invalid_signature`, `expired`, `not_yet_valid`, `audience_mismatch`, `issuer_mismatch`, `unknown_key`, `replay`, `session_inactive`, `token_inactive`, `insufficient_level`, `tenant_mismatch` |
/// | 403 | `csrf`, `already_authenticated`, `role_deny`, `scope_deny`, `permission_deny` |
/// | 500 | `policy_conflict`, `invalid_requirement`, `unknown_tenant` |
/// | 503 | `keys_unavailable`, `session_unavailable`, `introspection_unavailable`, `authenticator_unavailable`, `permission_unavailable`, `replay_unavailable` |
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

    pub(crate) const fn refusal(&self) -> Refusal {
        self.refusal
    }

    pub(crate) fn answered(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.answered)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ProblemDetails::new(self.status_code()).title())
    }
}

impl std::error::Error for Error {}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.refusal.reason)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.answered.store(true, Ordering::Relaxed);
        fault::log_misconfiguration(self.refusal, None);
        let shown = Shown {
            request_id: self.request_id.as_ref(),
            // A step-up is the gate's and the wrappers' to ask for, not an extractor's.
            login_url: None,
            development: self.development,
        };
        response(self.refusal, shown)
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

/// What a response shows besides the refusal itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown<'a> {
    pub(crate) request_id: Option<&'a RequestId>,
    /// The login page of the tenant. It is shown to callers that have to prove more.
    pub(crate) login_url: Option<&'a str>,
    pub(crate) development: bool,
}

/// Builds the response of a refusal.
pub(crate) fn response(refusal: Refusal, shown: Shown<'_>) -> HttpResponse<BoxBody> {
    let reason = refusal.reason;
    let more = Extension {
        request_id: shown.request_id.map(RequestId::as_str),
        login_url: shown.login_url.filter(|_| reason == Reason::InsufficientLevel),
        reason: shown.development.then(|| reason.code()),
    };
    let mut response = ProblemDetails::new(status(reason)).response(more);
    if let Some(challenge) = challenge(refusal) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::{
        body::MessageBody,
        http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    };

    use super::*;
    use crate::request::request_id::X_REQUEST_ID;

    fn body(reason: Reason, development: bool) -> String {
        let shown = Shown {
            development,
            ..Shown::default()
        };
        let body = response(Refusal::new(reason), shown).into_body();
        String::from_utf8(body.try_into_bytes().unwrap().to_vec()).unwrap()
    }

    /// R067, R084, R096, D85
    #[test]
    fn every_refusal_is_a_problem_with_the_headers_of_its_status() {
        for reason in Reason::ALL {
            let response = response(Refusal::new(reason), Shown::default());
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
    fn a_body_is_the_same_to_the_byte_and_only_development_mode_names_the_reason() {
        let id = RequestId::accept_or_make(&HeaderMap::from_iter([(
            X_REQUEST_ID,
            HeaderValue::from_static("id-1"),
        )]));
        let bytes = |development| {
            let shown = Shown {
                request_id: Some(&id),
                login_url: Some("https://app.example/login"),
                development,
            };
            let response = response(Refusal::new(Reason::Expired), shown);
            response.into_body().try_into_bytes().unwrap()
        };

        assert_eq!(
            bytes(false),
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"request_id":"id-1"}"#
        );
        assert_eq!(
            bytes(true),
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"request_id":"id-1","reason":"expired"}"#
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
