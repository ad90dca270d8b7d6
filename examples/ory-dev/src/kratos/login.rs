//! Submission of login forms.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    answer::Refusal,
    attempt::{Attempt, Success},
    identity::View,
    password,
    schema::{message, missing},
    self_service::Answer,
    session::Presented,
    shared::Shared,
};

/// Answers the submission of a login form.
pub(crate) async fn log_in(mut attempt: Attempt<'_>) -> Answer {
    let form = &mut attempt.flow.form;
    let submission = &attempt.submission;
    form.clear_messages();
    let identifier = submission
        .text("identifier")
        .or_else(|| submission.text("password_identifier"))
        .unwrap_or_default();
    let password = submission.text("password").unwrap_or_default();
    if submission.text("method") != Some("password") {
        let text = "Could not find a strategy to log you in with. Did you fill out the form correctly?";
        form.complain_overall(message(4_010_002, text, None));
        return attempt.reject();
    }
    for (name, value) in [("identifier", identifier), ("password", password)] {
        if value.is_empty() {
            form.complain(name, missing(name));
        }
    }
    form.keep("identifier", &Value::String(identifier.to_owned()));
    if form.has_complaints() {
        return attempt.reject();
    }

    let Some(identity) = verified(attempt.shared, identifier, password).await else {
        form.complain_overall(message(4_000_006, WRONG, None));
        return attempt.reject();
    };
    match session_of(&attempt, identity) {
        Ok(success) => attempt.succeed(success),
        Err(refusal) => attempt.refuse(refusal),
    }
}

/// Returns the identity that the identifier and password belong to. Every call computes one hash, so that timing does not
/// reveal which identifiers exist.
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

/// Opens a session, or renews the session of a person who has authenticated again.
fn session_of(attempt: &Attempt<'_>, identity: Uuid) -> Result<Success, Refusal> {
    let shared = attempt.shared;
    let (now, lifespan) = (shared.now(), shared.config.session_lifespan);
    let mut store = shared.store();
    let person = store.identity(identity).ok_or_else(Refusal::no_active_session)?;
    if !person.active {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "identity is disabled")
            .reason("This account was disabled.")
            .details(json!({"identity_id": identity.to_string()})));
    }
    let shown = person.json(Some(&shared.public_url), View::PUBLIC);

    let same = Presented::by(attempt.request, &shared.cookie_keys)
        .find(&store, now)
        .filter(|(_, owner)| owner.id == identity && attempt.flow.refresh.is_some())
        .map(|(session, _)| session.id);
    let session = match same.and_then(|id| store.session_mut(id)) {
        Some(session) => {
            session.authenticate_again(now, lifespan);
            session.seen_from(attempt.request);
            session.clone()
        }
        None => attempt.open_session(&mut store, identity)?,
    };
    Ok(Success {
        identity: shown,
        session: Some(session),
        members: Map::new(),
        next: Vec::new(),
    })
}

const WRONG: &str = "The provided credentials are invalid, check for spelling mistakes in your password or username, \
    email address, or phone number.";
