//! Whose credential does a request use up?

use std::sync::atomic::Ordering::SeqCst;

use actix_web::{middleware::from_fn, web};
use iam_actix::{IamConfig, RouteExt as _, ScopeExt as _};
use iam_core::{
    config::{OathkeeperConfig, TenantConfig},
    decision::Reason,
    tenant::ReplayMode,
};
use serde_json::json;

use crate::{
    around::pass,
    common::{self, Issuer, Touched, World, assert_refusal, handler},
};

/// Starts with a second tenant, `acme`, with an issuer and an audience of its own.
pub(crate) async fn beside_acme(
    change: impl FnOnce(&mut OathkeeperConfig, &mut OathkeeperConfig),
) -> (World, Issuer) {
    let (issuer, acme) = (Issuer::new("k1"), Issuer::new("k2"));
    let mut default = common::tenant(&issuer);
    let mut of_acme = OathkeeperConfig::new(common::ISSUER, ["acme-api"]).key(acme.jwk());
    change(default.oathkeeper.as_mut().unwrap(), &mut of_acme);

    let config = IamConfig::new()
        .tenant("default", default)
        .tenant("acme", TenantConfig::behind(of_acme))
        .default_tenant("default");
    (World::of(issuer, config).await, acme)
}

/// The default tenant accepts each credential once; those of `acme` come beside it.
fn defaults_once(default: &mut OathkeeperConfig, acme: &mut OathkeeperConfig) {
    default.replay = ReplayMode::Always;
    acme.header = Some("x-acme-token".to_owned());
}

/// Both tenants accept each credential once.
fn each_once(default: &mut OathkeeperConfig, acme: &mut OathkeeperConfig) {
    defaults_once(default, acme);
    acme.replay = ReplayMode::Always;
}

/// Returns a token for `eve` of `acme`, in a header of its own.
fn of_acme(acme: &Issuer) -> (&'static str, String) {
    let claims = json!({ "tenant": "acme", "aud": ["acme-api"], "sub": "eve" });
    ("x-acme-token", acme.token(&claims))
}

/// Returns a token for `alice` of the default tenant.
fn of_default(world: &World) -> (&'static str, String) {
    world.bearer_with(&json!({ "tenant": "default" }))
}

/// R158: each tenant's own setting counts, whoever else stands on the way.
#[actix_web::test]
async fn a_credential_that_a_closed_scope_asked_for_is_used_up_behind_it() {
    let (mut world, acme) = beside_acme(defaults_once).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/closed")
                .route("/acme", web::get().to(handler).tenant("acme"))
                .route("/role", web::get().to(handler).tenant("acme").require_role(["admin"]))
                .route("/open", web::get().to(handler).public())
                .protected()
        )
    );

    for (path, actor) in [("/closed/acme", "user:eve"), ("/closed/open", "user:alice")] {
        let once = of_default(&world);
        // What is refused for another reason burns nothing.
        assert_refusal(&send!(app, GET "/closed/role", once.clone(), of_acme(&acme)), 403);
        world.denied(Reason::RoleDeny).await;

        assert_eq!(send!(app, GET path, once.clone(), of_acme(&acme)).status(), 200);
        assert_eq!(world.allowed().await.actor.as_deref(), Some(actor));
        assert_refusal(&send!(app, GET path, once, of_acme(&acme)), 401);
        let event = world.denied(Reason::Replay).await;
        assert_eq!(event.actor.as_deref(), Some("user:alice"));
        assert_eq!(event.tenant.as_deref(), Some("default"));
    }
    assert_eq!(touched.handlers.load(SeqCst), 2);
}

/// R158
#[actix_web::test]
async fn a_closed_scope_that_takes_credentials_once_takes_its_own_once_around_a_route_of_another_tenant() {
    let (mut world, acme) = beside_acme(|_, acme| acme.header = Some("x-acme-token".to_owned())).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/closed")
                .route("/acme", web::get().to(handler).tenant("acme"))
                .protected()
                .single_use()
        )
    );
    let once = of_default(&world);

    assert_eq!(
        send!(app, GET "/closed/acme", once.clone(), of_acme(&acme)).status(),
        200
    );
    assert_eq!(world.allowed().await.actor.as_deref(), Some("user:eve"));
    assert_refusal(&send!(app, GET "/closed/acme", once, of_acme(&acme)), 401);
    assert_eq!(
        world.denied(Reason::Replay).await.actor.as_deref(),
        Some("user:alice")
    );
    assert_eq!(touched.handlers.load(SeqCst), 1);
}

/// What was used up stays so, also where another credential of the same request is refused next.
#[actix_web::test]
async fn of_two_credentials_that_are_accepted_once_the_first_is_used_up_when_the_second_was_used_before() {
    let (mut world, acme) = beside_acme(each_once).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/closed").route("/acme", web::get().to(handler).tenant("acme")).protected())
    );
    let (used, fresh) = (of_acme(&acme), of_default(&world));
    assert_eq!(
        send!(app, GET "/closed/acme", of_default(&world), used.clone()).status(),
        200
    );
    world.allowed().await;

    assert_refusal(&send!(app, GET "/closed/acme", fresh.clone(), used), 401);
    assert_eq!(
        world.denied(Reason::Replay).await.actor.as_deref(),
        Some("user:eve")
    );
    assert_refusal(&send!(app, GET "/closed/acme", fresh, of_acme(&acme)), 401);
    assert_eq!(
        world.denied(Reason::Replay).await.actor.as_deref(),
        Some("user:alice")
    );
    assert_eq!(touched.handlers.load(SeqCst), 1);
}

/// R158: a credential that was used up says nothing about another tenant's, and neither does its owner.
#[actix_web::test]
async fn a_late_tenants_credential_is_claimed_and_named_for_itself() {
    let (mut world, acme) = beside_acme(each_once).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/hidden").route("/acme", web::get().to(handler).tenant("acme")).wrap(from_fn(pass)))
    );
    let of_acme = |jti: &str| {
        let claims = json!({ "tenant": "acme", "aud": ["acme-api"], "sub": "eve", "jti": jti });
        ("x-acme-token", acme.token(&claims))
    };
    let own = |world: &World, jti: &str| world.bearer_with(&json!({ "tenant": "default", "jti": jti }));

    let first = send!(app, GET "/hidden/acme", own(&world, "a1"), of_acme("b1"));
    assert_eq!(first.status(), 200);
    assert_eq!(world.allowed().await.actor.as_deref(), Some("user:eve"));
    assert_refusal(
        &send!(app, GET "/hidden/acme", own(&world, "a2"), of_acme("b1")),
        401,
    );
    assert_eq!(world.denied(Reason::Replay).await.tenant.as_deref(), Some("acme"));

    let foreign = (
        "x-acme-token",
        acme.token(&json!({ "tenant": "default", "aud": ["acme-api"] })),
    );
    assert_refusal(&send!(app, GET "/hidden/acme", own(&world, "a3"), foreign), 401);
    let event = world.denied(Reason::TenantMismatch).await;
    assert_eq!((event.tenant.as_deref(), event.actor), (Some("acme"), None));
    assert_eq!(touched.handlers.load(SeqCst), 1);
}

/// R132: a credential that was used up before the gate knew that nobody is asked for is on record with its owner.
#[actix_web::test]
async fn a_claim_for_a_public_route_that_was_hidden_names_whose_it_was() {
    let (mut world, _) = beside_acme(|default, _| default.replay = ReplayMode::Always).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/hidden").route("/open", web::get().to(handler).public()).wrap(from_fn(pass)))
    );
    let once = of_default(&world);

    assert_eq!(send!(app, GET "/hidden/open", once.clone()).status(), 200);
    let event = world.allowed().await;
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
    assert_eq!(event.tenant.as_deref(), Some("default"));
    assert_refusal(&send!(app, GET "/hidden/open", once), 401);
    world.denied(Reason::Replay).await;
}

/// An anonymous caller of another tenant is nobody, whose credential the gate has used up before it knew.
#[actix_web::test]
async fn an_anonymous_caller_of_another_tenant_is_on_record_as_nobody() {
    let (mut world, _) = beside_acme(defaults_once).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/hidden")
                .route("/maybe", web::get().to(handler).tenant("acme").optional())
                .wrap(from_fn(pass))
        )
    );

    assert_eq!(send!(app, GET "/hidden/maybe", of_default(&world)).status(), 200);
    let event = world.allowed().await;
    assert_eq!((event.tenant.as_deref(), event.actor), (Some("acme"), None));
}
