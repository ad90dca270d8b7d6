//! What may a service inside do before, or instead of, what stands around it asks?

use std::{
    convert::Infallible,
    future::ready,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use actix_web::{
    App, HttpResponse,
    dev::{Service as _, ServiceRequest, ServiceResponse, fn_service},
    error::InternalError,
    http::Method,
    test,
    web::{self, Bytes},
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use iam_actix::{Access, Permission, RouteExt as _, ScopeExt as _};
use iam_core::{audit::Outcome, decision::Reason};
use serde_json::json;
use tokio::task::yield_now;

use crate::common::{Touched, World, assert_refusal, handler, kept};

async fn debug(access: Access) -> String {
    format!("{access:?} {access:#?}")
}

/// R071: what a handler may print holds no credential, and no other header.
#[actix_web::test]
async fn the_debug_output_of_an_extractor_holds_nothing_of_the_request() {
    let world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(debug)));
    let (name, value) = world.bearer();

    let response = send!(
        app, GET "/orders?access_token=query-secret",
        (name, value.clone()), ("cookie", "ory_kratos_session=cookie-secret"), ("x-api-key", "key-secret")
    );
    let body = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();

    assert!(body.contains("Access"), "{body}");
    for part in value.trim_start_matches("Bearer ").split('.') {
        assert!(!body.contains(part), "{body}");
    }
    for secret in ["cookie-secret", "key-secret", "query-secret"] {
        assert!(!body.contains(secret), "{body}");
    }
}

#[actix_web::test]
async fn a_middleware_that_answers_without_the_route_it_called_skips_no_requirement() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/s")
                .route("/cached", web::get().to(handler).single_use())
                .wrap_fn(|request, service| {
                    let routed = service.call(request);
                    // It throws the route's answer away unasked and gives its own.
                    async move {
                        drop(routed);
                        Ok(kept())
                    }
                })
                .require_role(["admin"])
        )
    );

    let response = send!(app, GET "/s/cached", world.bearer());

    assert_refusal(&response, 403);
    world.denied(Reason::RoleDeny).await;
    let admin = world.bearer_with(&json!({ "metadataPublic": { "roles": ["admin"] } }));
    assert_eq!(send!(app, GET "/s/cached", admin).status(), 200);
    world.allowed().await;
    touched.nothing();
}

#[actix_web::test]
async fn a_middleware_that_fails_without_the_route_it_called_skips_no_requirement() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/s")
                .route("/closed", web::get().to(handler).single_use())
                .wrap_fn(|request, service| {
                    drop(service.call(request));
                    let error = InternalError::from_response("closed", HttpResponse::Ok().body("kept"));
                    ready(Err::<ServiceResponse, _>(error.into()))
                })
                .require_role(["admin"])
        )
    );

    assert_refusal(&send!(app, GET "/s/closed", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    touched.nothing();
}

/// What was asked, but not waited for, is asked again.
#[actix_web::test]
async fn a_middleware_that_waits_for_no_decision_skips_none() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let keto = Arc::clone(&world.keto);
    let app = app!(
        world, touched,
        .service(
            web::scope("/s")
                .route("/slow", web::get().to(handler).protected())
                .wrap_fn(move |request, service| {
                    let routed = service.call(request);
                    let keto = Arc::clone(&keto);
                    async move {
                        assert!(routed.now_or_never().is_none(), "Keto does not answer");
                        keto.hang(false);
                        Ok(kept())
                    }
                })
                .require_permission(Permission::new("orders", "view", "orders:1"))
        )
    );
    world.keto.hang(true);

    assert_refusal(&send!(app, GET "/s/slow", world.bearer()), 403);
    world.denied(Reason::PermissionDeny).await;
    touched.nothing();
}

/// A requirement that nobody has asked yet was not met.
#[actix_web::test]
async fn a_caller_that_goes_away_before_the_route_asks_was_not_allowed() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/s")
                .route("/role", web::get().to(handler).require_role(["admin"]))
                .wrap_fn(|request, service| {
                    let routed = service.call(request);
                    async move {
                        yield_now().await;
                        routed.await
                    }
                })
        )
        .route("/plain", web::get().to(handler))
    );
    let request = test::TestRequest::with_uri("/s/role")
        .insert_header(world.bearer())
        .to_request();

    assert!(app.call(request).now_or_never().is_none(), "it waits in between");

    // The next event is the next request's.
    assert_eq!(send!(app, GET "/plain", world.bearer()).status(), 200);
    assert_eq!(world.allowed().await.route.as_deref(), Some("/plain"));
}

/// Whoever answers in place of everything that declares a policy answers whom the gate let in, and nothing else is on record.
#[actix_web::test]
async fn a_requirement_that_nobody_asked_is_not_on_record_as_met() {
    let mut world = World::start().await;
    let app = test::init_service(
        App::new()
            .route("/role", web::get().to(handler).require_role(["admin"]))
            .wrap_fn(|request, service| {
                drop(service.call(request));
                ready(Ok(kept()))
            })
            .wrap(world.iam.middleware()),
    )
    .await;

    assert_refusal(&send!(app, GET "/role"), 401);
    let event = world.denied(Reason::MissingCredential).await;
    assert_eq!(event.requirements, ["role:admin"]);
    assert_eq!(send!(app, GET "/role", world.bearer()).status(), 200);
    assert!(world.allowed().await.requirements.is_empty());
}

async fn asks_late(access: Access) -> HttpResponse {
    let access = Rc::new(access);
    let questions = stream::iter(["1", "2"]).then(move |object| {
        let access = Rc::clone(&access);
        async move {
            let answer = access.require("orders", "view", object).await;
            Ok::<_, Infallible>(Bytes::from(format!("{} ", answer.is_ok())))
        }
    });
    HttpResponse::Ok().streaming(questions)
}

/// R132, R133: a body that is streamed may ask for as long as it is.
#[actix_web::test]
async fn what_is_asked_after_the_answer_has_begun_is_on_record() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/stream", web::get().to(asks_late)));
    world.keto.allow("orders:1#view@user:alice");

    let response = send!(app, GET "/stream", world.bearer());
    assert!(world.allowed().await.requirements.is_empty());

    assert_eq!(test::read_body(response).await, "true false ");
    let event = world.event().await;
    assert_eq!(event.outcome, Outcome::Allow);
    assert_eq!(event.requirements, ["permission:orders#view"]);
    assert_eq!(event.route.as_deref(), Some("/stream"));
    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.route.as_deref(), Some("/stream"));
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
}

#[actix_web::test]
async fn a_protected_scope_checks_roles_before_it_calls_inward() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let called = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&called);
    let app = app!(
        world, touched,
        .service(
            web::scope("/raw")
                .default_service(fn_service(move |request: ServiceRequest| {
                    counter.fetch_add(1, SeqCst);
                    ready(Ok(request.into_response(HttpResponse::Ok().body("raw"))))
                }))
                .protected()
                .require_role(["admin"])
        )
    );

    assert_refusal(&send!(app, GET "/raw/a"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(&send!(app, GET "/raw/a", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    assert_eq!(called.load(SeqCst), 0);

    let admin = world.bearer_with(&json!({ "metadataPublic": { "roles": ["admin"] } }));
    assert_eq!(send!(app, GET "/raw/a", admin).status(), 200);
    world.allowed().await;
    assert_eq!(called.load(SeqCst), 1);
}

/// A body that acts while it is called acts before the claim, as the documentation says; its answer is kept back.
#[actix_web::test]
async fn a_credential_that_was_used_before_gets_no_answer_of_a_raw_service() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/raw")
                .default_service(fn_service(|request: ServiceRequest| {
                    ready(Ok(request.into_response(HttpResponse::Ok().body("raw"))))
                }))
                .protected()
                .single_use()
        )
    );
    let once = world.bearer();

    assert_eq!(send!(app, GET "/raw/a", once.clone()).status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/raw/a", once), 401);
    world.denied(Reason::Replay).await;
}

#[actix_web::test]
async fn a_caller_that_goes_away_while_keto_is_asked_was_not_allowed() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/asks/{id}", web::get().to(handler)
            .require_permission(Permission::new("orders", "view", "orders:{id}")))
        .route("/asks_not", web::get().to(handler))
    );
    world.keto.hang(true);
    let request = test::TestRequest::with_uri("/asks/7")
        .insert_header(world.bearer())
        .to_request();

    assert!(app.call(request).now_or_never().is_none(), "Keto does not answer");

    // The next event is the next request's.
    assert_eq!(send!(app, GET "/asks_not", world.bearer()).status(), 200);
    let event = world.allowed().await;
    assert!(event.requirements.is_empty());
    world.nothing_more();
    assert_eq!(touched.counts().0, 1);
}

/// A queue of events is bounded in number: so each of them has to be in size.
#[actix_web::test]
async fn a_method_of_any_length_is_recorded_in_short() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));
    let method = Method::from_bytes("M".repeat(50_000).as_bytes()).unwrap();

    let request = test::TestRequest::with_uri("/orders").method(method);
    assert_refusal(&test::call_service(&app, request.to_request()).await, 401);

    let event = world.denied(Reason::MissingCredential).await;
    assert_eq!(event.method.unwrap(), "M".repeat(32));
}
