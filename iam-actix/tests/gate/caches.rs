//! Permission answers that are cached, dropped, and bypassed.

use std::{sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, rt::time::timeout, test, web};
use futures_util::future::join_all;
use iam_actix::{Access, Error, Iam, Permission, RouteExt as _, audit_channel, require_permission};
use iam_core::{
    clock::ManualClock,
    config::{IamConfig, TenantConfig},
};
use serde_json::json;

use crate::common::{self, Issuer, Keto};

const TUPLE: &str = "docs:7#view@user:alice";
const TTL: Duration = Duration::from_secs(10);

/// An `Iam` whose clock stands still, and a Keto that counts.
struct World {
    clock: ManualClock,
    iam: Iam,
    issuer: Issuer,
    keto: Arc<Keto>,
}

impl World {
    async fn start() -> Self {
        Self::with(|tenant| tenant.cache.permission_ttl = TTL, &["default"]).await
    }

    async fn with(change: impl Fn(&mut TenantConfig), tenants: &[&str]) -> Self {
        let issuer = Issuer::new("k1");
        let clock = ManualClock::at_system_time();
        let keto = Arc::new(Keto::default());
        let mut config = IamConfig::new().default_tenant("default");
        for name in tenants {
            let mut tenant = common::tenant(&issuer);
            change(&mut tenant);
            config = config.tenant(*name, tenant);
        }
        let iam = Iam::builder(config)
            .clock(Arc::new(clock.clone()))
            .http_client(Arc::clone(&keto) as Arc<_>)
            .audit_sink(Arc::new(audit_channel().0))
            .start()
            .await
            .unwrap();
        Self {
            clock,
            iam,
            issuer,
            keto,
        }
    }

    fn bearer(&self) -> (&'static str, String) {
        self.bearer_of("default")
    }

    fn bearer_of(&self, tenant: &str) -> (&'static str, String) {
        let token = self.issuer.token(&json!({ "tenant": tenant }));
        ("authorization", format!("Bearer {token}"))
    }

    fn asked(&self) -> usize {
        self.keto.asked().len()
    }
}

#[require_permission("docs:{id}#view", fresh)]
#[actix_web::get("/fresh/{id}")]
async fn fresh() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[require_permission(namespace = "docs", relation = "view", object = "{id}", fresh)]
#[actix_web::get("/named/{id}")]
async fn named() -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn ask(access: Access, id: web::Path<String>) -> Result<HttpResponse, Error> {
    access.require("docs", "view", &id).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn ask_fresh(access: Access, id: web::Path<String>) -> Result<HttpResponse, Error> {
    access.require_fresh("docs", "view", &id).await?;
    Ok(HttpResponse::Ok().finish())
}

macro_rules! app {
    ($world:expr) => {
        test::init_service(
            App::new()
                .wrap($world.iam.middleware())
                .service(fresh)
                .service(named)
                .route("/ask/{id}", web::get().to(ask))
                .route("/ask_fresh/{id}", web::get().to(ask_fresh))
                .route(
                    "/built/{id}",
                    web::get()
                        .to(HttpResponse::Ok)
                        .require_fresh_permission(Permission::tuple("docs:{id}#view")),
                )
                .route(
                    "/other/{id}",
                    web::get()
                        .to(HttpResponse::Ok)
                        .require_permission(Permission::tuple("docs:{id}#view"))
                        .tenant("other"),
                )
                .route(
                    "/both/{id}",
                    web::get()
                        .to(HttpResponse::Ok)
                        .require_permission(Permission::tuple("docs:{id}#view"))
                        .require_fresh_permission(Permission::tuple("vault:{id}#open")),
                )
                .route(
                    "/{id}",
                    web::get()
                        .to(HttpResponse::Ok)
                        .require_permission(Permission::tuple("docs:{id}#view")),
                ),
        )
        .await
    };
}

/// Sends one request, and returns its status and how many tuples Keto was asked about.
macro_rules! get {
    ($world:expr, $app:expr, $path:expr) => {
        get!($world, $app, $path, $world.bearer())
    };
    ($world:expr, $app:expr, $path:expr, $bearer:expr) => {{
        let before = $world.asked();
        let status = send!($app, GET $path, $bearer).status().as_u16();
        (status, $world.asked().saturating_sub(before))
    }};
}

#[actix_web::test]
async fn without_a_ttl_each_request_is_asked_about() {
    let world = World::with(|_| {}, &["default"]).await;
    world.keto.allow(TUPLE);
    let app = app!(world);

    for _ in 0..3 {
        assert_eq!(get!(world, app, "/7"), (200, 1));
        assert_eq!(get!(world, app, "/8"), (403, 1));
    }
}

/// R115
#[actix_web::test]
async fn an_answer_is_good_for_its_ttl_and_a_denial_for_a_shorter_one() {
    let world = World::start().await;
    world.keto.allow(TUPLE);
    let app = app!(world);

    assert_eq!(get!(world, app, "/7"), (200, 1));
    assert_eq!(get!(world, app, "/8"), (403, 1));
    world.keto.forbid(TUPLE);
    world.keto.allow("docs:8#view@user:alice");

    world.clock.advance(Duration::from_millis(1_999));
    assert_eq!(get!(world, app, "/7"), (200, 0));
    assert_eq!(get!(world, app, "/ask/7"), (200, 0), "for handlers as well");
    assert_eq!(get!(world, app, "/8"), (403, 0));

    world.clock.advance(Duration::from_millis(1));
    assert_eq!(get!(world, app, "/8"), (200, 1), "the denial has expired");

    world.clock.advance(Duration::from_millis(7_999));
    assert_eq!(get!(world, app, "/7"), (200, 0));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(get!(world, app, "/7"), (403, 1), "the answer has expired");
}

/// R083: an outage shows as soon as something is not cached, and leaves nothing behind.
#[actix_web::test]
async fn an_outage_is_503_and_is_not_cached() {
    let world = World::start().await;
    world.keto.allow(TUPLE);
    let app = app!(world);
    assert_eq!(get!(world, app, "/7"), (200, 1));

    world.keto.down(true);
    assert_eq!(get!(world, app, "/7").0, 200, "cached");
    assert_eq!(get!(world, app, "/8").0, 503);
    assert_eq!(get!(world, app, "/fresh/7").0, 503);

    world.keto.down(false);
    assert_eq!(get!(world, app, "/8"), (403, 1));
}

#[actix_web::test]
async fn a_fresh_permission_is_never_answered_from_the_cache() {
    let world = World::start().await;
    let app = app!(world);
    for path in ["/fresh/7", "/named/7", "/built/7", "/ask_fresh/7"] {
        world.keto.allow(TUPLE);
        assert_eq!(get!(world, app, path), (200, 1), "{path}");
        assert_eq!(get!(world, app, path), (200, 1), "{path}");
        assert_eq!(get!(world, app, "/7"), (200, 0), "what it brought is cached");

        world.keto.forbid(TUPLE);
        assert_eq!(get!(world, app, "/7"), (200, 0), "cached");
        assert_eq!(get!(world, app, path), (403, 1), "{path}");
        assert_eq!(get!(world, app, "/7"), (403, 0), "the fresh answer counts");
    }
}

/// A permission on the way of a fresh one is as fresh.
#[actix_web::test]
async fn one_fresh_permission_makes_all_of_the_route_fresh() {
    let world = World::start().await;
    world.keto.allow(TUPLE);
    world.keto.allow("vault:7#open@user:alice");
    let app = app!(world);

    assert_eq!(get!(world, app, "/7"), (200, 1));
    assert_eq!(get!(world, app, "/both/7"), (200, 2));
    assert_eq!(get!(world, app, "/both/7"), (200, 2));
}

/// D21 for tuples: a revoked permission was good until the cache expired.
#[actix_web::test]
async fn a_tuple_written_or_deleted_here_takes_effect_at_once() {
    let world = World::start().await;
    let app = app!(world);
    let keto = world.iam.default_tenant().permissions().unwrap();
    let tuple = "groups:admin#members@bob".parse().unwrap();
    assert_eq!(get!(world, app, "/7"), (403, 1));

    world.keto.allow(TUPLE);
    assert_eq!(get!(world, app, "/7"), (403, 0), "written elsewhere");
    keto.create(&tuple, "r-1").await.unwrap();
    assert_eq!(get!(world, app, "/7"), (200, 1));

    world.keto.forbid(TUPLE);
    assert_eq!(get!(world, app, "/7"), (200, 0));
    keto.delete(&tuple, "r-2").await.unwrap();
    assert_eq!(get!(world, app, "/7"), (403, 1));
}

/// A write without an answer may have been done.
#[actix_web::test]
async fn a_write_that_failed_or_was_given_up_drops_the_answers_too() {
    let world = World::start().await;
    let app = app!(world);
    let keto = world.iam.default_tenant().permissions().unwrap();
    let tuple = "groups:admin#members@bob".parse().unwrap();
    world.keto.allow(TUPLE);
    assert_eq!(get!(world, app, "/7"), (200, 1));

    world.keto.down(true);
    keto.delete(&tuple, "r-1").await.unwrap_err();
    world.keto.down(false);
    assert_eq!(get!(world, app, "/7"), (200, 1));

    world.keto.hang(true);
    let given_up = timeout(Duration::from_millis(20), keto.delete(&tuple, "r-2"));
    assert!(given_up.await.is_err());
    world.keto.hang(false);
    assert_eq!(get!(world, app, "/7"), (200, 1));
    assert_eq!(get!(world, app, "/7"), (200, 0));
}

/// R014, R080, R164: one subject, one object, two tenants.
#[actix_web::test]
async fn two_tenants_never_share_an_answer_and_see_each_others_writes_to_one_server() {
    let cached = |tenant: &mut TenantConfig| tenant.cache.permission_ttl = TTL;
    let world = World::with(cached, &["default", "other"]).await;
    let app = app!(world);
    let other = || world.bearer_of("other");
    world.keto.allow(TUPLE);

    assert_eq!(get!(world, app, "/7"), (200, 1));
    assert_eq!(get!(world, app, "/other/7", other()), (200, 1));
    world.keto.forbid(TUPLE);
    assert_eq!(get!(world, app, "/7"), (200, 0));
    assert_eq!(get!(world, app, "/other/7", other()), (200, 0));

    let keto = world.iam.tenant("other").unwrap().permissions().unwrap();
    let tuple = "groups:admin#members@bob".parse().unwrap();
    keto.delete(&tuple, "r-1").await.unwrap();

    assert_eq!(get!(world, app, "/other/7", other()), (403, 1));
    assert_eq!(get!(world, app, "/7"), (403, 1));
}

/// D46: each of a thousand requests was a call.
#[actix_web::test]
async fn concurrent_requests_for_one_permission_are_one_call() {
    let world = World::start().await;
    world.keto.allow(TUPLE);
    let app = app!(world);
    let requests = (0..1_000).map(|_| async {
        let request = test::TestRequest::with_uri("/7")
            .insert_header(world.bearer())
            .to_request();
        test::call_service(&app, request).await.status()
    });

    let statuses = join_all(requests).await;

    assert!(statuses.iter().all(|status| *status == 200));
    assert_eq!(world.asked(), 1);
}
