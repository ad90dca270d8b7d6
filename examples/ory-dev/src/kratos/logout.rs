//! Logout of browsers and native applications.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;

use super::{
    answer::{Refusal, json, query, redirect, wants_json},
    attempt::{error_page, with_cookies},
    csrf::CsrfToken,
    self_service::{Answer, return_to},
    session::{Presented, SESSION_COOKIE},
    shared::Shared,
    submission::{MAX_FORM, Submission, read_body},
};

/// Returns the logout URL of the browser's session. Its token prevents other sites from logging people out.
pub(crate) async fn create(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let target = return_to(&shared, &request)?;
    let presented = Presented::by(&request, &shared.cookie_keys);
    let store = shared.store();
    let (session, _) = presented
        .find(&store, shared.now())
        .ok_or_else(Refusal::no_active_session)?;

    let mut url = format!(
        "{}self-service/logout?token={}",
        shared.public_url, session.logout_token
    );
    if let Some(target) = target {
        let encoded: String = url::form_urlencoded::byte_serialize(target.as_str().as_bytes()).collect();
        url = format!("{url}&return_to={encoded}");
    }
    Ok(json(
        StatusCode::OK,
        &json!({"logout_url": url, "logout_token": session.logout_token}),
    ))
}

/// Ends the browser's session.
pub(crate) async fn submit(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let page = !wants_json(request.headers());
    match end(&shared, &request) {
        Ok(()) => {}
        Err(refusal) => return error_page(&shared, refusal, page),
    }
    let answer = if page {
        let configured = shared
            .config
            .logout_return_url
            .as_ref()
            .unwrap_or(&shared.config.default_return_url);
        let target = return_to(&shared, &request)?.unwrap_or_else(|| configured.clone());
        redirect(StatusCode::SEE_OTHER, target.as_str())
    } else {
        HttpResponse::NoContent().finish()
    };
    let past = "Thu, 01 Jan 1970 00:00:01 GMT";
    let removed = format!("{SESSION_COOKIE}=; Path=/; Expires={past}; Max-Age=0; HttpOnly; SameSite=Lax");
    let csrf = CsrfToken::generate()?.set_cookie(&shared.csrf_cookie);
    Ok(with_cookies(answer, &[removed, csrf]))
}

/// Ends the session of a native application's token. An unknown token counts as logged out.
pub(crate) async fn native(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let body = read_body(body, MAX_FORM).await?;
    let submission = Submission::read(&request, &body);
    let token = submission
        .as_ref()
        .ok()
        .and_then(|submission| submission.text("session_token"));
    let token = token.filter(|token| !token.is_empty());
    let token =
        token.ok_or_else(|| Refusal::bad_request("The session_token is missing from the request body."))?;

    let mut store = shared.store();
    if let Some(id) = store.session_id_of(token)
        && let Some(session) = store.session_mut(id)
    {
        session.revoke();
    }
    Ok(HttpResponse::NoContent().finish())
}

fn end(shared: &Shared, request: &HttpRequest) -> Result<(), Refusal> {
    let presented = Presented::by(request, &shared.cookie_keys);
    let mut store = shared.store();
    let (session, _) = presented
        .find(&store, shared.now())
        .ok_or_else(Refusal::no_active_session)?;
    let sent = query(request, "token").unwrap_or_default();

    if verify_slices_are_equal(sent.as_bytes(), session.logout_token.as_bytes()).is_err() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "The requested action was forbidden").reason(
            "Unable to log out because the logout token in the URL query does not match the session cookie.",
        ));
    }
    let id = session.id;
    if let Some(session) = store.session_mut(id) {
        session.revoke();
    }
    Ok(())
}
