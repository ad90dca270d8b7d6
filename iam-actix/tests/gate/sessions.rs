//! Sessions at the gate: who is admitted, by which carrier, and what the caller sees.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    App, HttpResponse,
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use bytes::Bytes;
use iam_actix::{
    AssuranceLevel, AuditEvents, Client, Iam, Identity, Principal, RouteExt as _, ScopeExt as _, Session,
    Transport, anonymous, audit_channel, optional, require_aal, require_fresh_session, require_role,
    transport,
};
use iam_core::{
    clock::{Clock as _, SystemClock, Timestamp},
    config::{IamConfig, KratosConfig, TenantConfig},
    decision::Reason,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
};
use serde_json::{Value, json};

use crate::common::{World, assert_refusal};

const COOKIE: &str = "ory_kratos_session";

/// A Kratos behind the port: an answer for each credential, and the requests that it was sent.
#[derive(Debug, Default)]
struct Kratos {
    answers: Mutex<HashMap<String, (u16, Value)>>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Kratos {
    fn know(&self, credential: &str, change: impl FnOnce(&mut Value)) {
        let mut body = session(credential);
        change(&mut body);
        self.answer(credential, 200, body);
    }

    fn answer(&self, credential: &str, status: u16, body: Value) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(credential.to_owned(), (status, body));
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl HttpClient for Kratos {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        assert_eq!(request.uri(), "https://kratos.example/sessions/whoami");
        let credentials: Vec<_> = request
            .headers()
            .iter()
            .filter(|(name, _)| *name != "accept" && *name != "x-request-id")
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect();
        let [credential] = credentials.as_slice() else {
            panic!("one credential, and nothing else: {credentials:?}");
        };
        self.asked.lock().unwrap().push(credential.clone());

        let value = credential.1.trim_start_matches("ory_kratos_session=");
        let (status, body) = self
            .answers
            .lock()
            .unwrap()
            .get(value)
            .cloned()
            .unwrap_or_else(|| (401, json!({ "error": { "code": 401 } })));
        let answer = http::Response::builder()
            .status(status)
            .header("content-type", "application/json; charset=utf-8")
            .body(Bytes::from(body.to_string()))
            .unwrap();
        Box::pin(async { Ok(answer) })
    }
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

fn session(subject: &str) -> Value {
    json!({
        "id": format!("session-{subject}"),
        "active": true,
        "expires_at": now().saturating_add(Duration::from_secs(3600)).to_rfc3339(),
        "authenticated_at": now().saturating_sub(Duration::from_secs(60)).to_rfc3339(),
        "authenticator_assurance_level": "aal1",
        "authentication_methods": [{ "method": "password", "aal": "aal1" }],
        "identity": {
            "id": subject,
            "schema_id": "default",
            "state": "active",
            "traits": { "email": format!("{subject}@example.com") },
            "metadata_public": { "roles": ["member"] },
        },
    })
}

struct Stage {
    iam: Iam,
    kratos: Arc<Kratos>,
    events: AuditEvents,
}

impl Stage {
    async fn start(transports: &[Transport]) -> Self {
        Self::with(|tenant| tenant.transports = transports.to_vec()).await
    }

    async fn with(change: impl FnOnce(&mut TenantConfig)) -> Self {
        let kratos = Arc::new(Kratos::default());
        kratos.know("alice", |_| {});
        kratos.answer(
            "due",
            403,
            json!({ "error": { "id": "session_aal2_required" }, "redirect_browser_to": "https://kratos.example/x" }),
        );
        kratos.answer("broken", 500, json!({ "error": { "code": 500 } }));
        // Of a proxy in front of Kratos.
        kratos.answer("proxy", 401, json!({ "message": "Unauthorized" }));
        kratos.know("inactive", |body| body["active"] = json!(false));
        kratos.know("strong", |body| {
            body["authenticator_assurance_level"] = json!("aal2");
        });
        kratos.know("stale", |body| {
            body["authenticator_assurance_level"] = json!("aal2");
            body["authenticated_at"] = json!("2020-01-01T00:00:00Z");
        });

        let config = KratosConfig::new("https://kratos.example").login_url("https://app.example/login");
        let mut tenant = TenantConfig::with_sessions(config);
        change(&mut tenant);
        let (sink, events) = audit_channel();
        let iam = Iam::builder(IamConfig::new().tenant("default", tenant))
            .http_client(Arc::clone(&kratos) as Arc<_>)
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();
        Self { iam, kratos, events }
    }

    async fn reason(&mut self) -> Option<Reason> {
        let event = self.events.next().await.unwrap();
        assert_eq!(self.events.drain(), [], "one event for each request");
        event.reason
    }
}

fn who(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.subject().to_owned())
}

#[actix_web::get("/me")]
async fn me(principal: Principal) -> String {
    principal.subject().to_owned()
}

#[actix_web::post("/notes")]
async fn notes(principal: Principal) -> String {
    principal.subject().to_owned()
}

#[optional]
#[actix_web::get("/feed")]
async fn feed(principal: Option<Principal>) -> String {
    who(principal)
}

#[optional]
#[actix_web::post("/feed")]
async fn comment(principal: Option<Principal>) -> String {
    who(principal)
}

#[anonymous]
#[actix_web::get("/welcome")]
async fn welcome(principal: Option<Principal>) -> String {
    who(principal)
}

#[require_aal("aal2")]
#[require_fresh_session("15m")]
#[actix_web::delete("/account")]
async fn leave(session: Session) -> String {
    session.id().to_owned()
}

#[require_role("admin")]
#[actix_web::get("/admin")]
async fn admin() -> &'static str {
    "admin"
}

#[transport("bearer")]
#[actix_web::get("/mobile")]
async fn mobile(principal: Principal) -> String {
    principal.subject().to_owned()
}

macro_rules! stage_app {
    ($stage:expr $(, $($rest:tt)*)?) => {
        init_service(
            App::new()
                .service(me)
                .service(notes)
                .service(feed)
                .service(comment)
                .service(welcome)
                .service(leave)
                .service(admin)
                .service(mobile)
                $($($rest)*)?
                .wrap($stage.iam.middleware()),
        )
        .await
    };
}

fn cookie(value: &str) -> (&'static str, String) {
    ("cookie", format!("{COOKIE}={value}"))
}

fn bearer(value: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {value}"))
}

fn header(value: &str) -> (&'static str, String) {
    ("x-session-token", value.to_owned())
}

/// The table of the crate's documentation. D28, D29, D73: each attack row is one event, too.
#[actix_web::test]
async fn each_access_with_each_credential() {
    let mut stage = Stage::start(&[Transport::CookieOrBearer]).await;
    let app = stage_app!(stage);

    // Statuses of /me, /feed and /welcome; 0 is 200 without a principal.
    for (headers, expected) in [
        (vec![], [401, 0, 0]),
        (vec![cookie("")], [401, 0, 0]),
        (vec![cookie("alice")], [200, 200, 403]),
        (vec![bearer("alice")], [200, 200, 403]),
        (vec![header("alice")], [200, 200, 403]),
        (vec![cookie("unknown")], [401, 0, 0]),
        (vec![bearer("unknown")], [401, 0, 0]),
        (vec![cookie("inactive")], [401, 0, 0]),
        (vec![cookie("due")], [401, 401, 401]),
        (vec![cookie("broken")], [503, 503, 503]),
        (vec![cookie("proxy")], [503, 503, 503]),
        (vec![cookie("%zz")], [401, 401, 401]),
        (vec![cookie("a b")], [401, 401, 401]),
        (vec![("authorization", "Bearer a b".to_owned())], [401, 401, 401]),
        (vec![cookie("alice"), bearer("alice")], [400, 400, 400]),
        (vec![bearer("alice"), header("alice")], [400, 400, 400]),
        (vec![cookie("alice"), cookie("alice")], [400, 400, 400]),
        (vec![cookie("alice; ory_kratos_session=alice")], [400, 400, 400]),
        (vec![cookie("unknown"), bearer("alice")], [400, 400, 400]),
    ] {
        for (path, expected) in ["/me", "/feed", "/welcome"].into_iter().zip(expected) {
            let mut request = TestRequest::with_uri(path);
            for header in &headers {
                request = request.append_header(header.clone());
            }
            let response = call_service(&app, request.to_request()).await;
            let status = response.status().as_u16();

            if expected == 0 || expected == 200 {
                assert_eq!(status, 200, "{path} {headers:?}");
                let body = read_body(response).await;
                let principal = if expected == 0 { "nobody" } else { "alice" };
                assert_eq!(body, principal, "{path} {headers:?}");
                assert_eq!(stage.reason().await, None, "{path} {headers:?}");
            } else {
                assert_refusal(&response, expected);
                assert!(stage.reason().await.is_some(), "{path} {headers:?}");
            }
        }
    }
}

/// Requests that are refused before Kratos are not passed on to it; the others carry one credential each.
#[actix_web::test]
async fn kratos_is_asked_once_and_only_about_a_well_formed_credential() {
    let stage = Stage::start(&[Transport::CookieOrBearer]).await;
    let app = stage_app!(stage);

    send!(app, GET "/me", cookie("%zz"));
    send!(app, GET "/me", cookie("alice"), bearer("alice"));
    send!(app, GET "/me", cookie(&"a".repeat(4097)));
    assert_eq!(stage.kratos.asked(), []);

    let crowded = (
        "cookie",
        format!("a=b; {COOKIE}=alice; csrf_token_80=x; other={COOKIE}"),
    );
    assert_eq!(send!(app, GET "/me", crowded).status(), 200);
    assert_eq!(send!(app, GET "/me", bearer("alice")).status(), 200);
    assert_eq!(send!(app, GET "/me", header("alice")).status(), 200);
    assert_eq!(
        stage.kratos.asked(),
        [
            ("cookie".to_owned(), format!("{COOKIE}=alice")),
            ("x-session-token".to_owned(), "alice".to_owned()),
            ("x-session-token".to_owned(), "alice".to_owned()),
        ]
    );
}

/// Credentials of other transports are neither read nor counted.
#[actix_web::test]
async fn a_route_reads_the_carriers_of_its_own_transport() {
    let stage = Stage::start(&[Transport::Cookie, Transport::Bearer]).await;
    let app = stage_app!(stage);

    assert_eq!(send!(app, GET "/me", cookie("alice"), bearer("x")).status(), 200);
    assert_eq!(
        send!(app, GET "/mobile", bearer("alice"), cookie("x"), cookie("y")).status(),
        200
    );
    assert_refusal(&send!(app, GET "/me", bearer("alice")), 401);
    assert_refusal(&send!(app, GET "/mobile", cookie("alice")), 401);
}

/// A browser sends the cookie by itself, and a token never.
#[actix_web::test]
async fn the_csrf_check_is_on_for_the_cookie_and_off_for_tokens() {
    let mut stage = Stage::start(&[Transport::CookieOrBearer]).await;
    let app = stage_app!(stage);

    for site in ["cross-site", "same-site"] {
        let foreign = ("sec-fetch-site", site);
        for path in ["/notes", "/feed"] {
            assert_refusal(&send!(app, POST path, cookie("alice"), foreign), 403);
            assert_eq!(stage.reason().await, Some(Reason::Csrf));
        }
        for token in [bearer("alice"), header("alice")] {
            assert_eq!(send!(app, POST "/notes", token, foreign).status(), 200);
            stage.reason().await;
        }
        // A request without a good session is no other site's doing.
        assert_refusal(&send!(app, POST "/notes", cookie("unknown"), foreign), 401);
        assert_eq!(stage.reason().await, Some(Reason::SessionInactive));
        assert_eq!(send!(app, GET "/me", cookie("alice"), foreign).status(), 200);
        stage.reason().await;
    }
    for own in [("sec-fetch-site", "same-origin"), ("x-none", "")] {
        assert_eq!(send!(app, POST "/notes", cookie("alice"), own).status(), 200);
    }
}

/// R072, R111
#[actix_web::test]
async fn a_session_that_does_not_suffice_is_asked_to_step_up() {
    let mut stage = Stage::start(&[Transport::CookieOrBearer]).await;
    let app = stage_app!(stage);
    let challenge = r#"Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="900""#;

    for credential in ["alice", "stale"] {
        let response = send!(app, DELETE "/account", cookie(credential));
        assert_refusal(&response, 401);
        assert_eq!(response.headers().get("www-authenticate").unwrap(), challenge);
        let body: Value = serde_json::from_slice(&read_body(response).await).unwrap();
        assert_eq!(body["login_url"], "https://app.example/login");
        assert_eq!(stage.reason().await, Some(Reason::InsufficientLevel));
    }

    let response = send!(app, DELETE "/account", cookie("strong"));
    assert_eq!(response.status(), 200);
    assert_eq!(read_body(response).await, "session-strong");
    stage.reason().await;

    // Other refusals name no page.
    let response = send!(app, DELETE "/account", cookie("unknown"));
    let body: Value = serde_json::from_slice(&read_body(response).await).unwrap();
    assert_eq!(body.get("login_url"), None);
    assert_eq!(stage.reason().await, Some(Reason::SessionInactive));
}

/// What a session proves, a token of the gateway does not.
#[actix_web::test]
async fn a_principal_without_a_session_is_refused_where_one_is_required() {
    let mut world = World::start().await;
    let app = init_service(
        App::new()
            .service(leave)
            .route(
                "/session",
                web::get().to(async |session: Session| session.id().to_owned()),
            )
            .route(
                "/maybe",
                web::get().to(async |session: Option<Session>| format!("{}", session.is_some())),
            )
            .wrap(world.iam.middleware()),
    )
    .await;

    assert_refusal(&send!(app, DELETE "/account", world.bearer()), 401);
    world.denied(Reason::InsufficientLevel).await;
    assert_refusal(&send!(app, GET "/session", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    let response = send!(app, GET "/maybe", world.bearer());
    assert_eq!(read_body(response).await, "false");
}

#[actix_web::test]
async fn the_extractor_gives_the_session_and_roles_count() {
    let stage = Stage::start(&[Transport::Cookie]).await;
    let app = stage_app!(
        stage,
        .route("/session", web::get().to(async |session: Session, user: Identity| {
            let traits: Value = session.traits().unwrap();
            HttpResponse::Ok().json(json!({
                "subject": user.subject(),
                "email": traits["email"],
                "aal": session.aal().as_str(),
                "roles": user.roles().collect::<Vec<_>>(),
                "methods": session.authentication_methods().iter().map(|it| it.method.clone()).collect::<Vec<_>>(),
            }))
        }))
        .route("/machine", web::get().to(async |client: Client| client.client_id().to_owned()))
    );

    let response = send!(app, GET "/session", cookie("alice"));
    let body: Value = serde_json::from_slice(&read_body(response).await).unwrap();
    assert_eq!(
        body,
        json!({ "subject": "alice", "email": "alice@example.com", "aal": "aal1", "roles": ["member"], "methods": ["password"] })
    );
    assert_refusal(&send!(app, GET "/admin", cookie("alice")), 403);
    assert_refusal(&send!(app, GET "/machine", cookie("alice")), 403);
}

/// A session is used many times, so a route that accepts credentials once is a mistake of the application.
#[actix_web::test]
async fn a_single_use_route_of_sessions_is_500() {
    let mut stage = Stage::start(&[Transport::Cookie]).await;
    let app = stage_app!(stage, .route("/once", web::get().to(|| async { "ok" }).single_use()));

    assert_refusal(&send!(app, GET "/once", cookie("alice")), 500);
    assert_eq!(stage.reason().await, Some(Reason::InvalidRequirement));
}

/// The methods say the same as the attributes.
#[actix_web::test]
async fn methods_of_routes_and_scopes_ask_for_levels_too() {
    let stage = Stage::start(&[Transport::Cookie]).await;
    let ok = || async { "ok" };
    let app = stage_app!(
        stage,
        .route("/level", web::get().to(ok).require_aal(AssuranceLevel::Aal2))
        .service(
            web::scope("/fresh")
                .route("/x", web::get().to(ok))
                .require_fresh_session(Duration::from_secs(30))
        )
        .route("/nobody", web::get().to(ok).anonymous())
        .service(web::scope("/closed").route("/x", web::get().to(ok).anonymous()).require_role(["member"]))
    );

    assert_refusal(&send!(app, GET "/level", cookie("alice")), 401);
    assert_eq!(send!(app, GET "/level", cookie("strong")).status(), 200);
    let response = send!(app, GET "/fresh/x", cookie("alice"));
    assert_refusal(&response, 401);
    let challenge = response
        .headers()
        .get("www-authenticate")
        .unwrap()
        .to_str()
        .unwrap();
    assert!(challenge.ends_with(r#", max_age="30""#), "{challenge}");
    assert_refusal(&send!(app, GET "/nobody", cookie("alice")), 403);
    assert_eq!(send!(app, GET "/nobody").status(), 200);
    // Nobody fulfils both.
    assert_refusal(&send!(app, GET "/closed/x"), 500);
    assert_refusal(&send!(app, GET "/closed/x", cookie("alice")), 500);
}

#[actix_web::test]
async fn the_access_map_shows_who_is_admitted_and_what_a_session_needs() {
    let stage = Stage::start(&[Transport::CookieOrBearer, Transport::Bearer]).await;
    let gate = stage.iam.clone();
    let app = move || {
        App::new()
            .service(welcome)
            .service(leave)
            .service(mobile)
            .wrap(gate.middleware())
    };
    let map = stage.iam.check(app).await.unwrap().to_string();

    for row in ["anonymous default", "protected default aal:aal2 max_age:900s"] {
        assert!(map.contains(row), "{map}");
    }
}
