//! Hydra over real sockets: every way to fail is 503 within the deadline, and only the token goes out.

use actix_web::test::{read_body, read_body_json};
use iam_core::{decision::Reason, tenant::Transport};
use tokio::time::Instant;

use super::*;

/// A service whose tenant introspects access tokens at an upstream.
struct Introspecting {
    events: AuditEvents,
    iam: Iam,
}

impl Introspecting {
    async fn at(admin_url: &str) -> Self {
        let (sink, events) = audit_channel();
        let config = IamConfig::from_toml(&format!(
            r#"
            [tenants.default]
            transports = ["oauth2"]
            [tenants.default.hydra]
            admin_url = "{admin_url}"
            issuer = "http://127.0.0.1:4444"
            audience = ["orders-api"]
            client_id = "orders-api"
            client_secret = "s3cret"
            [tenants.default.hydra.upstream]
            timeout = "300ms"
            max_body = "4KiB"
            "#
        ));
        let iam = Iam::builder(config.unwrap())
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();
        Self { events, iam }
    }
}

fn active() -> String {
    let now = iam_core::clock::SystemClock::new().now().as_secs();
    json!({
        "active": true, "scope": "orders:read", "client_id": "ci-bot", "sub": "ci-bot", "exp": now.saturating_add(600), "iat": now,
        "nbf": now, "aud": ["orders-api"], "iss": "http://127.0.0.1:4444", "token_type": "Bearer",
        "token_use": "access_token",
    })
    .to_string()
}

fn raw(head: &str, body: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes())
}

#[actix_web::test]
async fn token_goes_out_in_the_body_with_our_own_credential() {
    let hydra = TestUpstream::start(|_| Answer::Json(200, active()));
    let mut service = Introspecting::at(&hydra.url("")).await;
    let app = app(&service.iam).await;

    assert_eq!(status(&app, "/orders", "ory_at_x.y").await, 200);

    let [request] = &hydra.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.line, "POST /admin/oauth2/introspect HTTP/1.1");
    assert_eq!(request.body, "token=ory_at_x.y");
    // RFC 7617: `orders-api:s3cret`.
    assert_eq!(
        request.header("authorization"),
        Some("Basic b3JkZXJzLWFwaTpzM2NyZXQ=")
    );
    let mut names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "date",
            "host",
            "x-request-id"
        ]
    );
    let event = service.events.next().await.unwrap();
    assert_eq!(event.actor.as_deref(), Some("client:ci-bot"));
}

/// R083, R084, R123, R157: nothing of the answer gets out, and a redirect is not followed.
#[actix_web::test]
async fn every_fault_of_hydra_is_503_within_the_deadline() {
    let elsewhere = TestUpstream::start(|_| Answer::Json(200, active()));
    let good = active();
    let length = good.len();
    let json_head = |more: &str| format!("200 OK\r\nContent-Type: application/json\r\n{more}");
    for (name, answer) in [
        ("closes", Answer::Close),
        ("hangs", Answer::Hang),
        (
            "dribbles",
            Answer::Dribble("HTTP/1.1 200 OK\r\n".repeat(4), Duration::from_millis(50)),
        ),
        (
            "is late",
            Answer::Late(Duration::from_millis(900), 200, good.clone()),
        ),
        ("is no HTTP", Answer::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec())),
        (
            "is cut short",
            raw(
                &json_head(&format!("Content-Length: {}", length.saturating_add(10))),
                &good,
            ),
        ),
        (
            "ends inside a chunk",
            raw(
                &json_head("Transfer-Encoding: chunked"),
                &format!("{:x}\r\n{}", length, good.split_at(50).0),
            ),
        ),
        (
            "is encoded",
            raw(
                &json_head(&format!("Content-Encoding: gzip\r\nContent-Length: {length}")),
                &good,
            ),
        ),
        (
            "is huge",
            Answer::Json(200, format!("{good}{}", " ".repeat(8 << 10))),
        ),
        (
            "redirects",
            raw(
                &format!(
                    "302 Found\r\nLocation: {}\r\nContent-Length: 0",
                    elsewhere.url("/x")
                ),
                "",
            ),
        ),
        (
            "answers HTML",
            raw(
                &format!("200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}"),
                &good,
            ),
        ),
        (
            "answers 500",
            Answer::Json(500, r#"{"error":"a secret of the upstream"}"#.to_owned()),
        ),
        (
            "refuses our credential",
            Answer::Json(401, r#"{"error":"a secret"}"#.to_owned()),
        ),
        (
            "answers another JSON",
            Answer::Json(200, r#"{"secret":true}"#.to_owned()),
        ),
    ] {
        let hydra = TestUpstream::always(answer);
        let mut service = Introspecting::at(&hydra.url("")).await;
        let app = app(&service.iam).await;

        let asked = Instant::now();
        let refused = call_service(&app, request("/orders", "ory_at_x.y")).await;

        assert_eq!(refused.status(), 503, "{name}");
        assert!(asked.elapsed() < Duration::from_millis(800), "{name}");
        assert_eq!(refused.headers().get("retry-after").unwrap(), "1", "{name}");
        let body = read_body(refused).await;
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{name}");
        let event = service.events.next().await.unwrap();
        assert_eq!(event.reason, Some(Reason::IntrospectionUnavailable), "{name}");
        assert!(!format!("{event:?}").contains("secret"), "{name}");
    }
    assert_eq!(elsewhere.count(), 0);
}

#[actix_web::test]
async fn readiness_asks_hydras_admin_port() {
    for (answer, status, expected) in [
        (Answer::Json(200, r#"{"status":"ok"}"#.to_owned()), 200, "up"),
        (Answer::Json(503, "{}".to_owned()), 503, "down"),
        (Answer::Close, 503, "down"),
    ] {
        let hydra = TestUpstream::always(answer);
        let service = Introspecting::at(&hydra.url("")).await;
        let app = app(&service.iam).await;

        let ready = TestRequest::get().uri("/health/ready").to_request();
        let response = call_service(&app, ready).await;

        assert_eq!(response.status(), status);
        let body: Value = read_body_json(response).await;
        assert_eq!(body["tenants"]["default"], json!({ "hydra": expected }));
        let asked = &hydra.requests()[0];
        assert_eq!(asked.line, "GET /health/ready HTTP/1.1");
        assert_eq!(asked.header("authorization"), None);
    }
}

/// Each signer has a key set, a refresh and a probe of its own.
#[actix_web::test]
async fn keys_of_hydra_are_fetched_beside_the_gateways_and_do_not_mix() {
    let (gateway, signer) = (TestIssuer::new().unwrap(), Arc::new(TestIssuer::new().unwrap()));
    let gateway_keys = gateway.key_set().to_string();
    let gateway_jwks = TestUpstream::start(move |_| Answer::Json(200, gateway_keys.clone()));
    let published = Arc::clone(&signer);
    let hydra = TestUpstream::start(move |_| Answer::Json(200, published.key_set().to_string()));
    let config = IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper", "oauth2"]
        [tenants.default.oathkeeper]
        issuer = "{ISSUER}"
        audience = ["orders-api"]
        jwks.url = "{}"
        [tenants.default.hydra]
        tokens = "jwt"
        public_url = "{}"
        issuer = "http://127.0.0.1:4444"
        audience = ["orders-api"]
        [tenants.default.hydra.jwks]
        refetch_interval = "10ms"
        "#,
        gateway_jwks.url("/jwks.json"),
        hydra.url(""),
    ));
    let iam = Iam::builder(config.unwrap()).start().await.unwrap();
    let ok = || async { HttpResponse::Ok().finish() };
    let app = init_service(
        App::new()
            .service(iam.health().with_details())
            .route("/orders", web::get().to(ok))
            .route("/jobs", web::get().to(ok).transport(Transport::Oauth2))
            .wrap(iam.middleware()),
    )
    .await;
    assert_eq!(hydra.requests()[0].line, "GET /.well-known/jwks.json HTTP/1.1");

    let clock = iam_core::clock::SystemClock::new();
    let mut access = claims(&clock);
    access["iss"] = json!("http://127.0.0.1:4444");
    access["client_id"] = json!("ci-bot");
    let of_gateway = gateway.sign(&claims(&clock)).unwrap();
    for (path, token, expected) in [
        ("/orders", of_gateway.clone(), 200),
        ("/jobs", of_gateway, 401),
        ("/jobs", signer.sign(&access).unwrap(), 200),
        ("/orders", signer.sign(&access).unwrap(), 401),
    ] {
        assert_eq!(status(&app, path, &token).await, expected, "{path}");
    }

    // A new key of Hydra is fetched from Hydra while the request waits.
    let before = gateway_jwks.count();
    signer.add_key().unwrap();
    assert_eq!(status(&app, "/jobs", &signer.sign(&access).unwrap()).await, 200);
    assert_eq!(gateway_jwks.count(), before);

    let ready = call_service(&app, TestRequest::get().uri("/health/ready").to_request()).await;
    let body: Value = read_body_json(ready).await;
    assert_eq!(
        body["tenants"]["default"],
        json!({ "keys": "up", "hydra_keys": "up" })
    );
    assert_eq!(iam.purge_keys("default").await, Ok(0));
    assert!(gateway_jwks.count() > before);
}
