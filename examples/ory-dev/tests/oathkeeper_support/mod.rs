//! A gateway for tests, with an echoing service behind it and a session service beside it.

// Each test file is its own crate and uses a part of this module.
#![expect(dead_code, reason = "every test file uses another part of this")]

pub(crate) mod people;

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderMap},
    web,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ory_dev::{
    config::Vars,
    oathkeeper::{KeyFile, Oathkeeper, OathkeeperConfig},
    server::Server,
};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

/// A folder that is removed with its content.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ory-dev-gateway-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A service that echoes its requests.
pub(crate) struct Echo {
    server: Server,
    hits: Arc<AtomicUsize>,
}

impl Echo {
    pub(crate) fn start() -> Self {
        let hits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&hits);
        let server = Server::start("echo", &[("echo", local())], 1, move |_, app| {
            let counter = Arc::clone(&counter);
            app.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
                counter.fetch_add(1, Ordering::SeqCst);
                echo(request, payload)
            }));
        })
        .expect("an echo server");
        Self { server, hits }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr("echo").expect("an address")
    }

    /// Returns the number of received requests.
    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Echoes a request. `x-echo-status` sets the status, `x-echo-plain` asks for an answer of that many bytes.
async fn echo(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let asked = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok()?.parse().ok())
    };
    let body = payload
        .to_bytes_limited(64 << 20)
        .await
        .expect("a small body")
        .unwrap_or_default();
    let headers: Vec<[String; 2]> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            [
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            ]
        })
        .collect();
    let mut response = HttpResponse::build(
        asked("x-echo-status")
            .and_then(|code| StatusCode::from_u16(code).ok())
            .unwrap_or(StatusCode::OK),
    );
    response
        .append_header(("Set-Cookie", "a=1; Path=/"))
        .append_header(("Set-Cookie", "b=2; Path=/"));
    response
        .insert_header(("Keep-Alive", "timeout=5"))
        .insert_header(("X-Service", "echo"));
    if let Some(length) = asked("x-echo-plain") {
        return response.body("x".repeat(length.into()));
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    response.json(json!({
        "method": request.method().as_str(),
        "path": path,
        "headers": headers,
        "body": if body.len() > 100_000 { body.len().to_string() } else { String::from_utf8_lossy(&body).into_owned() },
    }))
}

/// A session service that answers each token and cookie as a test tells it to.
pub(crate) struct Sessions {
    server: Server,
    answers: Answers,
}

type Answers = Arc<Mutex<HashMap<String, (u16, String)>>>;

impl Sessions {
    pub(crate) fn start() -> Self {
        let answers = Answers::default();
        let known = Arc::clone(&answers);
        let server = Server::start("sessions", &[("public", local())], 1, move |_, app| {
            let known = Arc::clone(&known);
            app.route(
                "/sessions/whoami",
                web::to(move |request: HttpRequest| {
                    let answer = whoami(&request, &known);
                    async move { answer }
                }),
            );
        })
        .expect("a session service");
        Self { server, answers }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr("public").expect("an address")
    }

    /// Creates a session for a new identity and returns its token, its cookie's value and the identity's id.
    pub(crate) fn log_in(&self, metadata_public: &Value) -> Login {
        let login = Login {
            token: format!("ory_st_{}", Uuid::new_v4().simple()),
            cookie: Uuid::new_v4().simple().to_string(),
            identity: Uuid::new_v4().to_string(),
        };
        let session = json!({
            "id": Uuid::new_v4().to_string(),
            "active": true,
            "identity": {
                "id": login.identity,
                "schema_id": "default",
                "traits": {"email": "someone@example.com"},
                "metadata_public": metadata_public,
            },
        });
        self.answer(&login.token, 200, session.to_string());
        self.answer(&login.cookie, 200, session.to_string());
        login
    }

    /// Sets the answer for a token or cookie.
    pub(crate) fn answer(&self, credential: &str, status: u16, body: impl Into<String>) {
        self.answers
            .lock()
            .expect("no panic")
            .insert(credential.to_owned(), (status, body.into()));
    }

    pub(crate) fn revoke(&self, login: &Login) {
        let mut answers = self.answers.lock().expect("no panic");
        answers.remove(&login.token);
        answers.remove(&login.cookie);
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// The credentials of one session.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) token: String,
    pub(crate) cookie: String,
    pub(crate) identity: String,
}

impl Login {
    pub(crate) fn bearer(&self) -> (&'static str, String) {
        ("Authorization", format!("Bearer {}", self.token))
    }
}

fn whoami(request: &HttpRequest, answers: &Answers) -> HttpResponse {
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let cookie = text("cookie")
        .split("; ")
        .find_map(|pair| pair.strip_prefix("ory_kratos_session="));
    let credential = cookie
        .or_else(|| text("authorization").strip_prefix("Bearer "))
        .unwrap_or_default();
    match answers.lock().expect("no panic").get(credential) {
        Some((status, body)) => HttpResponse::build(StatusCode::from_u16(*status).expect("a status"))
            .content_type("application/json")
            .insert_header(("Retry-After", "7"))
            .body(body.clone()),
        None => HttpResponse::Unauthorized().finish(),
    }
}

/// A gateway with a service behind it and sessions beside it.
pub(crate) struct Stand<S = Sessions> {
    pub(crate) folder: Folder,
    pub(crate) echo: Echo,
    pub(crate) sessions: S,
    pub(crate) gateway: Oathkeeper,
}

impl Stand {
    /// Starts a gateway with these rules.
    pub(crate) fn start(rules: &Value) -> Self {
        Self::start_with(rules, |config| config)
    }

    /// Starts a gateway with these rules and a changed configuration.
    pub(crate) fn start_with(
        rules: &Value,
        change: impl FnOnce(OathkeeperConfig) -> OathkeeperConfig,
    ) -> Self {
        let sessions = Sessions::start();
        let origin = url(&format!("http://{}", sessions.addr()));
        Self::beside(sessions, &origin, rules, change)
    }
}

impl<S> Stand<S> {
    /// Starts a gateway that asks a session service at another origin than the configured one.
    pub(crate) fn beside(
        sessions: S,
        origin: &Url,
        rules: &Value,
        change: impl FnOnce(OathkeeperConfig) -> OathkeeperConfig,
    ) -> Self {
        let folder = Folder::new();
        let echo = Echo::start();
        let service = url(&format!("http://{}", echo.addr()));
        key_file(&folder)
            .write(&[first_key().clone()])
            .expect("a key file");
        let config = configuration(&folder, rules)
            .replace_origin(&url("http://127.0.0.1:3000"), &service)
            .replace_origin(&url("http://127.0.0.1:3001"), &service)
            .replace_origin(&url("http://127.0.0.1:3002"), &service)
            .replace_origin(&url("http://127.0.0.1:4433"), origin)
            .ports(0, 0)
            .workers(1);
        let gateway = Oathkeeper::start(change(config)).expect("a gateway");
        Self {
            folder,
            echo,
            sessions,
            gateway,
        }
    }

    pub(crate) fn key_file(&self) -> KeyFile {
        key_file(&self.folder)
    }

    /// Sends a request to the proxy.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, String)]) -> Answer {
        ask(self.gateway.proxy_addr(), method, path, headers, None).await
    }

    /// Sends a request to the API.
    pub(crate) async fn ask_api(&self, method: &str, path: &str, headers: &[(&str, String)]) -> Answer {
        ask(self.gateway.api_addr(), method, path, headers, None).await
    }

    /// Returns the token that the service gets from this caller at a path.
    pub(crate) async fn token(&self, path: &str, login: &Login) -> String {
        let answer = self.ask("GET", path, &[login.bearer()]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let value = answer.echoed("authorization").expect("a token");
        value.strip_prefix("Bearer ").expect("a bearer token").to_owned()
    }

    /// Returns the ids of the published keys.
    pub(crate) async fn kids(&self) -> Vec<String> {
        let set = self.ask_api("GET", "/.well-known/jwks.json", &[]).await.json();
        let keys = set["keys"].as_array().expect("keys").clone();
        keys.iter()
            .map(|key| key["kid"].as_str().expect("a kid").to_owned())
            .collect()
    }
}

fn key_file(folder: &Folder) -> KeyFile {
    KeyFile::at(folder.path().join("id-token.jwks.json"))
}

/// The key that every gateway of this process starts with. Generating one takes most of a second.
fn first_key() -> &'static Value {
    static KEY: OnceLock<Value> = OnceLock::new();
    KEY.get_or_init(|| {
        let folder = Folder::new();
        key_file(&folder).ensure().expect("a key file");
        key_file(&folder).read().expect("keys").remove(0)
    })
}

/// The shipped `oathkeeper.yml` with these rules, in a temporary folder.
pub(crate) fn configuration(folder: &Folder, rules: &Value) -> OathkeeperConfig {
    fs::write(folder.path().join("access-rules.json"), rules.to_string()).expect("a file");
    let vars = Vars::new(folder.path(), folder.path());
    Oathkeeper::from_files(&shipped("oathkeeper.yml"), &vars).expect("a configuration")
}

pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// One answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The cookies that the answer sets.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = (String, String)> {
        let pairs = self
            .headers
            .get_all("set-cookie")
            .map(|value| value.to_str().expect("text"));
        let pairs = pairs.filter_map(|value| value.split(';').next()?.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// The first value of a header that reached the service.
    pub(crate) fn echoed(&self, name: &str) -> Option<String> {
        self.echoed_all(name).into_iter().next()
    }

    /// Every value of a header that reached the service.
    pub(crate) fn echoed_all(&self, name: &str) -> Vec<String> {
        let body = self.json();
        let headers = body["headers"].as_array().expect("an echo").clone();
        headers
            .iter()
            .filter(|pair| pair[0].as_str().expect("a name").eq_ignore_ascii_case(name))
            .map(|pair| pair[1].as_str().expect("a value").to_owned())
            .collect()
    }
}

/// Sends one request over a new connection.
pub(crate) async fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Option<&str>,
) -> Answer {
    let client = awc::Client::builder()
        .no_default_headers()
        .disable_redirects()
        .finish();
    let method = method.parse().expect("a method");
    let mut request = client
        .request(method, format!("http://{addr}{path}"))
        .timeout(Duration::from_secs(20))
        .force_close();
    for (name, value) in headers {
        request = request.append_header((*name, value.as_str()));
    }
    let sent = match body {
        Some(body) => request.send_body(body.to_owned()).await,
        None => request.send().await,
    };
    let mut answer = sent.expect("an answer");
    let body = answer.body().limit(64 << 20).await.expect("a body").to_vec();
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        body,
    }
}

/// Returns header and claims of a compact JWS. *Unverified.*
pub(crate) fn decode(token: &str) -> (Value, Value) {
    let mut parts = token
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
    let mut next = || serde_json::from_slice(&parts.next().expect("a part")).expect("JSON");
    (next(), next())
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

pub(crate) fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
