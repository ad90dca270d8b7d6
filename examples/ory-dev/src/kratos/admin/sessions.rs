//! Administration of sessions: read, extend and revoke.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Data,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::{
        answer::{JSON, Refusal, json, query},
        clock::Moment,
        identity::View,
        page::{self, Paged},
        self_service::Answer,
        session::{Devices, Session},
        shared::Shared,
        store::Store,
    },
    id_in,
};

/// Lists the sessions of an identity, the newest first.
pub(crate) async fn of_identity(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = request
        .match_info()
        .get("id")
        .and_then(|id| Uuid::try_parse(id).ok());
    let id = id.ok_or_else(|| Refusal::bad_request("could not parse UUID"))?;
    let (paged, wanted, now) = (Paged::by(&request)?, active_filter(&request), shared.now());

    let store = shared.store();
    let identity = store
        .identity(id)
        .map(|identity| identity.json(None, View::IN_SESSION_LIST));
    let own = store
        .sessions()
        .filter(|session| session.identity == id && fits(session, wanted, now));
    let all = own
        .map(|session| session.json(now, identity.clone(), Devices::Shown))
        .collect();
    Ok(paged.answer(&request, all))
}

/// Removes all sessions of an identity.
pub(crate) async fn delete_of_identity(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = id_in(&request)?;
    if shared.store().remove_sessions_of(id) == 0 {
        return Err(Refusal::not_found());
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Lists all sessions, the newest first, one page per request.
pub(crate) async fn list(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let (wanted, now, size) = (active_filter(&request), shared.now(), page::size(&request));
    let after = match query(&request, "page_token").filter(|token| !token.is_empty()) {
        Some(token) => Some(key_of(&token).ok_or_else(page::bad_token)?),
        None => None,
    };
    let store = shared.store();
    let mut rest = store.sessions().peekable();
    if let Some(after) = after.filter(|after| !after.is_nil()) {
        // If the session of the page token no longer exists, the list ends: restarting it would repeat earlier sessions.
        rest.by_ref().find(|session| session.id == after);
    }
    let mut rest = rest.filter(|session| fits(session, wanted, now));
    let shown: Vec<&Session> = rest.by_ref().take(size).collect();
    let last = shown
        .last()
        .map(|session| token_of(session.id, &session.issued_at().rfc3339_micros()));
    let next = last.filter(|_| rest.next().is_some());

    let view = View::IN_SESSION_LIST;
    let shown = shown
        .into_iter()
        .map(|session| expanded(&shared, &store, session, &request, view))
        .collect();
    let first = token_of(Uuid::nil(), "2200-12-31T23:59:59Z");
    Ok(page::keyed(&request, shown, &first, next.as_deref()))
}

/// Returns a session.
pub(crate) async fn get(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = id_in(&request)?;
    let store = shared.store();
    let session = store.session(id).ok_or_else(Refusal::not_found)?;
    Ok(json(
        StatusCode::OK,
        &expanded(&shared, &store, session, &request, View::PUBLIC),
    ))
}

/// Restarts the lifespan of a session.
pub(crate) async fn extend(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = id_in(&request)?;
    let now = shared.now();
    let mut store = shared.store();
    let session = store.session_mut(id).ok_or_else(Refusal::not_found)?;
    session.expires_at = now.after(shared.config.session_lifespan);
    let session = session.clone();
    let identity = store.identity(session.identity);
    let identity = identity.map(|identity| identity.json(Some(&shared.public_url), View::PUBLIC));
    Ok(json(StatusCode::OK, &session.json(now, identity, Devices::Empty)))
}

/// Revokes a session. An unknown session counts as revoked.
pub(crate) async fn revoke(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = id_in(&request)?;
    if let Some(session) = shared.store().session_mut(id) {
        session.revoke();
    }
    let mut answer = HttpResponse::NoContent().finish();
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok(answer)
}

fn expanded(shared: &Shared, store: &Store, session: &Session, request: &HttpRequest, view: View) -> Value {
    let asked = |name: &str| {
        url::form_urlencoded::parse(request.query_string().as_bytes())
            .any(|(key, value)| key == "expand" && value.eq_ignore_ascii_case(name))
    };
    let identity = store.identity(session.identity).filter(|_| asked("identity"));
    let identity = identity.map(|identity| identity.json(Some(&shared.public_url), view));
    let devices = if asked("devices") {
        Devices::Shown
    } else {
        Devices::Null
    };
    session.json(shared.now(), identity, devices)
}

fn active_filter(request: &HttpRequest) -> Option<bool> {
    query(request, "active").and_then(|active| active.parse().ok())
}

fn fits(session: &Session, wanted: Option<bool>, now: Moment) -> bool {
    wanted.is_none_or(|wanted| session.is_active(now) == wanted)
}

fn token_of(id: Uuid, created_at: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("id={id}/created_at={created_at}"))
}

fn key_of(token: &str) -> Option<Uuid> {
    let text = page::decode_text(token)?;
    let (id, _) = text.strip_prefix("id=")?.split_once("/created_at=")?;
    Uuid::try_parse(id).ok()
}
