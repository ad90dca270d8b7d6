//! What becomes of a request that is sent inward a second time, as a fallback for what was not found does?

use std::{
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{
    App, Error, HttpResponse,
    body::BoxBody,
    dev::{Path, Service, ServiceRequest, ServiceResponse, Transform, Url, forward_ready},
    http::StatusCode,
    test, web,
};
use futures_util::future::LocalBoxFuture;
use iam_actix::{RequestId, RouteExt as _, ScopeExt as _};
use iam_core::decision::Reason;

use crate::common::{Touched, World, assert_refusal, handler};

/// Sends what was not found inward again, to the path that a header names. It routes at once: it hides nothing.
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
            let target = request.headers().get("x-fallback").unwrap();
            let target: actix_web::http::Uri = target.to_str().unwrap().parse().unwrap();
            *request.match_info_mut() = Path::new(Url::new(target.clone()));
            request.head_mut().uri = target;
            service.call(request).await
        })
    }
}

async fn not_found(_: RequestId) -> HttpResponse {
    HttpResponse::NotFound().finish()
}

/// R132
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
        assert_refusal(&send!(app, GET "/open", ("x-fallback", path)), 401);
        assert_eq!(world.event().await.route.as_deref(), Some("/open"));
        let event = world.denied(Reason::MissingCredential).await;
        assert_ne!(event.route.as_deref(), Some("/open"));
    }
    touched.nothing();

    assert_refusal(
        &send!(app, GET "/open", ("x-fallback", "/role"), world.bearer()),
        403,
    );
    world.event().await;
    world.denied(Reason::RoleDeny).await;
    touched.nothing();

    let response = send!(app, GET "/open", ("x-fallback", "/also_open"));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get_all("x-request-id").count(), 1);
    assert_eq!(world.event().await.route.as_deref(), Some("/open"));
    assert_eq!(world.allowed().await.route.as_deref(), Some("/also_open"));

    let once = world.bearer();
    assert_eq!(
        send!(app, GET "/open", ("x-fallback", "/once"), once.clone()).status(),
        200
    );
    world.event().await;
    world.allowed().await;
    assert_refusal(&send!(app, GET "/open", ("x-fallback", "/once"), once), 401);
    world.event().await;
    world.denied(Reason::Replay).await;
}

/// What the documentation says of a fallback inside, no less and no more.
#[actix_web::test]
async fn a_route_that_is_reached_second_inside_the_gate_is_held_to_what_it_says() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/open", web::get().to(not_found).public())
            .route("/role", web::get().to(handler).require_role(["admin"]))
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
        assert_refusal(&send!(app, GET "/open", ("x-fallback", path)), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
    assert_eq!(
        send!(app, GET "/open", ("x-fallback", "/protected"), world.bearer()).status(),
        200
    );
    world.allowed().await;
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
                    .wrap(world.iam.middleware()),
            )
            .route("/open", web::get().to(handler).public())
            .wrap(Fallback),
    )
    .await;

    let response = send!(app, GET "/gated/open", ("x-fallback", "/open"));

    assert_eq!(response.status(), 500);
    world.allowed().await;
    touched.nothing();
}
