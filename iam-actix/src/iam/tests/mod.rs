//! Over real sockets, with a real gate.

mod failures;
mod health;
mod keys;
mod oauth2;
mod requests;
mod sessions;
mod start;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_http::Request;
use actix_web::{
    App, Error, HttpResponse,
    body::MessageBody,
    dev::{Service, ServiceResponse},
    http::StatusCode,
    test::{TestRequest, call_service, init_service},
    web,
};
use iam_core::{
    clock::{Clock, ManualClock},
    config::IamConfig,
};
use iam_grammar::Permission;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Iam, RouteExt as _,
    audit::{AuditEvents, audit_channel},
    test_upstream::{Answer, TestUpstream},
    testing::TestIssuer,
};

/// An issuer and a permission server on sockets of their own, and what the test can turn.
struct Stage {
    clock: ManualClock,
    events: AuditEvents,
    iam: Iam,
    issuer: Arc<TestIssuer>,
    jwks: TestUpstream,
    keto: TestUpstream,
    switches: Arc<Switches>,
}

#[derive(Debug, Default)]
struct Switches {
    allow: AtomicBool,
    keto_down: AtomicBool,
    keys_down: AtomicBool,
}

impl Switches {
    fn set(switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::SeqCst);
    }
}

impl Stage {
    async fn start() -> Self {
        Self::start_with(Switches::default()).await
    }

    async fn start_with(switches: Switches) -> Self {
        let issuer = Arc::new(TestIssuer::new().unwrap());
        let switches = Arc::new(switches);
        let (published, keys_switches, keto_switches) =
            (Arc::clone(&issuer), Arc::clone(&switches), Arc::clone(&switches));
        let jwks = TestUpstream::start(move |_| {
            if keys_switches.keys_down.load(Ordering::SeqCst) {
                Answer::Close
            } else {
                Answer::Json(200, published.key_set().to_string())
            }
        });
        let keto = TestUpstream::start(move |request| {
            if keto_switches.keto_down.load(Ordering::SeqCst) {
                Answer::Json(
                    500,
                    r#"{"error":{"message":"a secret of the upstream"}}"#.to_owned(),
                )
            } else {
                answer_as_keto(&request.body, keto_switches.allow.load(Ordering::SeqCst))
            }
        });

        let clock = ManualClock::at_system_time();
        let (sink, events) = audit_channel();
        let iam = Iam::builder(config(&jwks.url("/jwks.json"), &keto.url("")))
            .clock(Arc::new(clock.clone()))
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();
        Self {
            clock,
            events,
            iam,
            issuer,
            jwks,
            keto,
            switches,
        }
    }

    fn claims(&self) -> Value {
        claims(&self.clock)
    }

    fn token(&self) -> String {
        self.issuer.sign(&self.claims()).unwrap()
    }

    fn token_with_made_up_kid(&self) -> String {
        let kid = Uuid::new_v4().to_string();
        self.issuer.sign_as(&kid, &self.claims()).unwrap()
    }

    /// Lets a second pass on the manual clock, and the threads a moment to see it.
    async fn tick(&self) {
        self.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn answer_as_keto(body: &str, allowed: bool) -> Answer {
    let Ok(asked) = serde_json::from_str::<Value>(body) else {
        return Answer::Json(200, r#"{"status":"ok"}"#.to_owned());
    };
    let count = asked["tuples"].as_array().unwrap().len();
    let results = vec![json!({ "allowed": allowed }); count];
    Answer::Json(200, json!({ "results": results }).to_string())
}

fn claims(clock: &dyn Clock) -> Value {
    let now = clock.now().as_secs();
    json!({
        "iss": ISSUER, "aud": "orders-api", "sub": "alice", "jti": Uuid::new_v4().to_string(),
        "iat": now, "nbf": now, "exp": now.saturating_add(3600),
    })
}

fn config(jwks: &str, keto: &str) -> IamConfig {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "{ISSUER}"
        audience = ["orders-api"]
        [tenants.default.oathkeeper.jwks]
        url = "{jwks}"
        timeout = "300ms"
        [tenants.default.keto]
        read_url = "{keto}"
        "#
    ))
    .unwrap()
}

async fn app(
    iam: &Iam,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody + use<>>, Error = Error> + use<> {
    let ok = || async { HttpResponse::Ok().finish() };
    init_service(
        App::new()
            .service(iam.health().with_details())
            .route("/orders", web::get().to(ok))
            .route("/pay", web::post().to(ok).single_use())
            .route(
                "/orders/{id}",
                web::get()
                    .to(ok)
                    .require_permission(Permission::new("orders", "view", "orders:{id}"))
                    .single_use(),
            )
            .wrap(iam.middleware()),
    )
    .await
}

fn request(path: &str, token: &str) -> Request {
    let method = if path == "/pay" {
        TestRequest::post()
    } else {
        TestRequest::get()
    };
    method
        .uri(path)
        .insert_header(("Authorization", format!("Bearer {token}")))
        .to_request()
}

async fn status<S, B>(app: &S, path: &str, token: &str) -> StatusCode
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    call_service(app, request(path, token)).await.status()
}

const ISSUER: &str = "https://gateway.example/";
