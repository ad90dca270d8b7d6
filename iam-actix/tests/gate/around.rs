//! Middleware outside the gate sees refusals as normal responses; middleware inside that hides the route fails closed.

use crate::common;

use std::sync::{Arc, Mutex};

use actix_cors::Cors;
use actix_web::{
    App, FromRequest as _, HttpResponse,
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
use iam_actix::{Client, Granted, Iam, IamConfig, RouteExt as _, ScopeExt as _};
use iam_core::{
    audit::{AuditEvent, AuditSink},
    decision::Reason,
};
use serde_json::json;
use tracing::subscriber;

use crate::{
    claims::beside_acme,
    common::{Touched, Warnings, World, assert_refusal, handler},
};

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

pub(crate) async fn pass<B: MessageBody>(
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

    let reported = warnings.with("outside the gate");
    assert_eq!(reported.len(), 1, "{warnings:?}");
    assert!(reported[0].contains("around.rs:"));
}

/// The public scope around it has not let in whom the protected one refused.
#[actix_web::test]
async fn a_refusal_of_a_hidden_scope_is_on_record_as_one() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let admin = web::scope("/admin").route("/jobs", web::get().to(handler));
    let app = app!(
        world, touched,
        .service(web::scope("/api").service(admin.protected().wrap(from_fn(pass))).public())
    );

    assert_refusal(&send!(app, GET "/api/admin/jobs"), 401);
    world.denied(Reason::MissingCredential).await;
    let forged = ("authorization", "Bearer x.y.z");
    assert_refusal(&send!(app, GET "/api/admin/jobs", forged), 401);
    world.denied(Reason::Malformed).await;
    touched.nothing();
    assert_eq!(send!(app, GET "/api/admin/jobs", world.bearer()).status(), 200);
    world.allowed().await;
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
    let machine = world.bearer_with(&json!({ "sub": "nightly", "client_id": "nightly" }));
    assert_eq!(send!(app, GET "/machines/a", machine).status(), 200);
    world.allowed().await;
}

async fn machine(_: Client) -> &'static str {
    "a machine"
}

/// Throws the answer away, and answers with a refusal of its own.
async fn granted_only<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let response = next.call(request).await?;
    Granted::<String>::extract(response.request()).await?;
    Ok(response)
}

/// R132, R133
#[actix_web::test]
async fn of_two_refusals_the_one_that_is_answered_is_on_record() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").route("/machine", web::get().to(machine)).wrap(from_fn(granted_only)))
    );

    assert_refusal(&send!(app, GET "/s/machine", world.bearer()), 500);
    world.denied(Reason::InvalidRequirement).await;
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
