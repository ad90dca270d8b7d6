//! Does any way of routing reach a handler that did not say that it is open?

use std::sync::atomic::Ordering::SeqCst;

use actix_web::{
    App, Error, HttpRequest, HttpResponse,
    dev::{
        AppService, HttpServiceFactory, ResourceDef, Service as _, ServiceRequest, ServiceResponse,
        fn_factory, fn_service,
    },
    guard,
    http::{Method, Uri},
    middleware::{NormalizePath, TrailingSlash},
    test, web,
};
use futures_util::future::LocalBoxFuture;
use iam_actix::{ResourceExt as _, RouteExt as _, ScopeExt as _};
use iam_core::decision::Reason;

use crate::common::{Touched, World, assert_refusal, handler};

/// R091
#[actix_web::test]
async fn every_pattern_of_a_resource_has_its_policy() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .external_resource("elsewhere", "https://example.com/{id}")
        .service(web::resource(["/a", "/b/{id}"]).to(handler))
        .service(web::resource(["/c", "/d/{id}"]).to(handler).public())
    );

    for path in ["/a", "/b/1", "/b/%31", "/elsewhere", "https://example.com/1"] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
    for path in ["/c", "/d/1", "/d/%31"] {
        assert_eq!(send!(app, GET path).status(), 200);
        world.allowed().await;
    }
}

/// R091
#[actix_web::test]
async fn guarded_scopes_inside_scopes_keep_apart() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/v")
                .service(
                    web::scope("/x")
                        .guard(guard::Header("x-kind", "open"))
                        .route("/a", web::get().to(handler))
                        .default_service(web::to(handler))
                        .public(),
                )
                .service(
                    web::scope("/x")
                        .route("/a", web::get().to(handler))
                        .default_service(web::to(handler)),
                )
                .default_service(web::to(handler)),
        )
        .service(web::scope("").guard(guard::Header("x-kind", "open")).route("/b", web::get().to(handler)).public())
        .route("/b", web::get().to(handler))
    );

    for path in ["/v/x/a", "/v/x/other", "/v/other", "/v", "/v/x", "/b"] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
        assert_refusal(&send!(app, GET path, ("x-kind", "closed")), 401);
        world.denied(Reason::MissingCredential).await;
    }
    // What the open scope does not know falls to what stands around it.
    assert_refusal(&send!(app, GET "/v/other", ("x-kind", "open")), 401);
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
    for path in ["/v/x/a", "/v/x/other", "/b"] {
        assert_eq!(send!(app, GET path, ("x-kind", "open")).status(), 200);
        world.allowed().await;
    }
}

/// R089, R091: targets that are no paths, and methods that the router knows nothing of.
#[actix_web::test]
async fn targets_of_every_form_are_decided() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/admin", web::get().to(handler))
        .route("/admin", web::head().to(handler))
        .service(web::resource("/open").route(web::get().to(handler).public()))
        .default_service(web::to(handler))
    );

    for (method, target) in [
        (Method::OPTIONS, "*"),
        (Method::CONNECT, "example.com:443"),
        (Method::GET, "http://example.com/admin"),
        (Method::GET, "http://example.com"),
        (Method::HEAD, "/admin"),
        (Method::HEAD, "/open"),
        (Method::GET, "/open/"),
        (Method::GET, "/open;x"),
        (Method::GET, "/open%2F"),
        (Method::GET, "/./open"),
        (Method::GET, "/open\\..\\admin"),
    ] {
        let Ok(target) = target.parse() else { continue };
        let mut request = test::TestRequest::default().method(method).to_request();
        request.head_mut().uri = target;

        assert_refusal(&test::call_service(&app, request).await, 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
}

/// Answers like a service for files: by itself, or later from what it falls back to.
fn files(request: ServiceRequest) -> LocalBoxFuture<'static, Result<ServiceResponse, Error>> {
    Box::pin(async move {
        let touched = request.app_data::<web::Data<Touched>>().unwrap().clone();
        touched.handlers.fetch_add(1, SeqCst);
        Ok(request.into_response(HttpResponse::Ok().body("file")))
    })
}

struct Files;

impl HttpServiceFactory for Files {
    fn register(self, config: &mut AppService) {
        let factory = fn_factory(|| async { Ok::<_, ()>(fn_service(files)) });
        config.register_service(ResourceDef::root_prefix("/files"), None, factory, None);
    }
}

#[actix_web::test]
async fn services_that_are_no_resources_are_protected() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(Files)
        .service(web::service("/raw/{tail}*").finish(files))
        .service(web::scope("/static").service(Files).public())
    );

    for path in ["/files/a", "/files", "/files/..%2f", "/raw/a", "/raw/a/b"] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
    assert_eq!(send!(app, GET "/files/a", world.bearer()).status(), 200);
    world.allowed().await;
    assert_eq!(send!(app, GET "/static/files/a").status(), 200);
    world.allowed().await;
}

/// R091: what the router is given counts, wherever it was rewritten.
#[actix_web::test]
async fn rewritten_paths_are_decided_as_they_are_routed_in_scopes_too() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .service(
                web::scope("/s")
                    .route("/open", web::get().to(handler).public())
                    .route("/admin", web::get().to(handler))
                    .wrap(NormalizePath::new(TrailingSlash::Trim)),
            )
            .wrap_fn(|mut request, service| {
                // Rewrites an open path into a closed one, inside of the gate.
                if request.path() == "/s/open/rewritten" {
                    let target: Uri = "/s/admin".parse().unwrap();
                    request.match_info_mut().get_mut().update(&target);
                    request.head_mut().uri = target;
                }
                service.call(request)
            })
            .wrap(world.iam.middleware()),
    )
    .await;

    for path in ["/s/admin", "/s/admin/", "/s/open/rewritten"] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
    assert_eq!(send!(app, GET "/s/open").status(), 200);
    world.allowed().await;
}

async fn known(request: HttpRequest) -> String {
    drop(request.clone());
    "ok".to_owned()
}

/// A handler that gives its request to somebody else keeps nobody else's.
#[actix_web::test]
async fn what_is_known_of_a_request_is_not_found_in_the_next_one() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/known", web::get().to(known)));

    for _ in 0..3 {
        assert_eq!(send!(app, GET "/known", world.bearer()).status(), 200);
        world.allowed().await;
        assert_refusal(&send!(app, GET "/known"), 401);
        world.denied(Reason::MissingCredential).await;
    }
}
