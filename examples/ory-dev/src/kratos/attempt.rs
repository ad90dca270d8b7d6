//! Submission of login and registration forms, from the checks to the answer.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Payload,
};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{
    answer::{Refusal, json, query, redirect, wants_json, wants_page},
    clock::Moment,
    csrf::{self, CsrfToken},
    flow::{Flow, Kind},
    login, registration,
    schema::message,
    second_factor::{self, elsewhere_first, second_factor_url},
    self_service::{Answer, EXPIRED, already_logged_in, page_of, return_url, show},
    session::{Aal, Devices, Presented, SESSION_COOKIE, Session},
    shared::Shared,
    store::Store,
    submission::{MAX_FORM, Submission, read_body},
};

/// Answers the submission of a form.
pub(crate) async fn submit(
    kind: Kind,
    shared: &Shared,
    request: &HttpRequest,
    token: &CsrfToken,
    body: Payload,
) -> Answer {
    let body = read_body(body, MAX_FORM).await?;
    let attempt = match admit(kind, shared, request, token, &body) {
        Ok(Admission::Admitted(attempt)) => *attempt,
        Ok(Admission::Answered(answer)) => return Ok(answer),
        Err(refusal) => return error_page(shared, refusal, wants_page(request.headers())),
    };
    match kind {
        Kind::Login if attempt.flow.requested_aal == Aal::Aal2 => second_factor::step_up(attempt),
        Kind::Login => login::log_in(attempt).await,
        Kind::Registration => registration::register(attempt).await,
        // The settings flow has its own submission.
        Kind::Settings => Err(Refusal::not_found()),
    }
}

/// An admitted submission: its flow exists and has not expired, and the anti-CSRF token is valid.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a HttpRequest,
    pub(crate) flow: Flow,
    pub(crate) submission: Submission,
}

/// The authenticated person, and the members of the answer beside the session.
pub(crate) struct Success {
    /// The identity, as the public interface shows it.
    pub(crate) identity: Value,
    pub(crate) session: Option<Session>,
    /// Additional members of the answer.
    pub(crate) members: Map<String, Value>,
    /// The steps that the client must take before the flow's return URL.
    pub(crate) next: Vec<Value>,
}

impl Attempt<'_> {
    /// Stores the form with its validation messages, and shows it.
    pub(crate) fn reject(&self) -> Answer {
        let flow = &self.flow;
        if let Some(stored) = self.shared.store().flow_mut(flow.id) {
            stored.form = flow.form.clone();
        }
        if is_page(flow, self.request) {
            return Ok(redirect(StatusCode::SEE_OTHER, &page_of(self.shared, flow)));
        }
        show(self.shared, flow, StatusCode::BAD_REQUEST)
    }

    /// Answers with an error that is not about the form.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Answer {
        error_page(self.shared, refusal, is_page(&self.flow, self.request))
    }

    /// Opens a session for the authenticated person.
    pub(crate) fn open_session(&self, store: &mut Store, identity: Uuid) -> Result<Session, Refusal> {
        let (now, lifespan) = (self.shared.now(), self.shared.config.session_lifespan);
        let mut session = Session::new(identity, now, lifespan, self.flow.browser)?;
        session.seen_from(self.request);
        store.add_session(session.clone());
        Ok(session)
    }

    /// Ends the flow: a browser is redirected, other clients get JSON.
    pub(crate) fn succeed(&self, success: Success) -> Answer {
        let Success {
            identity,
            session,
            mut members,
            mut next,
        } = success;
        let cookies = match &session {
            Some(session) => session_cookies(self.shared, session)?,
            None => Vec::new(),
        };
        if let Some(target) = self.second_factor(session.as_ref()) {
            let answer = if is_page(&self.flow, self.request) {
                redirect(StatusCode::SEE_OTHER, &target)
            } else {
                ResponseError::error_response(&elsewhere_first(&target))
            };
            return Ok(with_cookies(answer, &cookies));
        }
        let target = return_url(self.shared, &self.flow);
        if is_page(&self.flow, self.request) {
            let answer = redirect(StatusCode::SEE_OTHER, target.as_str());
            return Ok(with_cookies(answer, &cookies));
        }

        if let Some(session) = &session {
            let shown = session.json(self.shared.now(), Some(identity), Devices::Shown);
            members.insert("session".into(), shown);
            if !self.flow.browser {
                members.insert("session_token".into(), session.token.as_str().into());
            }
        }
        if self.flow.browser {
            next.push(json!({"action": "redirect_browser_to", "redirect_browser_to": target.as_str()}));
        }
        let next = if next.is_empty() { Value::Null } else { next.into() };
        members.insert("continue_with".into(), next);
        Ok(with_cookies(
            json(StatusCode::OK, &Value::Object(members)),
            &cookies,
        ))
    }

    /// Returns the login URL for a browser that must show its second factor next.
    fn second_factor(&self, session: Option<&Session>) -> Option<String> {
        let session = session.filter(|_| self.flow.browser)?;
        let store = self.shared.store();
        let person = store.identity(session.identity)?;
        let return_to = self.flow.return_to.as_ref().map(Url::as_str);
        (!session.fulfils(self.shared.config.whoami_aal, person))
            .then(|| second_factor_url(self.shared, return_to))
    }
}

/// The result of the checks that precede the form's content.
enum Admission<'a> {
    Admitted(Box<Attempt<'a>>),
    Answered(HttpResponse),
}

/// Finds the flow of a submission and checks that it can be submitted.
fn admit<'a>(
    kind: Kind,
    shared: &'a Shared,
    request: &'a HttpRequest,
    token: &CsrfToken,
    body: &[u8],
) -> Result<Admission<'a>, Refusal> {
    let flow = find_flow(kind, shared, flow_id(request)?)?;

    let now = shared.now();
    if flow.has_expired(now) {
        return expired(shared, request, &flow, now);
    }
    let presented = Presented::by(request, &shared.cookie_keys);
    let is_strong_enough = |session: &Session| session.aal() >= flow.requested_aal;
    let has_session = presented
        .find(&shared.store(), now)
        .is_some_and(|(session, _)| is_strong_enough(session));
    if flow.refresh.is_none() && has_session {
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
    let is_decoded = submission.is_ok();
    let mut attempt = Attempt {
        shared,
        request,
        flow,
        submission: submission.unwrap_or_default(),
    };
    if is_decoded {
        return Ok(Admission::Admitted(Box::new(attempt)));
    }
    let text = "Unable to decode form as JSON.";
    let form = &mut attempt.flow.form;
    form.clear_messages();
    form.complain_overall(message(4_000_001, text, Some(json!({"reason": text}))));
    attempt.reject().map(Admission::Answered)
}

/// Returns the id of the flow that a form is submitted to.
pub(crate) fn flow_id(request: &HttpRequest) -> Result<Uuid, Refusal> {
    query(request, "flow")
        .and_then(|id| Uuid::try_parse(&id).ok())
        .filter(|id| !id.is_nil())
        .ok_or_else(|| Refusal::bad_request("The flow query parameter is missing or malformed."))
}

/// Returns a flow of this kind.
pub(crate) fn find_flow(kind: Kind, shared: &Shared, id: Uuid) -> Result<Flow, Refusal> {
    let store = shared.store();
    let flow = store.flow(id).filter(|flow| flow.kind == kind);
    flow.cloned().ok_or_else(Refusal::not_found)
}

/// Answers a submission of an expired flow with a new flow.
fn expired<'a>(
    shared: &Shared,
    request: &HttpRequest,
    flow: &Flow,
    now: Moment,
) -> Result<Admission<'a>, Refusal> {
    let (page, refusal) = expired_flow(shared, flow, now);
    if is_page(flow, request) {
        Ok(Admission::Answered(redirect(StatusCode::SEE_OTHER, &page)))
    } else {
        Err(refusal)
    }
}

/// Replaces an expired flow by a new one. Returns the URL of its page, and the error for other clients.
pub(crate) fn expired_flow(shared: &Shared, flow: &Flow, now: Moment) -> (String, Refusal) {
    let fresh = flow.renew(now, flow.kind.config(&shared.config).lifespan);
    let (id, page) = (fresh.id, page_of(shared, &fresh));
    shared.store().add_flow(fresh);
    let since = now.since(flow.expires_at);
    let minutes = since.as_secs_f64() / 60.0;
    let reason = format!("The self-service flow expired {minutes:.2} minutes ago, initialize a new one.");
    let refusal = Refusal::new(StatusCode::GONE, "self-service flow expired")
        .id(EXPIRED)
        .reason(reason)
        .beside("expired_at", flow.expires_at.rfc3339().into())
        .beside(
            "since",
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).into(),
        )
        .beside("use_flow_id", id.to_string().into());
    (page, refusal)
}

/// Checks the anti-CSRF token of a browser flow, and that a native flow was not submitted by a browser.
pub(crate) fn check_origin(
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

/// Returns whether the submission came from a page instead of a script.
pub(crate) fn is_page(flow: &Flow, request: &HttpRequest) -> bool {
    flow.browser && !wants_json(request.headers())
}

/// Redirects a browser to the configured error page when the error cannot be shown in a form.
pub(crate) fn error_page(shared: &Shared, refusal: Refusal, page: bool) -> Answer {
    if !page {
        return Err(refusal);
    }
    let mut url = shared.config.error_url.clone();
    url.query_pairs_mut()
        .append_pair("id", &Uuid::new_v4().to_string());
    Ok(redirect(StatusCode::SEE_OTHER, url.as_str()))
}

/// Returns the cookies of a browser after login. The anti-CSRF token changes at login.
fn session_cookies(shared: &Shared, session: &Session) -> Result<Vec<String>, Refusal> {
    let Some(handle) = &session.handle else {
        return Ok(Vec::new());
    };
    let seconds = session.expires_at.since(shared.now()).as_secs();
    let session_cookie = format!(
        "{}={}; Path=/; Expires={}; Max-Age={seconds}; HttpOnly; SameSite=Lax",
        SESSION_COOKIE,
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

const ORIGIN_IN_NATIVE_FLOW: &str = "The HTTP Request Header included the \"Origin\" key, indicating that this \
    request was made as part of an AJAX request in a Browser. The flow however was initiated as an API request. To \
    prevent potential misuse and mitigate several attack vectors including CSRF, the request has been blocked. \
    Please consult the documentation.";

const COOKIE_IN_NATIVE_FLOW: &str = "The HTTP Request Header included the \"Cookie\" key, indicating that this \
    request was made by a Browser. The flow however was initiated as an API request. To prevent potential misuse \
    and mitigate several attack vectors including CSRF, the request has been blocked. Please consult the \
    documentation.";
