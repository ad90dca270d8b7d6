//! Sessions of the test kit: they count as Kratos's do.

use actix_web::http::Method;
use iam_actix::{AssuranceLevel, Session};

use super::*;

/// One tenant of people who log in at Kratos.
const SESSIONS: &str = r#"
    [tenants.default]
    transports = ["cookie-or-bearer"]
    [tenants.default.kratos]
    public_url = "https://kratos.example"
    session_cookie = "my_session"
    login_url = "https://app.example/login"
"#;

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(900);

async fn session_app(iam: &Iam) -> impl Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {
    let nobody = |principal: Option<Principal>| async move {
        principal.map_or_else(|| "nobody".to_owned(), |principal| principal.subject().to_owned())
    };
    init_service(
        App::new()
            .route("/any", web::get().to(whoami))
            .route("/any", web::post().to(whoami))
            .route("/admin", web::get().to(whoami).require_role(["admin"]))
            .route("/feed", web::get().to(nobody).optional())
            .route("/welcome", web::get().to(nobody).anonymous())
            .route("/strong", web::get().to(whoami).require_aal(AssuranceLevel::Aal2))
            .route("/fresh", web::get().to(whoami).require_fresh_session(QUARTER))
            .route(
                "/session",
                web::get().to(async |session: Session| {
                    let traits: Value = session.traits().unwrap();
                    HttpResponse::Ok().json(json!({ "id": session.id(), "traits": traits }))
                }),
            )
            .wrap(iam.middleware()),
    )
    .await
}

#[actix_web::test]
async fn a_session_admits_its_person_by_cookie_and_by_token() {
    let world = world(SESSIONS);
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;
    let alice = world.session("alice").roles(["admin"]);
    let name = alice.cookie().1;
    assert!(name.starts_with("my_session="), "{name}");

    let by_header = ("X-Session-Token".to_owned(), alice.token_value());
    for header in [alice.cookie(), alice.token(), by_header] {
        assert_eq!(ask(&world, &app, "/any", header.clone()).await, ALLOWED);
        assert_eq!(ask(&world, &app, "/admin", header).await, ALLOWED);
    }
    let bob = world.session("bob").cookie();
    assert_eq!(
        ask(&world, &app, "/admin", bob).await,
        refused(StatusCode::FORBIDDEN, Reason::RoleDeny)
    );
    assert_eq!(world.session_lookups(), 7);
}

#[actix_web::test]
async fn the_handler_sees_the_traits_that_the_test_set() {
    let world = world(SESSIONS);
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;
    let alice = world
        .session("alice")
        .traits(json!({ "email": "alice@example.com" }));

    let request = TestRequest::with_uri("/session")
        .insert_header(alice.cookie())
        .to_request();
    let body: Value = serde_json::from_slice(&read_body(call_service(&app, request).await).await).unwrap();

    assert_eq!(
        body,
        json!({ "id": alice.id(), "traits": { "email": "alice@example.com" } })
    );
}

#[actix_web::test]
async fn sessions_that_are_over_are_nobodys() {
    let world = world(SESSIONS);
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;
    let alice = || world.session("alice");
    let over = refused(StatusCode::UNAUTHORIZED, Reason::SessionInactive);
    let now = world.clock().now();

    for ended in [alice().inactive(), alice().revoked(), alice().expires(now)] {
        assert_eq!(ask(&world, &app, "/any", ended.cookie()).await, over);
        assert_eq!(ask(&world, &app, "/any", ended.token()).await, over);
        assert_eq!(ask(&world, &app, "/feed", ended.cookie()).await, ALLOWED);
        assert_eq!(ask(&world, &app, "/welcome", ended.cookie()).await, ALLOWED);
    }

    let short = alice().expires(now.saturating_add(MINUTE));
    assert_eq!(ask(&world, &app, "/any", short.cookie()).await, ALLOWED);
    world.clock().advance(MINUTE);
    assert_eq!(ask(&world, &app, "/any", short.cookie()).await, over);

    let lasting = alice();
    assert_eq!(ask(&world, &app, "/any", lasting.token()).await, ALLOWED);
    let revoked = lasting.clone().revoked();
    assert_eq!(ask(&world, &app, "/any", revoked.token()).await, over);
}

#[actix_web::test]
async fn levels_and_ages_are_asked_for_as_in_production() {
    let world = world(SESSIONS);
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;
    let weak = refused(StatusCode::UNAUTHORIZED, Reason::InsufficientLevel);

    assert_eq!(
        ask(&world, &app, "/strong", world.session("alice").cookie()).await,
        weak
    );
    assert_eq!(
        ask(&world, &app, "/strong", world.session("alice").aal2().cookie()).await,
        ALLOWED
    );
    let due = world.session("alice").second_factor_due();
    assert_eq!(ask(&world, &app, "/any", due.cookie()).await, weak);

    let old = world.session("alice").age(QUARTER.saturating_add(MINUTE));
    assert_eq!(ask(&world, &app, "/fresh", old.cookie()).await, weak);
    let alice = world.session("alice");
    assert_eq!(ask(&world, &app, "/fresh", alice.cookie()).await, ALLOWED);
    world.clock().advance(QUARTER);
    assert_eq!(ask(&world, &app, "/fresh", alice.cookie()).await, ALLOWED);
    world.clock().advance(MINUTE);
    assert_eq!(ask(&world, &app, "/fresh", alice.cookie()).await, weak);
}

#[actix_web::test]
async fn a_kratos_that_is_down_is_503_everywhere() {
    let world = world(SESSIONS);
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;
    let alice = world.session("alice");

    world.set_sessions_down(true).unwrap();
    let down = refused(StatusCode::SERVICE_UNAVAILABLE, Reason::SessionUnavailable);
    for path in ["/any", "/feed", "/welcome"] {
        assert_eq!(ask(&world, &app, path, alice.cookie()).await, down, "{path}");
    }
    world.set_sessions_down(false).unwrap();
    assert_eq!(ask(&world, &app, "/any", alice.cookie()).await, ALLOWED);
}

#[actix_web::test]
async fn a_page_of_another_site_acts_with_no_cookie() {
    let world = world(SESSIONS);
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;
    let alice = world.session("alice");
    let post = |header| {
        TestRequest::with_uri("/any")
            .method(Method::POST)
            .insert_header(header)
            .insert_header(("Sec-Fetch-Site", "cross-site"))
            .to_request()
    };

    assert_eq!(call_service(&app, post(alice.cookie())).await.status(), 403);
    assert_eq!(call_service(&app, post(alice.token())).await.status(), 200);
}

#[actix_web::test]
async fn a_tenant_without_kratos_has_no_sessions() {
    let world = world(ONE);

    assert_eq!(
        world.set_sessions_down(true),
        Err(WorldError::Sessions("default".to_owned()))
    );
    assert_eq!(world.session_lookups(), 0);
    assert!(world.session_of("nobody", "alice").is_none());
}

/// D10: the tenant of a session is the Kratos that knows it.
#[actix_web::test]
async fn a_session_of_another_tenants_kratos_is_nobodys() {
    let world = world(
        r#"
        default_tenant = "shops"
        [tenants.shops]
        transports = ["bearer"]
        [tenants.shops.kratos]
        public_url = "https://shops.example"
        [tenants.factories]
        transports = ["bearer"]
        [tenants.factories.kratos]
        public_url = "https://factories.example"
        "#,
    );
    let iam = world.start().await.unwrap();
    let app = session_app(&iam).await;

    let own = world.session_of("shops", "alice").unwrap().token();
    let other = world.session_of("factories", "alice").unwrap().token();
    assert_eq!(ask(&world, &app, "/any", own).await, ALLOWED);
    assert_eq!(
        ask(&world, &app, "/any", other).await,
        refused(StatusCode::UNAUTHORIZED, Reason::SessionInactive)
    );
}
