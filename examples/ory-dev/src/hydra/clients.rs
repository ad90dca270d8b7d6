//! Administration of clients: create, read, patch, replace, list and delete.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::{Data, Path, Payload},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    answer::{Answer, Refusal, json},
    client::{Client, Description},
    form::{Form, read_json},
    shared::Shared,
};
use crate::kratos::page;

/// Creates a client. Only the answer to this request contains the secret.
pub(crate) async fn create(shared: Data<Shared>, body: Payload) -> Answer {
    let description = Description::read(&read_json(body).await?)?;
    let client = Client::new(&description, shared.now())?;
    let shown = client.created_json(&description, &shared.issuer)?;
    let location = HeaderValue::from_str(&format!("/admin/clients/{}", client.id));
    shared.store().add_client(client)?;

    let mut answer = json(StatusCode::CREATED, &shown);
    if let Ok(location) = location {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// Returns a client.
pub(crate) async fn get(shared: Data<Shared>, id: Path<String>) -> Answer {
    let client = find(&shared, &id)?;
    Ok(json(StatusCode::OK, &client.json()))
}

/// Lists clients in the order of their ids, one page per request, starting after the client of the page token.
pub(crate) async fn list(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let query = Form::parse(request.query_string().as_bytes());
    let after = match query.text("page_token") {
        "" => String::new(),
        token => key_of(token).ok_or_else(|| {
            let text = "The page token is invalid, do not craft your own page tokens";
            Refusal::admin(StatusCode::BAD_REQUEST, "Bad Request", text)
        })?,
    };
    let store = shared.store();
    let mut rest = store.clients_after(&after);
    let size = page::size(&request);
    let shown: Vec<_> = rest.by_ref().take(size).collect();
    let next = shown
        .last()
        .map(|client| token_of(&client.id))
        .filter(|_| rest.next().is_some());
    let shown: Vec<Value> = shown.into_iter().map(|client| client.json()).collect();
    Ok(page::keyed(&request, shown, &token_of(""), next.as_deref()))
}

/// Replaces a client. The secret is kept unless the body contains another.
pub(crate) async fn replace(shared: Data<Shared>, id: Path<String>, body: Payload) -> Answer {
    let description = Description::read(&read_json(body).await?)?;
    let client = find(&shared, &id)?.replaced(&description, shared.now());
    let shown = client.written_json(&description);
    shared.store().replace_client(client);
    Ok(json(StatusCode::OK, &shown))
}

/// Changes a client by a JSON Patch with the operations `add`, `remove` and `replace`.
pub(crate) async fn patch(shared: Data<Shared>, id: Path<String>, body: Payload) -> Answer {
    let operations = read_json(body).await?;
    let before = find(&shared, &id)?;
    let mut document = before.json();
    for operation in operations.as_array().ok_or_else(bad_patch)? {
        apply(&mut document, operation).ok_or_else(bad_patch)?;
    }
    let client = before.replaced(&Description::read(&document)?, shared.now());
    let shown = client.json();
    shared.store().replace_client(client);
    Ok(json(StatusCode::OK, &shown))
}

/// Replaces the lifespans of a client's tokens.
pub(crate) async fn set_lifespans(shared: Data<Shared>, id: Path<String>, body: Payload) -> Answer {
    let body = read_json(body).await?;
    let client = find(&shared, &id)?.with_lifespans(&body, shared.now())?;
    let shown = client.json();
    shared.store().replace_client(client);
    Ok(json(StatusCode::OK, &shown))
}

/// Deletes a client with its tokens.
pub(crate) async fn delete(shared: Data<Shared>, id: Path<String>) -> Answer {
    if shared.store().remove_client(&id) {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Refusal::no_such_resource())
    }
}

/// Answers `DELETE /admin/oauth2/tokens`: deletes the access tokens of a client.
pub(crate) async fn delete_tokens(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let query = Form::parse(request.query_string().as_bytes());
    match query.text("client_id") {
        "" => Err(Refusal::invalid_request()
            .hint("Query parameter 'client_id' is not defined but it should have been.")),
        client => {
            shared.store().remove_access_tokens_of_client(client);
            Ok(HttpResponse::NoContent().finish())
        }
    }
}

fn find(shared: &Shared, id: &str) -> Result<Arc<Client>, Refusal> {
    let client = shared.store().client(id).map(Arc::clone);
    client.ok_or_else(Refusal::no_such_resource)
}

/// Applies one operation of a JSON Patch (RFC 6902).
fn apply(document: &mut Value, operation: &Value) -> Option<()> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let (parent, name) = text("path")?.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    if parent.is_empty() && matches!(name.as_str(), "client_id" | "created_at" | "updated_at") {
        return None;
    }
    let value = || operation.get("value").cloned();
    match (document.pointer_mut(parent)?, text("op")?) {
        (Value::Object(members), "add") => drop(members.insert(name, value()?)),
        (Value::Object(members), "replace") if members.contains_key(&name) => {
            members.insert(name, value()?);
        }
        (Value::Object(members), "remove") => drop(members.remove(&name)?),
        (Value::Array(items), "add") if name == "-" => items.push(value()?),
        (Value::Array(items), "add") => {
            let index = name.parse().ok().filter(|index| *index <= items.len())?;
            items.insert(index, value()?);
        }
        (Value::Array(items), "replace") => *items.get_mut(name.parse::<usize>().ok()?)? = value()?,
        (Value::Array(items), "remove") => {
            let index = name.parse().ok().filter(|index| *index < items.len())?;
            items.remove(index);
        }
        (_, _) => return None,
    }
    Some(())
}

fn bad_patch() -> Refusal {
    let text = "Unable to apply the JSON Patch: this stand-in knows the operations add, remove and replace";
    Refusal::admin(StatusCode::BAD_REQUEST, "Bad Request", text)
}

fn token_of(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("client_id={id}"))
}

fn key_of(token: &str) -> Option<String> {
    Some(page::decode_text(token)?.strip_prefix("client_id=")?.to_owned())
}
