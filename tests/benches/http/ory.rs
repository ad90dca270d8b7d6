//! Sessions and access tokens: ours, and the same upstream call by hand with awc, which checks less.
//!
//! Kratos and Hydra are a server that sends fixed answers, so that the upstream costs little and what the service adds shows.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, UNIX_EPOCH},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Responder, get, rt,
    web::{self, Data},
};
use actix_web_httpauth::extractors::bearer::BearerAuth;
use awc::Client;
use iam_actix::{
    Iam, IamConfig, Principal, Transport,
    config::{AuditSinkConfig, HydraConfig, KratosConfig, TenantConfig},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tokens::{AUDIENCE, ISSUER};

/// Answers as Kratos and Hydra about any credential, and counts the calls.
pub(crate) struct Ory {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Ory {
    /// Starts the server, which waits before each answer.
    pub(crate) fn start(pause: Duration) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let (session, token) = (session().to_string(), token().to_string());
        let address = crate::serve(move |listener| async move {
            HttpServer::new(move || {
                let (session, token, counter) = (session.clone(), token.clone(), Arc::clone(&counter));
                App::new().default_service(web::to(move |request: HttpRequest| {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let answer = if request.path() == WHOAMI {
                        &session
                    } else {
                        &token
                    };
                    let answer = answer.clone();
                    async move {
                        if !pause.is_zero() {
                            rt::time::sleep(pause).await;
                        }
                        HttpResponse::Ok().content_type("application/json").body(answer)
                    }
                }))
            })
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run()
        });
        Self { address, calls }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Starts our service for sessions of this server, which are kept for `ttl`.
    pub(crate) fn sessions(&self, ttl: Duration) -> (SocketAddr, Iam) {
        let mut tenant = TenantConfig::with_sessions(KratosConfig::new(self.url()));
        tenant.cache.session_ttl = ttl;
        serve_ours(tenant)
    }

    /// Starts our service for access tokens of this server. None is kept.
    pub(crate) fn tokens(&self) -> (SocketAddr, Iam) {
        let mut tenant = TenantConfig::default();
        tenant.transports = vec![Transport::Oauth2];
        tenant.hydra = Some(HydraConfig::new(self.url(), ISSUER, [AUDIENCE]));
        serve_ours(tenant)
    }

    /// Starts a service that asks about sessions by hand.
    pub(crate) fn sessions_by_hand(&self) -> SocketAddr {
        serve_by_hand(format!("{}{WHOAMI}", self.url()))
    }

    /// Starts a service that introspects by hand.
    pub(crate) fn tokens_by_hand(&self) -> SocketAddr {
        serve_by_hand(format!("{}/admin/oauth2/introspect", self.url()))
    }
}

#[get("/protected")]
async fn protected(caller: Principal) -> impl Responder {
    HttpResponse::Ok()
        .insert_header(("x-subject", caller.subject().len()))
        .body("ok")
}

fn serve_ours(tenant: TenantConfig) -> (SocketAddr, Iam) {
    let mut config = IamConfig::new().tenant("default", tenant);
    let audit = crate::audit_file("ory");
    std::fs::write(&audit, "").unwrap();
    config.audit.sink = AuditSinkConfig::File(audit.display().to_string());
    let (give, given) = mpsc::channel();
    let address = crate::serve(move |listener| async move {
        let iam = Iam::builder(config).start().await.unwrap();
        give.send(iam.clone()).unwrap();
        HttpServer::new(move || App::new().service(protected).wrap(iam.middleware()))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run()
    });
    (address, given.recv().unwrap())
}

struct Upstream {
    client: Client,
    url: String,
}

fn serve_by_hand(url: String) -> SocketAddr {
    crate::serve(move |listener| async move {
        HttpServer::new(move || {
            let upstream = Upstream {
                client: Client::default(),
                url: url.clone(),
            };
            App::new()
                .app_data(Data::new(upstream))
                .service(session_by_hand)
                .service(token_by_hand)
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run()
    })
}

/// What an application reads of a session.
#[derive(Deserialize)]
struct Session {
    active: bool,
    identity: Identity,
}

#[derive(Deserialize)]
struct Identity {
    id: String,
    state: String,
}

#[get("/protected")]
async fn session_by_hand(request: HttpRequest, upstream: Data<Upstream>) -> HttpResponse {
    let Some(cookie) = request.cookie(COOKIE) else {
        return HttpResponse::Unauthorized().finish();
    };
    let asked = upstream
        .client
        .get(&upstream.url)
        .insert_header(("accept", "application/json"))
        .insert_header(("cookie", format!("{COOKIE}={}", cookie.value())))
        .send();

    let Ok(mut answer) = asked.await else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    match answer.json::<Session>().await {
        Ok(session) if session.active && session.identity.state == "active" => HttpResponse::Ok()
            .insert_header(("x-subject", session.identity.id.len()))
            .body("ok"),
        _ => HttpResponse::Unauthorized().finish(),
    }
}

/// What an application reads of an introspection.
#[derive(Deserialize)]
struct Introspected {
    active: bool,
    aud: Vec<String>,
    exp: u64,
    iss: String,
    sub: String,
    token_use: String,
}

#[get("/introspected")]
async fn token_by_hand(bearer: BearerAuth, upstream: Data<Upstream>) -> HttpResponse {
    let asked = upstream
        .client
        .post(&upstream.url)
        .insert_header(("accept", "application/json"))
        .send_form(&[("token", bearer.token())]);

    let Ok(mut answer) = asked.await else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    match answer.json::<Introspected>().await {
        Ok(token)
            if token.active
                && token.token_use == "access_token"
                && token.iss == ISSUER
                && token.aud.iter().any(|audience| audience == AUDIENCE)
                && token.exp > now() =>
        {
            HttpResponse::Ok()
                .insert_header(("x-subject", token.sub.len()))
                .body("ok")
        }
        _ => HttpResponse::Unauthorized().finish(),
    }
}

/// Returns requests with distinct session cookies.
pub(crate) fn with_cookies(count: usize) -> Vec<Vec<u8>> {
    // As long as those of Kratos.
    let filler = "M".repeat(300);
    let cookies = (0..count).map(|number| format!("cookie: {COOKIE}={filler}{number}"));
    cookies.map(|header| request("/protected", &header)).collect()
}

/// Returns requests with distinct access tokens.
pub(crate) fn with_tokens(path: &str, count: usize) -> Vec<Vec<u8>> {
    let filler = "t".repeat(40);
    let tokens = (0..count).map(|number| format!("authorization: Bearer ory_at_{filler}.{number}"));
    tokens.map(|header| request(path, &header)).collect()
}

fn request(path: &str, header: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{header}\r\n\r\n").into_bytes()
}

/// As Kratos answers about a person with one device.
fn session() -> Value {
    json!({
        "id": "6c8d3b1c-5a2b-4d5d-9d1a-6f7a5d1c2b3e", "active": true, "expires_at": "2999-01-01T00:00:00Z",
        "authenticated_at": "2026-01-01T00:00:00.123456Z", "authenticator_assurance_level": "aal1",
        "authentication_methods": [{ "method": "password", "aal": "aal1", "completed_at": "2026-01-01T00:00:00Z" }],
        "issued_at": "2026-01-01T00:00:00Z",
        "identity": {
            "id": "3550201f-950b-4744-a6cd-d675d0ca2ea4", "schema_id": "default",
            "schema_url": "http://127.0.0.1:4433/schemas/ZGVmYXVsdA", "state": "active",
            "state_changed_at": "2026-01-01T00:00:00Z", "traits": { "email": "alice@example.com" },
            "metadata_public": { "roles": ["warehouse:admin"] }, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "organization_id": null,
        },
        "devices": [{
            "id": "0d5b2c1a-0f5e-4b5e-8a43-9c7a7b1d2e3f", "ip_address": "127.0.0.1:1", "user_agent": "browser",
            "location": "",
        }],
    })
}

/// As Hydra answers about a client's token.
fn token() -> Value {
    let now = now();
    json!({
        "active": true, "scope": "jobs:read", "client_id": "b1c2d3e4-5a2b-4d5d-9d1a-6f7a5d1c2b3e",
        "sub": "b1c2d3e4-5a2b-4d5d-9d1a-6f7a5d1c2b3e", "exp": now + 36_000, "iat": now, "nbf": now, "aud": [AUDIENCE],
        "iss": ISSUER, "token_type": "Bearer", "token_use": "access_token",
    })
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs()
}

const COOKIE: &str = "ory_kratos_session";
const WHOAMI: &str = "/sessions/whoami";
