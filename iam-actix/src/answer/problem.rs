//! Problem details (RFC 9457) as the body of an error response.

use std::fmt;

use actix_web::{
    HttpRequest, HttpResponse, Responder, ResponseError,
    body::BoxBody,
    http::{
        ConnectionType, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    },
};
use serde::Serialize;

/// An error response with problem details (RFC 9457). Problems of a route's policy are [`Finding`](crate::Finding)s, which
/// are reported at start.
///
/// A handler returns a value of this type as its response or as its error. The gate's own refusals have the same form, with two more
/// members: `request_id`, which is also in the header `x-request-id` of every response, and, for a session that has to prove more,
/// `login_url`, the tenant's configured page.
///
/// The problem type is `about:blank`, so the title is that of the status. The detail is a fixed text, never one of a caller or an
/// upstream. The response has `Cache-Control: no-store`. With 503 it asks the client to retry after a second, unless
/// [`retry_after`](Self::retry_after) sets another time. With 408 it closes the connection, because the rest of the request
/// may still arrive; over HTTP/2 only the stream ends.
///
/// ```
/// use actix_web::{HttpResponse, http::StatusCode, web};
/// use iam_actix::ProblemDetails;
///
/// async fn read(id: web::Path<u32>) -> Result<HttpResponse, ProblemDetails> {
///     match *id {
///         7 => Ok(HttpResponse::Ok().body("seven")),
///         _ => Err(ProblemDetails::new(StatusCode::NOT_FOUND).detail("no such order")),
///     }
/// }
/// # actix_web::rt::System::new().block_on(async {
/// # use actix_web::ResponseError as _;
/// let refused = read(8.into()).await.unwrap_err().error_response();
///
/// assert_eq!(
///     actix_web::body::to_bytes(refused.into_body()).await.unwrap(),
///     r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no such order"}"#,
/// );
/// # });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a problem reaches the caller only as a response or an error"]
pub struct ProblemDetails {
    status: StatusCode,
    detail: Option<&'static str>,
    retry_after: Option<u32>,
}

impl ProblemDetails {
    /// Creates problem details for a 4xx or 5xx status. Only the gate answers 401, together with the challenge that belongs
    /// to it.
    pub const fn new(status: StatusCode) -> Self {
        Self {
            status,
            detail: None,
            retry_after: None,
        }
    }

    /// Sets the detail, a fixed text.
    pub const fn detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Asks the client to retry after so many seconds (RFC 9110 §10.2.3).
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Returns the title of RFC 9457 §4.2.1: that of the status.
    pub(crate) fn title(self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Refused")
    }

    /// Creates the response with further members about the request.
    pub(crate) fn response(self, more: Extension<'_>) -> HttpResponse<BoxBody> {
        let document = Document {
            kind: "about:blank",
            title: self.title(),
            status: self.status.as_u16(),
            detail: self.detail,
            request_id: more.request_id,
            login_url: more.login_url,
            reason: more.reason,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();

        let mut response = HttpResponse::new(self.status).set_body(BoxBody::new(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = self.retry_after.or_else(|| unavailable.then_some(RETRY_SECONDS)) {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // RFC 9112 §9.6: a server that is about to close the connection announces it. HTTP/2 has no such field; the
            // stream is reset.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

impl fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.unwrap_or_else(|| self.title()))
    }
}

impl std::error::Error for ProblemDetails {}

impl From<ProblemDetails> for HttpResponse {
    fn from(problem: ProblemDetails) -> Self {
        problem.response(Extension::default())
    }
}

impl Responder for ProblemDetails {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.into()
    }
}

impl ResponseError for ProblemDetails {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        (*self).into()
    }
}

/// Further members of the gate's refusals (RFC 9457 §3.2).
#[derive(Clone, Copy, Default)]
pub(crate) struct Extension<'a> {
    pub(crate) request_id: Option<&'a str>,
    /// Where a caller proves more.
    pub(crate) login_url: Option<&'a str>,
    pub(crate) reason: Option<&'static str>,
}

/// Problem details (RFC 9457 §3.1) as they are serialized.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The default of `Retry-After` for 503, in seconds.
const RETRY_SECONDS: u32 = 1;

#[cfg(test)]
mod tests {
    use actix_web::{body::MessageBody as _, test::TestRequest};

    use super::*;

    const MISSING: ProblemDetails = ProblemDetails::new(StatusCode::NOT_FOUND).detail("no such order");

    fn body(response: HttpResponse) -> String {
        let bytes = response.into_body().try_into_bytes().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_problem_is_the_same_whether_it_is_returned_or_thrown() {
        let request = TestRequest::default().to_http_request();

        for response in [
            MISSING.into(),
            MISSING.respond_to(&request),
            MISSING.error_response(),
        ] {
            assert_eq!(response.status(), 404);
            let headers = response.headers();
            assert_eq!(headers.len(), 2, "{headers:?}");
            assert_eq!(headers.get(CONTENT_TYPE).unwrap(), "application/problem+json");
            assert_eq!(headers.get(CACHE_CONTROL).unwrap(), "no-store");
            assert_eq!(
                body(response),
                r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no such order"}"#
            );
        }
        assert_eq!(MISSING.status_code(), 404);
    }

    #[test]
    fn only_a_timeout_ends_the_connection_and_only_unavailable_says_when_to_try_again() {
        for status in (400..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let response = HttpResponse::from(ProblemDetails::new(status));

            assert_eq!(
                response.head().connection_type() == ConnectionType::Close,
                status == 408
            );
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
        }
    }

    #[test]
    fn a_caller_may_try_again_after_a_second_unless_another_time_is_said() {
        let unavailable = ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE);
        let too_many = ProblemDetails::new(StatusCode::TOO_MANY_REQUESTS);

        for (problem, seconds) in [
            (unavailable, "1"),
            (unavailable.retry_after(5), "5"),
            (too_many.retry_after(60), "60"),
        ] {
            let response = HttpResponse::from(problem);
            assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), seconds);
        }
    }

    #[test]
    fn a_status_without_a_name_has_a_title_all_the_same() {
        let nameless = ProblemDetails::new(StatusCode::from_u16(599).unwrap());

        assert_eq!(
            body(nameless.into()),
            r#"{"type":"about:blank","title":"Refused","status":599}"#
        );
    }

    #[test]
    fn a_problem_prints_its_detail_or_else_its_title() {
        assert_eq!(MISSING.to_string(), "no such order");
        assert_eq!(
            ProblemDetails::new(StatusCode::NOT_FOUND).to_string(),
            "Not Found"
        );
    }
}
