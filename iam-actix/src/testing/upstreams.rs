//! Who answers in place of the upstreams?

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use iam_core::http::{BoxFuture, CallLimits, HttpClient, TransportError};
use iam_grammar::{RelationTuple, Subject};
use serde_json::{Value, json};

use super::TestIssuer;

/// The upstreams of all tenants, in memory. What they do not know is no connection.
#[derive(Debug, Default)]
pub(super) struct TestUpstreams(Mutex<Upstreams>);

#[derive(Debug, Default)]
struct Upstreams {
    down: HashSet<String>,
    fetches: HashMap<String, usize>,
    issuers: HashMap<String, Arc<TestIssuer>>,
    /// By the URL of the permission server.
    tuples: HashMap<String, HashSet<String>>,
}

impl TestUpstreams {
    pub(super) fn serve_keys(&self, url: &str, issuer: Arc<TestIssuer>) {
        self.lock().issuers.insert(url.to_owned(), issuer);
    }

    pub(super) fn serve_permissions(&self, url: &str) {
        self.lock().tuples.entry(url.to_owned()).or_default();
    }

    pub(super) fn grant(&self, url: &str, tuple: &RelationTuple) {
        self.lock()
            .tuples
            .entry(url.to_owned())
            .or_default()
            .insert(tuple.to_string());
    }

    pub(super) fn revoke(&self, url: &str, tuple: &RelationTuple) {
        if let Some(tuples) = self.lock().tuples.get_mut(url) {
            tuples.remove(&tuple.to_string());
        }
    }

    pub(super) fn set_down(&self, url: &str, down: bool) {
        let mut upstreams = self.lock();
        if down {
            upstreams.down.insert(url.to_owned());
        } else {
            upstreams.down.remove(url);
        }
    }

    pub(super) fn fetches(&self, url: &str) -> usize {
        self.lock().fetches.get(url).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Upstreams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for TestUpstreams {
    fn send(
        &self,
        request: Request<Bytes>,
        _limits: CallLimits,
    ) -> BoxFuture<Result<Response<Bytes>, TransportError>> {
        Box::pin(ready(self.lock().answer(&request)))
    }
}

impl Upstreams {
    fn answer(&mut self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let url = request.uri().to_string();
        if self.down.iter().any(|down| url.starts_with(down.as_str())) {
            return Err(TransportError::Connect);
        }
        if let Some(issuer) = self.issuers.get(&url) {
            let count = self.fetches.entry(url).or_default();
            *count = count.saturating_add(1);
            return Ok(answer(StatusCode::OK, &issuer.key_set()));
        }
        let (tuples, path) = self
            .tuples
            .iter()
            .find_map(|(base, tuples)| Some((tuples, url.strip_prefix(base.as_str())?)))
            .ok_or(TransportError::Connect)?;
        Ok(match path {
            "/health/ready" => answer(StatusCode::OK, &json!({ "status": "ok" })),
            "/relation-tuples/batch/check" => check(tuples, request.body()),
            _ => answer(StatusCode::NOT_FOUND, &json!({ "error": { "code": 404 } })),
        })
    }
}

fn check(known: &HashSet<String>, body: &Bytes) -> Response<Bytes> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let asked = asked.get("tuples").and_then(Value::as_array);
    let results: Option<Vec<_>> = asked.map(|tuples| {
        tuples
            .iter()
            .map(|asked| {
                let allowed = tuple(asked).is_some_and(|tuple| known.contains(&tuple.to_string()));
                json!({ "allowed": allowed })
            })
            .collect()
    });
    match results {
        Some(results) => answer(StatusCode::OK, &json!({ "results": results })),
        None => answer(StatusCode::BAD_REQUEST, &json!({ "error": { "code": 400 } })),
    }
}

fn tuple(asked: &Value) -> Option<RelationTuple> {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let subject = if let Some(id) = text(asked, "subject_id") {
        Subject::id(id).ok()?
    } else {
        let set = asked.get("subject_set")?;
        Subject::set(
            text(set, "namespace")?,
            text(set, "object")?,
            text(set, "relation")?,
        )
        .ok()?
    };
    RelationTuple::new(
        text(asked, "namespace")?,
        text(asked, "object")?,
        text(asked, "relation")?,
        subject,
    )
    .ok()
}

fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
}
