//! The session behind a request, and the other sessions of its person.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::{Data, Path},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    answer::{Refusal, json, query},
    identity::View,
    page::{self, Paged},
    second_factor::second_factor_required,
    self_service::Answer,
    session::{Devices, Presented, Session},
    shared::Shared,
    tokenizer,
};

/// Returns the session of the caller; with `tokenize_as`, also a signed token about it.
pub(crate) async fn whoami(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let presented = Presented::by(&request, &shared.cookie_keys);
    let now = shared.now();
    let store = shared.store();
    let found = presented.find(&store, now);
    let (session, identity) = found.ok_or_else(Refusal::no_session_credentials)?;
    if !session.fulfils(shared.config.whoami_aal, identity) {
        return Err(second_factor_required(&shared));
    }

    let id = identity.id.to_string();
    let shown = identity.json(Some(&shared.public_url), View::PUBLIC);
    let mut body = session.json(now, Some(shown), Devices::Shown);
    let template = query(&request, "tokenize_as").filter(|template| !template.is_empty());
    let tokenized = match template {
        Some(template) => Some(tokenizer::tokenize(&shared, &template, &body, now)?),
        None => None,
    };
    if let Some(err) = presented.bad_cookie {
        // The real server finds the session by its token and then fails to refresh the cookie.
        return Err(Refusal::internal(err.to_string()).header(IDENTITY_HEADER, id));
    }
    if let (Some(token), Some(members)) = (tokenized, body.as_object_mut()) {
        members.insert("tokenized".into(), token.into());
    }
    let mut answer = json(StatusCode::OK, &body);
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer
            .headers_mut()
            .insert(HeaderName::from_static(IDENTITY_HEADER), value);
    }
    Ok(answer)
}

/// Lists the other active sessions of the caller.
pub(crate) async fn list_mine(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let (own, person) = caller(&shared, &request)?;
    let now = shared.now();
    let store = shared.store();
    let identity = store
        .identity(person)
        .ok_or_else(Refusal::no_session_credentials)?;
    let others = store
        .sessions()
        .filter(|other| other.identity == person && other.id != own && other.is_active(now));
    let shown = identity.json(None, View::IN_SESSION_LIST);
    let all: Vec<Value> = others
        .map(|session| session.json(now, Some(shown.clone()), Devices::Shown))
        .collect();
    Ok(Paged::by(&request)?.answer(&request, all))
}

/// Revokes the other sessions of the caller, and returns their number.
pub(crate) async fn revoke_others(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let (own, person) = caller(&shared, &request)?;
    let now = shared.now();
    let mut store = shared.store();
    let is_other =
        |session: &&Session| session.identity == person && session.id != own && session.is_active(now);
    let others: Vec<Uuid> = store
        .sessions()
        .filter(is_other)
        .map(|session| session.id)
        .collect();
    for id in &others {
        if let Some(session) = store.session_mut(*id) {
            session.revoke();
        }
    }
    Ok(json(StatusCode::OK, &json!({"count": others.len()})))
}

/// Revokes another session of the caller. Unknown sessions, and sessions of other people, count as revoked.
pub(crate) async fn revoke_mine(shared: Data<Shared>, request: HttpRequest, id: Path<String>) -> Answer {
    let (own, person) = caller(&shared, &request)?;
    let id = Uuid::try_parse(&id).map_err(|_| Refusal::bad_request("could not parse UUID"))?;
    if id == own {
        return Err(Refusal::bad_request(
            "It is not possible to revoke the current session. Use the logout flow instead.",
        ));
    }
    let mut store = shared.store();
    if let Some(session) = store.session_mut(id).filter(|session| session.identity == person) {
        session.revoke();
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Returns the ids of the caller's session and identity.
fn caller(shared: &Shared, request: &HttpRequest) -> Result<(Uuid, Uuid), Refusal> {
    let presented = Presented::by(request, &shared.cookie_keys);
    let store = shared.store();
    let found = presented.find(&store, shared.now());
    let (session, person) = found.ok_or_else(Refusal::no_session_credentials)?;
    if session.fulfils(shared.config.whoami_aal, person) {
        Ok((session.id, person.id))
    } else {
        Err(second_factor_required(shared))
    }
}

/// Answers `GET /schemas` with every identity schema.
pub(crate) async fn schemas(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let schemas = shared.config.schemas.iter();
    let all = schemas.map(|schema| json!({"id": schema.id(), "schema": schema.source()}));
    Ok(Paged::by(&request)?.answer(&request, all.collect()))
}

/// Answers `GET /schemas/{id}`: the id is plain or in base64.
pub(crate) async fn schema(shared: Data<Shared>, id: Path<String>) -> Answer {
    let decoded = page::decode_text(&id);
    let schema = shared
        .config
        .schema(&id)
        .or_else(|| shared.config.schema(&decoded?));
    Ok(json(
        StatusCode::OK,
        schema.ok_or_else(Refusal::not_found)?.source(),
    ))
}

const IDENTITY_HEADER: &str = "x-kratos-authenticated-identity-id";
