//! Kratos's answers: statuses, error bodies, and JSON or HTML.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use serde_json::{Map, Value, json};

/// An error as Kratos writes it: `{"error": {code, status, …}}`.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    message: Cow<'static, str>,
    id: Option<&'static str>,
    reason: Option<Cow<'static, str>>,
    details: Option<Value>,
    beside: Vec<(&'static str, Value)>,
    header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let (id, reason, details, beside, header) = (None, None, None, Vec::new(), None);
        Self(Box::new(Parts {
            status,
            message,
            id,
            reason,
            details,
            beside,
            header,
        }))
    }

    pub(crate) fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "The request was malformed or contained invalid parameters",
        )
        .reason(reason)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Unable to locate the resource")
    }

    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// Reports a feature of the real server that this stand-in does not implement.
    pub(crate) fn not_here(what: &'static str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "this stand-in for Kratos cannot do that",
        )
        .reason(what)
    }

    pub(crate) fn no_session_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "The request could not be authorized")
            .reason("No valid session credentials found in the request.")
    }

    pub(crate) fn no_active_session() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "request does not have a valid authentication session",
        )
        .id("session_inactive")
        .reason("No active session was found in this request.")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large")
    }

    pub(crate) fn id(mut self, id: &'static str) -> Self {
        self.0.id = Some(id);
        self
    }

    pub(crate) fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    pub(crate) fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Adds a member next to `error`.
    pub(crate) fn beside(mut self, name: &'static str, value: Value) -> Self {
        self.0.beside.push((name, value));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.0.header = Some((name, value));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut error = Map::new();
        if let Some(id) = self.0.id {
            error.insert("id".into(), id.into());
        }
        error.insert("code".into(), self.0.status.as_u16().into());
        error.insert("status".into(), self.0.status.canonical_reason().into());
        if let Some(reason) = &self.0.reason {
            error.insert("reason".into(), reason.as_ref().into());
        }
        if let Some(details) = &self.0.details {
            error.insert("details".into(), details.clone());
        }
        error.insert("message".into(), self.0.message.as_ref().into());

        let mut body = Map::new();
        body.insert("error".into(), Value::Object(error));
        body.extend(
            self.0
                .beside
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );

        let mut answer = HttpResponse::build(self.0.status);
        answer.insert_header((header::CONTENT_TYPE, "application/json"));
        answer.insert_header(("Ory-Error-Id", self.0.id.unwrap_or_default()));
        if let Some((name, value)) = &self.0.header {
            answer.insert_header((*name, value.as_str()));
        }
        answer.body(Value::Object(body).to_string())
    }
}

/// Answers with JSON.
pub(crate) fn json(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, JSON))
        .body(body.to_string())
}

/// Redirects, with the small HTML page that Go adds to answers to GET.
pub(crate) fn redirect(status: StatusCode, target: &str) -> HttpResponse {
    let escaped = target
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;");
    let reason = status.canonical_reason().unwrap_or_default();
    HttpResponse::build(status)
        .insert_header((header::LOCATION, target))
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(format!("<a href=\"{escaped}\">{reason}</a>.\n\n"))
}

/// Answers an unknown path as Go's router does.
pub(crate) async fn no_such_page() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body("404 page not found\n")
}

pub(crate) async fn healthy() -> HttpResponse {
    json(StatusCode::OK, &json!({"status": "ok"}))
}

pub(crate) async fn version() -> HttpResponse {
    json(
        StatusCode::OK,
        &json!({"version": concat!("v26.2.0-ory-dev-", env!("CARGO_PKG_VERSION"))}),
    )
}

/// Returns whether the client wants JSON instead of HTML: it accepts JSON, or sent JSON.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    sent_json(headers) || accepts_json(headers)
}

/// Returns whether the client is a browser that loads a page.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok());
    !wants_json(headers) && accepts.into_iter().any(|value| value.contains("text/html"))
}

/// Returns whether the client prefers JSON to HTML. `*/*` counts as HTML, as a browser's address bar sends it.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    let (mut wanted, mut others) = (0.0, 0.0_f32);
    for value in headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
    {
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if media.eq_ignore_ascii_case("application/json") {
                wanted = quality;
            } else {
                others = others.max(quality);
            }
        }
    }
    wanted > 0.0 && wanted >= others
}

pub(crate) fn sent_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/json")
}

/// Returns the media type of the body without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map_or("", str::trim)
}

/// Returns the first value of a query key.
pub(crate) fn query<'r>(request: &'r HttpRequest, key: &str) -> Option<Cow<'r, str>> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

pub(crate) const JSON: &str = "application/json; charset=utf-8";

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn json_is_wanted_only_when_it_is_asked_for() {
        for (accept, expected) in [
            ("application/json", true),
            ("Application/JSON;q=0.5", true),
            ("application/json, text/html", true),
            ("text/html, application/json;q=0.9", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("*/*", false),
            ("application/json;q=0", false),
            ("application/json;q=nonsense", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(accepts_json(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn redirect_page_does_not_carry_markup_of_the_target() {
        let answer = redirect(StatusCode::SEE_OTHER, "http://x/?a=\"><script>&b='");

        let body = actix_web::body::to_bytes(answer.into_body());
        let body = futures_util::FutureExt::now_or_never(body).unwrap().unwrap();
        assert_eq!(
            body,
            "<a href=\"http://x/?a=&#34;&gt;&lt;script&gt;&amp;b=&#39;\">See Other</a>.\n\n"
        );
    }
}
