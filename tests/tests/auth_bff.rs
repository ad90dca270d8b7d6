//! auth-bff relays Kratos's answers to applications and browsers, and sends Kratos only what a flow needs.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use iam_actix::{IamConfig, Ports};
use ory_dev::{
    config::Vars,
    kratos::{Clock, Kratos},
};
use scenario::{
    client::{Request, Response},
    free_address,
    ory::PASSWORD,
};
use serde_json::{Value, json};

const ORIGIN: &str = "http://127.0.0.1:4455";
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// auth-bff in front of a Kratos.
struct Bff {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Bff {
    async fn start(kratos: &str) -> Self {
        let file = Path::new(EXAMPLES).join("auth-bff/auth-bff.toml");
        let mut config = auth_bff::Config::from_file(file).unwrap();
        point_at(config.iam_mut(), kratos);
        let address = free_address().unwrap();
        let server = auth_bff::run(config.listen(address), Ports::default())
            .await
            .unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, handle }
    }

    async fn send(&self, request: Request) -> Response {
        request.send(self.address).await.unwrap()
    }

    async fn flow(&self, path: &str) -> Value {
        let started = self.send(Request::get(path)).await;
        assert_eq!(started.status(), 200, "{}", started.text());
        started.json()
    }

    /// Starts a flow of a kind and submits it.
    async fn submit(&self, kind: &str, filled_in: &Value) -> Response {
        let flow = self.flow(&format!("/auth/{kind}")).await;
        let path = format!("/auth/{kind}/{}", id(&flow));
        self.send(Request::post(path, filled_in)).await
    }

    async fn register(&self, email: &str) -> Response {
        let body = json!({ "method": "password", "password": PASSWORD, "traits": { "email": email } });
        self.submit("registration", &body).await
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

fn point_at(iam: &mut IamConfig, kratos: &str) {
    for tenant in iam.tenants.values_mut() {
        kratos.clone_into(&mut tenant.kratos.as_mut().unwrap().public_url);
    }
}

fn kratos() -> (Kratos, Clock) {
    let folder = format!("{EXAMPLES}/ory-dev/config");
    let vars = Vars::new(&folder, std::env::temp_dir());
    let clock = Clock::default();
    let config = Kratos::from_files(format!("{folder}/kratos.yml").as_ref(), &vars).unwrap();
    (Kratos::start(config.ports(0, 0).clock(&clock)).unwrap(), clock)
}

async fn with_kratos() -> (Bff, Kratos, Clock) {
    let (kratos, clock) = kratos();
    let bff = Bff::start(kratos.public_url().as_str().trim_end_matches('/')).await;
    (bff, kratos, clock)
}

fn id(flow: &Value) -> String {
    flow["id"].as_str().unwrap().to_owned()
}

fn csrf(flow: &Value) -> Value {
    let nodes = flow["ui"]["nodes"].as_array().unwrap();
    let node = nodes
        .iter()
        .find(|node| node["attributes"]["name"] == "csrf_token");
    node.unwrap()["attributes"]["value"].clone()
}

fn login(email: &str, password: &str) -> Value {
    json!({ "method": "password", "identifier": email, "password": password })
}

/// Asserts that a refusal is the service's own: problem details (RFC 9457) that must not be stored.
fn assert_problem(response: &Response, status: u16) {
    assert_eq!(response.status(), status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.json()["status"], status);
}

#[actix_web::test]
async fn wrong_password_is_kratos_own_400_with_the_flow() {
    let (bff, _kratos, _) = with_kratos().await;
    bff.register("ann@example.com").await;

    let refused = bff.submit("login", &login("ann@example.com", "wrong")).await;

    assert_eq!(refused.status(), 400);
    let flow = refused.json();
    assert_eq!(flow["ui"]["messages"][0]["id"], 4_000_006);
    let action = format!("{ORIGIN}/auth/login/{}?kind=native", id(&flow));
    assert_eq!(flow["ui"]["action"], action);
    assert!(flow.get("session_token").is_none());
    bff.stop().await;
}

#[actix_web::test]
async fn native_success_carries_the_session_token_and_no_cookie() {
    let (bff, _kratos, _) = with_kratos().await;

    let registered = bff.register("ann@example.com").await;
    let logged_in = bff.submit("login", &login("ann@example.com", PASSWORD)).await;

    for answer in [registered, logged_in] {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(
            answer.json()["session_token"]
                .as_str()
                .is_some_and(|token| !token.is_empty())
        );
        assert_eq!(answer.json()["session"]["active"], true);
        assert!(!answer.cookies().contains("ory_kratos_session"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    bff.stop().await;
}

#[actix_web::test]
async fn password_that_kratos_refuses_is_400_with_the_flow() {
    let (bff, _kratos, _) = with_kratos().await;
    let body = json!({ "method": "password", "password": "short", "traits": { "email": "ann@example.com" } });

    let refused = bff.submit("registration", &body).await;

    assert_eq!(refused.status(), 400);
    let flow = refused.json();
    let action = format!("{ORIGIN}/auth/registration/{}?kind=native", id(&flow));
    assert_eq!(flow["ui"]["action"], action);
    bff.stop().await;
}

#[actix_web::test]
async fn address_that_is_taken_is_400_with_the_flow() {
    let (bff, _kratos, _) = with_kratos().await;
    assert_eq!(bff.register("ann@example.com").await.status(), 200);

    let again = bff.register("ann@example.com").await;

    assert_eq!(again.status(), 400);
    assert_eq!(again.json()["ui"]["messages"][0]["id"], 4_000_007);
    bff.stop().await;
}

#[actix_web::test]
async fn unknown_flow_is_answered_by_kratos() {
    let (bff, kratos, _) = with_kratos().await;
    for id in [
        "00000000-0000-0000-0000-000000000000",
        "x",
        "%2F..%2Fadmin",
        "a%26flow=b",
        "%FF",
    ] {
        let body = login("ann@example.com", PASSWORD);
        let direct = Request::post(
            format!("/self-service/login?flow={}", id.replace('&', "%26")),
            &body,
        );
        let direct = direct.send(kratos.public_addr()).await.unwrap();

        let relayed = bff.send(Request::post(format!("/auth/login/{id}"), &body)).await;

        assert_eq!(relayed.status() / 100, 4, "{id}: {}", relayed.text());
        if !id.contains('%') {
            assert_eq!(relayed.status(), direct.status(), "{id}");
            assert_eq!(relayed.json(), direct.json(), "{id}");
        }
        assert!(
            relayed
                .header("set-cookie")
                .is_none_or(|set| !set.contains("ory_kratos_session"))
        );
    }
    bff.stop().await;
}

#[actix_web::test]
async fn flow_id_that_is_too_long_never_reaches_kratos() {
    let bff = Bff::start("http://127.0.0.1:1").await;
    let path = format!("/auth/login/{}", "a".repeat(129));

    let refused = bff.send(Request::post(path, &login("a", "b"))).await;

    assert_problem(&refused, 400);
    bff.stop().await;
}

#[actix_web::test]
async fn flow_that_expired_is_410_with_the_one_to_use() {
    let (bff, _kratos, clock) = with_kratos().await;
    let flow = bff.flow("/auth/login").await;
    clock.advance(Duration::from_secs(11 * 60));

    let path = format!("/auth/login/{}", id(&flow));
    let refused = bff
        .send(Request::post(path, &login("ann@example.com", PASSWORD)))
        .await;

    assert_eq!(refused.status(), 410, "{}", refused.text());
    let body = refused.json();
    assert_eq!(body["error"]["id"], "self_service_flow_expired");
    assert!(
        body["use_flow_id"]
            .as_str()
            .is_some_and(|other| other != id(&flow))
    );
    bff.stop().await;
}

#[actix_web::test]
async fn return_to_outside_the_allow_list_is_refused_by_kratos() {
    let (bff, _kratos, _) = with_kratos().await;
    for kind in ["native", "browser"] {
        let evil = format!("/auth/login?kind={kind}&returnTo=https://evil.example/");

        let refused = bff.send(Request::get(evil)).await;

        assert_eq!(refused.status(), 400, "{}", refused.text());
        assert_eq!(
            refused.json()["error"]["id"],
            "self_service_flow_return_to_forbidden"
        );
    }
    bff.stop().await;
}

#[actix_web::test]
async fn return_to_on_the_allow_list_is_kept_in_the_flow() {
    let (bff, _kratos, _) = with_kratos().await;

    let flow = bff
        .flow("/auth/login?kind=browser&returnTo=http%3A%2F%2F127.0.0.1%3A4455%2Forders%3Fa%3D1%26b%3D2")
        .await;

    assert_eq!(flow["return_to"], "http://127.0.0.1:4455/orders?a=1&b=2");
    bff.stop().await;
}

#[actix_web::test]
async fn body_that_is_no_json_object_is_kratos_own_400() {
    let (bff, _kratos, _) = with_kratos().await;
    for body in [
        json!(null),
        json!([]),
        json!("text"),
        json!({}),
        json!({ "method": 7 }),
    ] {
        let refused = bff.submit("login", &body).await;

        assert_eq!(refused.status(), 400, "{body}: {}", refused.text());
        assert!(refused.json().is_object(), "{body}");
    }
    bff.stop().await;
}

#[actix_web::test]
async fn body_that_is_too_large_is_413_and_never_reaches_kratos() {
    let bff = Bff::start("http://127.0.0.1:1").await;
    let body = json!({ "password": "a".repeat(65 << 10) });

    let refused = bff.send(Request::post("/auth/login/some-flow", &body)).await;

    assert_problem(&refused, 413);
    bff.stop().await;
}

#[actix_web::test]
async fn query_that_is_not_known_is_400() {
    let bff = Bff::start("http://127.0.0.1:1").await;
    for query in [
        "kind=api",
        "kind=Browser",
        "kind=",
        "kind=native&kind=browser",
        "returnTo=/&returnTo=/",
        "return_to=/",
        "refresh=true",
    ] {
        let refused = bff.send(Request::get(format!("/auth/login?{query}"))).await;

        assert_problem(&refused, 400);
    }
    bff.stop().await;
}

#[actix_web::test]
async fn browser_logs_in_with_the_cookies_it_was_given() {
    let (bff, kratos, _) = with_kratos().await;
    bff.register("ann@example.com").await;
    let started = bff.send(Request::get("/auth/login?kind=browser")).await;
    let flow = started.json();
    let path = format!("/auth/login/{}?kind=browser", id(&flow));
    assert_eq!(flow["ui"]["action"], format!("{ORIGIN}{path}"));
    let mut form = login("ann@example.com", PASSWORD);
    form["csrf_token"] = csrf(&flow);

    let cookies = format!("theme=dark; {}", started.cookies());
    let done = bff
        .send(Request::post(path, &form).header("cookie", cookies))
        .await;

    assert_eq!(done.status(), 200, "{}", done.text());
    assert!(done.json().get("session_token").is_none());
    let who = Request::get("/sessions/whoami").header("cookie", done.cookies());
    let who = who.send(kratos.public_addr()).await.unwrap();
    assert_eq!(who.json()["identity"]["traits"]["email"], "ann@example.com");
    bff.stop().await;
}

#[actix_web::test]
async fn browser_form_without_its_csrf_cookie_or_token_is_403() {
    let (bff, _kratos, _) = with_kratos().await;
    bff.register("ann@example.com").await;
    let started = bff.send(Request::get("/auth/login?kind=browser")).await;
    let flow = started.json();
    let other = bff.send(Request::get("/auth/login?kind=browser")).await;
    let path = format!("/auth/login/{}?kind=browser", id(&flow));
    let without_token = login("ann@example.com", PASSWORD);
    let mut with_token = without_token.clone();
    with_token["csrf_token"] = csrf(&flow);

    for (form, cookies) in [
        (&with_token, String::new()),
        (&with_token, other.cookies()),
        (&without_token, started.cookies()),
    ] {
        let request = Request::post(path.clone(), form).header("cookie", cookies);

        let refused = bff.send(request).await;

        assert_eq!(refused.status(), 403, "{}", refused.text());
        assert_eq!(refused.json()["error"]["id"], "security_csrf_violation");
        assert!(!refused.cookies().contains("ory_kratos_session="));
    }
    bff.stop().await;
}

#[actix_web::test]
async fn preflight_of_the_gateways_origin_is_allowed_with_credentials() {
    let bff = Bff::start("http://127.0.0.1:1").await;

    let allowed = bff.send(preflight(ORIGIN, "POST")).await;

    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    bff.stop().await;
}

#[actix_web::test]
async fn preflight_of_another_origin_or_method_is_refused() {
    let bff = Bff::start("http://127.0.0.1:1").await;
    for (origin, method) in [
        ("https://evil.example", "POST"),
        ("null", "POST"),
        ("http://127.0.0.1:4455.evil.example", "POST"),
        ("http://127.0.0.1", "POST"),
        (ORIGIN, "DELETE"),
    ] {
        let refused = bff.send(preflight(origin, method)).await;

        assert_eq!(refused.status(), 400, "{origin} {method}");
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
    }
    bff.stop().await;
}

#[actix_web::test]
async fn answer_to_another_origin_cannot_be_read_there() {
    let (bff, _kratos, _) = with_kratos().await;

    let own = bff
        .send(Request::get("/auth/login").header("origin", ORIGIN))
        .await;
    let other = bff
        .send(Request::get("/auth/login").header("origin", "https://evil.example"))
        .await;

    assert_eq!(own.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(own.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(other.header("access-control-allow-origin"), None);
    bff.stop().await;
}

#[actix_web::test]
async fn kratos_that_is_down_is_503_and_its_address_is_nobodys_business() {
    let (bff, kratos, _) = with_kratos().await;
    let address = kratos.public_addr().to_string();
    let flow = bff.flow("/auth/login").await;
    kratos.stop().await;
    let path = format!("/auth/login/{}", id(&flow));

    for request in [
        Request::get("/auth/login"),
        Request::get("/auth/registration?kind=browser").header("origin", ORIGIN),
        Request::post(path, &login("ann@example.com", PASSWORD)),
    ] {
        let refused = bff.send(request).await;

        assert_problem(&refused, 503);
        assert!(refused.header("retry-after").is_some());
        assert!(!refused.text().contains(&address), "{}", refused.text());
    }
    bff.stop().await;
}

#[actix_web::test]
async fn answer_of_kratos_that_is_none_is_503() {
    for (status, body) in [
        (500, r#"{"error":"secret detail"}"#),
        (303, r#"{"secret detail":1}"#),
        (200, "secret detail"),
        (200, "[]"),
        (200, ""),
    ] {
        let (address, _) = recorder(status, body);
        let bff = Bff::start(&format!("http://{address}")).await;

        let refused = bff.send(Request::get("/auth/login")).await;

        assert_problem(&refused, 503);
        assert!(!refused.text().contains("secret detail"));
        bff.stop().await;
    }
}

#[actix_web::test]
async fn no_credential_of_the_application_is_forwarded() {
    let (address, seen) = recorder(200, r#"{"id":"f","ui":{"action":"x"}}"#);
    let bff = Bff::start(&format!("http://{address}")).await;
    let dressed = |path: &str| {
        Request::get(path)
            .bearer("application-secret")
            .header("cookie", "app_session=application-secret; csrf_token_1=its-own")
            .header("x-session-token", "kratos-session")
            .header("x-user", "application-secret")
            .header("x-forwarded-for", "application-secret")
    };

    bff.send(dressed("/auth/login?kind=browser")).await;
    bff.send(dressed("/auth/login")).await;

    let seen = seen.lock().unwrap().clone();
    let [browser, native] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    for headers in [browser, native] {
        assert!(!headers.contains("application-secret"), "{headers}");
        assert!(!headers.contains("authorization"), "{headers}");
    }
    assert!(browser.contains("csrf_token_1=its-own") && !browser.contains("kratos-session"));
    assert!(native.contains("kratos-session") && !native.contains("csrf_token_1"));
    bff.stop().await;
}

/// R085: an invalid request id is not forwarded; Kratos gets the id of the audit event.
#[actix_web::test]
async fn kratos_is_asked_with_the_id_of_the_request() {
    let (address, seen) = recorder(200, r#"{"id":"f","ui":{"action":"x"}}"#);
    let bff = Bff::start(&format!("http://{address}")).await;
    let start = || Request::get("/auth/login");
    let submit = || Request::post("/auth/login/f", &json!({}));

    let mut ids = Vec::new();
    for request in [
        start().header("x-request-id", "two words"),
        start()
            .header("x-request-id", "one")
            .header("x-request-id", "two"),
        start(),
        start().header("x-request-id", "trace-1"),
        submit().header("x-request-id", "trace-2"),
    ] {
        let answer = bff.send(request).await;
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }

    assert_eq!(ids[3..], ["trace-1", "trace-2"]);
    assert!(ids[..3].iter().all(|id| id.len() == 36), "{ids:?}");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), ids.len());
    for (headers, id) in seen.iter().zip(&ids) {
        assert!(
            headers.contains("x-request-id") && headers.contains(id),
            "{headers}"
        );
        assert!(!headers.contains("two"), "{headers}");
    }
    bff.stop().await;
}

#[actix_web::test]
async fn other_methods_and_paths_are_not_there() {
    let bff = Bff::start("http://127.0.0.1:1").await;

    for (request, statuses) in [
        (Request::new("DELETE", "/auth/login"), [404, 405]),
        (Request::get("/auth/login/some-flow"), [404, 405]),
        (Request::get("/auth/settings"), [404, 404]),
        // Routes outside the public scope have no policy, so they are protected.
        (Request::get("/"), [401, 401]),
        (Request::get("/authx/login"), [401, 401]),
    ] {
        let line = request.line();
        let refused = bff.send(request).await;

        assert!(
            statuses.contains(&refused.status()),
            "{line}: {}",
            refused.status()
        );
    }
    bff.stop().await;
}

fn preflight(origin: &str, method: &str) -> Request {
    Request::new("OPTIONS", "/auth/login/some-flow")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "content-type")
}

type Seen = Arc<Mutex<Vec<String>>>;

/// A stand-in for Kratos with a fixed answer, which records the received headers.
fn recorder(status: u16, body: &'static str) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let server = HttpServer::new(move || {
        let kept = Arc::clone(&kept);
        let answer = move |request: HttpRequest| {
            kept.lock().unwrap().push(format!("{:?}", request.headers()));
            let status = actix_web::http::StatusCode::from_u16(status).unwrap();
            let answer = HttpResponse::build(status)
                .content_type("application/json")
                .body(body);
            async move { answer }
        };
        App::new().default_service(web::to(answer))
    });
    let server = server
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    (address, seen)
}
