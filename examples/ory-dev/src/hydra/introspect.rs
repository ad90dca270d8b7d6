//! Token introspection (RFC 7662), at the admin interface only.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, OAUTH_JSON, uncached},
    form::Form,
    shared::Shared,
    store::Token,
};

/// Answers `POST /admin/oauth2/introspect`. All inactive tokens get the same answer, regardless of the reason.
pub(crate) async fn introspect(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let form = Form::read(&request, body).await?;
    let now = shared.now();
    let store = shared.store();
    let token = store
        .token(form.text("token"))
        .filter(|token| token.is_active(now));
    let has_scopes = |token: &&Token| {
        let own = || token.grant.scopes.iter().map(String::as_str);
        form.words("scope")
            .iter()
            .all(|wanted| shared.covers_scope(own(), wanted))
    };
    let Some(token) = token.filter(has_scopes) else {
        return Ok(uncached(StatusCode::OK, &json!({"active": false})));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, OAUTH_JSON))
        .body(described(&shared, token).to_string()))
}

fn described(shared: &Shared, token: &Token) -> Value {
    let grant = &token.grant;
    let at = token.issued_at.unix_seconds();
    let mut members = Map::new();
    for (name, value) in [
        ("active", json!(true)),
        ("aud", json!(grant.audience)),
        ("client_id", json!(grant.client)),
        ("iat", json!(at)),
        ("iss", json!(shared.issuer)),
        ("nbf", json!(at)),
        ("sub", json!(grant.subject)),
        ("token_type", json!("Bearer")),
        ("token_use", json!(token.kind.name())),
    ] {
        members.insert(name.to_owned(), value);
    }
    if let Some(expires_at) = token.expires_at {
        members.insert("exp".into(), expires_at.unix_seconds().into());
    }
    // Go omits empty values.
    if !grant.scopes.is_empty() {
        members.insert("scope".into(), grant.scopes.join(" ").into());
    }
    if !grant.ext.is_empty() {
        members.insert("ext".into(), Value::Object(grant.ext.clone()));
    }
    Value::Object(members)
}
