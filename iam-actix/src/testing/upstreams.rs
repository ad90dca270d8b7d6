//! In-memory stand-ins for the upstreams.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web::web::Query;
use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use iam_core::{
    clock::{Clock as _, ManualClock, Timestamp},
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
    principal::AssuranceLevel,
};
use iam_grammar::{RelationTuple, Subject};
use serde_json::{Value, json};

use super::TestIssuer;

/// The upstreams of all tenants, in memory. Unknown URLs fail with [`TransportError::Connect`].
#[derive(Debug)]
pub(super) struct TestUpstreams(Mutex<Upstreams>);

#[derive(Debug)]
struct Upstreams {
    clock: ManualClock,
    /// The key servers by the URL of the key set.
    keys: HashMap<String, KeyServer>,
    /// The OAuth 2 servers by the base URL of their admin port without a trailing slash.
    tokens: HashMap<String, TokenServer>,
    /// The permission servers by their base URL without a trailing slash.
    permissions: HashMap<String, PermissionServer>,
    /// The identity servers by their base URL without a trailing slash.
    sessions: HashMap<String, SessionServer>,
}

/// A session that an identity server knows.
#[derive(Clone, Debug)]
pub(super) struct KnownSession {
    pub(super) id: String,
    pub(super) identity: String,
    pub(super) aal: AssuranceLevel,
    pub(super) authenticated_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) is_of_active_identity: bool,
    pub(super) is_second_factor_due: bool,
    pub(super) traits: Value,
    pub(super) metadata_public: Value,
}

#[derive(Debug)]
struct SessionServer {
    cookie_names: HashSet<String>,
    down: bool,
    lookups: usize,
    /// By the value of the cookie and by the token.
    known: HashMap<String, KnownSession>,
}

#[derive(Debug)]
struct KeyServer {
    down: bool,
    fetches: usize,
    issuer: Arc<TestIssuer>,
}

#[derive(Debug, Default)]
struct TokenServer {
    down: bool,
    introspections: usize,
    /// What is answered about each token while it is active.
    tokens: HashMap<String, Value>,
}

#[derive(Debug, Default)]
struct PermissionServer {
    down: bool,
    tuples: HashSet<String>,
}

impl TestUpstreams {
    pub(super) fn new(clock: ManualClock) -> Self {
        Self(Mutex::new(Upstreams {
            clock,
            keys: HashMap::new(),
            tokens: HashMap::new(),
            permissions: HashMap::new(),
            sessions: HashMap::new(),
        }))
    }

    pub(super) fn serve_sessions(&self, url: &str, cookie_name: &str) {
        let mut upstreams = self.lock();
        let server = upstreams.sessions.entry(url.to_owned());
        let server = server.or_insert_with(|| SessionServer {
            cookie_names: HashSet::new(),
            down: false,
            lookups: 0,
            known: HashMap::new(),
        });
        server.cookie_names.insert(cookie_name.to_owned());
    }

    /// Makes a session known, unless it is known already: what was logged in does not change by itself.
    pub(super) fn know_session(&self, url: &str, credentials: &[String], session: &KnownSession) {
        if let Some(server) = self.lock().sessions.get_mut(url) {
            for credential in credentials {
                let known = server.known.entry(credential.clone());
                known.or_insert_with(|| session.clone());
            }
        }
    }

    pub(super) fn end_session(&self, url: &str, credentials: &[String]) {
        if let Some(server) = self.lock().sessions.get_mut(url) {
            for credential in credentials {
                server.known.remove(credential);
            }
        }
    }

    pub(super) fn set_sessions_down(&self, url: &str, down: bool) {
        if let Some(server) = self.lock().sessions.get_mut(url) {
            server.down = down;
        }
    }

    pub(super) fn session_lookups(&self, url: &str) -> usize {
        self.lock().sessions.get(url).map_or(0, |server| server.lookups)
    }

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

    pub(super) fn serve_tokens(&self, url: &str) {
        self.lock().tokens.entry(url.to_owned()).or_default();
    }

    pub(super) fn issue_token(&self, url: &str, token: &str, description: Value) {
        if let Some(server) = self.lock().tokens.get_mut(url) {
            server.tokens.insert(token.to_owned(), description);
        }
    }

    pub(super) fn revoke_token(&self, url: &str, token: &str) {
        if let Some(server) = self.lock().tokens.get_mut(url) {
            server.tokens.remove(token);
        }
    }

    pub(super) fn set_tokens_down(&self, url: &str, down: bool) {
        if let Some(server) = self.lock().tokens.get_mut(url) {
            server.down = down;
        }
    }

    pub(super) fn introspections(&self, url: &str) -> usize {
        self.lock()
            .tokens
            .get(url)
            .map_or(0, |server| server.introspections)
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

        let now = self.clock.now();
        let server = self.tokens.iter_mut().find_map(|(base, server)| {
            let path = url.strip_prefix(base.as_str())?;
            matches!(path, INTROSPECT | "/health/ready").then_some((server, path))
        });
        if let Some((server, path)) = server {
            return server.answer(path, request, now);
        }
        if let Some((base, path)) = self.session_url(&url)
            && let Some(server) = self.sessions.get_mut(&base)
        {
            return server.answer(path, request, now);
        }
        let (server, path) = self.permission_server(&url).ok_or(TransportError::Connect)?;
        server.answer(path, request.body())
    }

    /// Returns the base URL of the identity server of a URL, and the path there.
    fn session_url<'a>(&self, url: &'a str) -> Option<(String, &'a str)> {
        let servers = self.sessions.keys().filter_map(|base| {
            let path = url.strip_prefix(base.as_str())?;
            path.starts_with('/').then(|| (base.clone(), path))
        });
        servers.min_by_key(|(_, path)| path.len())
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

impl TokenServer {
    /// Answers as Hydra's admin port does.
    fn answer(
        &mut self,
        path: &str,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<Response<Bytes>, TransportError> {
        if self.down {
            return Err(TransportError::Connect);
        }
        if path != INTROSPECT {
            return Ok(answer(StatusCode::OK, &json!({ "status": "ok" })));
        }

        let body = str::from_utf8(request.body()).unwrap_or_default();
        let fields = Query::<Vec<(String, String)>>::from_query(body).map(Query::into_inner);
        let token = fields
            .unwrap_or_default()
            .into_iter()
            .find(|(name, _)| name == "token");
        let Some((_, token)) = token else {
            return Ok(oauth(
                StatusCode::BAD_REQUEST,
                &json!({ "error": "invalid_request" }),
            ));
        };
        self.introspections = self.introspections.saturating_add(1);
        let now = now.as_secs();
        let is_live = |token: &&Value| {
            token
                .get("exp")
                .and_then(Value::as_u64)
                .is_some_and(|exp| now < exp)
        };
        let found = self.tokens.get(&token).filter(is_live);
        let inactive = json!({ "active": false });
        Ok(oauth(StatusCode::OK, found.unwrap_or(&inactive)))
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

impl SessionServer {
    fn answer(
        &mut self,
        path: &str,
        request: &Request<Bytes>,
        now: Timestamp,
    ) -> Result<Response<Bytes>, TransportError> {
        if self.down {
            return Err(TransportError::Connect);
        }

        Ok(match path {
            "/health/ready" => answer(StatusCode::OK, &json!({ "status": "ok" })),
            "/sessions/whoami" => self.whoami(request, now),
            _ => answer(StatusCode::NOT_FOUND, &json!({ "error": { "code": 404 } })),
        })
    }

    /// Answers as Kratos is recorded to.
    fn whoami(&mut self, request: &Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        self.lookups = self.lookups.saturating_add(1);
        let credential = self.credential(request);
        let session = credential.and_then(|credential| self.known.get(&credential));
        // Kratos tells no unknown session from one that is over, or of an inactive identity.
        let session = session.filter(|session| now < session.expires_at && session.is_of_active_identity);
        match session {
            None => answer(
                StatusCode::UNAUTHORIZED,
                &json!({ "error": {
                    "code": 401,
                    "status": "Unauthorized",
                    "reason": "No valid session credentials found in the request.",
                    "message": "The request could not be authorized",
                }}),
            ),
            Some(session) if session.is_second_factor_due => answer(
                StatusCode::FORBIDDEN,
                &json!({
                    "error": {
                        "id": "session_aal2_required",
                        "code": 403,
                        "status": "Forbidden",
                        "message": "Session does not fulfill the requested Authenticator Assurance Level",
                        "details": { "redirect_browser_to": SECOND_FACTOR },
                    },
                    "redirect_browser_to": SECOND_FACTOR,
                }),
            ),
            Some(session) => answer(StatusCode::OK, &session.json()),
        }
    }

    /// Returns the credential that counts: the cookie before the token, `X-Session-Token` before `Authorization`.
    fn credential(&self, request: &Request<Bytes>) -> Option<String> {
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let cookie = header("cookie").and_then(|cookies| {
            let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| self.cookie_names.contains(*name))
        });
        let token = header("x-session-token")
            .or_else(|| header("authorization").and_then(|value| value.strip_prefix("Bearer ")));
        cookie.map(|(_, value)| value).or(token).map(str::to_owned)
    }
}

impl KnownSession {
    fn json(&self) -> Value {
        let at = self.authenticated_at.to_rfc3339();
        let mut methods = vec![json!({ "method": "password", "aal": "aal1", "completed_at": at })];
        if AssuranceLevel::Aal2 <= self.aal {
            methods.push(json!({ "method": "totp", "aal": "aal2", "completed_at": at }));
        }
        json!({
            "id": self.id,
            "active": true,
            "expires_at": self.expires_at.to_rfc3339(),
            "authenticated_at": at,
            "authenticator_assurance_level": self.aal.as_str(),
            "authentication_methods": methods,
            "issued_at": at,
            "identity": {
                "id": self.identity,
                "schema_id": "default",
                "state": "active",
                "traits": self.traits,
                "metadata_public": self.metadata_public,
                "organization_id": null,
            },
            "devices": [{ "id": self.id, "ip_address": "127.0.0.1:46802", "user_agent": "test", "location": "" }],
        })
    }
}

const SECOND_FACTOR: &str = "https://kratos.invalid/self-service/login/browser?aal=aal2";

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
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Hydra's OAuth 2 endpoints write this content type.
fn oauth(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = answer(status, body);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=UTF-8"),
    );
    response
}

const INTROSPECT: &str = "/admin/oauth2/introspect";

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
        let upstreams = TestUpstreams::new(ManualClock::at_system_time());
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
