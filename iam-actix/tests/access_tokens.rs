//! The test kit's access tokens: each becomes what it becomes in production, by introspection and as a JWT.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use actix_http::Request;
use actix_web::{
    App, Error, HttpResponse,
    body::BoxBody,
    dev::{Service, ServiceResponse},
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use iam_actix::{
    Iam, IamConfig, Principal, RouteExt as _, Transport,
    testing::{TestAccessToken, TestWorld, WorldError},
};
use iam_core::{decision::Reason, principal};

const INTROSPECTED: &str = r#"
    [tenants.default]
    transports = ["oauth2"]
    [tenants.default.hydra]
    admin_url = "https://hydra-admin.example"
    issuer = "https://hydra.example"
    audience = ["jobs-api"]
"#;

const JWT: &str = r#"
    [tenants.default]
    transports = ["oauth2"]
    [tenants.default.hydra]
    tokens = "jwt"
    public_url = "https://hydra.example"
    issuer = "https://hydra.example"
    audience = ["jobs-api"]
"#;

fn world(text: &str) -> TestWorld {
    TestWorld::new(IamConfig::from_toml(text).unwrap()).unwrap()
}

async fn app(iam: &Iam) -> impl Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {
    init_service(
        App::new()
            .route("/any", web::get().to(whoami))
            .route("/write", web::get().to(whoami).require_scope(["jobs:write"]))
            .wrap(iam.middleware()),
    )
    .await
}

async fn whoami(principal: Principal) -> HttpResponse {
    let kind = match principal.into_inner() {
        principal::Principal::Client(client) => format!("client {}", client.client_id()),
        principal::Principal::Identity(identity) => format!(
            "identity {} through {}",
            identity.subject(),
            identity.acting_client().unwrap_or_default()
        ),
    };
    HttpResponse::Ok().body(kind)
}

/// Sends a request with a new token, and returns the status and the reason of a refusal.
async fn asks<S>(world: &TestWorld, app: &S, path: &str, token: &TestAccessToken) -> (u16, Option<Reason>)
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    sends(world, app, path, token.header()).await
}

async fn sends<S>(world: &TestWorld, app: &S, path: &str, header: (String, String)) -> (u16, Option<Reason>)
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let request = TestRequest::with_uri(path).insert_header(header);
    let status = call_service(app, request.to_request()).await.status();
    let event = world.next_event().await.unwrap();
    (status.as_u16(), event.reason)
}

#[actix_web::test]
async fn each_kind_of_token_is_treated_as_in_production() {
    // In the order of the table: by introspection, as a JWT.
    for (index, text) in [INTROSPECTED, JWT].into_iter().enumerate() {
        let world = world(text);
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let bot = || world.access_token("ci-bot");

        for (name, token, path, expected) in [
            ("plain", bot(), "/any", [(200, None); 2]),
            ("of a person", bot().user("alice"), "/any", [(200, None); 2]),
            (
                "with the scope",
                bot().scope("jobs:read jobs:write"),
                "/write",
                [(200, None); 2],
            ),
            (
                "without the scope",
                bot().scope("jobs:read"),
                "/write",
                [(403, Some(Reason::ScopeDeny)); 2],
            ),
            (
                "for another audience",
                bot().audience(["billing-api"]),
                "/any",
                [(401, Some(Reason::AudienceMismatch)); 2],
            ),
            (
                "for none",
                bot().audience([""; 0]),
                "/any",
                [(401, Some(Reason::AudienceMismatch)); 2],
            ),
            (
                "of another tenant",
                bot().ext("tenant", "acme"),
                "/any",
                [(401, Some(Reason::TenantMismatch)); 2],
            ),
            (
                "of this tenant",
                bot().ext("tenant", "default"),
                "/any",
                [(200, None); 2],
            ),
            // Hydra calls an expired token inactive. A JWT says itself that it is expired.
            (
                "expired",
                bot().expired(),
                "/any",
                [(401, Some(Reason::TokenInactive)), (401, Some(Reason::Expired))],
            ),
            // A revoked JWT verifies until it expires.
            (
                "revoked",
                bot().revoked(),
                "/any",
                [(401, Some(Reason::TokenInactive)), (200, None)],
            ),
            // A refresh token is opaque with every strategy.
            (
                "refresh",
                bot().refresh_token(),
                "/any",
                [(401, Some(Reason::TokenInactive)), (401, Some(Reason::Malformed))],
            ),
        ] {
            assert_eq!(
                asks(&world, &app, path, &token).await,
                expected[index],
                "{name} {text}"
            );
        }
    }
}

#[actix_web::test]
async fn handlers_see_a_machine_or_the_person_behind_it() {
    for text in [INTROSPECTED, JWT] {
        let world = world(text);
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let bot = world.access_token("ci-bot");

        for (token, expected) in [
            (bot.clone(), "client ci-bot"),
            (bot.user("alice"), "identity alice through ci-bot"),
        ] {
            let request = TestRequest::with_uri("/any").insert_header(token.header());
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(read_body(response).await, expected);
        }
    }
}

#[actix_web::test]
async fn token_that_expires_or_is_revoked_later_is_refused_from_then_on() {
    let world = world(INTROSPECTED);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let bot = world.access_token("ci-bot").lifetime(Duration::from_secs(60));
    let (first, second) = (bot.token(), bot.token());
    let header = |token: &str| ("Authorization".to_owned(), format!("Bearer {token}"));

    assert_ne!(first, second);
    assert_eq!(sends(&world, &app, "/any", header(&first)).await, (200, None));
    world.revoke_access_token(&first);
    let inactive = (401, Some(Reason::TokenInactive));
    assert_eq!(sends(&world, &app, "/any", header(&first)).await, inactive);
    assert_eq!(sends(&world, &app, "/any", header(&second)).await, (200, None));
    world.clock().advance(Duration::from_secs(60));
    assert_eq!(sends(&world, &app, "/any", header(&second)).await, inactive);
    assert_eq!(world.introspections(), 4);
}

#[actix_web::test]
async fn oauth_2_server_that_is_down_is_503_until_it_is_up_again() {
    let world = world(INTROSPECTED);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let bot = world.access_token("ci-bot");
    let unavailable = (503, Some(Reason::IntrospectionUnavailable));

    world.set_hydra_down(true).unwrap();
    assert_eq!(asks(&world, &app, "/any", &bot).await, unavailable);
    world.set_hydra_down(false).unwrap();
    assert_eq!(asks(&world, &app, "/any", &bot).await, (200, None));

    let jwt = self::world(JWT);
    jwt.set_hydra_down(true).unwrap();
    let iam = jwt.start().await.unwrap();
    let app = self::app(&iam).await;
    let refused = asks(&jwt, &app, "/any", &jwt.access_token("ci-bot")).await;
    assert_eq!(refused, (503, Some(Reason::KeysUnavailable)));
}

#[actix_web::test]
async fn access_tokens_of_rfc_9068_have_the_configured_type() {
    let world = world(&format!("{JWT}\n    typ = [\"at+jwt\"]"));
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;

    let token = world.access_token("ci-bot").scope("jobs:write");

    assert_eq!(asks(&world, &app, "/write", &token).await, (200, None));
}

#[test]
fn tenant_without_an_oauth_2_server_has_no_access_tokens() {
    let world = world(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["docs-api"]
        jwks.url = "https://gateway.example/.well-known/jwks.json"
    "#,
    );

    assert_eq!(world.access_token("ci-bot").token(), "");
    assert!(world.access_token_of("nowhere", "ci-bot").is_none());
    assert_eq!(
        world.set_hydra_down(true),
        Err(WorldError::Hydra("default".to_owned()))
    );
    assert_eq!(world.introspections(), 0);
}

/// R020: every kind of credential on every transport of one tenant. Only the diagonal is let in.
#[actix_web::test]
async fn each_credential_passes_on_its_own_transport_only() {
    const OTHERS: &str = r#"
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["jobs-api"]
        jwks.url = "https://gateway.example/.well-known/jwks.json"
        [tenants.default.kratos]
        public_url = "https://kratos.example"
    "#;
    for text in [INTROSPECTED, JWT] {
        let all = r#"["oathkeeper", "cookie-or-bearer", "oauth2"]"#;
        let world = world(&format!("{}{OTHERS}", text.replace(r#"["oauth2"]"#, all)));
        let iam = world.start().await.unwrap();
        let on = |transport| web::get().to(whoami).transport(transport);
        let app = init_service(
            App::new()
                .route("/gateway", on(Transport::Oathkeeper))
                .route("/session", on(Transport::CookieOrBearer))
                .route("/token", on(Transport::Oauth2))
                .wrap(iam.middleware()),
        )
        .await;

        let bearer = |token: String| ("Authorization".to_owned(), format!("Bearer {token}"));
        for (kind, token) in [
            ("/gateway", world.identity("alice").token()),
            ("/gateway", world.client("ci-bot").token()),
            ("/session", world.session("alice").token_value()),
            ("/token", world.access_token("ci-bot").token()),
            ("/token", world.access_token("ci-bot").user("alice").token()),
        ] {
            for path in ["/gateway", "/session", "/token"] {
                let (status, reason) = sends(&world, &app, path, bearer(token.clone())).await;
                let expected = if path == kind { 200 } else { 401 };
                assert_eq!(status, expected, "{kind} on {path}: {reason:?}");
            }
        }
    }
}
