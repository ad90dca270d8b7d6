//! `/relation-tuples/check`, `/check/openapi` and `/batch/check`: permission checks.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use iam_opl::{CheckError, ObjectRelation};
use serde::{Deserialize, Serialize};

use super::{
    State,
    answer::{self, Refusal, go_quote},
    body::{self, Object, Read},
    query::Query,
    tuple::{Subject, WireTuple},
};

/// Answers 200 if allowed, else 403.
pub(super) async fn get_mirrored(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Refusal> {
    Ok(mirrored(&from_query(&request, &state)?))
}

/// Answers 200 if allowed, else 403.
pub(super) async fn post_mirrored(
    request: HttpRequest,
    state: Data<State>,
    body: Read,
) -> Result<HttpResponse, Refusal> {
    Ok(mirrored(&from_body(&request, &state, body)?))
}

/// Answers 200 in both cases.
pub(super) async fn get(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Refusal> {
    Ok(answer::json(&from_query(&request, &state)?))
}

/// Answers 200 in both cases.
pub(super) async fn post(
    request: HttpRequest,
    state: Data<State>,
    body: Read,
) -> Result<HttpResponse, Refusal> {
    Ok(answer::json(&from_body(&request, &state, body)?))
}

/// Answers several independent checks.
pub(super) async fn batch(
    request: HttpRequest,
    state: Data<State>,
    body: Read,
) -> Result<HttpResponse, Refusal> {
    #[derive(Serialize)]
    struct Results {
        results: Vec<Verdict>,
    }

    let depth = Query::parse(request.query_string())?.max_depth()?;
    let tuples = tuples(body)?;
    if tuples.len() > state.max_batch {
        return Err(Refusal::malformed(&format!(
            "batch exceeds max size of {}",
            state.max_batch
        )));
    }

    let results = tuples
        .iter()
        .map(|Object(tuple)| match ask(tuple, depth, &state) {
            Ok(allowed) => Verdict { allowed, error: None },
            Err(refusal) => Verdict {
                allowed: false,
                error: Some(refusal.to_string()),
            },
        });
    Ok(answer::json(&Results {
        results: results.collect(),
    }))
}

/// Reads the tuples of a batch.
pub(super) fn tuples(body: Read) -> Result<Vec<Object<WireTuple>>, Refusal> {
    #[derive(Deserialize)]
    struct Batch {
        #[serde(default)]
        tuples: Option<Vec<Object<WireTuple>>>,
    }

    let Object(batch): Object<Batch> = body::json(body, UNMARSHAL)?;
    Ok(batch.tuples.unwrap_or_default())
}

#[derive(Serialize)]
struct Verdict {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn mirrored(verdict: &Verdict) -> HttpResponse {
    let status = if verdict.allowed {
        StatusCode::OK
    } else {
        StatusCode::FORBIDDEN
    };
    answer::json_with(status, verdict)
}

fn from_query(request: &HttpRequest, state: &State) -> Result<Verdict, Refusal> {
    let query = Query::parse(request.query_string())?;
    let depth = query.max_depth()?;
    single(&query.tuple()?, depth, state)
}

fn from_body(request: &HttpRequest, state: &State, body: Read) -> Result<Verdict, Refusal> {
    let depth = Query::parse(request.query_string())?.max_depth()?;
    let Object(tuple): Object<WireTuple> = body::json(body, UNMARSHAL)?;
    single(&tuple, depth, state)
}

/// Answers one check. An unknown namespace gives "not allowed" here; in a batch it is an error.
fn single(tuple: &WireTuple, depth: i64, state: &State) -> Result<Verdict, Refusal> {
    let allowed = match ask(tuple, depth, state) {
        Err(refusal) if refusal.is_not_found() => false,
        asked => asked?,
    };
    Ok(Verdict { allowed, error: None })
}

fn ask(tuple: &WireTuple, depth: i64, state: &State) -> Result<bool, Refusal> {
    if !state.namespaces.has_namespace(&tuple.namespace) {
        return Err(Refusal::unknown_namespace(&tuple.namespace));
    }
    let subject = tuple.subject()?;
    if let Subject::Set(set) = &subject
        && !state.namespaces.has_namespace(&set.namespace)
    {
        return Err(Refusal::unknown_namespace(&set.namespace));
    }

    let of = ObjectRelation {
        namespace: &tuple.namespace,
        object: &tuple.object,
        relation: &tuple.relation,
    };
    let limits = state.limits.depth(clamp(depth, state.max_depth));
    let checked = state
        .namespaces
        .check(&state.store.view(), of, subject.as_opl(), limits);
    checked.map(iam_opl::Answer::is_allow).map_err(|err| match err {
        CheckError::UnknownNamespace { namespace } => Refusal::unknown_namespace(&namespace),
        CheckError::UnknownRelation { relation, .. } => {
            Refusal::bad_request(Some(format!("relation {} does not exist", go_quote(&relation))))
        }
        CheckError::TooManySteps => Refusal::with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The check could not be completed",
            Some(err.to_string()),
        ),
    })
}

/// Limits the requested depth to the configured depth, which also applies when no depth is requested.
pub(super) fn clamp(asked: i64, configured: u32) -> u32 {
    match u32::try_from(asked) {
        Ok(asked) if 0 < asked => asked.min(configured),
        Ok(_) | Err(_) => configured,
    }
}

const UNMARSHAL: &str = "could not unmarshal json: ";
