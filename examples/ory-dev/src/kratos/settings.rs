//! The settings flow: password and authenticator app.

use std::sync::Arc;

use actix_web::{HttpRequest, http::StatusCode, web::Payload};
use serde_json::Value;
use uuid::Uuid;

use super::{
    answer::{Refusal, accepts_json, query, redirect, wants_page},
    attempt::{check_origin, error_page, expired_flow, find_flow, flow_id, is_page},
    csrf::{self, CsrfToken},
    flow::{Flow, Kind},
    identity::Identity,
    password,
    schema::{message, missing},
    second_factor::{second_factor_required, second_factor_url},
    self_service::{Answer, gone, new_flow as start_flow, page_of, return_url, show},
    session::{Presented, Session},
    shared::Shared,
    submission::{MAX_FORM, Submission, read_body},
    totp,
};

/// Starts a flow of a native application.
pub(crate) fn start_native(shared: &Shared, request: &HttpRequest) -> Answer {
    let (_, person) = caller(shared, request)?.ok_or_else(no_session)?;
    let flow = new_flow(shared, request, &person)?;
    let answer = show(shared, &flow, StatusCode::OK);
    shared.store().add_flow(flow);
    answer
}

/// Starts a flow of a browser: a redirect to the form's page, or JSON for a script.
pub(crate) fn start_browser(shared: &Shared, request: &HttpRequest, token: &CsrfToken) -> Answer {
    let page = !accepts_json(request.headers());
    let person = match caller(shared, request) {
        Ok(Some((_, person))) => person,
        Ok(None) if page => {
            return Ok(redirect(
                StatusCode::SEE_OTHER,
                shared.config.login.ui_url.as_str(),
            ));
        }
        Ok(None) => return Err(no_session()),
        Err(_) if page => return Ok(redirect(StatusCode::SEE_OTHER, &second_factor_url(shared, None))),
        Err(refusal) => return Err(refusal),
    };
    let mut flow = new_flow(shared, request, &person)?;
    flow.browser = true;
    flow.csrf_token = token.mask()?;
    let answer = if page {
        Ok(redirect(StatusCode::SEE_OTHER, &page_of(shared, &flow)))
    } else {
        show(shared, &flow, StatusCode::OK)
    };
    shared.store().add_flow(flow);
    answer
}

/// Shows a flow to the person who started it.
pub(crate) fn get(shared: &Shared, request: &HttpRequest, token: &CsrfToken) -> Answer {
    let (_, person) = caller(shared, request)?.ok_or_else(no_session)?;
    let id = query(request, "id")
        .and_then(|id| Uuid::try_parse(&id).ok())
        .ok_or_else(Refusal::not_found)?;
    let flow = find_flow(Kind::Settings, shared, id)?;
    check_person(&flow, &person)?;
    if flow.browser && !token.matches(&flow.csrf_token) {
        return Err(csrf::violation(request, &shared.csrf_cookie, false));
    }
    if flow.has_expired(shared.now()) {
        return Err(gone(shared, &flow));
    }
    show(shared, &flow, StatusCode::OK)
}

/// Answers the submission of a settings form.
pub(crate) async fn submit(
    shared: &Shared,
    request: &HttpRequest,
    token: &CsrfToken,
    body: Payload,
) -> Answer {
    let body = read_body(body, MAX_FORM).await?;
    let change = match admit(shared, request, token, &body) {
        Ok(change) => change,
        Err(refusal) => return error_page(shared, refusal, wants_page(request.headers())),
    };
    let method = change.submission.text("method").unwrap_or_default().to_owned();
    match method.as_str() {
        "password" => change.set_password().await,
        "totp" if shared.config.settings.methods.totp => change.set_totp(),
        "lookup_secret" | "profile" => change.refuse(Refusal::not_here(
            "The settings form changes passwords and authenticator apps only.",
        )),
        _ => {
            let text = "Could not find a strategy to update your settings with. Did you fill out the form correctly?";
            change.reject(None, message(4_010_004, text, None))
        }
    }
}

/// An admitted submission: the flow belongs to the caller, and the anti-CSRF token is valid.
struct Change<'a> {
    shared: &'a Shared,
    request: &'a HttpRequest,
    flow: Flow,
    session: Session,
    person: Arc<Identity>,
    submission: Submission,
}

impl Change<'_> {
    async fn set_password(mut self) -> Answer {
        let secret = self.submission.text("password").unwrap_or_default().to_owned();
        if secret.is_empty() {
            return self.reject(Some("password"), missing("password"));
        }
        if let Some(complaint) = password::complaint(&secret, &self.person.password_identifiers) {
            return self.reject(Some("password"), complaint);
        }
        if let Err(refusal) = self.check_privilege() {
            return self.refuse(refusal);
        }
        let hash = password::hash(secret, self.shared.config.bcrypt_cost).await?;
        self.save(|person| person.hashed_password = Some(hash.clone()))
    }

    /// Links an authenticator app by a code from it, or unlinks the linked one.
    fn set_totp(mut self) -> Answer {
        if self.submission.text("totp_unlink") == Some("true") || self.submission.is_true("totp_unlink") {
            if let Err(refusal) = self.check_privilege() {
                return self.refuse(refusal);
            }
            self.flow.totp_secret = Some(totp::Secret::generate()?);
            return self.save(|person| person.totp_secret = None);
        }
        let code = self.submission.text("totp_code").unwrap_or_default().to_owned();
        if code.is_empty() {
            return self.reject(Some("totp_code"), missing("totp_code"));
        }
        if let Err(refusal) = self.check_privilege() {
            return self.refuse(refusal);
        }
        let secret = self
            .flow
            .totp_secret
            .clone()
            .filter(|_| self.person.totp_secret.is_none());
        match secret.filter(|secret| secret.accepts(&code, self.shared.now())) {
            Some(secret) => self.save(|person| person.totp_secret = Some(secret.clone())),
            None => self.reject(Some("totp_code"), message(4_000_008, totp::WRONG, None)),
        }
    }

    /// Saves a change of the identity, and answers.
    fn save(&mut self, change: impl Fn(&mut Identity)) -> Answer {
        let shared = self.shared;
        self.person = shared.change_identity(self.person.id, |before| {
            let mut person = before.clone();
            change(&mut person);
            person.updated_at = shared.now();
            Ok(person)
        })?;
        self.flow.form.clear_messages();
        self.flow.is_saved = true;
        self.keep();
        if is_page(&self.flow, self.request) {
            let target = match &self.flow.return_to {
                Some(_) => return_url(shared, &self.flow).into(),
                None => page_of(shared, &self.flow),
            };
            return Ok(redirect(StatusCode::SEE_OTHER, &target));
        }
        show(shared, &self.flow, StatusCode::OK)
    }

    /// Shows the form with its errors.
    fn reject(mut self, field: Option<&str>, complaint: Value) -> Answer {
        self.flow.form.clear_messages();
        self.flow.is_saved = false;
        match field {
            Some(field) => self.flow.form.complain(field, complaint),
            None => self.flow.form.complain_overall(complaint),
        }
        self.keep();
        if is_page(&self.flow, self.request) {
            return Ok(redirect(StatusCode::SEE_OTHER, &page_of(self.shared, &self.flow)));
        }
        show(self.shared, &self.flow, StatusCode::BAD_REQUEST)
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        error_page(self.shared, refusal, is_page(&self.flow, self.request))
    }

    fn keep(&self) {
        if let Some(stored) = self.shared.store().flow_mut(self.flow.id) {
            *stored = self.flow.clone();
        }
    }

    /// Checks that the last login is recent enough to change credentials.
    fn check_privilege(&self) -> Result<(), Refusal> {
        if self.session.authenticated_since(self.shared.now())
            <= self.shared.config.settings.privileged_session_max_age
        {
            return Ok(());
        }
        let back = format!(
            "{}self-service/settings?flow={}",
            self.shared.public_url, self.flow.id
        );
        let back: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        let target = format!(
            "{}self-service/login/browser?refresh=true&return_to={back}",
            self.shared.public_url
        );
        let reason = "The login session is too old and thus not allowed to update these fields. Please re-authenticate.";
        Err(
            Refusal::new(StatusCode::FORBIDDEN, "The requested action was forbidden")
                .id("session_refresh_required")
                .reason(reason)
                .beside("redirect_browser_to", target.into()),
        )
    }
}

fn admit<'a>(
    shared: &'a Shared,
    request: &'a HttpRequest,
    token: &CsrfToken,
    body: &[u8],
) -> Result<Change<'a>, Refusal> {
    let id = flow_id(request)?;
    let (session, person) = caller(shared, request)?.ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, "The request could not be authorized")
            .reason("A valid Ory Session Cookie or Ory Session Token is missing.")
    })?;
    let flow = find_flow(Kind::Settings, shared, id)?;
    check_person(&flow, &person)?;
    let now = shared.now();
    if flow.has_expired(now) {
        return Err(expired_flow(shared, &flow, now).1);
    }
    let submission = Submission::read(request, body);
    let sent = submission
        .as_ref()
        .ok()
        .and_then(|submission| submission.text("csrf_token"));
    check_origin(shared, request, &flow, token, sent)?;
    Ok(Change {
        shared,
        request,
        flow,
        session,
        person,
        submission: submission.map_err(|_| Refusal::bad_request("Unable to decode form as JSON."))?,
    })
}

/// Returns the session of the caller, whose assurance level must suffice, and the identity.
fn caller(shared: &Shared, request: &HttpRequest) -> Result<Option<(Session, Arc<Identity>)>, Refusal> {
    let presented = Presented::by(request, &shared.cookie_keys);
    let store = shared.store();
    let Some((session, person)) = presented.find(&store, shared.now()) else {
        return Ok(None);
    };
    if !session.fulfils(shared.config.settings.required_aal, person) {
        return Err(second_factor_required(shared));
    }
    let person = store.identity(person.id).ok_or_else(no_session)?;
    Ok(Some((session.clone(), Arc::clone(person))))
}

fn new_flow(shared: &Shared, request: &HttpRequest, person: &Identity) -> Result<Flow, Refusal> {
    let mut flow = start_flow(Kind::Settings, shared, request)?;
    flow.person = Some(person.id);
    flow.totp_secret = Some(totp::Secret::generate()?);
    Ok(flow)
}

fn check_person(flow: &Flow, person: &Identity) -> Result<(), Refusal> {
    if flow.person == Some(person.id) {
        return Ok(());
    }
    let reason = "You must restart the flow because the resumable session was initiated by another person.";
    Err(
        Refusal::new(StatusCode::FORBIDDEN, "The requested action was forbidden")
            .id("security_identity_mismatch")
            .reason(reason),
    )
}

fn no_session() -> Refusal {
    Refusal::no_active_session()
        .reason("This endpoint can only be accessed with a valid session. Please log in and try again.")
}
