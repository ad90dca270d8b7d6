//! Who it is, for a handler: public, optional, protected, and without a gate.

use crate::common;

use actix_web::{App, FromRequest, Handler, HttpResponse, Responder, ResponseError as _, test, web};
use iam_actix::{
    Access, Client, Granted, Identity, Principal, RequestId, RouteExt as _, Tenant, optional, public,
};
use iam_core::decision::Reason;
use serde_json::json;

use crate::common::{Touched, World, assert_refusal};

async fn who(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.actor().to_string())
}

#[optional]
#[actix_web::get("/feed")]
async fn feed(identity: Option<Identity>) -> String {
    identity.map_or_else(|| "nobody".to_owned(), |identity| identity.subject().to_owned())
}

/// D28
#[actix_web::test]
async fn an_optional_route_knows_who_comes_with_a_credential() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(feed));

    assert_eq!(test::read_body(send!(app, GET "/feed")).await, "nobody");
    assert_eq!(world.allowed().await.actor, None);
    assert_eq!(
        test::read_body(send!(app, GET "/feed", world.bearer())).await,
        "alice"
    );
    assert_eq!(world.allowed().await.actor.as_deref(), Some("user:alice"));
}

/// D29, R087
#[actix_web::test]
async fn a_bad_credential_on_an_optional_route_is_refused_and_audited() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(feed));
    let expired = world.bearer_with(&json!({ "exp": 1 }));

    assert_refusal(&send!(app, GET "/feed", expired.clone()), 401);
    world.denied(Reason::Expired).await;
    assert_refusal(
        &send!(app, GET "/feed", expired, ("connection", "authorization")),
        401,
    );
    world.denied(Reason::Expired).await;
    assert_refusal(&send!(app, GET "/feed", ("authorization", "Bearer a.b.c")), 401);
    world.denied(Reason::Malformed).await;
}

#[public]
#[actix_web::get("/open")]
async fn open(identity: Option<Identity>) -> impl Responder {
    identity.map_or("nobody", |_| "somebody")
}

#[actix_web::test]
async fn a_public_route_knows_nobody() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(open)
        .route("/wants", web::get().to(async |_: Identity| "ok").public())
    );

    assert_eq!(
        test::read_body(send!(app, GET "/open", world.bearer())).await,
        "nobody"
    );
    world.allowed().await;
    // A mistake of ours, whoever comes.
    assert_refusal(&send!(app, GET "/wants", world.bearer()), 500);
    world.denied(Reason::InvalidRequirement).await;
}

/// R078, R082, D32, D41
#[actix_web::test]
async fn people_and_machines_are_not_taken_for_each_other() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/person", web::get().to(async |it: Identity| it.subject().to_owned()))
        .route("/machine", web::get().to(async |it: Client| it.client_id().to_owned()))
        .route("/either", web::get().to(async |it: Principal| it.actor().to_string()))
        .route("/maybe", web::get().to(async |it: Identity| it.subject().to_owned()).optional())
    );
    let machine = world.bearer_with(&json!({ "sub": "robot", "client_id": "robot" }));

    assert_eq!(
        test::read_body(send!(app, GET "/person", world.bearer())).await,
        "alice"
    );
    world.allowed().await;
    assert_eq!(
        test::read_body(send!(app, GET "/machine", machine.clone())).await,
        "robot"
    );
    world.allowed().await;
    assert_eq!(
        test::read_body(send!(app, GET "/either", machine.clone())).await,
        "client:robot"
    );
    world.allowed().await;

    assert_refusal(&send!(app, GET "/person", machine), 403);
    world.denied(Reason::RoleDeny).await;
    assert_refusal(&send!(app, GET "/machine", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    assert_refusal(&send!(app, GET "/maybe"), 401);
    world.denied(Reason::MissingCredential).await;
}

/// D26
#[actix_web::test]
async fn extractors_see_the_tenant_and_leave_other_extensions_alone() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/tenant", web::get().to(async |tenant: Tenant| tenant.name().to_owned()))
        .route("/who", web::get().to(who))
    );

    assert_eq!(
        test::read_body(send!(app, GET "/tenant", world.bearer())).await,
        "default"
    );
    world.allowed().await;
    assert_eq!(
        test::read_body(send!(app, GET "/who", world.bearer())).await,
        "user:alice"
    );
    world.allowed().await;
}

#[actix_web::test]
async fn the_handler_sees_the_id_that_the_caller_is_told() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let which = async |id: RequestId| id.as_str().to_owned();
    let app = app!(world, touched, .route("/which", web::get().to(which).public()));

    let answer = send!(app, GET "/which");
    let told = answer.headers().get("x-request-id").unwrap().clone();
    world.allowed().await;
    assert_eq!(test::read_body(answer).await, told.as_bytes());
    let answer = send!(app, GET "/which", ("x-request-id", "trace-1"));
    world.allowed().await;
    assert_eq!(test::read_body(answer).await, "trace-1");
}

/// `Option<Identity>` is Actix's: every error becomes `None`. It opens nothing.
#[actix_web::test]
async fn an_optional_extractor_grants_nothing() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/maybe", web::get().to(async |_: Option<Identity>| "ok")));

    assert_refusal(&send!(app, GET "/maybe"), 401);
    world.denied(Reason::MissingCredential).await;
    let machine = world.bearer_with(&json!({ "sub": "robot", "client_id": "robot" }));
    assert_eq!(send!(app, GET "/maybe", machine).status(), 200);
    world.allowed().await;
}

async fn machine(
    machine: Result<Client, iam_actix::Error>,
    _: Option<Granted<u64>>,
) -> Result<String, iam_actix::Error> {
    machine.map(|machine| machine.client_id().to_owned())
}

/// Renders two refusals, and answers with the second.
async fn second(
    machine: Result<Client, iam_actix::Error>,
    granted: Result<Granted<u64>, iam_actix::Error>,
) -> HttpResponse {
    drop(machine.map_err(|err| err.error_response()));
    granted.map_or_else(|err| err.error_response(), |_| HttpResponse::Ok().finish())
}

/// R132, R133
#[actix_web::test]
async fn of_two_refusals_that_were_rendered_the_last_is_on_record() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/second", web::get().to(second)));

    assert_refusal(&send!(app, GET "/second", world.bearer()), 500);
    world.denied(Reason::InvalidRequirement).await;
}

/// R132, R133: of several refusals, the one that became the response is on record.
#[actix_web::test]
async fn a_refusal_that_is_swallowed_hides_none_that_is_answered() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/machine", web::get().to(machine)));

    assert_refusal(&send!(app, GET "/machine", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    let robot = world.bearer_with(&json!({ "sub": "robot", "client_id": "robot" }));
    assert_eq!(send!(app, GET "/machine", robot).status(), 200);
    world.allowed().await;
}

async fn without_gate<T: FromRequest + 'static>()
where
    fn(T) -> std::future::Ready<HttpResponse>: Handler<(T,), Output = HttpResponse>,
{
    let handler: fn(T) -> std::future::Ready<HttpResponse> =
        |_| std::future::ready(HttpResponse::Ok().finish());
    let app = test::init_service(App::new().route("/", web::get().to(handler))).await;

    let response = test::call_service(&app, test::TestRequest::default().to_request()).await;

    assert_eq!(response.status(), 500);
}

#[actix_web::test]
async fn every_extractor_fails_without_the_gate() {
    without_gate::<Principal>().await;
    without_gate::<Identity>().await;
    without_gate::<Client>().await;
    without_gate::<Tenant>().await;
    without_gate::<RequestId>().await;
    without_gate::<Access>().await;
    without_gate::<Granted<String>>().await;
}

#[actix_web::test]
async fn an_annotated_route_answers_500_without_the_gate_and_its_handler_does_not_run() {
    let touched = Touched::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/public", web::get().to(common::handler).public())
            .route("/role", web::get().to(common::handler).require_role(["admin"])),
    )
    .await;

    for path in ["/public", "/role"] {
        let response = test::call_service(&app, test::TestRequest::with_uri(path).to_request()).await;

        assert_eq!(response.status(), 500);
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "application/problem+json"
        );
    }
    touched.nothing();
}
