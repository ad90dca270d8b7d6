//! Who is asking? The session behind a request, and the other sessions of that person.

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Data,
};
use serde_json::Value;

use super::{
    answer::{Refusal, json, query},
    identity::View,
    page::{self, Paged},
    self_service::Answer,
    session::{Devices, Presented},
    shared::Shared,
};

/// Returns the session of the caller.
pub(crate) async fn whoami(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let presented = Presented::by(&request, &shared.cookie_keys);
    let now = shared.now();
    let store = shared.store();
    let found = presented.find(&store, now);
    let (session, identity) = found.ok_or_else(Refusal::no_session_credentials)?;

    if let Some(template) = query(&request, "tokenize_as").filter(|template| !template.is_empty()) {
        return Err(Refusal::bad_request(format!(
            "Unable to find tokenizer template \"{template}\"."
        )));
    }
    let id = identity.id.to_string();
    if let Some(err) = presented.bad_cookie {
        // The real server finds the session by its token and then fails to refresh the cookie.
        return Err(Refusal::internal(err.to_string()).header(IDENTITY_HEADER, id));
    }
    let identity = identity.json(Some(&shared.public_url), View::PUBLIC);
    let mut answer = json(StatusCode::OK, &session.json(now, Some(identity), Devices::Shown));
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer
            .headers_mut()
            .insert(HeaderName::from_static(IDENTITY_HEADER), value);
    }
    Ok(answer)
}

/// Lists the other active sessions of the caller.
pub(crate) async fn list_mine(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let presented = Presented::by(&request, &shared.cookie_keys);
    let now = shared.now();
    let store = shared.store();
    let found = presented.find(&store, now);
    let (own, identity) = found.ok_or_else(Refusal::no_session_credentials)?;

    let others = store
        .sessions()
        .filter(|other| other.identity == identity.id && other.id != own.id && other.is_active(now));
    let shown = identity.json(None, View::IN_SESSION_LIST);
    let all: Vec<Value> = others
        .map(|session| session.json(now, Some(shown.clone()), Devices::Shown))
        .collect();
    Ok(Paged::by(&request)?.answer(&request, all))
}

/// Answers `GET /schemas` with every identity schema.
pub(crate) async fn schemas(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let schemas = shared.config.schemas.iter();
    let all = schemas.map(|schema| serde_json::json!({"id": schema.id(), "schema": schema.source()}));
    Ok(Paged::by(&request)?.answer(&request, all.collect()))
}

/// Answers `GET /schemas/{id}`: the id is plain or in base64.
pub(crate) async fn schema(shared: Data<Shared>, id: actix_web::web::Path<String>) -> Answer {
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
