//! Keys that are accepted, and each way in which one is not.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{sync::Arc, time::Duration};

use actix_web::{
    App, HttpResponse,
    rt::time::sleep,
    test::{TestRequest, call_service, init_service, read_body_json},
    web,
};
use api_keys::{ApiKeys, KeyRow, issue};
use iam_actix::{
    AuditEvents, Client, Iam, IamConfig, Ports, RouteExt as _, audit_channel,
    authenticator::{
        Authenticator, Carrier, CrossSite, CustomCredential, LookUpError, Reply, Stated, Statement,
    },
    clock::{Clock as _, SystemClock, Timestamp},
    testing::TestWorld,
};
use iam_core::decision::Reason;
use serde_json::{Value, json};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(SystemClock::new().now().as_secs().saturating_add_signed(seconds))
}

fn key(scopes: &[&str], seconds: i64) -> (String, KeyRow) {
    let scopes = scopes.iter().map(|&scope| scope.to_owned());
    issue("ci-bot", scopes, at(seconds)).unwrap()
}

async fn started(port: impl Authenticator + 'static) -> (Iam, AuditEvents) {
    let config = IamConfig::from_toml(include_str!("../api-keys.toml")).unwrap();
    let (sink, events) = audit_channel();
    let ports = Ports::default()
        .authenticator(Arc::new(port))
        .audit_sink(Arc::new(sink));
    (Iam::builder(config).ports(ports).start().await.unwrap(), events)
}

async fn orders(client: Client) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "client": client.client_id() }))
}

macro_rules! app {
    ($iam:expr) => {
        init_service(
            App::new()
                .route("/orders", web::post().to(orders).require_scope(["orders:read"]))
                .route("/open", web::post().to(|| async { "ok" }).optional())
                .wrap($iam.middleware()),
        )
        .await
    };
}

macro_rules! send {
    ($app:expr, $path:expr, $keys:expr) => {{
        let keys: &[&str] = $keys;
        let mut request = TestRequest::post()
            .uri($path)
            .insert_header(("sec-fetch-site", "cross-site"));
        for key in keys {
            request = request.append_header(("x-api-key", *key));
        }
        call_service(&$app, request.to_request()).await
    }};
}

#[actix_web::test]
async fn a_key_of_the_table_lets_its_client_in() {
    let (key, row) = key(&["orders:read"], 60);
    let (iam, mut events) = started(ApiKeys::new([row])).await;
    let app = app!(iam);

    let response = send!(app, "/orders", &[&key]);
    assert_eq!(response.status(), 200);
    let body: Value = read_body_json(response).await;
    assert_eq!(body, json!({ "client": "ci-bot" }));
    let event = events.next().await.unwrap();
    assert_eq!(event.actor.as_deref(), Some("client:ci-bot"));
}

/// In a test's world as in production: the clock of the world ends the key.
#[actix_web::test]
async fn a_key_counts_in_a_tests_world_until_it_ends() {
    let (key, row) = key(&["orders:read"], 60);
    let config = || IamConfig::from_toml(include_str!("../api-keys.toml")).unwrap();
    assert!(TestWorld::new(config()).is_err(), "no authenticator has the name");

    let port: Arc<dyn Authenticator> = Arc::new(ApiKeys::new([row]));
    let world = TestWorld::with_authenticators(config(), [port]).unwrap();
    let iam = world.start().await.unwrap();
    let app = app!(iam);

    assert_eq!(send!(app, "/orders", &[&key]).status(), 200);
    assert_eq!(send!(app, "/orders", &[]).status(), 401);
    world.clock().advance(Duration::from_secs(120));
    assert_eq!(send!(app, "/orders", &[&key]).status(), 401);
}

#[actix_web::test]
async fn other_keys_are_refused() {
    let (good, row) = key(&["orders:read"], 60);
    let (narrow, narrow_row) = key(&[], 60);
    let (expired, expired_row) = key(&["orders:read"], -1);
    let (foreign, mut foreign_row) = key(&["orders:read"], 60);
    foreign_row.tenant = "other".to_owned();
    let (unknown, _) = key(&["orders:read"], 60);
    let changed = format!("{good}A");
    let hash = format!("ak_{}_{}", row.id, row.hash);
    let (iam, mut events) = started(ApiKeys::new([row, narrow_row, expired_row, foreign_row])).await;
    let app = app!(iam);

    for (keys, status, reason) in [
        (&[][..], 401, Reason::MissingCredential),
        (&[""], 401, Reason::Malformed),
        (&["nonsense"], 401, Reason::Malformed),
        (&["ak_"], 401, Reason::Malformed),
        (&[expired.as_str()], 401, Reason::Expired),
        (&[foreign.as_str()], 401, Reason::TenantMismatch),
        (&[unknown.as_str()], 401, Reason::TokenInactive),
        (&[hash.as_str()], 401, Reason::TokenInactive),
        (&[good.as_str(), good.as_str()], 400, Reason::AmbiguousCredential),
        (&[narrow.as_str()], 403, Reason::ScopeDeny),
    ] {
        assert_eq!(send!(app, "/orders", keys).status(), status, "{keys:?}");
        let event = events.next().await.unwrap();
        assert_eq!(event.reason, Some(reason));
    }
    assert_eq!(send!(app, "/orders", &[&changed]).status(), 401);
    // A bad key is no missing one.
    assert_eq!(send!(app, "/open", &["nonsense"]).status(), 401);
    assert_eq!(send!(app, "/open", &[]).status(), 200);
}

/// The secret is nowhere but in the key.
#[test]
fn a_row_does_not_hold_the_secret() {
    let (key, row) = key(&[], 60);
    let secret = key.splitn(3, '_').last().unwrap();

    assert!(!serde_json::to_string(&row).unwrap().contains(secret));
    assert_eq!(format!("{:?}", ApiKeys::new([row])), "ApiKeys { .. }");
    assert_ne!(key, self::key(&[], 60).0);
}

/// A table in a database that answers `answer` after `wait`.
#[derive(Debug)]
struct Database {
    wait: Duration,
    answers: bool,
}

impl Authenticator for Database {
    fn name(&self) -> &'static str {
        "api-key"
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header("X-Api-Key".to_owned())]
    }

    fn cross_site(&self) -> CrossSite {
        CrossSite::Allow
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn authenticate(&self, _: &CustomCredential<'_>, now: Timestamp) -> Reply {
        let (wait, answers) = (self.wait, self.answers);
        let until = now.saturating_add(Duration::from_secs(60));
        Reply::Later(Box::pin(async move {
            sleep(wait).await;
            let statement = Statement::client("ci-bot", "default", until).scopes(["orders:read"]);
            if answers {
                Ok(Stated::Known(statement))
            } else {
                Err(LookUpError)
            }
        }))
    }
}

/// Fails closed: a look-up that fails or hangs lets nobody in, also where nobody is required.
#[actix_web::test]
async fn a_look_up_is_awaited_up_to_its_deadline() {
    for (wait, answers, status) in [
        (Duration::ZERO, true, 200),
        (Duration::ZERO, false, 503),
        (Duration::from_secs(3600), true, 503),
    ] {
        let (iam, mut events) = started(Database { wait, answers }).await;
        let app = app!(iam);

        assert_eq!(send!(app, "/orders", &["x"]).status(), status);
        let event = events.next().await.unwrap();
        let reason = (status == 503).then_some(Reason::AuthenticatorUnavailable);
        assert_eq!(event.reason, reason);
        assert_eq!(send!(app, "/open", &["x"]).status(), status);
        if status == 503 {
            assert!(
                send!(app, "/orders", &["x"])
                    .headers()
                    .contains_key("retry-after")
            );
        }
    }
}

#[actix_web::test]
async fn a_name_without_an_authenticator_stops_the_start() {
    let config = IamConfig::from_toml(include_str!("../api-keys.toml")).unwrap();

    let err = Iam::builder(config).start().await.unwrap_err().to_string();
    assert!(
        err.contains("`tenants.default.transports`: \"custom:api-key\": no authenticator has the name"),
        "{err}"
    );
}
