//! Do identifier and password belong together? The submission of a login form.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Refusal, json, redirect, wants_page};
use super::csrf::CsrfToken;
use super::flow::{Flow, Kind};
use super::identity::View;
use super::schema::message;
use super::self_service::{
    Admission, Answer, Submitted, admit, error_page, is_page, reject, return_url, session_cookies,
    with_cookies,
};
use super::session::{Devices, Presented, Session};
use super::shared::Shared;
use super::submission::{MAX_FORM, read_body};
use super::{password, session};

/// Answers the submission of a login form.
pub(crate) async fn submit(
    shared: Data<Shared>,
    request: HttpRequest,
    token: ReqData<CsrfToken>,
    body: Payload,
) -> Answer {
    let body = read_body(body, MAX_FORM).await?;
    let admission = match admit(Kind::Login, &shared, &request, &token, &body) {
        Ok(admission) => admission,
        Err(refusal) => return error_page(&shared, refusal, wants_page(request.headers())),
    };
    let Submitted { mut flow, submission } = match admission {
        Admission::Admitted(submitted) => *submitted,
        Admission::Answered(answer) => return Ok(answer),
    };

    flow.form.clear_messages();
    let identifier = submission
        .text("identifier")
        .or_else(|| submission.text("password_identifier"))
        .unwrap_or_default();
    let password = submission.text("password").unwrap_or_default();
    if submission.text("method") != Some("password") {
        let text = "Could not find a strategy to log you in with. Did you fill out the form correctly?";
        flow.form.complain_overall(message(4_010_002, text, None));
        return reject(&shared, &request, &flow);
    }
    for (name, value) in [("identifier", identifier), ("password", password)] {
        if value.is_empty() {
            let text = format!("Property {name} is missing.");
            flow.form
                .complain(name, message(4_000_002, &text, Some(json!({"property": name}))));
        }
    }
    flow.form
        .keep("identifier", &Value::String(identifier.to_owned()));
    if flow.form.has_complaints() {
        return reject(&shared, &request, &flow);
    }

    if let Some(identity) = verified(&shared, identifier, password).await {
        return log_in(&shared, &request, &flow, identity);
    }
    flow.form.complain_overall(message(4_000_006, WRONG, None));
    reject(&shared, &request, &flow)
}

/// Returns the identity whose password this is. Every answer takes one hash, so that time does not tell which
/// identifiers exist.
async fn verified(shared: &Shared, identifier: &str, password: &str) -> Option<Uuid> {
    let known = shared
        .store()
        .identified_by(identifier)
        .map(|found| (found.id, found.hashed_password.clone()));
    let (identity, hash) = match known {
        Some((id, Some(hash))) => (Some(id), hash),
        Some((_, None)) | None => (None, shared.no_password.clone()),
    };
    let fits = password::verify(password.to_owned(), hash).await;
    identity.filter(|_| fits)
}

fn log_in(shared: &Shared, request: &HttpRequest, flow: &Flow, identity: Uuid) -> Answer {
    let session = match open_session(shared, request, flow, identity) {
        Ok(session) => session,
        Err(refusal) => return error_page(shared, refusal, is_page(flow, request)),
    };
    let cookies = session_cookies(shared, &session)?;
    let answer = if is_page(flow, request) {
        redirect(StatusCode::SEE_OTHER, return_url(shared, flow).as_str())
    } else {
        success(shared, flow, &session)?
    };
    Ok(with_cookies(answer, &cookies))
}

/// Opens a session, or renews the one that the person has proven again to own.
fn open_session(
    shared: &Shared,
    request: &HttpRequest,
    flow: &Flow,
    identity: Uuid,
) -> Result<Session, Refusal> {
    let (now, lifespan) = (shared.now(), shared.config.session_lifespan);
    let mut store = shared.store();
    let person = store.identity(identity).ok_or_else(Refusal::no_active_session)?;
    if !person.active {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "identity is disabled")
            .reason("This account was disabled.")
            .details(json!({"identity_id": identity.to_string()})));
    }

    let presented = Presented::by(request, &shared.cookie_keys);
    let same = presented
        .find(&store, now)
        .filter(|(_, owner)| owner.id == identity && flow.refresh.is_some());
    let same = same.map(|(session, _)| session.id);
    if let Some(session) = same.and_then(|id| store.session_mut(id)) {
        session.authenticate_again(now, lifespan);
        session.seen_from(request);
        return Ok(session.clone());
    }
    let mut session = session::Session::new(identity, now, lifespan, flow.browser)?;
    session.seen_from(request);
    store.add_session(session.clone());
    Ok(session)
}

fn success(shared: &Shared, flow: &Flow, session: &Session) -> Result<HttpResponse, Refusal> {
    let store = shared.store();
    let identity = store
        .identity(session.identity)
        .ok_or_else(Refusal::no_active_session)?;
    let identity = identity.json(Some(&shared.public_url), View::PUBLIC);
    let body = session.json(shared.now(), Some(identity), Devices::Shown);
    Ok(json(
        StatusCode::OK,
        &if flow.browser {
            let target = return_url(shared, flow);
            let next = json!({"action": "redirect_browser_to", "redirect_browser_to": target.as_str()});
            json!({"session": body, "continue_with": [next]})
        } else {
            json!({"session_token": session.token, "session": body, "continue_with": null})
        },
    ))
}

const WRONG: &str = "The provided credentials are invalid, check for spelling mistakes in your password or username, \
    email address, or phone number.";
