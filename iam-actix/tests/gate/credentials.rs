//! Sessions and access tokens that are kept, shared, dropped, and asked about anew.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use actix_http::Request;
use actix_web::{
    App, Error, HttpResponse,
    body::BoxBody,
    dev::{Service, ServiceResponse},
    middleware::{Next, from_fn},
    rt::time::sleep,
    test::{TestRequest, call_service, init_service},
    web,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::join_all};
use iam_actix::{
    AssuranceLevel, Iam, Permission, Revocation, RouteExt as _, ScopeExt as _, Transport, audit_channel,
};
use iam_core::{
    clock::{Clock as _, ManualClock, Timestamp},
    config::{HydraConfig, IamConfig, KetoConfig, KratosConfig, TenantConfig},
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const TTL: Duration = Duration::from_secs(10);
/// The default.
const NEGATIVE_TTL: Duration = Duration::from_secs(2);
const MILLISECOND: Duration = Duration::from_millis(1);
const HYDRA: &str = "https://hydra.example";

/// Kratos, Hydra and Keto behind the port. An answer is what is true when the call begins.
#[derive(Debug)]
struct Ory {
    clock: ManualClock,
    /// Bodies by credential, such as `cookie a`, `token a` and `access a`.
    known: Mutex<HashMap<String, Value>>,
    asked: Mutex<Vec<String>>,
    is_down: AtomicBool,
    /// One permit for each answer that may leave, while answers are held back.
    gate: Semaphore,
}

impl Ory {
    fn session(&self, credential: &str, (id, identity): (&str, &str)) {
        self.session_with(credential, (id, identity), |_| {});
    }

    fn session_with(&self, credential: &str, (id, identity): (&str, &str), change: impl FnOnce(&mut Value)) {
        let now = self.clock.now();
        let mut body = json!({
            "id": id,
            "active": true,
            "expires_at": now.saturating_add(Duration::from_secs(3600)).to_rfc3339(),
            "authenticated_at": now.to_rfc3339(),
            "authenticator_assurance_level": "aal1",
            "identity": { "id": identity, "schema_id": "default", "state": "active", "traits": {} },
        });
        change(&mut body);
        self.knows(credential, body);
    }

    fn token(&self, token: &str, subject: &str) {
        self.token_with(token, subject, |_| {});
    }

    fn token_with(&self, token: &str, subject: &str, change: impl FnOnce(&mut Value)) {
        let now = self.clock.now().as_secs();
        let mut body = json!({
            "active": true, "client_id": "ci-bot", "sub": subject, "exp": now.saturating_add(3600), "iat": now, "nbf": now,
            "aud": ["jobs-api"], "iss": HYDRA, "token_type": "Bearer", "token_use": "access_token",
        });
        change(&mut body);
        self.knows(&format!("access {token}"), body);
    }

    fn knows(&self, credential: &str, body: Value) {
        self.known.lock().unwrap().insert(credential.to_owned(), body);
    }

    fn forget(&self, credential: &str) {
        self.known.lock().unwrap().remove(credential);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Holds the answers back, or lets all go.
    fn hold(&self, held: bool) {
        if held {
            self.gate.forget_permits(usize::MAX);
        } else {
            self.gate.add_permits(1_000_000);
        }
    }

    fn answer(&self, request: &http::Request<Bytes>) -> (u16, Value) {
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let about = |credential: String| {
            self.asked.lock().unwrap().push(credential.clone());
            self.known.lock().unwrap().get(&credential).cloned()
        };
        let unknown = (401, json!({ "error": { "code": 401 } }));
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/sessions/whoami") => {
                let credential = match (header("cookie"), header("x-session-token")) {
                    (Some(cookie), None) => cookie.replace("ory_kratos_session=", "cookie "),
                    (None, Some(token)) => format!("token {token}"),
                    both => panic!("one credential: {both:?}"),
                };
                match about(credential) {
                    Some(body) if body["error"].is_object() => (403, body),
                    Some(body) => (200, body),
                    None => unknown,
                }
            }
            ("POST", "/admin/oauth2/introspect") => {
                let body = String::from_utf8_lossy(request.body()).replace("token=", "access ");
                (200, about(body).unwrap_or_else(|| json!({ "active": false })))
            }
            ("POST", _) => {
                let body: Value = serde_json::from_slice(request.body()).unwrap();
                let count = body["tuples"].as_array().unwrap().len();
                (200, json!({ "results": vec![json!({ "allowed": true }); count] }))
            }
            ("DELETE", path) => {
                let id = path.rsplit('/').next().unwrap();
                let is_gone = |body: &Value| body["id"] == id || body["identity"]["id"] == id;
                let mut known = self.known.lock().unwrap();
                let before = known.len();
                known.retain(|_, body| !is_gone(body));
                (if known.len() < before { 204 } else { 404 }, Value::Null)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The port of one `Iam`.
#[derive(Debug)]
struct Port(Arc<Ory>);

impl HttpClient for Port {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        let ory = Arc::clone(&self.0);
        let (status, body) = ory.answer(&request);
        let is_down = ory.is_down.load(SeqCst);
        Box::pin(async move {
            ory.gate.acquire().await.unwrap().forget();
            if is_down {
                return Err(TransportError::Connect);
            }
            let response = http::Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Bytes::from(body.to_string()));
            Ok(response.unwrap())
        })
    }
}

struct World {
    clock: ManualClock,
    iam: Iam,
    ory: Arc<Ory>,
}

fn kept(tenant: &mut TenantConfig) {
    tenant.cache.session_ttl = TTL;
    tenant.cache.introspection_ttl = TTL;
}

impl World {
    async fn start() -> Self {
        Self::with(kept).await
    }

    /// Starts with the tenants `default` and `other`, of one Kratos.
    async fn with(change: impl Fn(&mut TenantConfig)) -> Self {
        let clock = ManualClock::at_system_time();
        let ory = Arc::new(Ory {
            clock: clock.clone(),
            known: Mutex::default(),
            asked: Mutex::default(),
            is_down: AtomicBool::new(false),
            gate: Semaphore::new(1_000_000),
        });
        let mut config = IamConfig::new().default_tenant("default");
        for name in ["default", "other"] {
            let kratos =
                KratosConfig::new("https://kratos.example").admin_url("https://kratos-admin.example");
            let audience = if name == "default" {
                "jobs-api"
            } else {
                "other-api"
            };
            let mut tenant = TenantConfig::with_sessions(kratos)
                .hydra(HydraConfig::new("https://hydra-admin.example", HYDRA, [audience]))
                .keto(KetoConfig::new("https://keto.example"));
            tenant.transports = vec![Transport::CookieOrBearer, Transport::Oauth2];
            change(&mut tenant);
            config = config.tenant(name, tenant);
        }
        let iam = Iam::builder(config)
            .clock(Arc::new(clock.clone()))
            .http_client(Arc::new(Port(Arc::clone(&ory))))
            .audit_sink(Arc::new(audit_channel().0))
            .start()
            .await
            .unwrap();
        Self { clock, iam, ory }
    }

    async fn app(&self) -> impl Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + use<> {
        let ok = || async { HttpResponse::Ok().finish() };
        let fresh = || Permission::tuple("docs:7#view");
        init_service(
            App::new()
                .route("/me", web::get().to(ok))
                .route("/me", web::post().to(ok))
                .route("/feed", web::get().to(ok).optional())
                .route("/fresh", web::get().to(ok).require_fresh_permission(fresh()))
                .route("/strong", web::get().to(ok).require_aal(AssuranceLevel::Aal2))
                .route(
                    "/recent",
                    web::get().to(ok).require_fresh_session(Duration::from_secs(5)),
                )
                .route("/other", web::get().to(ok).tenant("other"))
                .service(
                    web::scope("/jobs")
                        .route("", web::get().to(ok))
                        .route("/fresh", web::get().to(ok).require_fresh_permission(fresh()))
                        .transport(Transport::Oauth2),
                )
                .wrap(self.iam.middleware()),
        )
        .await
    }

    /// Sends one request, and returns its status and how many credentials were asked about.
    async fn get<S>(&self, app: &S, path: &str, credential: &str) -> (u16, usize)
    where
        S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
    {
        let before = self.ory.asked();
        let status = call_service(app, request(path, credential)).await.status();
        (status.as_u16(), self.ory.asked().saturating_sub(before))
    }
}

/// A request with a credential such as `cookie a`, `token a` or `access a`.
fn request(path: &str, credential: &str) -> Request {
    let (carrier, value) = credential.split_once(' ').unwrap();
    let header = match carrier {
        "cookie" => ("cookie", format!("ory_kratos_session={value}")),
        "token" => ("x-session-token", value.to_owned()),
        "access" => ("authorization", format!("Bearer {value}")),
        other => panic!("{other}"),
    };
    TestRequest::with_uri(path).insert_header(header).to_request()
}

/// A good credential of each kind, and a route that takes it.
const KINDS: [(&str, &str, &str); 3] = [
    ("cookie a", "/me", "/fresh"),
    ("token a", "/me", "/fresh"),
    ("access a", "/jobs", "/jobs/fresh"),
];

fn all_known(ory: &Ory) {
    ory.session("cookie a", ("s-1", "alice"));
    ory.session("token a", ("s-2", "alice"));
    ory.token("a", "ci-bot");
}

#[actix_web::test]
async fn without_a_ttl_each_request_asks_and_an_end_counts_at_once() {
    let world = World::with(|_| {}).await;
    let app = world.app().await;
    all_known(&world.ory);
    for (credential, path, _) in KINDS {
        for _ in 0..3 {
            assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");
        }
        world.ory.forget(credential);
        assert_eq!(world.get(&app, path, credential).await, (401, 1), "{credential}");
    }
}

/// R109: the longest time for which an end elsewhere may go unnoticed.
#[actix_web::test]
async fn a_good_credential_is_kept_for_its_ttl_and_no_longer() {
    let world = World::start().await;
    let app = world.app().await;
    for (credential, path, _) in KINDS {
        all_known(&world.ory);
        assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");
        world.ory.forget(credential);

        world.clock.advance(TTL.saturating_sub(MILLISECOND));
        assert_eq!(world.get(&app, path, credential).await, (200, 0), "{credential}");
        world.clock.advance(MILLISECOND);
        assert_eq!(world.get(&app, path, credential).await, (401, 1), "{credential}");
    }
}

/// R080, R168: a session and a token were kept beyond their own end.
#[actix_web::test]
async fn a_credential_is_never_kept_beyond_its_own_end() {
    let world = World::start().await;
    let app = world.app().await;
    let now = world.clock.now();
    let end = Timestamp::from_secs(now.as_secs().saturating_add(3));
    let soon = end.duration_since(now);
    for credential in ["cookie a", "token a"] {
        world.ory.session_with(credential, ("s-1", "alice"), |body| {
            body["expires_at"] = json!(end.to_rfc3339());
        });
    }
    world.ory.token_with("a", "ci-bot", |body| {
        body["exp"] = json!(end.as_secs());
    });
    for (credential, path, _) in KINDS {
        assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");
    }

    world.clock.advance(soon.saturating_sub(MILLISECOND));
    for (credential, path, _) in KINDS {
        assert_eq!(world.get(&app, path, credential).await, (200, 0), "{credential}");
    }
    world.clock.advance(MILLISECOND);
    for (credential, path, _) in KINDS {
        assert_eq!(world.get(&app, path, credential).await, (401, 1), "{credential}");
    }
}

/// D19, R107: each request with a junk credential was a call. Refusals are kept for two seconds, also where nothing else is.
#[actix_web::test]
async fn junk_is_asked_about_once_and_kept_for_the_negative_ttl() {
    for change in [kept, |_: &mut TenantConfig| {}] {
        let world = World::with(change).await;
        let app = world.app().await;
        for (credential, path, _) in KINDS {
            assert_eq!(world.get(&app, path, credential).await, (401, 1), "{credential}");
            all_known(&world.ory);

            world.clock.advance(NEGATIVE_TTL.saturating_sub(MILLISECOND));
            assert_eq!(world.get(&app, path, credential).await, (401, 0), "{credential}");
            world.clock.advance(MILLISECOND);
            assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");
            world.ory.known.lock().unwrap().clear();
        }
        assert_eq!(world.get(&app, "/feed", "cookie b").await, (200, 1));
        assert_eq!(
            world.get(&app, "/feed", "cookie b").await,
            (200, 0),
            "nobody, still"
        );
    }
}

/// D11: what Kratos calls over, or of an inactive identity, is a refusal, however it says so.
#[actix_web::test]
async fn a_session_that_is_over_is_kept_as_a_refusal() {
    let world = World::start().await;
    let app = world.app().await;
    world
        .ory
        .session_with("cookie a", ("s-1", "alice"), |body| body["active"] = json!(false));
    world.ory.session_with("token a", ("s-1", "alice"), |body| {
        body["identity"]["state"] = json!("inactive");
    });
    for credential in ["cookie a", "token a"] {
        assert_eq!(world.get(&app, "/me", credential).await, (401, 1));
        assert_eq!(world.get(&app, "/me", credential).await, (401, 0));
    }
    all_known(&world.ory);
    world.clock.advance(NEGATIVE_TTL);
    for credential in ["cookie a", "token a"] {
        assert_eq!(world.get(&app, "/me", credential).await, (200, 1));
    }
}

/// R083, R168: an outage is no answer, and an answer that names nobody is none either.
#[actix_web::test]
async fn an_outage_is_never_kept() {
    let world = World::start().await;
    let app = world.app().await;
    for (credential, path, fresh) in KINDS {
        world.ory.is_down.store(true, SeqCst);
        assert_eq!(world.get(&app, path, credential).await, (503, 1), "{credential}");
        world.ory.is_down.store(false, SeqCst);
        all_known(&world.ory);
        assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");

        world.ory.is_down.store(true, SeqCst);
        assert_eq!(world.get(&app, path, credential).await, (200, 0), "{credential}");
        assert_eq!(world.get(&app, fresh, credential).await, (503, 1), "{credential}");
    }

    world.ory.is_down.store(false, SeqCst);
    world.ory.token_with("b", "", |body| {
        body.as_object_mut().unwrap().remove("sub");
        body["client_id"] = json!("");
    });
    assert_eq!(world.get(&app, "/jobs", "access b").await, (503, 1));
    assert_eq!(world.get(&app, "/jobs", "access b").await, (503, 1));
}

/// Traits are the person's own to fill, and the cache limits the number of answers only.
#[actix_web::test]
async fn what_a_long_answer_tells_counts_and_is_asked_about_on_each_request() {
    let world = World::start().await;
    let app = world.app().await;
    let long = || json!({ "bio": "x".repeat(64 * 1024) });
    for credential in ["cookie a", "token a"] {
        world.ory.session_with(credential, ("s-1", "alice"), |body| {
            body["identity"]["traits"] = long();
        });
    }
    world.ory.token_with("a", "ci-bot", |body| body["ext"] = long());
    for (credential, path, _) in KINDS {
        for _ in 0..2 {
            assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");
        }
    }
}

/// D19: a thousand concurrent cold requests were as many calls. The first caller goes away, and takes nobody with it.
#[actix_web::test]
async fn a_thousand_concurrent_cold_requests_are_one_call_also_when_the_first_goes_away() {
    for change in [kept, |_: &mut TenantConfig| {}] {
        for is_known in [true, false] {
            let world = World::with(change).await;
            let app = world.app().await;
            if is_known {
                all_known(&world.ory);
            }
            for (credential, path, _) in KINDS {
                world.ory.hold(true);
                let before = world.ory.asked();
                let mut callers: Vec<_> = (0..1_000)
                    .map(|_| Box::pin(call_service(&app, request(path, credential))))
                    .collect();
                for caller in &mut callers {
                    assert!(caller.now_or_never().is_none());
                }
                drop(callers.remove(0));
                world.ory.hold(false);

                let expected = if is_known { 200 } else { 401 };
                let answers = join_all(callers).await;
                assert!(answers.iter().all(|answer| answer.status() == expected));
                assert_eq!(world.ory.asked().saturating_sub(before), 1, "{credential}");
            }
        }
    }
}

/// D21, R109: a session that was ended here was good until the cache expired.
#[actix_web::test]
async fn a_session_ended_here_is_over_at_once_under_each_of_its_credentials() {
    let world = World::start().await;
    let app = world.app().await;
    world.ory.session("cookie a", ("s-1", "alice"));
    world.ory.session("token a", ("s-1", "alice"));
    world.ory.session("cookie b", ("s-2", "alice"));
    for credential in ["cookie a", "token a", "cookie b"] {
        assert_eq!(world.get(&app, "/me", credential).await, (200, 1));
    }
    assert_eq!(world.get(&app, "/other", "cookie a").await, (200, 1));

    let sessions = world.iam.default_tenant().sessions().unwrap();
    sessions.revoke("s-1", "r-1").await.unwrap();

    for credential in ["cookie a", "token a"] {
        assert_eq!(world.get(&app, "/me", credential).await, (401, 1), "{credential}");
    }
    assert_eq!(
        world.get(&app, "/me", "cookie b").await,
        (200, 0),
        "another session"
    );
    assert_eq!(
        world.get(&app, "/other", "cookie a").await,
        (401, 1),
        "a tenant of the same Kratos"
    );
}

/// D21: a deleted identity went on for as long as its sessions were kept.
#[actix_web::test]
async fn the_sessions_of_an_identity_deleted_here_are_over_at_once() {
    let world = World::start().await;
    let app = world.app().await;
    all_known(&world.ory);
    world.ory.session("cookie b", ("s-3", "bob"));
    for credential in ["cookie a", "token a", "cookie b"] {
        assert_eq!(world.get(&app, "/me", credential).await, (200, 1));
    }

    let identities = world.iam.default_tenant().identities().unwrap();
    identities.delete("alice", "r-1").await.unwrap();

    for credential in ["cookie a", "token a"] {
        assert_eq!(world.get(&app, "/me", credential).await, (401, 1), "{credential}");
    }
    assert_eq!(world.get(&app, "/me", "cookie b").await, (200, 0));

    // Another process deletes the identity first: Kratos knows it no more.
    world.ory.forget("cookie b");
    assert_eq!(world.get(&app, "/me", "cookie b").await, (200, 0));
    identities.delete("bob", "r-2").await.unwrap_err();
    assert_eq!(world.get(&app, "/me", "cookie b").await, (401, 1));
}

/// What Kratos does not confirm has not happened: the session counts as it did.
#[actix_web::test]
async fn a_revocation_that_kratos_does_not_confirm_changes_nothing() {
    let world = World::start().await;
    let app = world.app().await;
    all_known(&world.ory);
    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 1));

    world.ory.is_down.store(true, SeqCst);
    let sessions = world.iam.default_tenant().sessions().unwrap();
    sessions.revoke("s-1", "r-1").await.unwrap_err();

    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 0));
}

/// A person who closes the page while logging out is logged out.
#[actix_web::test]
async fn a_revocation_that_is_given_up_drops_the_session_too() {
    let world = World::start().await;
    let app = world.app().await;
    all_known(&world.ory);
    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 1));
    let sessions = world.iam.default_tenant().sessions().unwrap();

    world.ory.hold(true);
    let mut revoking = Box::pin(sessions.revoke("s-1", "r-1"));
    assert!((&mut revoking).now_or_never().is_none());
    drop(revoking);
    world.ory.hold(false);

    assert_eq!(world.get(&app, "/me", "cookie a").await, (401, 1));
}

#[actix_web::test]
async fn what_is_revoked_by_name_is_asked_about_again() {
    let world = World::start().await;
    let app = world.app().await;
    let ids = [
        ("cookie a", Revocation::Session("s-1")),
        ("token a", Revocation::Session("s-2")),
        ("cookie a", Revocation::Identity("alice")),
        ("token a", Revocation::Identity("alice")),
        ("token a", Revocation::Token("a")),
        ("access a", Revocation::Token("a")),
        ("access a", Revocation::Identity("ci-bot")),
    ];
    for (credential, revocation) in ids {
        let path = if credential.starts_with("access") {
            "/jobs"
        } else {
            "/me"
        };
        all_known(&world.ory);
        world.get(&app, path, credential).await;
        for other in [
            Revocation::Session("s-9"),
            Revocation::Identity("mallory"),
            Revocation::Token("b"),
        ] {
            world.iam.revoke("default", other).unwrap();
        }
        world.ory.forget(credential);
        assert_eq!(
            world.get(&app, path, credential).await,
            (200, 0),
            "{revocation:?}"
        );

        world.iam.revoke("default", revocation).unwrap();

        assert_eq!(
            world.get(&app, path, credential).await,
            (401, 1),
            "{revocation:?}"
        );
        world.clock.advance(NEGATIVE_TTL);
    }
    world
        .iam
        .revoke("nobody", Revocation::Session("s-1"))
        .unwrap_err();
    assert!(!format!("{:?}", Revocation::Token("SECRET")).contains("SECRET"));
}

/// D20: a look-up that began before a revocation put the session back.
#[actix_web::test]
async fn a_revocation_wins_over_an_answer_under_way() {
    for (credential, path, revocation) in [
        ("cookie a", "/me", Revocation::Session("s-1")),
        ("token a", "/me", Revocation::Identity("alice")),
        ("token a", "/me", Revocation::Token("a")),
        ("access a", "/jobs", Revocation::Token("a")),
        ("access a", "/jobs", Revocation::Identity("ci-bot")),
    ] {
        let world = World::start().await;
        let app = world.app().await;
        all_known(&world.ory);
        world.ory.hold(true);
        let mut before = Box::pin(call_service(&app, request(path, credential)));
        assert!((&mut before).now_or_never().is_none());
        while world.ory.asked() == 0 {
            sleep(MILLISECOND).await;
        }

        world.ory.forget(credential);
        world.iam.revoke("default", revocation).unwrap();
        let mut after = Box::pin(call_service(&app, request(path, credential)));
        assert!((&mut after).now_or_never().is_none());
        world.ory.hold(false);

        assert_eq!(after.await.status(), 401, "{credential}: not the earlier answer");
        assert_eq!(before.await.status(), 200, "{credential}: it came before");
        assert_eq!(world.get(&app, path, credential).await.0, 401, "{credential}");
    }
}

/// R014, R080, R164
#[actix_web::test]
async fn two_tenants_never_share_an_answer() {
    let world = World::start().await;
    let app = world.app().await;
    all_known(&world.ory);

    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 1));
    assert_eq!(world.get(&app, "/other", "cookie a").await, (200, 1));
    world.ory.forget("cookie b");
    assert_eq!(world.get(&app, "/me", "cookie b").await, (401, 1));
    assert_eq!(world.get(&app, "/other", "cookie b").await, (401, 1));
}

/// R020, R080: one text is three credentials.
#[actix_web::test]
async fn a_cookie_and_tokens_of_the_same_bytes_never_share_an_answer() {
    for known in ["cookie a", "token a", "access a"] {
        let world = World::start().await;
        let app = world.app().await;
        match known.split_once(' ') {
            Some(("access", token)) => world.ory.token(token, "ci-bot"),
            _ => world.ory.session(known, ("s-1", "alice")),
        }
        for _ in 0..2 {
            for (credential, path, _) in KINDS {
                let expected = if credential == known { 200 } else { 401 };
                assert_eq!(world.get(&app, path, credential).await.0, expected, "{known}");
            }
        }
        assert_eq!(world.ory.asked(), 3);
    }
}

/// `Authorization: Bearer` and `X-Session-Token` carry the same credential.
#[actix_web::test]
async fn a_token_is_one_credential_in_either_header() {
    let world = World::start().await;
    let app = world.app().await;
    world.ory.session("token a", ("s-1", "alice"));

    assert_eq!(world.get(&app, "/me", "token a").await, (200, 1));
    assert_eq!(world.get(&app, "/me", "access a").await, (200, 0));
}

/// A requirement that is marked `fresh` is never answered from a cache, and its answer is the one that is kept.
#[actix_web::test]
async fn a_fresh_requirement_asks_about_the_credential_too() {
    let world = World::start().await;
    let app = world.app().await;
    for (credential, path, fresh) in KINDS {
        all_known(&world.ory);
        assert_eq!(world.get(&app, path, credential).await, (200, 1), "{credential}");
        assert_eq!(world.get(&app, fresh, credential).await, (200, 1), "{credential}");
        assert_eq!(world.get(&app, path, credential).await, (200, 0), "{credential}");

        world.ory.forget(credential);
        assert_eq!(world.get(&app, path, credential).await, (200, 0), "{credential}");
        assert_eq!(world.get(&app, fresh, credential).await, (401, 1), "{credential}");
        assert_eq!(world.get(&app, path, credential).await, (401, 0), "{credential}");
    }
}

/// The gate does not see a policy behind such a middleware in time, and admits the request with what is kept.
#[actix_web::test]
async fn a_fresh_requirement_that_is_announced_late_asks_anew() {
    let world = World::start().await;
    let ok = || async { HttpResponse::Ok().finish() };
    let app = init_service(
        App::new()
            .service(
                web::scope("/late")
                    .wrap(from_fn(async |request, next: Next<BoxBody>| {
                        sleep(MILLISECOND).await;
                        next.call(request).await
                    }))
                    .route(
                        "/fresh",
                        web::get()
                            .to(ok)
                            .require_fresh_permission(Permission::tuple("docs:7#view")),
                    )
                    .route("/strong", web::get().to(ok).require_aal(AssuranceLevel::Aal2)),
            )
            .wrap(world.iam.middleware()),
    )
    .await;
    world.ory.session("cookie a", ("s-1", "alice"));
    assert_eq!(world.get(&app, "/late/fresh", "cookie a").await, (200, 2));
    assert_eq!(world.get(&app, "/late/fresh", "cookie a").await, (200, 1));
    assert_eq!(world.get(&app, "/late/strong", "cookie a").await, (401, 1));

    world.ory.session_with("cookie a", ("s-1", "alice"), |body| {
        body["authenticator_assurance_level"] = json!("aal2");
    });
    assert_eq!(world.get(&app, "/late/strong", "cookie a").await, (200, 1));
    world.ory.forget("cookie a");
    assert_eq!(world.get(&app, "/late/strong", "cookie a").await, (200, 0));
    assert_eq!(world.get(&app, "/late/fresh", "cookie a").await, (401, 1));
}

/// Nothing that time changes is kept: each request decides about the answer again.
#[actix_web::test]
async fn the_age_of_a_kept_session_counts_anew_for_each_request() {
    let world = World::start().await;
    let app = world.app().await;
    world.ory.session("cookie a", ("s-1", "alice"));
    assert_eq!(world.get(&app, "/recent", "cookie a").await, (200, 1));

    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.get(&app, "/recent", "cookie a").await, (200, 0));
    world.clock.advance(MILLISECOND);
    assert_eq!(world.get(&app, "/recent", "cookie a").await, (401, 1));
    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 0));
}

/// A person who stepped up was sent to step up again until the kept session expired.
#[actix_web::test]
async fn a_step_up_counts_at_once() {
    let world = World::start().await;
    let app = world.app().await;
    world.ory.session("cookie a", ("s-1", "alice"));
    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 1));
    assert_eq!(
        world.get(&app, "/strong", "cookie a").await,
        (401, 1),
        "asked anew"
    );

    world.ory.session_with("cookie a", ("s-1", "alice"), |body| {
        body["authenticator_assurance_level"] = json!("aal2");
    });
    assert_eq!(world.get(&app, "/strong", "cookie a").await, (200, 1));
    assert_eq!(world.get(&app, "/strong", "cookie a").await, (200, 0));

    let due = json!({ "error": { "id": "session_aal2_required" } });
    world.ory.knows("token a", due);
    assert_eq!(world.get(&app, "/me", "token a").await, (401, 1));
    world.ory.session("token a", ("s-2", "alice"));
    assert_eq!(
        world.get(&app, "/me", "token a").await,
        (200, 1),
        "no refusal is kept"
    );
}

/// The same where the tenant asks for the level.
#[actix_web::test]
async fn a_session_below_the_tenants_level_is_not_kept() {
    let world = World::with(|tenant| {
        kept(tenant);
        let kratos = tenant.kratos.as_mut().unwrap();
        kratos.required_aal = AssuranceLevel::Aal2;
        kratos.login_url = Some("https://app.example/login".to_owned());
    })
    .await;
    let app = world.app().await;
    world.ory.session("cookie a", ("s-1", "alice"));
    assert_eq!(world.get(&app, "/me", "cookie a").await, (401, 1));

    world.ory.session_with("cookie a", ("s-1", "alice"), |body| {
        body["authenticator_assurance_level"] = json!("aal2");
    });
    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 1));
    assert_eq!(world.get(&app, "/me", "cookie a").await, (200, 0));
}

/// The CSRF check is about the request, not about the session.
#[actix_web::test]
async fn a_kept_session_opens_nothing_to_another_sites_page() {
    let world = World::start().await;
    let app = world.app().await;
    world.ory.session("cookie a", ("s-1", "alice"));
    let post = |site: &str| {
        TestRequest::post()
            .uri("/me")
            .insert_header(("cookie", "ory_kratos_session=a"))
            .insert_header(("sec-fetch-site", site.to_owned()))
            .to_request()
    };

    for (site, status) in [("cross-site", 403), ("same-origin", 200), ("cross-site", 403)] {
        assert_eq!(call_service(&app, post(site)).await.status(), status, "{site}");
    }
    assert_eq!(world.ory.asked(), 1);
}
