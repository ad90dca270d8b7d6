//! OAuth 2 access tokens: what Hydra is asked, and what each of its answers becomes.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use iam_actix::{Permission, Principal, RouteExt as _, ScopeExt as _, Transport};
use iam_core::{
    audit::EventName,
    clock::{Clock as _, SystemClock},
    config::{HydraConfig, IamConfig, KetoConfig, OathkeeperConfig, TenantConfig},
    decision::Reason,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
    principal,
    secret::Secret,
};
use serde_json::{Value, json};
use tracing::subscriber;

use crate::common::{Issuer, Touched, Warnings, World, assert_refusal, handler, tenant};

const HYDRA: &str = "http://127.0.0.1:4444";

/// An OAuth 2 server behind the port that answers as a test tells it to, and remembers what it was asked.
#[derive(Debug, Default)]
struct Hydra {
    answer: Mutex<Option<Answer>>,
    requests: Mutex<Vec<http::Request<Bytes>>>,
}

#[derive(Clone, Debug)]
enum Answer {
    Fails(TransportError),
    Hangs,
    Responds(u16, Option<&'static str>, String),
}

const JSON: Option<&str> = Some("application/json;charset=UTF-8");

impl Hydra {
    fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    fn tells(&self, members: &Value) {
        self.set(Answer::Responds(200, JSON, members.to_string()));
    }

    fn requests(&self) -> Vec<http::Request<Bytes>> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpClient for Hydra {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        self.requests.lock().unwrap().push(request);
        match self.answer.lock().unwrap().clone() {
            Some(Answer::Fails(error)) => Box::pin(async move { Err(error) }),
            Some(Answer::Hangs) | None => Box::pin(pending()),
            Some(Answer::Responds(status, content_type, body)) => {
                let mut response = http::Response::builder().status(status);
                if let Some(content_type) = content_type {
                    response = response.header("content-type", content_type);
                }
                let response = response.body(Bytes::from(body)).unwrap();
                Box::pin(async move { Ok(response) })
            }
        }
    }
}

/// What Hydra v26.2.0 answers about a client's token (recorded), with changes; `null` removes a member.
fn active(changes: &Value) -> Value {
    let now = SystemClock::new().now().as_secs();
    let mut body = json!({
        "active": true, "scope": "jobs:read", "client_id": "ci-bot", "sub": "ci-bot", "exp": now.saturating_add(600), "iat": now,
        "nbf": now, "aud": ["orders-api"], "iss": HYDRA, "token_type": "Bearer", "token_use": "access_token",
    });
    let members = body.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    body
}

fn hydra() -> HydraConfig {
    let mut hydra = HydraConfig::new("http://127.0.0.1:4445", HYDRA, ["orders-api"]);
    hydra.admin_token = Some(Secret::new("our-own"));
    hydra.upstream.timeout = Some(Duration::from_millis(300));
    hydra
}

/// A tenant of access tokens only.
async fn world_with(change: impl FnOnce(&mut TenantConfig)) -> (World, Arc<Hydra>) {
    let mut tenant = TenantConfig::default()
        .hydra(hydra())
        .keto(KetoConfig::new("http://127.0.0.1:4466"));
    tenant.transports = vec![Transport::Oauth2];
    // Hydra changes its mind about one token from request to request.
    tenant.cache.negative_ttl = Duration::ZERO;
    change(&mut tenant);
    let server = Arc::new(Hydra::default());
    let config = IamConfig::new().tenant("default", tenant);
    let world = World::around(Arc::clone(&server) as Arc<_>, Issuer::new("k1"), config).await;
    (world, server)
}

async fn world() -> (World, Arc<Hydra>) {
    world_with(|_| {}).await
}

async fn jobs(caller: Principal) -> HttpResponse {
    let (client, user) = match caller.into_inner() {
        principal::Principal::Client(client) => (Some(client.client_id().to_owned()), None),
        principal::Principal::Identity(identity) => (
            identity.acting_client().map(str::to_owned),
            Some(identity.subject().to_owned()),
        ),
    };
    HttpResponse::Ok().json(json!({ "client": client, "user": user }))
}

const TOKEN: (&str, &str) = ("authorization", "Bearer ory_at_x.y");

/// R073, `/jobs`: a session beside the token is not looked at, and nothing of the caller but the token goes out.
#[actix_web::test]
async fn hydra_gets_the_token_our_credential_and_the_request_id_and_nothing_else() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/jobs", web::get().to(jobs)));
    hydra.tells(&active(&json!({})));

    let response = send!(
        app, GET "/jobs?access_token=query", TOKEN,
        ("cookie", "ory_kratos_session=secret; a=b"), ("x-session-token", "secret"), ("x-user", "admin"),
        ("accept-language", "de"), ("x-request-id", "request-7"), ("x-forwarded-for", "203.0.113.7")
    );

    assert_eq!(response.status(), 200);
    let [request] = &hydra.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "http://127.0.0.1:4445/admin/oauth2/introspect");
    assert_eq!(request.body(), "token=ory_at_x.y");
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            ("accept", "application/json"),
            ("authorization", "Bearer our-own"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-request-id", "request-7"),
        ]
    );
    let event = world.allowed().await;
    assert_eq!(event.actor.as_deref(), Some("client:ci-bot"));
    assert!(!format!("{event:?}").contains("ory_at"));
}

/// D32: a machine and a person through a client are told apart.
#[actix_web::test]
async fn handlers_see_the_client_and_the_person() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/jobs", web::get().to(jobs)));

    for (changes, expected, actor) in [
        (
            json!({}),
            json!({"client": "ci-bot", "user": null}),
            "client:ci-bot",
        ),
        (
            json!({"sub": null}),
            json!({"client": "ci-bot", "user": null}),
            "client:ci-bot",
        ),
        (
            json!({"sub": "alice"}),
            json!({"client": "ci-bot", "user": "alice"}),
            "user:alice",
        ),
    ] {
        hydra.tells(&active(&changes));
        let response = send!(app, GET "/jobs", TOKEN);
        let body: Value = actix_web::test::read_body_json(response).await;
        assert_eq!(body, expected);
        assert_eq!(world.allowed().await.actor.as_deref(), Some(actor));
    }
}

/// R068, R074 to R079, R083, D30, D31, D77: each fault has its status, its event and no handler.
#[actix_web::test]
async fn each_answer_that_is_not_good_is_refused_before_the_handler() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/jobs", web::post().to(handler)));
    let tells = |changes: Value| Answer::Responds(200, JSON, active(&changes).to_string());
    let now = SystemClock::new().now().as_secs();
    let good = active(&json!({})).to_string();

    for (answer, status, reason) in [
        (
            Answer::Responds(200, JSON, r#"{"active":false}"#.into()),
            401,
            Reason::TokenInactive,
        ),
        (
            Answer::Responds(200, JSON, r#"{"active":false,"sub":"admin","scope":"*"}"#.into()),
            401,
            Reason::TokenInactive,
        ),
        (
            tells(json!({"token_use": "refresh_token"})),
            401,
            Reason::TokenInactive,
        ),
        (tells(json!({"exp": now.saturating_sub(1)})), 401, Reason::Expired),
        (
            tells(json!({"nbf": now.saturating_add(60)})),
            401,
            Reason::NotYetValid,
        ),
        (
            tells(json!({"iss": "http://127.0.0.1:4445"})),
            401,
            Reason::IssuerMismatch,
        ),
        (tells(json!({"aud": []})), 401, Reason::AudienceMismatch),
        (
            tells(json!({"aud": ["billing-api"]})),
            401,
            Reason::AudienceMismatch,
        ),
        (
            tells(json!({"ext": {"tenant": "acme"}})),
            401,
            Reason::TenantMismatch,
        ),
        (
            tells(json!({"active": "true"})),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (tells(json!({"exp": null})), 503, Reason::IntrospectionUnavailable),
        (
            tells(json!({"sub": null, "client_id": null})),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(200, JSON, "{}".into()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(200, JSON, good.split_at(40).0.into()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(200, Some("text/html"), good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(200, None, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(302, JSON, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(401, JSON, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(403, JSON, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(404, JSON, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(429, JSON, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(500, JSON, good.clone()),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Responds(200, JSON, format!("{good}{}", " ".repeat(1 << 20))),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Fails(TransportError::Connect),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Fails(TransportError::Tls),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (
            Answer::Fails(TransportError::TooLarge),
            503,
            Reason::IntrospectionUnavailable,
        ),
        (Answer::Hangs, 503, Reason::IntrospectionUnavailable),
    ] {
        hydra.set(answer.clone());

        let response = send!(app, POST "/jobs", TOKEN);

        assert_eq!(response.status(), status, "{answer:?}");
        assert_refusal(&response, status);
        let challenge = response.headers().get("www-authenticate");
        let expected = (status == 401).then_some(r#"Bearer error="invalid_token""#);
        assert_eq!(challenge.map(|value| value.to_str().unwrap()), expected);
        let event = world.denied(reason).await;
        assert_eq!((event.actor, event.tenant.as_deref()), (None, Some("default")));
    }
    touched.nothing();
}

/// R081, R085, R086: what is no token leaves this process for no server.
#[actix_web::test]
async fn what_is_no_token_asks_nobody() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/jobs", web::get().to(handler)));
    hydra.tells(&active(&json!({})));

    for (headers, status, reason) in [
        (vec![], 401, Reason::MissingCredential),
        (vec!["ory_at_x.y".to_owned()], 401, Reason::MissingCredential),
        (vec!["Basic eDp5".to_owned()], 401, Reason::MissingCredential),
        (vec!["Bearer".to_owned()], 401, Reason::Malformed),
        (vec!["Bearer a b".to_owned()], 401, Reason::Malformed),
        (vec!["Bearer a\"b".to_owned()], 401, Reason::Malformed),
        (
            vec![format!("Bearer {}", "a".repeat(16_385))],
            401,
            Reason::Malformed,
        ),
        (
            vec!["Bearer a, Bearer b".to_owned()],
            400,
            Reason::AmbiguousCredential,
        ),
        (vec!["Bearer a".to_owned(); 2], 400, Reason::AmbiguousCredential),
    ] {
        let mut request = actix_web::test::TestRequest::get().uri("/jobs?access_token=ory_at_x.y");
        for value in &headers {
            request = request.append_header(("authorization", value.as_str()));
        }
        let response = actix_web::test::call_service(&app, request.to_request()).await;
        assert_refusal(&response, status);
        world.denied(reason).await;
    }
    assert!(hydra.requests().is_empty());
    touched.nothing();
}

/// Hydra tells no id of a token. The route answered 401 `invalid_token`, and clients fetched new tokens forever.
#[actix_web::test]
async fn an_introspected_token_was_called_invalid_where_a_credential_is_accepted_once() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/once", web::post().to(handler).single_use()));
    hydra.tells(&active(&json!({ "jti": "told-but-unused" })));

    let response = send!(app, POST "/once", TOKEN);

    assert_refusal(&response, 500);
    assert!(!response.headers().contains_key("www-authenticate"));
    let event = world.denied(Reason::InvalidRequirement).await;
    assert_eq!(event.detail, Some("credential_is_not_single_use"));
    touched.nothing();
}

/// R062: RFC 6750 §3.1 names what is missing. Roles and permissions stay as they are.
#[actix_web::test]
async fn missing_scope_is_named_in_the_challenge() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let view = Permission::new("jobs", "view", "{id}");
    let app = app!(
        world, touched,
        .route("/write", web::post().to(handler).require_scope(["jobs:write"]))
        .route("/role", web::get().to(handler).require_role(["admin"]))
        .route("/jobs/{id}", web::get().to(handler).require_permission(view))
        .service(
            web::scope("/both")
                .route("", web::get().to(handler).require_scope(["jobs:write", "jobs:read"]))
                .require_scope(["jobs:read"])
        )
    );
    hydra.tells(&active(&json!({})));
    let challenge = |response: &actix_web::dev::ServiceResponse| {
        let value = response.headers().get("www-authenticate").unwrap();
        value.to_str().unwrap().to_owned()
    };

    let one = send!(app, POST "/write", TOKEN).map_into_boxed_body();
    assert_refusal(&one, 403);
    assert_eq!(
        challenge(&one),
        r#"Bearer error="insufficient_scope", scope="jobs:write""#
    );
    world.denied(Reason::ScopeDeny).await;
    let both = send!(app, GET "/both", TOKEN).map_into_boxed_body();
    assert_eq!(
        challenge(&both),
        r#"Bearer error="insufficient_scope", scope="jobs:read jobs:write""#
    );
    world.denied(Reason::ScopeDeny).await;
    let role = send!(app, GET "/role", TOKEN).map_into_boxed_body();
    assert_eq!(challenge(&role), r#"Bearer error="insufficient_scope""#);
    world.denied(Reason::RoleDeny).await;
    touched.nothing();

    hydra.tells(&active(&json!({"scope": "jobs:write jobs:read"})));
    assert_eq!(send!(app, POST "/write", TOKEN).status(), 200);
    world.allowed().await;
}

/// A machine has no cookie, so no site can misuse one.
#[actix_web::test]
async fn requests_of_other_sites_are_not_refused_for_access_tokens() {
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/jobs", web::post().to(handler)));
    hydra.tells(&active(&json!({})));

    let response = send!(
        app, POST "/jobs", TOKEN, ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")
    );

    assert_eq!(response.status(), 200);
    world.allowed().await;
}

/// R079, D77: somebody has to be told.
#[actix_web::test]
async fn credential_that_hydra_refuses_is_an_alarm_and_not_the_callers_fault() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let (mut world, hydra) = world().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/jobs", web::get().to(handler)));
    hydra.set(Answer::Responds(
        401,
        JSON,
        r#"{"error":"request_unauthorized"}"#.into(),
    ));

    for _ in 0..3 {
        assert_eq!(send!(app, GET "/jobs", TOKEN).status(), 503);
        let event = world.denied(Reason::IntrospectionUnavailable).await;
        assert_eq!(event.event, EventName::AuthFailureUpstream);
        assert_eq!(event.detail, Some("upstream_refuses_credential"));
    }

    let logged = warnings.with("hydra.admin_token");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(!logged[0].contains("our-own") && !logged[0].contains("ory_at"));
}

/// R020, D33: each transport of a tenant takes its own kind of token only, and a handler's `#[optional]` treats a bad one as bad.
#[actix_web::test]
async fn gateway_and_oauth_2_transports_do_not_mix() {
    let issuer = Issuer::new("k1");
    let mut tenant = tenant(&issuer).hydra(hydra());
    tenant.transports.push(Transport::Oauth2);
    tenant.cache.negative_ttl = Duration::ZERO;
    let server = Arc::new(Hydra::default());
    let config = IamConfig::new().tenant("default", tenant);
    let mut world = World::around(Arc::clone(&server) as Arc<_>, issuer, config).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/orders", web::get().to(handler))
        .route("/jobs", web::get().to(handler).transport(Transport::Oauth2))
        .route("/feed", web::get().to(handler).optional().transport(Transport::Oauth2))
    );

    // Hydra does not know the gateway's token.
    server.tells(&json!({"active": false}));
    assert_refusal(&send!(app, GET "/jobs", world.bearer()), 401);
    world.denied(Reason::TokenInactive).await;
    assert_eq!(send!(app, GET "/orders", world.bearer()).status(), 200);
    world.allowed().await;
    assert_eq!(send!(app, GET "/feed").status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/feed", TOKEN), 401);
    world.denied(Reason::TokenInactive).await;

    server.tells(&active(&json!({})));
    assert_refusal(&send!(app, GET "/orders", TOKEN), 401);
    world.denied(Reason::Malformed).await;
    assert_eq!(send!(app, GET "/jobs", TOKEN).status(), 200);
    world.allowed().await;
}

/// R020: with JWTs, two issuers with keys of their own.
#[actix_web::test]
async fn jwt_of_the_gateway_is_no_access_token_and_an_access_token_none_of_the_gateways() {
    let (gateway, signer) = (Issuer::new("k1"), Issuer::new("h1"));
    let mut hydra = HydraConfig::jwt(HYDRA, ["orders-api"]);
    hydra.jwks.keys.push(signer.jwk());
    let mut tenant = tenant(&gateway).hydra(hydra);
    tenant.transports.push(Transport::Oauth2);
    let config = IamConfig::new().tenant("default", tenant);
    let mut world = World::of(gateway, config).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/orders", web::get().to(handler))
        .route("/jobs", web::get().to(jobs).transport(Transport::Oauth2))
    );
    let access = json!({"iss": HYDRA, "client_id": "ci-bot", "sub": "ci-bot", "scp": ["a"], "ext": {}});
    let bearer = |token: String| ("authorization", format!("Bearer {token}"));

    assert_eq!(
        send!(app, GET "/jobs", bearer(signer.token(&access))).status(),
        200
    );
    assert_eq!(world.allowed().await.actor.as_deref(), Some("client:ci-bot"));
    for (path, token, reason) in [
        ("/orders", signer.token(&access), Reason::UnknownKey),
        ("/orders", signer.token(&json!({})), Reason::UnknownKey),
        ("/jobs", world.issuer.token(&json!({})), Reason::UnknownKey),
        ("/jobs", world.issuer.token(&access), Reason::UnknownKey),
        (
            "/jobs",
            signer.token(&json!({"client_id": "ci-bot"})),
            Reason::IssuerMismatch,
        ),
        ("/jobs", signer.token(&json!({"iss": HYDRA})), Reason::Malformed),
    ] {
        assert_refusal(&send!(app, GET path, bearer(token)), 401);
        world.denied(reason).await;
    }
    touched.nothing();
}

/// `oathkeeper.replay = "always"` is about the gateway's tokens, which have an id to claim.
#[actix_web::test]
async fn access_token_is_used_again_where_each_token_of_the_gateway_counts_once() {
    let issuer = Issuer::new("k1");
    let mut gateway =
        OathkeeperConfig::new(crate::common::ISSUER, [crate::common::AUDIENCE]).key(issuer.jwk());
    gateway.replay = iam_core::config::ReplayMode::Always;
    let mut tenant = TenantConfig::behind(gateway).hydra(hydra());
    tenant.transports.push(Transport::Oauth2);
    let server = Arc::new(Hydra::default());
    let config = IamConfig::new().tenant("default", tenant);
    let mut world = World::around(Arc::clone(&server) as Arc<_>, issuer, config).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/orders", web::get().to(handler))
        .route("/jobs", web::get().to(handler).transport(Transport::Oauth2))
    );
    server.tells(&active(&json!({})));

    for _ in 0..2 {
        assert_eq!(send!(app, GET "/jobs", TOKEN).status(), 200);
        world.allowed().await;
    }
    let bearer = world.bearer();
    assert_eq!(send!(app, GET "/orders", bearer.clone()).status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/orders", bearer), 401);
    world.denied(Reason::Replay).await;
}
