//! What the gate rests on in Actix Web. When one of these fails after an update, nothing else here can be believed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use actix_web::{
    App, HttpResponse,
    dev::{Service as _, ServiceRequest},
    guard,
    test::{TestRequest, init_service},
    web,
};

#[actix_web::test]
async fn routing_is_synchronous_and_a_handler_does_nothing_until_it_is_polled() {
    static ROUTED: AtomicUsize = AtomicUsize::new(0);
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    let app = init_service(
        App::new().service(
            web::scope("/s").service(
                web::resource("/{id}")
                    .route(web::get().to(async || {
                        HANDLED.fetch_add(1, SeqCst);
                        HttpResponse::Ok().finish()
                    }))
                    .wrap_fn(|request, service| {
                        ROUTED.fetch_add(1, SeqCst);
                        service.call(request)
                    }),
            ),
        ),
    )
    .await;

    drop(app.call(TestRequest::with_uri("/s/1").to_request()));
    assert_eq!((ROUTED.load(SeqCst), HANDLED.load(SeqCst)), (1, 0));

    app.call(TestRequest::with_uri("/s/1").to_request())
        .await
        .unwrap();
    assert_eq!((ROUTED.load(SeqCst), HANDLED.load(SeqCst)), (2, 1));
}

/// Why a policy is not announced by a guard.
#[actix_web::test]
async fn a_guard_runs_for_a_route_that_is_then_not_chosen() {
    static GUARDED: AtomicUsize = AtomicUsize::new(0);
    let app = init_service(
        App::new().service(
            web::resource("/")
                .route(
                    web::route()
                        .guard(guard::fn_guard(|_| {
                            GUARDED.fetch_add(1, SeqCst);
                            true
                        }))
                        .guard(guard::Post())
                        .to(HttpResponse::Ok),
                )
                .route(web::get().to(HttpResponse::NoContent)),
        ),
    )
    .await;

    let response = app.call(TestRequest::default().to_request()).await.unwrap();

    assert_eq!(response.status(), 204);
    assert_eq!(GUARDED.load(SeqCst), 1);
}

/// Why nothing is decided from the path, and why the gate holds no clone of the request while it is routed.
#[actix_web::test]
async fn before_routing_there_is_no_pattern_and_a_clone_makes_the_router_panic() {
    let app = init_service(
        App::new()
            .route("/admin", web::get().to(HttpResponse::Ok))
            .wrap_fn(|request: ServiceRequest, service| {
                assert_eq!(request.match_pattern(), None);
                service.call(request)
            }),
    )
    .await;
    let response = app
        .call(TestRequest::with_uri("/adm%69n").to_request())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);

    let app = init_service(
        App::new()
            .route("/{id}", web::get().to(HttpResponse::Ok))
            .wrap_fn(|request: ServiceRequest, service| {
                let _kept = request.request().clone();
                service.call(request)
            }),
    )
    .await;
    let routed = catch_unwind(AssertUnwindSafe(|| {
        drop(app.call(TestRequest::with_uri("/1").to_request()));
    }));
    assert!(routed.is_err());
}
