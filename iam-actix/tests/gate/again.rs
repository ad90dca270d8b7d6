//! What becomes of a request that is sent inward a second time, as a fallback for what was not found does?

use std::{
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{
    App, Error, HttpResponse,
    body::BoxBody,
    dev::{Path, Service, ServiceRequest, ServiceResponse, Transform, Url, forward_ready},
    http::{StatusCode, Uri},
    test, web,
};
use futures_util::future::LocalBoxFuture;
use iam_actix::{Identity, RequestId, RouteExt as _, ScopeExt as _};
use iam_core::decision::Reason;

use crate::common::{Touched, World, assert_refusal, handler, kept};

/// Names the path that is asked for again.
const X_FALLBACK: &str = "x-fallback";

/// Sends what was not found inward again. It routes at once: it hides nothing.
struct Fallback;

struct FallbackService<S> {
    service: Rc<S>,
}

impl<S> Transform<S, ServiceRequest> for Fallback
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = FallbackService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(FallbackService {
            service: Rc::new(service),
        }))
    }
}

impl<S> Service<ServiceRequest> for FallbackService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let service = Rc::clone(&self.service);
        let routed = service.call(request);

        Box::pin(async move {
            let response = routed.await?;
            if response.status() != StatusCode::NOT_FOUND {
                return Ok(response);
            }
            let mut request = ServiceRequest::from_request(response.into_parts().0);
            let target = request.headers().get(X_FALLBACK).unwrap();
            let target: Uri = target.to_str().unwrap().parse().unwrap();
            *request.match_info_mut() = Path::new(Url::new(target.clone()));
            request.head_mut().uri = target;
            service.call(request).await
        })
    }
}

async fn not_found(_: RequestId) -> HttpResponse {
    HttpResponse::NotFound().finish()
}

/// R132 for its events.
#[actix_web::test]
async fn a_request_that_comes_to_the_gate_a_second_time_is_decided_anew() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/open", web::get().to(not_found).public())
        .route("/plain", web::get().to(handler))
        .route("/role", web::get().to(handler).require_role(["admin"]))
        .route("/once", web::get().to(handler).single_use())
        .route("/also_open", web::get().to(handler).public())
        .wrap(Fallback)
    );

    for path in ["/plain", "/role", "/once", "/nothing"] {
        assert_refusal(&send!(app, GET "/open", (X_FALLBACK, path)), 401);
        assert_eq!(world.event().await.route.as_deref(), Some("/open"));
        let event = world.denied(Reason::MissingCredential).await;
        assert_ne!(event.route.as_deref(), Some("/open"));
    }
    touched.nothing();

    assert_refusal(
        &send!(app, GET "/open", (X_FALLBACK, "/role"), world.bearer()),
        403,
    );
    world.event().await;
    world.denied(Reason::RoleDeny).await;
    touched.nothing();

    let response = send!(app, GET "/open", (X_FALLBACK, "/also_open"));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get_all("x-request-id").count(), 1);
    assert_eq!(world.event().await.route.as_deref(), Some("/open"));
    assert_eq!(world.allowed().await.route.as_deref(), Some("/also_open"));
}

#[actix_web::test]
async fn a_credential_passes_once_whether_it_comes_first_or_second() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/open", web::get().to(not_found).public())
        .route("/once", web::get().to(handler).single_use())
        .wrap(Fallback)
    );
    let once = world.bearer();
    assert_eq!(
        send!(app, GET "/open", (X_FALLBACK, "/once"), once.clone()).status(),
        200
    );
    world.event().await;
    world.allowed().await;
    assert_refusal(&send!(app, GET "/open", (X_FALLBACK, "/once"), once), 401);
    world.event().await;
    world.denied(Reason::Replay).await;
}

/// What the documentation says of a fallback inside, no less and no more.
#[actix_web::test]
async fn a_route_that_is_reached_second_inside_the_gate_is_held_to_what_it_says_and_to_no_more() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/open", web::get().to(not_found).public())
            .route("/role", web::get().to(handler).require_role(["admin"]))
            .route("/plain", web::get().to(handler))
            .route("/protected", web::get().to(handler).protected())
            .service(
                web::scope("/closed")
                    .route("/plain", web::get().to(handler))
                    .protected(),
            )
            .wrap(Fallback)
            .wrap(world.iam.middleware()),
    )
    .await;

    for path in ["/role", "/protected", "/closed/plain"] {
        assert_refusal(&send!(app, GET "/open", (X_FALLBACK, path)), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
    assert_eq!(
        send!(app, GET "/open", (X_FALLBACK, "/protected"), world.bearer()).status(),
        200
    );
    world.allowed().await;
    assert_eq!(send!(app, GET "/open", (X_FALLBACK, "/plain")).status(), 200);
    world.allowed().await;
}

/// What the first route was allowed is not the second one's.
#[actix_web::test]
async fn a_scope_that_is_reached_second_asks_before_an_answer_that_is_not_its_routes_goes_out() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/open", web::get().to(not_found).public())
            .service(
                web::scope("/staff")
                    .route("/page", web::get().to(handler).protected())
                    .wrap_fn(|request, service| {
                        drop(service.call(request));
                        ready(Ok(kept()))
                    })
                    .require_role(["staff"]),
            )
            .wrap(Fallback)
            .wrap(world.iam.middleware()),
    )
    .await;

    assert_refusal(&send!(app, GET "/open", (X_FALLBACK, "/staff/page")), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(
        &send!(app, GET "/open", (X_FALLBACK, "/staff/page"), world.bearer()),
        403,
    );
    world.denied(Reason::RoleDeny).await;
    touched.nothing();
}

/// A gate around one scope, and a fallback around it that leads out of the scope.
#[actix_web::test]
async fn a_route_outside_of_every_gate_is_not_let_in_by_one_that_the_request_has_left() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .service(
                web::scope("/gated")
                    .route("/open", web::get().to(not_found).public())
                    .route("/plain", web::get().to(not_found))
                    .wrap(world.iam.middleware()),
            )
            .route("/open", web::get().to(handler).public())
            .route(
                "/who",
                web::get().to(async |user: Identity| user.subject().to_owned()),
            )
            .wrap(Fallback),
    )
    .await;

    for first in ["/gated/open", "/gated/plain"] {
        for path in ["/open", "/who"] {
            let response = send!(app, GET first, (X_FALLBACK, path), world.bearer());
            assert_eq!(response.status(), 500);
            world.allowed().await;
        }
    }
    touched.nothing();
}
