use actix_web::test::{read_body, read_body_json};
use iam_core::audit::EventName;

use super::*;

async fn get<S, B>(app: &S, path: &str) -> ServiceResponse<B>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    call_service(app, TestRequest::get().uri(path).to_request()).await
}

#[actix_web::test]
async fn a_ready_service_says_so_to_anybody() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;

    let response = get(&app, "/health/ready").await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
    let body: Value = read_body_json(response).await;
    let expected = json!({ "status": "ready", "tenants": { "default": { "keys": "up", "keto": "up" } } });
    assert_eq!(body, expected);
    let head = TestRequest::default().method(actix_web::http::Method::HEAD);
    let head = call_service(&app, head.uri("/health/live").to_request()).await;
    assert_eq!(head.status(), 200);
}

#[actix_web::test]
async fn a_dependency_that_is_down_makes_it_unready_and_not_dead() {
    let mut stage = Stage::start_with(Switches {
        keys_down: AtomicBool::new(true),
        keto_down: AtomicBool::new(true),
        ..Switches::default()
    })
    .await;
    let app = app(&stage.iam).await;

    assert_eq!(get(&app, "/health/live").await.status(), 200);
    let response = get(&app, "/health/ready").await;

    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let body = read_body(response).await;
    let value: Value = serde_json::from_slice(&body).unwrap();
    let expected = json!({ "keys": "down", "keto": "down" });
    assert_eq!(value["tenants"]["default"], expected);
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(!text.contains("127.0.0.1") && !text.contains("secret"), "{text}");
    let mut details = Vec::new();
    while details.len() < 2 {
        let event = stage.events.next().await.unwrap();
        if event.event == EventName::HealthProbeFailure {
            assert_eq!(event.tenant.as_deref(), Some("default"));
            details.extend(event.detail);
        }
    }
    assert_eq!(details, ["keys", "keto"]);
}

/// Anybody may ask, so asking costs the upstream next to nothing.
#[actix_web::test]
async fn however_often_anybody_asks_the_upstream_is_asked_once() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;

    let answers = futures_util::future::join_all((0..200).map(|_| get(&app, "/health/ready"))).await;

    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!(stage.keto.count(), 1);
}

/// Public readiness listed the names of all tenants to anyone.
#[actix_web::test]
async fn readiness_lists_no_tenant_unless_it_is_asked_to() {
    for (down, status, expected) in [(false, 200, "ready"), (true, 503, "unavailable")] {
        let stage = Stage::start_with(Switches {
            keto_down: AtomicBool::new(down),
            ..Switches::default()
        })
        .await;
        let iam = &stage.iam;
        let app = init_service(App::new().service(iam.health()).wrap(iam.middleware())).await;

        let response = get(&app, "/health/ready").await;

        assert_eq!(response.status(), status);
        let body: Value = read_body_json(response).await;
        assert_eq!(body, json!({ "status": expected }));
    }
}

/// A caller that disconnected took the answer of its probe with it, and the next caller asked anew.
#[actix_web::test]
async fn callers_that_disconnect_leave_the_answer_to_the_next_one() {
    let issuer = TestIssuer::new().unwrap();
    let key_set = issuer.key_set().to_string();
    let jwks = TestUpstream::start(move |_| Answer::Json(200, key_set.clone()));
    let keto = TestUpstream::always(Answer::Late(Duration::from_millis(200), 200, "{}".to_owned()));
    let iam = Iam::builder(config(&jwks.url("/jwks.json"), &keto.url("")))
        .start()
        .await
        .unwrap();
    let app = app(&iam).await;

    for _ in 0..5 {
        let abandoned = tokio::time::timeout(Duration::from_millis(20), get(&app, "/health/ready")).await;
        assert!(abandoned.is_err());
    }
    let response = get(&app, "/health/ready").await;

    assert_eq!(response.status(), 200);
    assert_eq!(keto.count(), 1);
}

#[actix_web::test]
async fn a_failed_probe_is_an_event_although_its_caller_disconnected() {
    let issuer = TestIssuer::new().unwrap();
    let key_set = issuer.key_set().to_string();
    let jwks = TestUpstream::start(move |_| Answer::Json(200, key_set.clone()));
    let keto = TestUpstream::always(Answer::Late(Duration::from_millis(100), 500, "{}".to_owned()));
    let (sink, mut events) = audit_channel();
    let iam = Iam::builder(config(&jwks.url("/jwks.json"), &keto.url("")))
        .audit_sink(Arc::new(sink))
        .start()
        .await
        .unwrap();
    let app = app(&iam).await;

    let abandoned = tokio::time::timeout(Duration::from_millis(20), get(&app, "/health/ready")).await;

    assert!(abandoned.is_err());
    let detail = loop {
        let event = events.next().await.unwrap();
        if event.event == EventName::HealthProbeFailure {
            break event.detail;
        }
    };
    assert_eq!(detail, Some("keto"));
}

#[actix_web::test]
async fn an_empty_key_set_is_not_ready() {
    let jwks = TestUpstream::always(Answer::Json(200, r#"{"keys":[]}"#.to_owned()));
    let keto = TestUpstream::always(Answer::Json(200, "{}".to_owned()));
    let iam = Iam::builder(config(&jwks.url("/jwks.json"), &keto.url("")))
        .start()
        .await
        .unwrap();
    let app = app(&iam).await;

    let response = get(&app, "/health/ready").await;

    assert_eq!(response.status(), 503);
    let body: Value = read_body_json(response).await;
    assert_eq!(
        body["tenants"]["default"],
        json!({ "keys": "empty", "keto": "up" })
    );
}

#[actix_web::test]
async fn stale_keys_are_ready_keys() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;
    Switches::set(&stage.switches.keys_down, true);
    stage.clock.advance(Duration::from_secs(700));
    while stage.jwks.count() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let body = loop {
        let response = get(&app, "/health/ready").await;
        assert_eq!(response.status(), 200);
        let body: Value = read_body_json(response).await;
        if body["tenants"]["default"]["keys"] != "up" {
            break body;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };

    assert_eq!(body["tenants"]["default"]["keys"], "stale");
}

#[actix_web::test]
async fn the_routes_can_lie_elsewhere() {
    let stage = Stage::start().await;
    let iam = &stage.iam;
    let app = init_service(
        App::new()
            .service(iam.health().at("/internal"))
            .wrap(iam.middleware()),
    )
    .await;

    assert_eq!(get(&app, "/internal/live").await.status(), 200);
    assert_eq!(get(&app, "/health/live").await.status(), 401);
}
