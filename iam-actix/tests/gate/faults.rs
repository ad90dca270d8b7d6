//! What was found by reading and by use: each test is named after what went wrong.

use actix_web::{App, HttpResponse, http::header, middleware::from_fn, test, web};
use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use iam_actix::{Access, Error, Identity, Permission, RouteExt as _, ScopeExt as _, Transport, public};
use iam_core::{audit::EventName, decision::Reason};
use serde_json::json;
use tokio::task::yield_now;
use tracing::subscriber;

use crate::common::{Touched, Warnings, World, assert_refusal, handler};

async fn answers_asynchronously(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    yield_now().await;
    next.call(request).await
}

#[public]
#[actix_web::get("/about")]
async fn about() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// 3.2
#[actix_web::test]
async fn the_applications_own_origin_is_not_refused_where_the_browser_sends_no_fetch_metadata() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::post().to(handler)));
    let origin = |value: &'static str| (header::ORIGIN, value);
    let host = (header::HOST, "orders.example");

    let own = send!(app, POST "/orders", world.bearer(), host.clone(), origin("https://orders.example"));
    assert_eq!(own.status(), 200);
    world.allowed().await;
    for other in ["https://evil.example", "https://orders.example.evil", "null"] {
        let other = send!(app, POST "/orders", world.bearer(), host.clone(), origin(other));
        assert_refusal(&other, 403);
        world.denied(Reason::Csrf).await;
    }
    // Two lines of `Host` leave open which one counts.
    let request = test::TestRequest::post()
        .uri("/orders")
        .insert_header(world.bearer())
        .insert_header(origin("https://orders.example"))
        .append_header(host.clone())
        .append_header(host);
    assert_refusal(&test::call_service(&app, request.to_request()).await, 403);
}

/// 3.2
#[actix_web::test]
async fn a_refusal_of_another_origin_says_nothing_in_the_log() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::post().to(handler)));

    send!(app, POST "/orders", world.bearer(), (header::ORIGIN, "https://shop.example"));

    let [warning] = &warnings.with("csrf.allowed_origins")[..] else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.contains("https://shop.example") && warning.contains("/orders"),
        "{warning}"
    );
}

async fn wants_somebody(_: Identity) -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn asks_what_keto_cannot_be_asked(access: Access) -> Result<HttpResponse, Error> {
    access.require("no namespace", "view", "1").await?;
    Ok(HttpResponse::Ok().finish())
}

/// 3.7
#[actix_web::test]
async fn a_500_of_our_own_is_on_record_as_an_outage_of_keto_and_silent_in_the_log() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let mut world = World::start().await;
    let other = World::start().await;
    let touched = Touched::default();
    let inner = web::scope("/two").route("/gates", web::get().to(handler));
    let app = app!(
        world, touched,
        .route("/placeholder", web::get().to(handler).require_permission(Permission::new("orders", "view", "{idd}")))
        .route("/tenant", web::get().to(handler).tenant("nowhere"))
        .route("/nobody", web::get().to(wants_somebody).public())
        .route("/namespace", web::get().to(asks_what_keto_cannot_be_asked))
        .service(inner.wrap(other.iam.middleware()))
    );

    for (path, reason, remedy) in [
        ("/placeholder", Reason::InvalidRequirement, "placeholder"),
        ("/tenant", Reason::UnknownTenant, "configure the tenant"),
        ("/nobody", Reason::InvalidRequirement, "#[optional]"),
        ("/namespace", Reason::InvalidRequirement, "namespace"),
        ("/two/gates", Reason::PolicyConflict, "one `Iam`"),
    ] {
        assert_refusal(&send!(app, GET path, world.bearer()), 500);

        let event = world.denied(reason).await;
        assert_eq!(event.event, EventName::ConfigRouteFailure, "{path}");
        assert!(!warnings.with(remedy).is_empty(), "{path}: {warnings:?}");
    }
}

/// 3.8
#[actix_web::test]
async fn a_hidden_public_route_is_reported_only_when_somebody_comes_with_a_credential() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let world = World::start().await;
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(Touched::default()))
            .route("/open", web::get().to(handler).public())
            .service(about)
            .wrap(from_fn(answers_asynchronously))
            .wrap(world.iam.middleware()),
    )
    .await;

    for path in ["/about", "/about", "/open", "/open"] {
        assert_refusal(&send!(app, GET path), 401);
    }

    let reported = warnings.with("register it outside the gate");
    assert_eq!(reported.len(), 2, "{warnings:?}");
    assert!(
        reported.iter().all(|text| text.contains("faults.rs:")),
        "{reported:?}"
    );
    assert!(
        reported.iter().any(|text| text.contains(r#"name="about""#)),
        "{reported:?}"
    );
}

/// 3.8
#[actix_web::test]
async fn a_request_of_another_method_was_reported_as_a_hidden_route() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let world = World::start().await;
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(Touched::default()))
            .service(about)
            .wrap(world.iam.middleware()),
    )
    .await;

    for method in ["POST", "HEAD", "OPTIONS"] {
        let request = test::TestRequest::default()
            .method(method.parse().unwrap())
            .uri("/about");
        assert_refusal(&test::call_service(&app, request.to_request()).await, 401);
    }

    assert!(warnings.with("outside the gate").is_empty(), "{warnings:?}");
}

/// 3.8
#[actix_web::test]
async fn an_unannotated_route_that_announces_nothing_is_not_reported_as_hidden() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(about)
        .route("/login", web::get().to(handler).public())
        .route("/plain", web::get().to(handler))
    );

    assert_refusal(&send!(app, GET "/plain"), 401);
    assert_refusal(&send!(app, GET "/nothing"), 401);

    assert!(warnings.with("hid").is_empty(), "{warnings:?}");
}

/// 3.8
#[actix_web::test]
async fn the_event_of_a_refused_unannotated_route_names_no_route() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/shops/{shop}").route("/orders/{id}", web::get().to(handler)))
        .route("/plain", web::get().to(handler))
        .service(web::scope("/scope").route("/inner", web::get().to(handler)).require_role(["admin"]))
    );

    for (path, route) in [
        ("/shops/1/orders/2?secret=3", Some("/shops/{shop}/orders/{id}")),
        ("/plain", Some("/plain")),
        ("/scope/inner", Some("/scope/inner")),
        ("/nothing", None),
    ] {
        assert_refusal(&send!(app, GET path), 401);
        let event = world.denied(Reason::MissingCredential).await;
        assert_eq!(event.route.as_deref(), route, "{path}");
    }
    assert_refusal(&send!(app, GET "/scope/inner", world.bearer()), 403);
    assert_eq!(
        world.denied(Reason::RoleDeny).await.route.as_deref(),
        Some("/scope/inner")
    );
    // Another method than that of the route.
    assert_refusal(&send!(app, POST "/plain"), 401);
    assert_eq!(
        world.denied(Reason::MissingCredential).await.route.as_deref(),
        Some("/plain")
    );
}

/// 3.8
#[actix_web::test]
async fn the_event_of_a_denied_permission_does_not_say_what_was_asked() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let view = Permission::new("orders", "view", "{id}");
    let app = app!(world, touched, .route("/orders/{id}", web::get().to(handler).require_permission(view)));

    assert_refusal(&send!(app, GET "/orders/7", world.bearer()), 403);

    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.tuple.as_deref(), Some(r#"orders:7#view@"user:alice""#));
}

async fn answers_the_first_of_two_denials(access: Access) -> Result<HttpResponse, Error> {
    let first = access.require("orders", "view", "1").await;
    let _second = access.require("orders", "view", "2").await;
    let _allowed = access.require("orders", "view", "3").await;
    first?;
    Ok(HttpResponse::Ok().finish())
}

/// 3.8
#[actix_web::test]
async fn the_event_of_a_denial_named_the_question_that_was_asked_last() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/", web::get().to(answers_the_first_of_two_denials)));
    world.keto.allow("orders:3#view@user:alice");

    assert_refusal(&send!(app, GET "/", world.bearer()), 403);

    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.tuple.as_deref(), Some(r#"orders:1#view@"user:alice""#));
}

/// 2.2
#[actix_web::test]
async fn a_claims_template_that_prints_nothing_raised_no_alarm() {
    let warnings = Warnings::default();
    let _guard = subscriber::set_default(warnings.clone());
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));
    let printed = json!({ "client_id": "<no value>" });

    for _ in 0..3 {
        assert_refusal(&send!(app, GET "/orders", world.bearer_with(&printed)), 401);
    }

    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(world.event().await);
    }
    world.nothing_more();
    let alarms: Vec<_> = events
        .iter()
        .filter(|event| event.event == EventName::TokenTemplateFault)
        .collect();
    assert_eq!(alarms.len(), 1, "{events:?}");
    assert_eq!(alarms[0].detail, Some("go_template_in_client_id"));
    assert_eq!(alarms[0].tenant.as_deref(), Some("default"));
    assert_eq!(warnings.with("claims template").len(), 1, "{warnings:?}");
}

/// 3.5
#[actix_web::test]
async fn a_subject_of_blanks_was_a_person() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));

    for blank in ["   ", "\u{a0}", "\u{200b}", " \u{2003} "] {
        let bearer = world.bearer_with(&json!({ "sub": blank }));
        assert_refusal(&send!(app, GET "/orders", bearer), 401);
        world.denied(Reason::Malformed).await;
    }
    touched.nothing();
}

/// A public route reads no credential, so it needs no transport.
#[actix_web::test]
async fn a_public_route_of_a_transport_that_the_tenant_lacks_was_500() {
    let world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/open", web::get().to(handler).transport(Transport::Cookie).public())
        .route("/closed", web::get().to(handler).transport(Transport::Cookie))
    );

    assert_eq!(send!(app, GET "/open").status(), 200);
    assert_refusal(&send!(app, GET "/closed"), 500);
}
