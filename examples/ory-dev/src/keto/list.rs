//! `GET /relation-tuples`: lists tuples.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::json;

use super::{
    State,
    answer::{self, Refusal, go_quote},
    query::Query,
    store::Filter,
    tuple::{Subject, WireTuple},
};

/// Lists the tuples that match the query, one page at a time.
pub(super) async fn list(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Refusal> {
    let query = Query::parse(request.query_string())?;
    let filter = query.filter()?;
    let after = match query.non_empty("page_token") {
        None => 0,
        Some(token) => match state.pages.open(token) {
            Some(after) => after,
            None => return Ok(answer::none()),
        },
    };
    let size = size(&query)?;
    check_namespaces(&filter, &state)?;

    let (tuples, next) = state.store.page(&filter, after, size);
    let tuples: Vec<WireTuple> = tuples.iter().map(WireTuple::from).collect();
    let next = next.map(|next| state.pages.token(next)).unwrap_or_default();
    Ok(answer::json(
        &json!({ "relation_tuples": tuples, "next_page_token": next }),
    ))
}

/// Rejects a filter that names an unknown namespace.
pub(super) fn check_namespaces(filter: &Filter, state: &State) -> Result<(), Refusal> {
    let of_set = match &filter.subject {
        Some(Subject::Set(set)) => Some(&set.namespace),
        Some(Subject::Id(_)) | None => None,
    };
    match filter
        .namespace
        .iter()
        .chain(of_set)
        .find(|name| !state.namespaces.has_namespace(name))
    {
        Some(unknown) => Err(Refusal::unknown_namespace(unknown)),
        None => Ok(()),
    }
}

fn size(query: &Query) -> Result<usize, Refusal> {
    let Some(text) = query.non_empty("page_size") else {
        return Ok(DEFAULT_SIZE);
    };
    let Ok(size) = text.parse::<i64>() else {
        let quoted = go_quote(text);
        return Err(Refusal::malformed(&format!(
            "strconv.Atoi: parsing {quoted}: invalid syntax"
        )));
    };
    Ok(match usize::try_from(size) {
        Ok(0) | Err(_) => DEFAULT_SIZE,
        Ok(size) => size.min(MAX_SIZE),
    })
}

const DEFAULT_SIZE: usize = 100;
const MAX_SIZE: usize = 500;
