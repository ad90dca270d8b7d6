//! Administration of identities: create, read, patch, replace, list and delete.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::{self, Data, Payload},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        answer::{Refusal, json, query},
        identity::{Credentials, Identity, View},
        page,
        self_service::Answer,
        shared::Shared,
        store::AddError,
        submission::{MAX_ADMIN, read_body},
    },
    change::{Change, checked_schema, is_active, malformed},
    id_in, patch,
};

/// Creates an identity.
pub(crate) async fn create(shared: Data<Shared>, body: Payload) -> Answer {
    let mut change = Change::read(&read_body(body, MAX_ADMIN).await?)?;
    let schema = checked_schema(&shared, &change.schema_id, &change.traits)?;
    let hash = change.hashed_password(&shared).await?;

    let now = shared.now();
    let mut identity = Identity::new(schema, change.traits.clone(), now);
    identity.active = change.active.unwrap_or(true);
    identity.metadata_public = change.metadata_public.clone();
    identity.metadata_admin = change.metadata_admin.clone();
    identity.hashed_password = hash;
    change.mark_addresses(&mut identity, now);
    shared
        .store()
        .add_identity(identity.clone())
        .map_err(AddError::refusal)?;

    let mut answer = show(&shared, &identity, View::CREATED, StatusCode::CREATED);
    // Kratos omits `/admin` from this address.
    if let Ok(location) = HeaderValue::from_str(&format!("{}identities/{}", shared.admin_url, identity.id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// Returns an identity.
pub(crate) async fn get(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = id_in(&request)?;
    let with_hash = url::form_urlencoded::parse(request.query_string().as_bytes())
        .any(|(key, value)| key == "include_credential" && value == "password");
    let credentials = if with_hash {
        Credentials::WithHash
    } else {
        Credentials::Plain
    };

    let store = shared.store();
    let identity = store.identity(id).ok_or_else(Refusal::not_found)?;
    Ok(show(
        &shared,
        identity,
        View {
            credentials,
            ..View::ADMIN
        },
        StatusCode::OK,
    ))
}

/// Changes an identity by a JSON Patch, atomically.
pub(crate) async fn patch(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let body = read_body(body, MAX_ADMIN).await?;
    let id = id_in(&request)?;
    let operations: Value = serde_json::from_slice(&body).map_err(|err| malformed(&err.to_string()))?;

    // Many operations on a long list take seconds, so they run on the blocking pool.
    let worker = shared.clone();
    let changed =
        web::block(move || worker.change_identity(id, |before| patched(&worker, before, &operations)));
    let identity = changed
        .await
        .map_err(|_| Refusal::internal("the patch was not applied"))??;
    Ok(show(&shared, &identity, View::ADMIN, StatusCode::OK))
}

/// Returns the patched identity.
fn patched(shared: &Shared, before: &Identity, operations: &Value) -> Result<Identity, Refusal> {
    let document = json!({
        "schema_id": before.schema_id,
        "state": before.state(),
        "traits": before.traits,
        "metadata_public": before.metadata_public,
        "metadata_admin": before.metadata_admin,
        "verifiable_addresses": before.json(None, View::PUBLIC).get("verifiable_addresses"),
    });
    let after = patch::apply(operations, &document)?;

    let member = |name: &str| after.get(name).cloned().unwrap_or_default();
    let schema_id = member("schema_id");
    let schema_id = schema_id
        .as_str()
        .ok_or_else(|| malformed("`schema_id` must be a string"))?;
    let traits = member("traits");
    let schema = checked_schema(shared, schema_id, &traits)?;
    let mut change = Change::read(b"{}")?;
    change.says_addresses(
        after
            .get("verifiable_addresses")
            .filter(|addresses| !addresses.is_null()),
    )?;

    let now = shared.now();
    let mut identity = before.clone();
    identity.set_traits(schema, traits, now);
    identity.metadata_public = member("metadata_public");
    identity.metadata_admin = member("metadata_admin");
    change.mark_addresses(&mut identity, now);
    let state = is_active(&member("state"))?;
    Ok(touch(identity, state, shared))
}

/// Replaces an identity. Metadata that the body omits is removed; an omitted state is kept.
pub(crate) async fn replace(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let mut change = Change::read(&read_body(body, MAX_ADMIN).await?)?;
    let id = id_in(&request)?;
    shared.store().identity(id).ok_or_else(Refusal::not_found)?;
    let schema = checked_schema(&shared, &change.schema_id, &change.traits)?;
    let hash = change.hashed_password(&shared).await?;

    let identity = shared.change_identity(id, |before| {
        let now = shared.now();
        let mut identity = before.clone();
        identity.set_traits(schema, change.traits.clone(), now);
        identity.metadata_public = change.metadata_public.clone();
        identity.metadata_admin = change.metadata_admin.clone();
        if hash.is_some() {
            identity.hashed_password.clone_from(&hash);
        }
        change.mark_addresses(&mut identity, now);
        let state = change.active.unwrap_or(identity.active);
        Ok(touch(identity, state, &shared))
    })?;
    Ok(show(&shared, &identity, View::REPLACED, StatusCode::OK))
}

/// Lists identities in the order of their ids, one page per request.
pub(crate) async fn list(shared: Data<Shared>, request: HttpRequest) -> Answer {
    if query(&request, "preview_credentials_identifier_similar").is_some() {
        return Err(Refusal::not_here(
            "There is no search by similar identifiers here.",
        ));
    }
    let after = match query(&request, "page_token").filter(|token| !token.is_empty()) {
        Some(token) => Uuid::try_parse(&token).map_err(|_| page::bad_token())?,
        None => Uuid::nil(),
    };
    let wanted: Vec<String> = url::form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(key, _)| key == "ids")
        .map(|(_, id)| id.into_owned())
        .collect();
    let identifier = query(&request, "credentials_identifier").filter(|identifier| !identifier.is_empty());
    let store = shared.store();
    let named = identifier
        .as_ref()
        .map(|identifier| store.identified_by(identifier).map(|found| found.id));

    let size = page::size(&request);
    let chosen = |identity: &&Identity| {
        let by_identifier = named.is_none_or(|found| found == Some(identity.id));
        by_identifier && (wanted.is_empty() || wanted.contains(&identity.id.to_string()))
    };
    let mut rest = store.identities_after(after).filter(chosen);
    let shown: Vec<&Identity> = rest.by_ref().take(size).collect();
    let last = shown.last().map(|identity| identity.id.to_string());
    let next = last.filter(|_| rest.next().is_some());

    let view = if named.is_some() {
        View::ADMIN
    } else {
        View::LISTED
    };
    let shown = shown
        .into_iter()
        .map(|identity| identity.json(Some(&shared.public_url), view))
        .collect();
    Ok(page::keyed(
        &request,
        shown,
        &Uuid::nil().to_string(),
        next.as_deref(),
    ))
}

/// Deletes an identity with its sessions.
pub(crate) async fn delete(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let id = id_in(&request)?;
    shared
        .store()
        .remove_identity(id)
        .ok_or_else(Refusal::not_found)?;
    Ok(HttpResponse::NoContent().finish())
}

fn touch(mut identity: Identity, active: bool, shared: &Shared) -> Identity {
    let now = shared.now();
    if identity.active != active {
        identity.active = active;
        identity.state_changed_at = now;
    }
    identity.updated_at = now;
    identity
}

fn show(shared: &Shared, identity: &Identity, view: View, status: StatusCode) -> HttpResponse {
    json(status, &identity.json(Some(&shared.public_url), view))
}
