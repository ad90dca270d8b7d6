//! In-memory stand-ins for the upstreams.

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

/// The upstreams of all tenants, in memory. Unknown URLs fail with [`TransportError::Connect`].
#[derive(Debug, Default)]
pub(super) struct TestUpstreams(Mutex<Upstreams>);

#[derive(Debug, Default)]
struct Upstreams {
    /// The key servers by the URL of the key set.
    keys: HashMap<String, KeyServer>,
    /// The permission servers by their base URL without a trailing slash.
    permissions: HashMap<String, PermissionServer>,
}

#[derive(Debug)]
struct KeyServer {
    down: bool,
    fetches: usize,
    issuer: Arc<TestIssuer>,
}

#[derive(Debug, Default)]
struct PermissionServer {
    down: bool,
    tuples: HashSet<String>,
}

impl TestUpstreams {
    pub(super) fn serve_keys(&self, url: &str, issuer: Arc<TestIssuer>) {
        let server = KeyServer {
            down: false,
            fetches: 0,
            issuer,
        };
        self.lock().keys.insert(url.to_owned(), server);
    }

    pub(super) fn serve_permissions(&self, url: &str) {
        self.lock().permissions.entry(url.to_owned()).or_default();
    }

    pub(super) fn grant(&self, url: &str, tuple: &RelationTuple) {
        if let Some(server) = self.lock().permissions.get_mut(url) {
            server.tuples.insert(tuple.to_string());
        }
    }

    pub(super) fn revoke(&self, url: &str, tuple: &RelationTuple) {
        if let Some(server) = self.lock().permissions.get_mut(url) {
            server.tuples.remove(&tuple.to_string());
        }
    }

    pub(super) fn set_keys_down(&self, url: &str, down: bool) {
        if let Some(server) = self.lock().keys.get_mut(url) {
            server.down = down;
        }
    }

    pub(super) fn set_permissions_down(&self, url: &str, down: bool) {
        if let Some(server) = self.lock().permissions.get_mut(url) {
            server.down = down;
        }
    }

    pub(super) fn fetches(&self, url: &str) -> usize {
        self.lock().keys.get(url).map_or(0, |server| server.fetches)
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
        if let Some(server) = self.keys.get_mut(&url) {
            return server.answer();
        }

        let (server, path) = self.permission_server(&url).ok_or(TransportError::Connect)?;
        server.answer(path, request.body())
    }

    /// Returns the permission server of a URL, and the path there. If several base URLs match, the longest one wins, as in a proxy.
    fn permission_server<'a>(&self, url: &'a str) -> Option<(&PermissionServer, &'a str)> {
        let servers = self.permissions.iter().filter_map(|(base, server)| {
            let path = url.strip_prefix(base.as_str())?;
            // The base URL must end at a path segment: `https://keto.example` is no base of `https://keto.example.evil`.
            path.starts_with('/').then_some((server, path))
        });
        servers.min_by_key(|(_, path)| path.len())
    }
}

impl KeyServer {
    fn answer(&mut self) -> Result<Response<Bytes>, TransportError> {
        if self.down {
            return Err(TransportError::Connect);
        }

        self.fetches = self.fetches.saturating_add(1);
        Ok(answer(StatusCode::OK, &self.issuer.key_set()))
    }
}

impl PermissionServer {
    fn answer(&self, path: &str, body: &Bytes) -> Result<Response<Bytes>, TransportError> {
        if self.down {
            return Err(TransportError::Connect);
        }

        Ok(match path {
            "/health/ready" => answer(StatusCode::OK, &json!({ "status": "ok" })),
            "/relation-tuples/batch/check" => check(&self.tuples, body),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_url_that_ends_at_a_step_of_the_path_is_asked() {
        let bases = [
            "https://keto.example",
            "https://keto.example/a",
            "https://keto.example/ab",
            "https://keto.example/a/b",
            "https://keto.example/a/b/c",
            "https://keto.example.evil",
            "https://keto.example:8443",
        ];
        let upstreams = TestUpstreams::default();
        for base in bases {
            upstreams.serve_permissions(base);
            upstreams.set_permissions_down(base, true);
        }
        let is_up = |base: &str| {
            let url = format!("{base}/health/ready");
            let request = Request::get(url).body(Bytes::new()).unwrap();
            upstreams.lock().answer(&request).is_ok()
        };

        for up in bases {
            upstreams.set_permissions_down(up, false);
            for base in bases {
                assert_eq!(is_up(base), base == up, "{base} where {up} is up");
            }
            upstreams.set_permissions_down(up, true);
        }

        upstreams.set_permissions_down("https://keto.example", false);
        upstreams.set_permissions_down("https://keto.example/a", false);
        for unknown in [
            "https://keto.exampl",
            "https://keto.example.org",
            "https://keto.example:9443",
        ] {
            assert!(!is_up(unknown), "{unknown}");
        }
    }
}
