//! How does a flow begin, and how is it shown? What login and registration have in common.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::answer::{Refusal, accepts_json, json, query, redirect, wants_json};
use super::clock::Moment;
use super::csrf::{self, CsrfToken};
use super::flow::{Flow, Kind};
use super::identity::Identity;
use super::schema::{Schema, message};
use super::session::{Presented, Session};
use super::shared::Shared;
use super::submission::Submission;

/// Starts a native flow.
pub(crate) fn start_native(kind: Kind, shared: &Shared, request: &HttpRequest) -> Answer {
    let mut flow = new_flow(kind, shared, request)?;
    flow.refresh = refreshed_identifier(kind, shared, request)?;
    Ok(show_new(shared, flow))
}

/// Starts a browser flow: JSON for scripts, a redirect to the page that shows the form otherwise.
pub(crate) fn start_browser(kind: Kind, shared: &Shared, request: &HttpRequest, token: &CsrfToken) -> Answer {
    let page = !accepts_json(request.headers());
    let mut flow = new_flow(kind, shared, request)?;
    flow.browser = true;
    flow.csrf_token = token.mask()?;
    flow.refresh = match refreshed_identifier(kind, shared, request) {
        Ok(identifier) => identifier,
        // A person who is logged in has nothing to do on the login page.
        Err(_) if page => {
            return Ok(redirect(
                StatusCode::SEE_OTHER,
                return_url(shared, &flow).as_str(),
            ));
        }
        Err(refusal) => return Err(refusal),
    };
    if page {
        let target = page_of(shared, &flow);
        shared.store().add_flow(flow);
        return Ok(redirect(StatusCode::SEE_OTHER, &target));
    }
    Ok(show_new(shared, flow))
}

/// Shows a flow again. A browser flow is shown only to the browser that started it.
pub(crate) fn get(kind: Kind, shared: &Shared, request: &HttpRequest, token: &CsrfToken) -> Answer {
    let id = query(request, "id").and_then(|id| Uuid::try_parse(&id).ok());
    let store = shared.store();
    let flow = id.and_then(|id| store.flow(id)).filter(|flow| flow.kind == kind);
    let flow = flow.ok_or_else(Refusal::not_found)?;

    if flow.browser && !token.matches(&flow.csrf_token) {
        return Err(csrf::violation(request, &shared.csrf_cookie, false));
    }
    if flow.has_expired(shared.now()) {
        let (start, name) = (
            format!("{}self-service/{}", shared.public_url, kind.name()),
            kind.name(),
        );
        let details = if flow.browser {
            json!({"redirect_to": format!("{start}/browser")})
        } else {
            json!({"api": format!("{start}/api")})
        };
        let reason = format!(
            "The {name} flow has expired. Call the {name} flow init API endpoint to initialize a new {name} flow."
        );
        let text =
            "The requested resource is no longer available because it has expired or is otherwise invalid.";
        let gone = Refusal::new(StatusCode::GONE, text).id(EXPIRED).reason(reason);
        return Err(gone.details(details));
    }
    show(shared, flow, StatusCode::OK)
}

/// A submission that may be looked at: its flow exists, lives, and the form came from our own page.
pub(crate) struct Submitted {
    pub(crate) flow: Flow,
    pub(crate) submission: Submission,
}

/// What becomes of a submission before anyone looks at what was submitted.
pub(crate) enum Admission {
    Admitted(Box<Submitted>),
    Answered(HttpResponse),
}

/// Finds the flow of a submission and checks that it may be submitted.
pub(crate) fn admit(
    kind: Kind,
    shared: &Shared,
    request: &HttpRequest,
    token: &CsrfToken,
    body: &[u8],
) -> AdmissionResult {
    let id = query(request, "flow")
        .and_then(|id| Uuid::try_parse(&id).ok())
        .filter(|id| !id.is_nil());
    let Some(id) = id else {
        return Err(Refusal::bad_request(
            "The flow query parameter is missing or malformed.",
        ));
    };
    let flow = shared.store().flow(id).filter(|flow| flow.kind == kind).cloned();
    let flow = flow.ok_or_else(Refusal::not_found)?;

    let now = shared.now();
    if flow.has_expired(now) {
        return expired(shared, request, &flow, now);
    }
    let presented = Presented::by(request, &shared.cookie_keys);
    if flow.refresh.is_none() && presented.find(&shared.store(), now).is_some() {
        let refusal = already_logged_in(kind);
        return if is_page(&flow, request) {
            Ok(Admission::Answered(redirect(
                StatusCode::SEE_OTHER,
                return_url(shared, &flow).as_str(),
            )))
        } else {
            Err(refusal)
        };
    }

    let submission = Submission::read(request, body);
    let sent = submission
        .as_ref()
        .ok()
        .and_then(|submission| submission.text("csrf_token"));
    let sent = sent.or_else(|| {
        request
            .headers()
            .get("X-CSRF-Token")
            .and_then(|value| value.to_str().ok())
    });
    check_origin(shared, request, &flow, token, sent)?;
    if let Ok(submission) = submission {
        return Ok(Admission::Admitted(Box::new(Submitted { flow, submission })));
    }
    let text = "Unable to decode form as JSON.";
    let mut flow = flow;
    flow.form.clear_messages();
    flow.form
        .complain_overall(message(4_000_001, text, Some(json!({"reason": text}))));
    reject(shared, request, &flow).map(Admission::Answered)
}

/// Stores the form with what is wrong with it, and shows it.
pub(crate) fn reject(shared: &Shared, request: &HttpRequest, flow: &Flow) -> Answer {
    if let Some(stored) = shared.store().flow_mut(flow.id) {
        stored.form = flow.form.clone();
    }
    if is_page(flow, request) {
        return Ok(redirect(StatusCode::SEE_OTHER, &page_of(shared, flow)));
    }
    show(shared, flow, StatusCode::BAD_REQUEST)
}

/// Returns the cookies of a browser that has just logged in. The anti-CSRF token changes with the person.
pub(crate) fn session_cookies(shared: &Shared, session: &Session) -> Result<Vec<String>, Refusal> {
    let Some(handle) = &session.handle else {
        return Ok(Vec::new());
    };
    let seconds = session.expires_at.since(shared.now()).as_secs();
    let session_cookie = format!(
        "{}={}; Path=/; Expires={}; Max-Age={seconds}; HttpOnly; SameSite=Lax",
        super::session::SESSION_COOKIE,
        shared.cookie_keys.seal(handle),
        session.expires_at.http_date(),
    );
    Ok(vec![
        CsrfToken::generate()?.set_cookie(&shared.csrf_cookie),
        session_cookie,
    ])
}

/// Adds cookies to an answer.
pub(crate) fn with_cookies(mut answer: HttpResponse, cookies: &[String]) -> HttpResponse {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    answer
}

/// Returns where the browser goes once the flow is done.
pub(crate) fn return_url(shared: &Shared, flow: &Flow) -> Url {
    flow.return_to
        .clone()
        .unwrap_or_else(|| shared.config.default_return_url.clone())
}

/// Returns whether the submission came from a page rather than a script.
pub(crate) fn is_page(flow: &Flow, request: &HttpRequest) -> bool {
    flow.browser && !wants_json(request.headers())
}

/// Returns the URL in `return_to` when the configuration allows it.
pub(crate) fn return_to(shared: &Shared, request: &HttpRequest) -> Result<Option<Url>, Refusal> {
    let Some(text) = query(request, "return_to").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let forbidden = || {
        Refusal::bad_request(format!("Requested return_to URL \"{text}\" is not allowed."))
            .id("self_service_flow_return_to_forbidden")
    };
    let url = shared
        .config
        .default_return_url
        .join(&text)
        .map_err(|_| forbidden())?;
    let allowed = |allowed: &Url| {
        url.scheme() == allowed.scheme()
            && url.host() == allowed.host()
            && url.port_or_known_default() == allowed.port_or_known_default()
            && url.path().starts_with(allowed.path())
    };
    // A name before `@` looks like a host to people.
    if url.username().is_empty()
        && url.password().is_none()
        && shared.config.allowed_return_urls.iter().any(allowed)
    {
        Ok(Some(url))
    } else {
        Err(forbidden())
    }
}

pub(crate) type Answer = Result<HttpResponse, Refusal>;
type AdmissionResult = Result<Admission, Refusal>;

fn new_flow(kind: Kind, shared: &Shared, request: &HttpRequest) -> Result<Flow, Refusal> {
    let return_to = return_to(shared, request)?;
    if query(request, "aal").is_some_and(|aal| aal != "aal1" && !aal.is_empty()) {
        return Err(no_second_factor(shared, request));
    }
    let mut url = shared.public_url.clone();
    url.set_path(request.path());
    // A flow is kept for minutes: an endless query is not worth its memory.
    url.set_query(Some(request.query_string()).filter(|query| !query.is_empty() && query.len() <= MAX_QUERY));
    let flow = Flow::new(
        kind,
        shared.now(),
        kind.config(&shared.config).lifespan,
        url.into(),
    );
    Ok(Flow { return_to, ..flow })
}

/// Returns the identifier of the person to ask again, where `refresh` asks for that and there is a session. A session
/// without `refresh` is refused.
fn refreshed_identifier(
    kind: Kind,
    shared: &Shared,
    request: &HttpRequest,
) -> Result<Option<String>, Refusal> {
    let presented = Presented::by(request, &shared.cookie_keys);
    let store = shared.store();
    let Some((_, identity)) = presented.find(&store, shared.now()) else {
        return Ok(None);
    };
    if kind == Kind::Login && query(request, "refresh").is_some_and(|refresh| refresh == "true") {
        return Ok(Some(identifier_of(identity)));
    }
    Err(already_logged_in(kind))
}

fn identifier_of(identity: &Identity) -> String {
    identity.password_identifiers.first().cloned().unwrap_or_default()
}

fn already_logged_in(kind: Kind) -> Refusal {
    let reason = match kind {
        Kind::Login => {
            "A valid session was detected and thus login is not possible. Did you forget to set `?refresh=true`?"
        }
        Kind::Registration => "A valid session was detected and thus registration is not possible.",
    };
    Refusal::new(StatusCode::BAD_REQUEST, "you are already logged in")
        .id("session_already_available")
        .reason(reason)
}

fn no_second_factor(shared: &Shared, request: &HttpRequest) -> Refusal {
    let presented = Presented::by(request, &shared.cookie_keys);
    if presented.find(&shared.store(), shared.now()).is_some() {
        return Refusal::not_here("There are no second factors here.");
    }
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "aal2 and aal3 can only be requested if a session exists already",
    )
    .id("session_aal1_required")
    .reason("You can not requested a higher AAL (AAL2/AAL3) without an active session.")
}

fn show_new(shared: &Shared, flow: Flow) -> HttpResponse {
    let answer = show(shared, &flow, StatusCode::OK);
    shared.store().add_flow(flow);
    answer.unwrap_or_else(|refusal| actix_web::ResponseError::error_response(&refusal))
}

fn show(shared: &Shared, flow: &Flow, status: StatusCode) -> Answer {
    let schema: &Schema = shared
        .default_schema()
        .ok_or_else(|| Refusal::internal("no schema"))?;
    Ok(json(status, &flow.json(&shared.public_url, schema)))
}

fn page_of(shared: &Shared, flow: &Flow) -> String {
    let mut url = flow.kind.config(&shared.config).ui_url.clone();
    url.query_pairs_mut().append_pair("flow", &flow.id.to_string());
    url.into()
}

/// Answers a submission that came too late with a fresh flow.
fn expired(shared: &Shared, request: &HttpRequest, flow: &Flow, now: Moment) -> AdmissionResult {
    let fresh = flow.renew(now, flow.kind.config(&shared.config).lifespan);
    let (id, page) = (fresh.id, page_of(shared, &fresh));
    shared.store().add_flow(fresh);
    if is_page(flow, request) {
        return Ok(Admission::Answered(redirect(StatusCode::SEE_OTHER, &page)));
    }
    let since = now.since(flow.expires_at);
    let minutes = since.as_secs_f64() / 60.0;
    let reason = format!("The self-service flow expired {minutes:.2} minutes ago, initialize a new one.");
    Err(Refusal::new(StatusCode::GONE, "self-service flow expired")
        .id(EXPIRED)
        .reason(reason)
        .beside("expired_at", flow.expires_at.rfc3339().into())
        .beside(
            "since",
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).into(),
        )
        .beside("use_flow_id", id.to_string().into()))
}

/// Checks that a browser's form came from our own page, and that a native flow was not submitted by a browser.
fn check_origin(
    shared: &Shared,
    request: &HttpRequest,
    flow: &Flow,
    token: &CsrfToken,
    sent: Option<&str>,
) -> Result<(), Refusal> {
    if flow.browser {
        let own = token.presented && sent.is_some_and(|sent| token.matches(sent));
        return if own {
            Ok(())
        } else {
            Err(csrf::violation(request, &shared.csrf_cookie, sent.is_some()))
        };
    }
    if request
        .headers()
        .get(header::ORIGIN)
        .is_some_and(|origin| !origin.is_empty())
    {
        return Err(Refusal::bad_request(ORIGIN_IN_NATIVE_FLOW));
    }
    if request
        .headers()
        .get(header::COOKIE)
        .is_some_and(|cookie| !cookie.is_empty())
    {
        return Err(Refusal::bad_request(COOKIE_IN_NATIVE_FLOW));
    }
    Ok(())
}

/// Answers a page whose request cannot be answered with a form: the error page of the configuration.
pub(crate) fn error_page(shared: &Shared, refusal: Refusal, page: bool) -> Answer {
    if !page {
        return Err(refusal);
    }
    let mut url = shared.config.error_url.clone();
    url.query_pairs_mut()
        .append_pair("id", &Uuid::new_v4().to_string());
    Ok(redirect(StatusCode::SEE_OTHER, url.as_str()))
}

const EXPIRED: &str = "self_service_flow_expired";
const MAX_QUERY: usize = 2048;

const ORIGIN_IN_NATIVE_FLOW: &str = "The HTTP Request Header included the \"Origin\" key, indicating that this \
    request was made as part of an AJAX request in a Browser. The flow however was initiated as an API request. To \
    prevent potential misuse and mitigate several attack vectors including CSRF, the request has been blocked. \
    Please consult the documentation.";

const COOKIE_IN_NATIVE_FLOW: &str = "The HTTP Request Header included the \"Cookie\" key, indicating that this \
    request was made by a Browser. The flow however was initiated as an API request. To prevent potential misuse \
    and mitigate several attack vectors including CSRF, the request has been blocked. Please consult the \
    documentation.";
