//! The test kit: the gate sees exactly what a test sets in its world.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "testing/gateways.rs"]
mod gateways;
#[path = "testing/sessions.rs"]
mod sessions;

use std::{sync::Arc, time::Duration};

use actix_http::Request;
use actix_web::{
    App, Error, HttpResponse,
    body::BoxBody,
    dev::{Service, ServiceResponse},
    http::StatusCode,
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use iam_actix::{
    Iam, IamConfig, Permission, Principal, RouteExt as _, ScopeExt as _,
    clock::Clock as _,
    config::{OathkeeperConfig, TenantConfig},
    testing::{IssuerError, TestIssuer, TestPrincipal, TestWorld, WorldError},
};
use iam_core::{audit::Outcome, decision::Reason, jwt::Algorithm, principal};
use serde_json::{Value, json};

/// The usual configuration: one tenant.
const ONE: &str = r#"
    [tenants.default]
    transports = ["oathkeeper"]
    [tenants.default.oathkeeper]
    issuer = "https://gateway.example/"
    audience = ["docs-api"]
    [tenants.default.oathkeeper.jwks]
    url = "https://gateway.example/.well-known/jwks.json"
    [tenants.default.keto]
    read_url = "https://keto.example"
"#;

/// Two tenants behind one gateway. Only the tenant claim differs.
const TWO: &str = r#"
    default_tenant = "default"
    [tenants.default]
    transports = ["oathkeeper"]
    [tenants.default.oathkeeper]
    issuer = "https://gateway.example/"
    audience = ["docs-api"]
    [tenants.default.oathkeeper.jwks]
    url = "https://gateway.example/.well-known/jwks.json"

    [tenants.acme]
    transports = ["oathkeeper"]
    [tenants.acme.oathkeeper]
    issuer = "https://gateway.example/"
    audience = ["docs-api"]
    [tenants.acme.oathkeeper.jwks]
    url = "https://gateway.example/.well-known/jwks.json"
"#;

fn world(text: &str) -> TestWorld {
    TestWorld::new(IamConfig::from_toml(text).unwrap()).unwrap()
}

/// Makes the world of a configuration that replaces some text of [`ONE`].
fn world_with(changes: &[(&str, &str)]) -> TestWorld {
    let text = changes.iter().fold(ONE.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    world(&text)
}

async fn app(iam: &Iam) -> impl Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {
    init_service(App::new().configure(routes).wrap(iam.middleware())).await
}

fn routes(config: &mut web::ServiceConfig) {
    paths(config);
    config.service(web::scope("/acme").configure(paths).tenant("acme"));
}

fn paths(config: &mut web::ServiceConfig) {
    let view = || Permission::new("docs", "view", "{id}");
    config
        .route("/any", web::get().to(whoami))
        .route("/admin", web::get().to(whoami).require_role(["admin"]))
        .route("/once", web::get().to(whoami).single_use())
        .route("/read", web::get().to(whoami).require_scope(["docs:read"]))
        .route("/docs/{id}", web::get().to(whoami).require_permission(view()));
}

async fn whoami(principal: Principal) -> HttpResponse {
    let kind = match principal.into_inner() {
        principal::Principal::Client(client) => format!("client {}", client.client_id()),
        principal::Principal::Identity(identity) => format!("identity {}", identity.subject()),
    };
    HttpResponse::Ok().body(kind)
}

/// The status of a response, and the reason of a refusal.
type Answer = (StatusCode, Option<Reason>);

const ALLOWED: Answer = (StatusCode::OK, None);

const fn refused(status: StatusCode, reason: Reason) -> Answer {
    (status, Some(reason))
}

/// Sends a request, asserts that the audit event agrees with the response, and returns the answer.
async fn ask<S>(world: &TestWorld, app: &S, path: &str, header: (String, String)) -> Answer
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let request = TestRequest::with_uri(path).insert_header(header).to_request();
    let status = call_service(app, request).await.status();

    let event = world.next_event().await.unwrap();
    let is_allowed = event.outcome == Outcome::Allow;
    assert_eq!(is_allowed, status == StatusCode::OK, "{event:?}");
    (status, event.reason)
}

/// Sends a request with a new token of `principal`, as [`ask`] does.
async fn asks<S>(world: &TestWorld, app: &S, path: &str, principal: &TestPrincipal) -> Answer
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    ask(world, app, path, principal.header()).await
}

#[actix_web::test]
async fn a_token_travels_in_the_header_that_the_gateway_uses_and_as_it_is_written_there() {
    for (name, is_bearer) in [
        ("Authorization", true),
        ("authorization", true),
        ("X-Id-Token", false),
    ] {
        let header = format!("audience = [\"docs-api\"]\nheader = \"{name}\"");
        let world = world_with(&[("audience = [\"docs-api\"]", &header)]);
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let alice = world.identity("alice");
        let other = if is_bearer {
            ("X-Id-Token".to_owned(), alice.token())
        } else {
            ("Authorization".to_owned(), format!("Bearer {}", alice.token()))
        };

        let missing = ask(&world, &app, "/any", other).await;
        let (sent_in, value) = alice.header();

        assert_eq!(
            missing,
            refused(StatusCode::UNAUTHORIZED, Reason::MissingCredential)
        );
        assert_eq!(sent_in, name);
        assert_eq!(value.starts_with("Bearer "), is_bearer);
        assert_eq!(
            ask(&world, &app, "/any", (sent_in, value)).await,
            ALLOWED,
            "{name}"
        );
        assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED, "{name}");
    }
}

#[actix_web::test]
async fn a_role_stands_where_the_tenant_looks_for_it() {
    for from in [
        "metadata_public.roles",
        "metadata_public.groups",
        "metadata_public.shop.staff.groups",
    ] {
        let roles = format!("transports = [\"oathkeeper\"]\nroles_from = \"{from}\"");
        let world = world_with(&[("transports = [\"oathkeeper\"]", &roles)]);
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let denied = refused(StatusCode::FORBIDDEN, Reason::RoleDeny);
        let alice = || world.identity("alice");

        assert_eq!(asks(&world, &app, "/admin", &alice()).await, denied);
        assert_eq!(asks(&world, &app, "/admin", &alice().role("user")).await, denied);
        let replaced = alice().role("admin").claim("metadataPublic", json!({}));
        assert_eq!(asks(&world, &app, "/admin", &replaced).await, denied);
        for admin in [
            alice().role("admin"),
            alice().role("user").role("admin"),
            alice().role("admin").role("user"),
        ] {
            assert_eq!(asks(&world, &app, "/admin", &admin).await, ALLOWED, "{from}");
        }
    }
}

#[actix_web::test]
async fn two_tenants_behind_one_gateway_are_told_apart_by_the_claim() {
    let world = world(TWO);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = world.identity("alice");
    let of_acme = world.identity_of("acme", "alice").unwrap();
    let of_nobody = alice.clone().claim("tenant", Value::Null);
    let denied = refused(StatusCode::UNAUTHORIZED, Reason::TenantMismatch);

    assert!(world.identity_of("nobody", "alice").is_none());
    assert_eq!(asks(&world, &app, "/acme/any", &alice).await, denied);
    assert_eq!(asks(&world, &app, "/any", &of_acme).await, denied);
    assert_eq!(asks(&world, &app, "/any", &of_nobody).await, denied);
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    assert_eq!(asks(&world, &app, "/acme/any", &of_acme).await, ALLOWED);
    assert!(Arc::ptr_eq(
        world.issuer("default").unwrap(),
        world.issuer("acme").unwrap()
    ));
    assert!(world.issuer("nobody").is_none());
}

#[actix_web::test]
async fn tenants_with_gateways_of_their_own_take_no_tokens_of_each_other() {
    let text = TWO.replacen(
        "https://gateway.example/.well",
        "https://default.example/.well",
        1,
    );
    let world = world(&text);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    // Only the key differs from what the other tenant accepts.
    let of_acme = world
        .identity_of("acme", "alice")
        .unwrap()
        .claim("tenant", "default");
    let denied = refused(StatusCode::UNAUTHORIZED, Reason::InvalidSignature);

    assert_eq!(asks(&world, &app, "/any", &of_acme).await, denied);
    assert_eq!(
        asks(&world, &app, "/any", &world.identity("alice")).await,
        ALLOWED
    );
    let of_acme = of_acme.claim("tenant", "acme");
    assert_eq!(asks(&world, &app, "/acme/any", &of_acme).await, ALLOWED);
}

#[actix_web::test]
async fn a_gateway_signs_as_all_of_its_tenants_allow() {
    let audience = "audience = [\"docs-api\"]";
    let with = |default: &str, acme: &str| {
        let of = |algorithms: &str| format!("{audience} \n algorithms = {algorithms}");
        let text = TWO.replacen(audience, &of(default), 1);
        let (before, last) = text.rsplit_once(audience).unwrap();
        TestWorld::new(IamConfig::from_toml(&format!("{before}{}{last}", of(acme))).unwrap())
    };

    let error = with(r#"["ES256"]"#, r#"["RS256"]"#).unwrap_err();
    assert_eq!(error, WorldError::Issuer(IssuerError::Algorithm));

    for world in [
        with(r#"["ES256", "RS256"]"#, r#"["RS256"]"#),
        with(r#"["RS256"]"#, r#"["ES256", "RS256"]"#),
    ] {
        let world = world.unwrap();
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let of_acme = world.identity_of("acme", "alice").unwrap();

        assert_eq!(
            asks(&world, &app, "/any", &world.identity("alice")).await,
            ALLOWED
        );
        assert_eq!(asks(&world, &app, "/acme/any", &of_acme).await, ALLOWED);
    }
}

#[actix_web::test]
async fn a_new_key_is_known_at_once_to_all_tenants_behind_the_gateway() {
    let slower = "jwks.json\"\n refetch_interval = \"30s\"";
    let (before, last) = TWO.rsplit_once("jwks.json\"").unwrap();
    let world = world(&format!("{before}{slower}{last}"));
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = world.identity("alice");
    let of_acme = world.identity_of("acme", "alice").unwrap();
    let (before, since) = (alice.header(), world.clock().now());

    let kid = world.rotate_keys("default").unwrap();

    assert_eq!(world.clock().now().duration_since(since), Duration::from_secs(30));
    assert!(world.issuer("acme").unwrap().key_set().to_string().contains(&kid));
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    assert_eq!(asks(&world, &app, "/acme/any", &of_acme).await, ALLOWED);
    assert_eq!(
        ask(&world, &app, "/any", before).await,
        ALLOWED,
        "the keys before stay"
    );
    assert_ne!(world.rotate_keys("acme").unwrap(), kid);
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
}

#[actix_web::test]
async fn a_key_that_was_removed_verifies_until_its_grace_ends() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = world.identity("alice").lifetime(Duration::from_secs(3600));
    let issuer = world.issuer("default").unwrap();
    let old = issuer.key_set()["keys"][0]["kid"].as_str().unwrap().to_owned();
    let before = alice.header();
    world.rotate_keys("default").unwrap();
    issuer.remove_key(&old);
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED, "and fetched");

    let within = ask(&world, &app, "/any", before.clone()).await;
    world.clock().advance(Duration::from_secs(61));
    let beyond = ask(&world, &app, "/any", before).await;

    assert_eq!(within, ALLOWED);
    assert_eq!(beyond, refused(StatusCode::UNAUTHORIZED, Reason::UnknownKey));
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
}

#[actix_web::test]
async fn keys_are_fetched_when_they_are_unknown_and_not_for_each_request() {
    let world = world(ONE);
    assert_eq!(world.key_fetches(), 0);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = world.identity("alice");

    for _ in 0..3 {
        assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    }
    assert_eq!(world.key_fetches(), 1);

    world.rotate_keys("default").unwrap();
    for _ in 0..3 {
        assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    }
    assert_eq!(world.key_fetches(), 2);
}

#[test]
fn keys_that_nobody_fetches_are_not_rotated() {
    let key = TestIssuer::new().unwrap().key_set()["keys"][0].clone();
    let config = OathkeeperConfig::new("https://gateway.example/", ["docs-api"]).key(key);
    let world = TestWorld::new(IamConfig::new().tenant("default", TenantConfig::behind(config))).unwrap();
    let since = world.clock().now();

    for error in [
        world.rotate_keys("default").unwrap_err(),
        world.set_keys_down(true).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "tenant `default` fetches no keys: set `tenants.default.oathkeeper.jwks.url`"
        );
    }
    assert_eq!(world.key_fetches(), 0);
    let error = world.rotate_keys("nobody").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no tenant `nobody` is configured: set `tenants.nobody`"
    );
    assert_eq!(world.clock().now(), since);
}

#[actix_web::test]
async fn a_permission_is_granted_to_the_very_subject_and_until_it_is_revoked() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let (alice, robot) = (world.identity("alice"), world.client("robot"));
    let denied = refused(StatusCode::FORBIDDEN, Reason::PermissionDeny);

    for other in [
        "docs:7#view@\"user:bob\"",
        "docs:7#view@user:alice",
        "docs:7#view@user:alice#view",
        "docs:7#view@\"client:alice\"",
        "docs:7#edit@\"user:alice\"",
        "docs:8#view@\"user:alice\"",
        "notes:7#view@\"user:alice\"",
    ] {
        world.grant(other).unwrap();
        assert_eq!(asks(&world, &app, "/docs/7", &alice).await, denied, "{other}");
        assert_eq!(asks(&world, &app, "/docs/7", &robot).await, denied, "{other}");
    }

    let granted = "docs:7#view@\"user:alice\"";
    world.grant(granted).unwrap();
    assert_eq!(asks(&world, &app, "/docs/7", &alice).await, ALLOWED);
    assert_eq!(asks(&world, &app, "/docs/7", &robot).await, denied);
    world.revoke("docs:7#view@\"user:bob\"").unwrap();
    assert_eq!(asks(&world, &app, "/docs/7", &alice).await, ALLOWED);
    world.revoke(granted).unwrap();
    assert_eq!(asks(&world, &app, "/docs/7", &alice).await, denied);

    world.grant("docs:7#view@\"client:robot\"").unwrap();
    assert_eq!(asks(&world, &app, "/docs/7", &robot).await, ALLOWED);
    assert_eq!(asks(&world, &app, "/docs/7", &alice).await, denied);
}

/// Adds a permission server for each tenant of [`TWO`].
fn with_permissions(default: &str, acme: &str) -> String {
    format!(
        "{TWO}\n[tenants.default.keto]\nread_url = \"{default}\"\n[tenants.acme.keto]\nread_url = \"{acme}\"\n"
    )
}

#[actix_web::test]
async fn a_permission_is_granted_and_a_server_is_down_for_one_tenant() {
    let denied = refused(StatusCode::FORBIDDEN, Reason::PermissionDeny);
    let unavailable = refused(StatusCode::SERVICE_UNAVAILABLE, Reason::PermissionUnavailable);
    let granted = "docs:7#view@\"user:alice\"";

    for (default, acme) in [
        ("https://keto.example", "https://keto.example/acme"),
        ("https://keto.example/a", "https://keto.example"),
        ("https://keto.example/a", "https://keto.example/ab"),
        ("https://keto.example", "https://keto.example.evil"),
    ] {
        let world = world(&with_permissions(default, acme));
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let alice = world.identity("alice");
        let of_acme = world.identity_of("acme", "alice").unwrap();
        let answers = async || {
            (
                asks(&world, &app, "/docs/7", &alice).await,
                asks(&world, &app, "/acme/docs/7", &of_acme).await,
            )
        };

        assert_eq!(answers().await, (denied, denied), "{acme}");
        world.grant(granted).unwrap();
        assert_eq!(answers().await, (ALLOWED, denied), "{acme}");
        world.revoke_in("acme", granted).unwrap();
        assert_eq!(answers().await, (ALLOWED, denied), "{acme}");
        world.grant_in("acme", granted).unwrap();
        world.revoke(granted).unwrap();
        assert_eq!(answers().await, (denied, ALLOWED), "{acme}");
        world.grant_in("default", granted).unwrap();
        world.revoke_in("acme", granted).unwrap();
        assert_eq!(answers().await, (ALLOWED, denied), "{acme}");

        world.set_permissions_down(true).unwrap();
        assert_eq!(answers().await, (unavailable, denied), "{acme}");
        world.set_permissions_down(false).unwrap();
        assert_eq!(answers().await, (ALLOWED, denied), "{acme}");
    }
}

#[actix_web::test]
async fn tenants_of_one_permission_server_share_what_is_granted() {
    let world = world(&with_permissions("https://keto.example", "https://keto.example/"));
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let of_acme = world.identity_of("acme", "alice").unwrap();

    world.grant("docs:7#view@\"user:alice\"").unwrap();

    assert_eq!(asks(&world, &app, "/acme/docs/7", &of_acme).await, ALLOWED);
}

#[test]
fn what_cannot_be_granted_or_taken_down_says_what_to_configure() {
    let (without, with) = (world(TWO), world(ONE));
    let tuple = "docs:7#view@\"user:alice\"";
    let permissions = "tenant `default` has no permission server: set `tenants.default.keto.read_url`";
    let of_acme = "tenant `acme` has no permission server: set `tenants.acme.keto.read_url`";
    let nobody = "no tenant `nobody` is configured: set `tenants.nobody`";

    for (done, expected) in [
        (without.grant(tuple), permissions),
        (without.revoke(tuple), permissions),
        (without.set_permissions_down(true), permissions),
        (without.grant_in("acme", tuple), of_acme),
        (without.revoke_in("acme", tuple), of_acme),
        (without.grant_in("nobody", tuple), nobody),
        (with.revoke_in("nobody", tuple), nobody),
    ] {
        assert_eq!(done.unwrap_err().to_string(), expected);
    }
    for no_tuple in ["", "docs:7", "docs:7#view", "docs:7#view@"] {
        assert!(matches!(with.grant(no_tuple), Err(WorldError::Tuple(_))));
        assert!(matches!(with.revoke(no_tuple), Err(WorldError::Tuple(_))));
    }
}

#[actix_web::test]
async fn without_keys_a_request_is_503() {
    let world = world(ONE);
    world.set_keys_down(true).unwrap();
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;

    let answer = asks(&world, &app, "/any", &world.identity("alice")).await;

    let unavailable = refused(StatusCode::SERVICE_UNAVAILABLE, Reason::KeysUnavailable);
    assert_eq!(answer, unavailable);
    assert_eq!(world.key_fetches(), 0);
}

#[actix_web::test]
async fn known_keys_serve_while_the_issuer_is_down_and_new_ones_when_it_is_up_again() {
    // The base URL of the permission server is a prefix of the URL of the key set. They are different servers.
    let world = world(&with_permissions(
        "https://gateway.example",
        "https://keto.example",
    ));
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = world.identity("alice");
    let unavailable = refused(StatusCode::SERVICE_UNAVAILABLE, Reason::KeysUnavailable);
    assert_eq!(world.key_fetches(), 2, "once for each tenant");

    world.set_keys_down(true).unwrap();
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    world.rotate_keys("default").unwrap();
    assert_eq!(asks(&world, &app, "/any", &alice).await, unavailable);
    assert_eq!(world.key_fetches(), 2);

    world.set_keys_down(false).unwrap();
    world.set_permissions_down(true).unwrap();
    world.rotate_keys("default").unwrap();
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    assert_eq!(world.key_fetches(), 3);
}

/// Decodes the claims of a token without verification.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[actix_web::test]
async fn a_claim_is_set_replaced_and_taken_away() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = || world.identity("alice");

    for (name, value, reason) in [
        ("aud", json!("other-api"), Reason::AudienceMismatch),
        ("iss", json!("https://other.example/"), Reason::IssuerMismatch),
        ("tenant", json!("acme"), Reason::TenantMismatch),
        ("sub", Value::Null, Reason::Malformed),
        ("exp", Value::Null, Reason::Malformed),
        ("exp", json!(1), Reason::Expired),
    ] {
        let with = alice().claim(name, value.clone());
        let answer = asks(&world, &app, "/any", &with).await;
        assert_eq!(
            answer,
            refused(StatusCode::UNAUTHORIZED, reason),
            "{name}: {value}"
        );
    }

    let with = alice().claim("department", "sales").claim("nbf", Value::Null);
    let said = claims(&with.token());
    assert!(claims(&alice().token()).get("nbf").is_some());
    assert_eq!(asks(&world, &app, "/any", &with).await, ALLOWED);
    assert_eq!(said["department"], "sales");
    assert_eq!(said["sub"], "alice");
    assert!(said.get("iat").is_some());
    assert!(said.get("nbf").is_none());
}

#[actix_web::test]
async fn metadata_stand_in_the_claim_that_the_tenant_names() {
    let named = "audience = [\"docs-api\"]\nmetadata_claim = \"account\"";
    let world = world_with(&[("audience = [\"docs-api\"]", named)]);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let elsewhere = world
        .identity("alice")
        .claim("metadataPublic", json!({ "roles": ["admin"] }));
    let denied = refused(StatusCode::FORBIDDEN, Reason::RoleDeny);

    assert_eq!(asks(&world, &app, "/admin", &elsewhere).await, denied);
    assert_eq!(
        asks(&world, &app, "/admin", &elsewhere.role("admin")).await,
        ALLOWED
    );
}

#[actix_web::test]
async fn a_token_lives_as_long_as_it_is_told_and_as_the_clock_says() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = || world.identity("alice");
    let expired = refused(StatusCode::UNAUTHORIZED, Reason::Expired);

    let too_long = alice().lifetime(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(asks(&world, &app, "/any", &too_long).await, expired);

    // The allowed clock skew is 30 seconds.
    for (alice, secs) in [(alice(), 89), (alice().lifetime(Duration::from_secs(10)), 39)] {
        let header = alice.header();
        world.clock().advance(Duration::from_secs(secs));
        assert_eq!(ask(&world, &app, "/any", header.clone()).await, ALLOWED, "{secs}");
        world.clock().advance(Duration::from_secs(2));
        assert_eq!(ask(&world, &app, "/any", header).await, expired, "{secs}");
        assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED, "{secs}");
    }

    let early = alice().header();
    let before = world.clock().now().saturating_sub(Duration::from_secs(60));
    world.clock().set(before);
    let denied = refused(StatusCode::UNAUTHORIZED, Reason::NotYetValid);
    assert_eq!(ask(&world, &app, "/any", early).await, denied);
}

#[actix_web::test]
async fn a_scope_is_what_the_token_says() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let robot = || world.client("robot");
    let denied = refused(StatusCode::FORBIDDEN, Reason::ScopeDeny);

    assert_eq!(asks(&world, &app, "/read", &robot()).await, denied);
    assert_eq!(
        asks(&world, &app, "/read", &robot().scope("docs:write")).await,
        denied
    );
    assert_eq!(
        asks(&world, &app, "/read", &robot().role("docs:read")).await,
        denied
    );
    let both = robot().scope("docs:write docs:read");
    assert_eq!(asks(&world, &app, "/read", &both).await, ALLOWED);
}

#[actix_web::test]
async fn each_header_is_a_token_of_its_own() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let alice = world.identity("alice");
    let used = alice.header();

    assert_eq!(ask(&world, &app, "/once", used.clone()).await, ALLOWED);
    let replayed = refused(StatusCode::UNAUTHORIZED, Reason::Replay);
    assert_eq!(ask(&world, &app, "/once", used).await, replayed);
    assert_eq!(asks(&world, &app, "/once", &alice).await, ALLOWED);
    assert_ne!(alice.token(), alice.token());
}

#[actix_web::test]
async fn an_event_says_who_asked_whom_for_what() {
    let world = world(TWO);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let machine = world
        .identity_of("acme", "robot")
        .unwrap()
        .claim("client_id", "robot");

    for (path, tenant, principal, said) in [
        ("/any", "default", world.identity("alice"), "identity alice"),
        ("/any", "default", world.client("robot"), "client robot"),
        (
            "/acme/any",
            "acme",
            world.identity_of("acme", "bob").unwrap(),
            "identity bob",
        ),
        ("/acme/any", "acme", machine, "client robot"),
    ] {
        let request = TestRequest::with_uri(path).insert_header(principal.header());
        let response = call_service(&app, request.to_request()).await;
        let body = read_body(response).await;
        let event = world.next_event().await.unwrap();

        assert_eq!(body, said);
        assert_eq!(event.outcome, Outcome::Allow);
        assert_eq!(event.route.as_deref(), Some(path));
        assert_eq!(event.tenant.as_deref(), Some(tenant));
        let actor = said.replace("identity ", "user:").replace("client ", "client:");
        assert_eq!(event.actor.as_deref(), Some(actor.as_str()));
    }
}

#[actix_web::test]
async fn readiness_tells_whether_the_upstreams_answer() {
    let world = world(ONE);
    for (down, status) in [(true, StatusCode::SERVICE_UNAVAILABLE), (false, StatusCode::OK)] {
        world.set_permissions_down(down).unwrap();
        // A new `Iam` is started because readiness asks an upstream at most once in a real second.
        let iam = world.start().await.unwrap();
        let app = init_service(App::new().service(iam.health()).wrap(iam.middleware())).await;

        let ready = TestRequest::with_uri("/health/ready").to_request();

        assert_eq!(call_service(&app, ready).await.status(), status);
    }
}

#[actix_web::test]
async fn an_issuer_without_a_key_makes_no_token() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let issuer = world.issuer("default").unwrap();
    let alice = world.identity("alice");
    let first = issuer.key_set()["keys"][0]["kid"].as_str().unwrap().to_owned();

    issuer.remove_key("another");
    assert_eq!(asks(&world, &app, "/any", &alice).await, ALLOWED);
    issuer.remove_key(&first);

    assert_eq!(issuer.key_set(), json!({ "keys": [] }));
    assert_eq!(issuer.sign(&json!({})), Err(IssuerError::Key));
    assert_eq!(issuer.sign_as(&first, &json!({})), Err(IssuerError::Key));
    assert_eq!(alice.token(), "");
    let malformed = refused(StatusCode::UNAUTHORIZED, Reason::Malformed);
    assert_eq!(asks(&world, &app, "/any", &alice).await, malformed);
}

#[actix_web::test]
async fn a_token_that_names_another_key_or_none_of_ours_is_refused() {
    let world = world(ONE);
    let iam = world.start().await.unwrap();
    let app = app(&iam).await;
    let issuer = world.issuer("default").unwrap();
    let said = claims(&world.identity("alice").token());
    let bearer = |token: String| ("Authorization".to_owned(), format!("Bearer {token}"));
    let first = issuer.key_set()["keys"][0]["kid"].as_str().unwrap().to_owned();
    let second = issuer.add_key().unwrap();
    assert_ne!(first, second);
    let other = TestIssuer::signing_with(&[Algorithm::Es256]).unwrap();

    let forged = bearer(issuer.sign_as(&first, &said).unwrap());
    let invalid = refused(StatusCode::UNAUTHORIZED, Reason::InvalidSignature);
    assert_eq!(ask(&world, &app, "/any", forged).await, invalid);
    let forged = bearer(other.sign_as(&first, &said).unwrap());
    assert_eq!(ask(&world, &app, "/any", forged).await, invalid);

    world.clock().advance(Duration::from_secs(1));
    let unknown = bearer(issuer.sign_as("unknown", &said).unwrap());
    let refused = refused(StatusCode::UNAUTHORIZED, Reason::UnknownKey);
    assert_eq!(ask(&world, &app, "/any", unknown).await, refused);

    let genuine = bearer(issuer.sign(&said).unwrap());
    assert_eq!(ask(&world, &app, "/any", genuine).await, ALLOWED);
    let error = TestIssuer::signing_with(&[Algorithm::Es512]).unwrap_err();
    assert_eq!(error, IssuerError::Algorithm);
}

#[test]
fn a_configuration_with_problems_makes_no_world() {
    let error = TestWorld::new(IamConfig::new()).unwrap_err();

    assert!(matches!(error, WorldError::Config(_)), "{error}");
}
