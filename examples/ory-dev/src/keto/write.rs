//! `/admin/relation-tuples`: create, delete and patch.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use serde::Deserialize;

use super::{
    State,
    answer::{self, Refusal, go_quote},
    body::{self, Object, Read},
    list::check_namespaces,
    query::Query,
    store::StoreFull,
    tuple::{Subject, Tuple, WireTuple},
};

/// Adds the tuple of the body, and answers with the same body.
pub(super) async fn create(state: Data<State>, body: Read) -> Result<HttpResponse, Refusal> {
    let Object(wire): Object<WireTuple> = body::json(body, "")?;
    let tuple = tuple(&wire, &state)?;
    state.store.insert(tuple)?;
    Ok(answer::created(
        &format!("/relation-tuples?{}", wire.to_query()),
        &wire,
    ))
}

/// Removes the tuples that the query selects. The query must name a namespace.
pub(super) async fn delete(
    request: HttpRequest,
    state: Data<State>,
    body: Read,
) -> Result<HttpResponse, Refusal> {
    let query = Query::parse(request.query_string())?;
    let mut reasons = Vec::new();
    if let Some(unknown) = query.keys().find(|key| !QUERY_KEYS.contains(key)) {
        reasons.push(format!("query parameter key {} unknown", go_quote(unknown)));
    }
    if query.get("namespace").is_none() {
        reasons.push("query parameters must specify at least one of the following: namespace".to_owned());
    }
    if !body::bytes(body)?.is_empty() {
        reasons.push("body is not empty".to_owned());
    }
    if !reasons.is_empty() {
        return Err(Refusal::bad_request(Some(reasons.join("; "))));
    }

    let filter = query.filter()?;
    check_namespaces(&filter, &state)?;
    state.store.remove(&filter);
    Ok(HttpResponse::NoContent().finish())
}

/// Adds and removes tuples atomically.
pub(super) async fn patch(state: Data<State>, body: Read) -> Result<HttpResponse, Refusal> {
    let Deltas { insert, delete } = Deltas::read(body)?;
    let insert = tuples(&insert, &state)?;
    let delete = tuples(&delete, &state)?;
    state.store.transact(insert, &delete)?;
    Ok(HttpResponse::NoContent().finish())
}

/// The changes of a patch.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    pub(super) insert: Vec<WireTuple>,
    pub(super) delete: Vec<WireTuple>,
}

impl Deltas {
    pub(super) fn read(body: Read) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Delta {
            #[serde(default)]
            action: Option<String>,
            #[serde(default, deserialize_with = "body::optional")]
            relation_tuple: Option<WireTuple>,
        }

        let mut deltas = Self::default();
        for Object(delta) in body::json::<Vec<Object<Delta>>>(body, "")? {
            let Some(wire) = delta.relation_tuple else {
                return Err(Refusal::malformed("relation_tuple is missing"));
            };
            wire.subject()?;
            match delta.action.as_deref().unwrap_or_default() {
                "insert" => deltas.insert.push(wire),
                "delete" => deltas.delete.push(wire),
                other => return Err(Refusal::malformed(&format!("unknown action {other}"))),
            }
        }
        Ok(deltas)
    }
}

fn tuples(wires: &[WireTuple], state: &State) -> Result<Vec<Tuple>, Refusal> {
    wires.iter().map(|wire| tuple(wire, state)).collect()
}

/// Returns the tuple to store. Its namespaces must be known; its relation may be unknown.
fn tuple(wire: &WireTuple, state: &State) -> Result<Tuple, Refusal> {
    let subject = wire.subject()?;
    let of_set = match &subject {
        Subject::Set(set) => Some(&set.namespace),
        Subject::Id(_) => None,
    };
    for namespace in [Some(&wire.namespace), of_set].into_iter().flatten() {
        if !state.namespaces.has_namespace(namespace) {
            return Err(Refusal::unknown_namespace(namespace));
        }
    }

    Ok(Tuple {
        namespace: wire.namespace.clone(),
        object: wire.object.clone(),
        relation: wire.relation.clone(),
        subject,
    })
}

impl From<StoreFull> for Refusal {
    fn from(full: StoreFull) -> Self {
        Self::with_status(StatusCode::INSUFFICIENT_STORAGE, &full.to_string(), None)
    }
}

/// The accepted keys of a delete; `subject` has an error of its own.
const QUERY_KEYS: &[&str] = &[
    "namespace",
    "object",
    "relation",
    "subject_id",
    "subject_set.namespace",
    "subject_set.object",
    "subject_set.relation",
    "subject",
];
