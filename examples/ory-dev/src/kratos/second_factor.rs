//! Login with a code of the authenticator app.

use actix_web::http::StatusCode;
use serde_json::{Map, json};

use super::{
    answer::Refusal,
    attempt::{Attempt, Success},
    identity::View,
    schema::{message, missing},
    self_service::Answer,
    session::{Aal, Presented},
    shared::Shared,
    totp,
};

/// Answers the submission of a login form that asks for the second factor.
pub(crate) fn step_up(mut attempt: Attempt<'_>) -> Answer {
    let shared = attempt.shared;
    attempt.flow.form.clear_messages();
    if attempt.submission.text("method") != Some("totp") {
        let text = "Could not find a strategy to log you in with. Did you fill out the form correctly?";
        attempt.flow.form.complain_overall(message(4_010_002, text, None));
        return attempt.reject();
    }
    let code = attempt
        .submission
        .text("totp_code")
        .unwrap_or_default()
        .to_owned();
    if code.is_empty() {
        attempt.flow.form.complain("totp_code", missing("totp_code"));
        return attempt.reject();
    }

    let (now, lifespan) = (shared.now(), shared.config.session_lifespan);
    let presented = Presented::by(attempt.request, &shared.cookie_keys);
    let mut store = shared.store();
    let found = presented
        .find(&store, now)
        .map(|(session, person)| (session.id, person.clone()));
    let Some((id, person)) = found else {
        drop(store);
        return attempt.refuse(first_factor_required());
    };
    let complaint = match &person.totp_secret {
        Some(secret) if secret.accepts(&code, now) => None,
        Some(_) => Some(message(4_000_008, totp::WRONG, None)),
        None => Some(message(4_000_009, "You have no TOTP device set up.", None)),
    };
    if let Some(complaint) = complaint {
        drop(store);
        attempt.flow.form.complain("totp_code", complaint);
        return attempt.reject();
    }
    let Some(session) = store.session_mut(id) else {
        drop(store);
        return attempt.refuse(first_factor_required());
    };
    session.complete_totp(now, lifespan);
    let session = session.as_stepped_up(attempt.request);
    drop(store);
    attempt.succeed(Success {
        identity: person.json(Some(&shared.public_url), View::PUBLIC),
        session: Some(session),
        members: Map::new(),
        next: Vec::new(),
    })
}

/// Rejects a second factor before the first factor.
pub(crate) fn first_factor_required() -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "aal2 and aal3 can only be requested if a session exists already",
    )
    .id("session_aal1_required")
    .reason("You can not requested a higher AAL (AAL2/AAL3) without an active session.")
}

/// Returns the assurance level that a query requests.
pub(crate) fn requested_aal(text: &str) -> Result<Aal, Refusal> {
    match text {
        "" | "aal1" => Ok(Aal::Aal1),
        "aal2" => Ok(Aal::Aal2),
        _ => Err(Refusal::bad_request(
            "Unable to parse AuthenticationMethod Assurance Level (AAL).",
        )),
    }
}

/// Returns the URL where a browser shows its second factor.
pub(crate) fn second_factor_url(shared: &Shared, return_to: Option<&str>) -> String {
    let url = format!("{}self-service/login/browser?aal=aal2", shared.public_url);
    match return_to {
        Some(target) => {
            let target: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
            format!("{url}&return_to={target}")
        }
        None => url,
    }
}

/// Rejects the session of a person who has a second factor and has not shown it.
pub(crate) fn second_factor_required(shared: &Shared) -> Refusal {
    let target = second_factor_url(shared, None);
    let text = "Session does not fulfill the requested Authenticator Assurance Level";
    let reason = "An active session was found but it does not fulfill the requested Authenticator Assurance Level. \
                  Please verify yourself with a second factor to resolve this issue.";
    Refusal::new(StatusCode::FORBIDDEN, text)
        .id("session_aal2_required")
        .reason(reason)
        .details(json!({"redirect_browser_to": target}))
        .beside("redirect_browser_to", target.into())
}

/// Answers a client without a page that has logged in and must show a second factor next.
pub(crate) fn elsewhere_first(target: &str) -> Refusal {
    let reason = format!("In order to complete this flow please redirect the browser to: {target}");
    Refusal::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "browser location change required",
    )
    .id("browser_location_change_required")
    .reason(reason)
    .beside("redirect_browser_to", target.into())
}
