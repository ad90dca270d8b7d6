//! Middleware outside the gate sees refusals as normal responses; middleware inside that hides the route fails closed.

use crate::common;

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
};

use actix_cors::Cors;
use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{HeaderName, HeaderValue},
    },
    middleware::{
        Compress, Condition, DefaultHeaders, ErrorHandlerResponse, ErrorHandlers, Logger, Next,
        NormalizePath, TrailingSlash, from_fn,
    },
    test, web,
};
use iam_actix::{Client, Iam, IamConfig, RouteExt as _, ScopeExt as _};
use iam_core::{
    audit::{AuditEvent, AuditSink},
    config::{OathkeeperConfig, TenantConfig},
    decision::Reason,
    tenant::ReplayMode,
};
use serde_json::json;
use tracing::{
    Event, Id, Level, Metadata, Subscriber,
    field::Field,
    span::{Attributes, Record},
    subscriber,
};

use crate::common::{Touched, World, assert_refusal, handler};

const ORIGIN: &str = "https://app.example";

fn cors() -> Cors {
    Cors::default()
        .allowed_origin(ORIGIN)
        .allowed_methods(["GET", "POST"])
        .allow_any_header()
        .supports_credentials()
}

#[actix_web::test]
async fn cors_outside_answers_preflights_and_marks_refusals() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::post().to(handler)).wrap(cors()));

    let preflight = send!(
        app, OPTIONS "/orders",
        ("origin", ORIGIN),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization")
    );
    assert_eq!(preflight.status(), 200);
    assert_eq!(
        preflight.headers().get("access-control-allow-origin").unwrap(),
        ORIGIN
    );

    // Without this header no browser lets the application see the 401.
    let refusal = send!(app, POST "/orders", ("origin", ORIGIN));
    assert_refusal(&refusal, 401);
    assert_eq!(
        refusal.headers().get("access-control-allow-origin").unwrap(),
        ORIGIN
    );
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
}

/// Collects what goes through the `log` facade and `tracing`: nothing but lines of text.
type Lines = Arc<Mutex<Vec<String>>>;

async fn access_log<B: MessageBody>(
    lines: web::Data<Lines>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let response = next.call(request).await?;
    let request = response.request();
    let line = format!(
        "{} {} {} {:?}",
        request.method(),
        request.uri(),
        response.status().as_u16(),
        request
            .headers()
            .get("user-agent")
            .map(|agent| agent.to_str().unwrap()),
    );
    lines.lock().unwrap().push(line);
    Ok(response)
}

#[actix_web::test]
async fn a_refusal_is_a_normal_line_in_the_access_log() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let lines = Lines::default();
    let app = app!(
        world, touched,
        .app_data(web::Data::new(Lines::clone(&lines)))
        .route("/orders", web::get().to(handler))
        .route("/admin", web::get().to(handler).require_role(["admin"]))
        .wrap(from_fn(access_log))
        .wrap(Logger::default())
    );

    send!(app, GET "/orders?a=b", ("user-agent", "curl"));
    world.denied(Reason::MissingCredential).await;
    send!(app, GET "/admin", world.bearer());
    world.denied(Reason::RoleDeny).await;
    send!(app, GET "/orders", world.bearer());
    world.allowed().await;

    assert_eq!(
        *lines.lock().unwrap(),
        [
            r#"GET /orders?a=b 401 Some("curl")"#,
            "GET /admin 403 None",
            "GET /orders 200 None",
        ]
    );
}

#[actix_web::test]
async fn default_headers_and_error_handlers_outside_see_refusals() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/orders", web::get().to(handler))
        .wrap(ErrorHandlers::new().handler(StatusCode::UNAUTHORIZED, |mut response| {
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-handled"), HeaderValue::from_static("yes"));
            Ok(ErrorHandlerResponse::Response(response.map_into_left_body()))
        }))
        .wrap(DefaultHeaders::new().add(("x-default", "yes")))
    );

    let response = send!(app, GET "/orders");

    assert_refusal(&response, 401);
    assert_eq!(response.headers().get("x-handled").unwrap(), "yes");
    assert_eq!(response.headers().get("x-default").unwrap(), "yes");
    world.denied(Reason::MissingCredential).await;
}

#[actix_web::test]
async fn compression_outside_and_inside_changes_no_decision() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").wrap(Compress::default()).route("/x", web::get().to(handler).public()))
        .route("/orders", web::get().to(handler))
        .wrap(Compress::default())
    );

    assert_refusal(&send!(app, GET "/orders", ("accept-encoding", "gzip")), 401);
    world.denied(Reason::MissingCredential).await;
    let encoded = send!(app, GET "/orders", ("accept-encoding", "gzip"), world.bearer());
    assert_eq!(encoded.status(), 200);
    world.allowed().await;
    assert_eq!(send!(app, GET "/s/x", ("accept-encoding", "gzip")).status(), 200);
    world.allowed().await;
}

/// R091
#[actix_web::test]
async fn normalised_paths_are_decided_as_they_are_routed() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let outside = app!(
        world, touched,
        .route("/admin", web::get().to(handler))
        .route("/open", web::get().to(handler).public())
        .wrap(NormalizePath::new(TrailingSlash::Trim))
    );
    let inside = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/admin", web::get().to(handler))
            .route("/open", web::get().to(handler).public())
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .wrap(world.iam.middleware()),
    )
    .await;

    for path in ["//admin", "/admin/", "///admin//"] {
        assert_refusal(&send!(outside, GET path), 401);
        world.denied(Reason::MissingCredential).await;
        assert_refusal(&send!(inside, GET path), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
    assert_eq!(send!(outside, GET "//open/").status(), 200);
    world.allowed().await;
    assert_eq!(send!(inside, GET "//open/").status(), 200);
    world.allowed().await;
    assert_eq!(send!(outside, GET "//admin/", world.bearer()).status(), 200);
    world.allowed().await;
}

async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    next.call(request).await
}

#[actix_web::test]
async fn a_middleware_inside_that_hides_the_route_fails_closed() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/open", web::get().to(handler).public())
            .route("/maybe", web::get().to(handler).optional())
            .route("/role", web::get().to(handler).require_role(["admin"]))
            .route("/plain", web::get().to(handler))
            .wrap(from_fn(pass))
            .wrap(Condition::new(true, from_fn(pass)))
            .wrap(world.iam.middleware()),
    )
    .await;

    for path in ["/open", "/maybe", "/role", "/plain", "/nothing"] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();

    // The route's own policy holds all the same.
    assert_refusal(&send!(app, GET "/role", world.bearer()), 403);
    let event = world.denied(Reason::RoleDeny).await;
    assert_eq!(event.route.as_deref(), Some("/role"));
    touched.nothing();
    let admin = world.bearer_with(&json!({ "metadataPublic": { "roles": ["admin"] } }));
    assert_eq!(send!(app, GET "/role", admin).status(), 200);
    world.allowed().await;
    assert_eq!(send!(app, GET "/open", world.bearer()).status(), 200);
    assert_eq!(world.allowed().await.actor, None, "public, and known by then");
}

/// Keeps the texts of warnings.
#[derive(Clone, Debug, Default)]
struct Warnings(Lines);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            let _ = write!(text, "{field}={value:?} ");
        });
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[actix_web::test]
async fn a_hidden_policy_is_reported_once_with_its_place_and_the_remedy() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").route("/open", web::get().to(handler).public()).wrap(from_fn(pass)))
        .service(web::scope("/p").route("/open", web::get().to(handler).public()).protected())
    );

    for path in ["/s/open", "/s/open", "/p/open"] {
        send!(app, GET path, world.bearer());
    }

    let warnings = warnings.0.lock().unwrap();
    let reported: Vec<_> = warnings
        .iter()
        .filter(|text| text.contains("outside the gate"))
        .collect();
    assert_eq!(reported.len(), 1, "{warnings:?}");
    assert!(reported[0].contains("around.rs:"));
}

/// Starts with a second tenant, `acme`, with an issuer and an audience of its own.
async fn beside_acme(
    change: impl FnOnce(&mut OathkeeperConfig, &mut OathkeeperConfig),
) -> (World, common::Issuer) {
    let (issuer, acme) = (common::Issuer::new("k1"), common::Issuer::new("k2"));
    let mut default = common::tenant(&issuer);
    let mut of_acme = OathkeeperConfig::new(common::ISSUER, ["acme-api"]).key(acme.jwk());
    change(default.oathkeeper.as_mut().unwrap(), &mut of_acme);

    let config = IamConfig::new()
        .tenant("default", default)
        .tenant("acme", TenantConfig::behind(of_acme))
        .default_tenant("default");
    (World::of(issuer, config).await, acme)
}

#[actix_web::test]
async fn a_route_of_another_tenant_behind_a_hiding_middleware_is_401() {
    let (mut world, acme) = beside_acme(|_, _| ()).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/hidden").route("/acme", web::get().to(handler).tenant("acme")).wrap(from_fn(pass)))
        .service(
            // The remedy: the enclosing scope says it, outside of what hides.
            web::scope("/told")
                .route("/acme", web::get().to(handler).tenant("acme"))
                .wrap(from_fn(pass))
                .tenant("acme"),
        )
    );
    let foreign = json!({ "tenant": "acme", "aud": ["acme-api"] });
    let foreign = ("authorization", format!("Bearer {}", acme.token(&foreign)));
    let own = world.bearer_with(&json!({ "tenant": "default" }));

    assert_refusal(&send!(app, GET "/hidden/acme", foreign.clone()), 401);
    world.event().await;
    assert_refusal(&send!(app, GET "/hidden/acme", own), 401);
    world.event().await;
    touched.nothing();
    assert_eq!(send!(app, GET "/told/acme", foreign).status(), 200);
    assert_eq!(world.allowed().await.tenant.as_deref(), Some("acme"));
}

/// Each tenant's own setting counts, whoever else stands on the way.
#[actix_web::test]
async fn a_credential_that_a_closed_scope_asked_for_is_used_up_behind_it() {
    let (mut world, acme) = beside_acme(|default, acme| {
        default.replay = ReplayMode::Always;
        acme.header = "x-acme-token".to_owned();
    })
    .await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/closed")
                .route("/acme", web::get().to(handler).tenant("acme"))
                .route("/role", web::get().to(handler).tenant("acme").require_role(["admin"]))
                .route("/open", web::get().to(handler).public())
                .protected()
        )
    );
    let of_acme = || {
        let claims = json!({ "tenant": "acme", "aud": ["acme-api"], "sub": "eve" });
        ("x-acme-token", acme.token(&claims))
    };

    for (path, actor) in [("/closed/acme", "user:eve"), ("/closed/open", "user:alice")] {
        let once = world.bearer_with(&json!({ "tenant": "default" }));
        // What is refused for another reason burns nothing.
        assert_refusal(&send!(app, GET "/closed/role", once.clone(), of_acme()), 403);
        world.denied(Reason::RoleDeny).await;

        assert_eq!(send!(app, GET path, once.clone(), of_acme()).status(), 200);
        assert_eq!(world.allowed().await.actor.as_deref(), Some(actor));
        assert_refusal(&send!(app, GET path, once, of_acme()), 401);
        let event = world.denied(Reason::Replay).await;
        assert_eq!(event.actor.as_deref(), Some("user:alice"));
        assert_eq!(event.tenant.as_deref(), Some("default"));
    }
    assert_eq!(touched.handlers.load(SeqCst), 2);
}

/// R158: a credential that was used up says nothing about another tenant's, and neither does its owner.
#[actix_web::test]
async fn a_late_tenants_credential_is_claimed_and_named_for_itself() {
    let (mut world, acme) = beside_acme(|default, acme| {
        default.replay = ReplayMode::Always;
        acme.replay = ReplayMode::Always;
        acme.header = "x-acme-token".to_owned();
    })
    .await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/hidden").route("/acme", web::get().to(handler).tenant("acme")).wrap(from_fn(pass)))
    );
    let of_acme = |jti: &str| {
        let claims = json!({ "tenant": "acme", "aud": ["acme-api"], "sub": "eve", "jti": jti });
        ("x-acme-token", acme.token(&claims))
    };
    let own = |world: &World, jti: &str| world.bearer_with(&json!({ "tenant": "default", "jti": jti }));

    let first = send!(app, GET "/hidden/acme", own(&world, "a1"), of_acme("b1"));
    assert_eq!(first.status(), 200);
    assert_eq!(world.allowed().await.actor.as_deref(), Some("user:eve"));
    assert_refusal(
        &send!(app, GET "/hidden/acme", own(&world, "a2"), of_acme("b1")),
        401,
    );
    assert_eq!(world.denied(Reason::Replay).await.tenant.as_deref(), Some("acme"));

    let foreign = (
        "x-acme-token",
        acme.token(&json!({ "tenant": "default", "aud": ["acme-api"] })),
    );
    assert_refusal(&send!(app, GET "/hidden/acme", own(&world, "a3"), foreign), 401);
    let event = world.denied(Reason::TenantMismatch).await;
    assert_eq!((event.tenant.as_deref(), event.actor), (Some("acme"), None));
    assert_eq!(touched.handlers.load(SeqCst), 1);
}

/// R132: a credential that was used up before the gate knew that nobody is asked for is on record with its owner.
#[actix_web::test]
async fn a_claim_for_a_public_route_that_was_hidden_names_whose_it_was() {
    let (mut world, _) = beside_acme(|default, _| default.replay = ReplayMode::Always).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/hidden").route("/open", web::get().to(handler).public()).wrap(from_fn(pass)))
    );
    let once = world.bearer_with(&json!({ "tenant": "default" }));

    assert_eq!(send!(app, GET "/hidden/open", once.clone()).status(), 200);
    let event = world.allowed().await;
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
    assert_eq!(event.tenant.as_deref(), Some("default"));
    assert_refusal(&send!(app, GET "/hidden/open", once), 401);
    world.denied(Reason::Replay).await;
}

#[actix_web::test]
async fn a_middleware_inside_that_answers_by_itself_is_reached_by_principals_only() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let maintenance = from_fn(
        async |request: ServiceRequest, _: Next<actix_web::body::BoxBody>| {
            Ok(request.into_response(HttpResponse::ImATeapot()))
        },
    );
    let app = app!(
        world, touched,
        .service(web::scope("/s").route("/x", web::get().to(handler).public()).wrap(maintenance).require_role(["staff"]))
    );

    assert_refusal(&send!(app, GET "/s/x"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(&send!(app, GET "/s/x", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    let staff = world.bearer_with(&json!({ "metadataPublic": { "roles": ["staff"] } }));
    assert_eq!(send!(app, GET "/s/x", staff).status(), 418);
    world.allowed().await;
    touched.nothing();
}

async fn machines_only<B: MessageBody>(
    _: Client,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    next.call(request).await
}

/// R132, R133: what the caller sees and what is on record are one.
#[actix_web::test]
async fn a_refusal_that_a_middleware_inside_returns_as_its_error_is_answered_and_recorded_as_one() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/machines").route("/a", web::get().to(handler)).wrap(from_fn(machines_only)))
    );

    assert_refusal(&send!(app, GET "/machines/a", world.bearer()), 403);
    assert_eq!(
        world.denied(Reason::RoleDeny).await.actor.as_deref(),
        Some("user:alice")
    );
    touched.nothing();
    let machine = world.bearer_with(&json!({ "client_id": "nightly" }));
    assert_eq!(send!(app, GET "/machines/a", machine).status(), 200);
    world.allowed().await;
}

async fn fails() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorConflict("taken"))
}

#[actix_web::test]
async fn a_handlers_own_error_is_an_allowed_request() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/fails", web::get().to(fails))
        .route("/json", web::post().to(async |_: web::Json<u8>| "ok").require_role(["admin"]))
    );

    let response = send!(app, GET "/fails", world.bearer());
    assert_eq!(response.status(), 409);
    assert!(response.headers().contains_key("x-request-id"));
    world.allowed().await;

    // R082: what is wrong with the body is nothing that a caller without the role learns.
    let request = test::TestRequest::post()
        .uri("/json")
        .insert_header(world.bearer())
        .set_payload("no json");
    assert_refusal(&test::call_service(&app, request.to_request()).await, 403);
    world.denied(Reason::RoleDeny).await;
}

/// D82, R071, R131
#[actix_web::test]
async fn no_output_holds_anything_of_a_token() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/orders", web::get().to(handler))
        .route("/admin", web::get().to(handler).require_role(["admin"]))
    );

    for claims in [json!({}), json!({ "exp": 1 })] {
        let (name, value) = world.bearer_with(&claims);
        for path in ["/orders", "/admin"] {
            let response = send!(app, GET path, (name, value.clone()));
            let event = world.event().await;
            let seen = format!("{:?} {:?} {event:?}", response.response(), response.request());
            let body = test::read_body(response).await;

            for part in value.trim_start_matches("Bearer ").split('.').skip(1) {
                assert!(!seen.contains(part));
                assert!(!String::from_utf8_lossy(&body).contains(part));
            }
        }
    }
}

#[actix_web::test]
async fn method_and_path_of_a_refused_options_request_are_kept() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));

    let request = test::TestRequest::with_uri("/orders").method(Method::OPTIONS);
    let response = test::call_service(&app, request.to_request()).await;

    assert_refusal(&response, 401);
    assert_eq!(response.request().method(), Method::OPTIONS);
    assert_eq!(response.request().path(), "/orders");
    assert_eq!(
        world.denied(Reason::MissingCredential).await.method.as_deref(),
        Some("OPTIONS")
    );
}

/// Panics with every event.
#[derive(Debug)]
struct Broken;

impl AuditSink for Broken {
    fn emit(&self, _: &AuditEvent<'_>) {
        panic!("on purpose")
    }
}

/// D83, R137, R138
#[actix_web::test]
async fn a_sink_that_panics_changes_no_decision() {
    let issuer = common::Issuer::new("k1");
    let config = IamConfig::new().tenant("default", common::tenant(&issuer));
    let iam = Iam::builder(config)
        .audit_sink(Arc::new(Broken))
        .start()
        .await
        .unwrap();
    let app = test::init_service(
        App::new()
            .route("/orders", web::get().to(HttpResponse::Ok))
            .wrap(iam.middleware()),
    )
    .await;
    let bearer = ("authorization", format!("Bearer {}", issuer.token(&json!({}))));

    for _ in 0..3 {
        assert_eq!(send!(app, GET "/orders", bearer.clone()).status(), 200);
        assert_eq!(send!(app, GET "/orders").status(), 401);
    }
}
