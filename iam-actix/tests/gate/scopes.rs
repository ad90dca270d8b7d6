//! What a scope says adds up with what its routes say.

use crate::common;

use std::sync::atomic::Ordering::SeqCst;

use actix_web::{HttpResponse, Responder, dev::fn_service, http::header::HeaderName, web};
use iam_actix::{Permission, RouteExt as _, ScopeExt as _, public, require_role};
use iam_core::{config::OathkeeperConfig, decision::Reason, tenant::Transport};
use serde_json::{Value, json};

use crate::common::{Issuer, Touched, World, assert_refusal, handler};

fn roles(roles: &[&str]) -> Value {
    json!({ "metadataPublic": { "roles": roles } })
}

#[public]
#[actix_web::get("/open")]
async fn open(touched: web::Data<Touched>, seen: common::Seen) -> impl Responder {
    handler(touched, seen, web::Bytes::new()).await
}

#[require_role("user")]
#[actix_web::get("/mine")]
async fn mine(touched: web::Data<Touched>, seen: common::Seen) -> impl Responder {
    handler(touched, seen, web::Bytes::new()).await
}

#[actix_web::test]
async fn a_public_scope_opens_its_unannotated_routes_and_its_404s() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/auth").route("/login", web::get().to(handler)).public())
    );

    assert_eq!(send!(app, GET "/auth/login").status(), 200);
    world.allowed().await;
    assert_eq!(send!(app, GET "/auth/nothing").status(), 404);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/authx"), 401);
    world.denied(Reason::MissingCredential).await;
}

/// D40
#[actix_web::test]
async fn a_requirement_inside_a_public_scope_is_not_skipped() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(web::scope("/s").service(mine).public()));

    assert_refusal(&send!(app, GET "/s/mine"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(&send!(app, GET "/s/mine", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    touched.nothing();
    assert_eq!(
        send!(app, GET "/s/mine", world.bearer_with(&roles(&["user"]))).status(),
        200
    );
    world.allowed().await;
}

/// D40
#[actix_web::test]
async fn a_public_route_inside_a_scope_with_a_requirement_stays_closed() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(web::scope("/s").service(open).require_role(["admin"])));

    assert_refusal(&send!(app, GET "/s/open"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(&send!(app, GET "/s/open", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    touched.nothing();
}

/// D38, D39
#[actix_web::test]
async fn requirements_of_nested_scopes_and_the_route_all_count() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/a")
                .service(web::scope("/b").service(mine).require_role(["editor", "author"]))
                .require_role(["staff"]),
        )
    );

    for missing in [
        roles(&["user"]),
        roles(&["user", "staff"]),
        roles(&["user", "author"]),
        roles(&["staff", "editor"]),
    ] {
        assert_refusal(&send!(app, GET "/a/b/mine", world.bearer_with(&missing)), 403);
        let event = world.denied(Reason::RoleDeny).await;
        assert_eq!(event.route.as_deref(), Some("/a/b/mine"));
        assert_eq!(event.requirements.len(), 3);
    }
    touched.nothing();

    let all = roles(&["staff", "author", "user"]);
    assert_eq!(send!(app, GET "/a/b/mine", world.bearer_with(&all)).status(), 200);
    world.allowed().await;
}

#[actix_web::test]
async fn a_scopes_requirement_holds_for_its_unannotated_routes_and_404s() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").route("/x", web::get().to(handler)).require_role(["admin"]))
    );

    for path in ["/s/x", "/s/nothing"] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
        assert_refusal(&send!(app, GET path, world.bearer()), 403);
        world.denied(Reason::RoleDeny).await;
    }
    touched.nothing();
    let admin = world.bearer_with(&roles(&["admin"]));
    assert_eq!(send!(app, GET "/s/nothing", admin).status(), 404);
    world.allowed().await;
}

#[actix_web::test]
async fn parameters_of_scope_and_route_are_resolved_together() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::scope("/shops/{shop}")
                .route(
                    "/orders/{id}",
                    web::get().to(handler).require_permission(Permission::new("orders", "view", "{shop}/{id}")),
                )
                .require_permission(Permission::new("shops", "enter", "shops/{shop}/{id}")),
        )
    );
    world.keto.allow("orders:s1/7#view@user:alice");

    assert_refusal(&send!(app, GET "/shops/s1/orders/7", world.bearer()), 403);
    world.denied(Reason::PermissionDeny).await;
    touched.nothing();

    world.keto.allow("shops:shops/s1/7#enter@user:alice");
    assert_eq!(send!(app, GET "/shops/s1/orders/7", world.bearer()).status(), 200);
    world.allowed().await;
    assert_eq!(world.keto.asked().len(), 4, "one batch of two each time");
}

#[actix_web::test]
async fn a_placeholder_that_nobody_provides_fails_closed() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route(
            "/orders/{id}",
            web::get().to(handler).require_permission(Permission::new("orders", "view", "{order}")),
        )
        // The innermost wrapper is the scope's: it does not see the route's parameter.
        .service(
            web::scope("/s")
                .route("/{id}", web::get().to(handler))
                .require_permission(Permission::new("orders", "view", "{id}")),
        )
    );

    for path in ["/orders/7", "/s/7"] {
        assert_refusal(&send!(app, GET path, world.bearer()), 500);
        world.denied(Reason::InvalidRequirement).await;
    }
    touched.nothing();
    assert_eq!(world.keto.asked(), [""; 0]);
}

#[actix_web::test]
async fn a_protected_scope_authenticates_before_it_calls_inward() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let counted = touched.clone();
    let raw = move || {
        let counted = counted.clone();
        fn_service(move |request: actix_web::dev::ServiceRequest| {
            counted.handlers.fetch_add(1, SeqCst);
            async move { Ok::<_, actix_web::Error>(request.into_response(HttpResponse::Ok())) }
        })
    };
    let app = app!(
        world, touched,
        .service(web::scope("/closed").service(web::resource("/raw").route(web::route().service(raw()))).protected())
        .service(web::resource("/raw").route(web::route().service(raw())))
    );

    assert_refusal(&send!(app, GET "/closed/raw"), 401);
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
    assert_eq!(send!(app, GET "/closed/raw", world.bearer()).status(), 200);
    world.allowed().await;
    assert_eq!(touched.counts().0, 1);

    // Documented: without it, what runs synchronously in `call` runs before authentication.
    assert_refusal(&send!(app, GET "/raw"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(touched.counts().0, 2);
}

#[actix_web::test]
async fn routes_in_a_protected_scope_keep_their_requirements() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").service(mine).service(open).protected().require_role(["staff"]))
    );

    for (path, claims) in [
        ("/s/mine", roles(&["user"])),
        ("/s/mine", roles(&["staff"])),
        ("/s/open", roles(&[])),
    ] {
        assert_refusal(&send!(app, GET path, world.bearer_with(&claims)), 403);
        world.denied(Reason::RoleDeny).await;
    }
    assert_refusal(&send!(app, GET "/s/open"), 401);
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
    for path in ["/s/mine", "/s/open"] {
        let both = world.bearer_with(&roles(&["user", "staff"]));
        assert_eq!(send!(app, GET path, both).status(), 200);
        world.allowed().await;
    }
}

async fn two_tenants() -> (World, Issuer) {
    let (issuer, acme) = (Issuer::new("k1"), Issuer::new("k2"));
    let other = iam_core::config::TenantConfig::behind(
        OathkeeperConfig::new(common::ISSUER, ["acme-api"]).key(acme.jwk()),
    );
    let config = iam_core::config::IamConfig::new()
        .tenant("default", common::tenant(&issuer))
        .tenant("acme", other)
        .default_tenant("default");
    (World::of(issuer, config).await, acme)
}

/// R116, D9
#[actix_web::test]
async fn a_route_of_another_tenant_takes_its_principals_only() {
    let (mut world, acme) = two_tenants().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/acme", web::get().to(handler).tenant("acme"))
        .route("/own", web::get().to(handler))
    );
    let of = |issuer: &Issuer, tenant: &str, audience: &str| {
        let claims = json!({ "tenant": tenant, "aud": [audience] });
        ("authorization", format!("Bearer {}", issuer.token(&claims)))
    };

    let default = of(&world.issuer, "default", common::AUDIENCE);
    let foreign = of(&acme, "acme", "acme-api");
    assert_refusal(&send!(app, GET "/acme", default.clone()), 401);
    assert_eq!(world.event().await.tenant.as_deref(), Some("acme"));
    assert_refusal(&send!(app, GET "/own", foreign.clone()), 401);
    assert_eq!(world.event().await.tenant.as_deref(), Some("default"));
    touched.nothing();

    assert_eq!(send!(app, GET "/acme", foreign).status(), 200);
    assert_eq!(world.allowed().await.tenant.as_deref(), Some("acme"));
    assert_eq!(send!(app, GET "/own", default).status(), 200);
    world.allowed().await;
}

#[actix_web::test]
async fn contradictions_on_the_way_are_500_for_everybody() {
    let (mut world, _) = two_tenants().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/two").route("/x", web::get().to(handler).tenant("acme")).tenant("default"))
        .route("/unknown", web::get().to(handler).tenant("nobody"))
        .route("/other", web::get().to(handler).transport(Transport::Cookie))
        .route("/broken", web::get().to(handler).public().require_role([""]))
    );
    let token = world.bearer_with(&json!({ "tenant": "default" }));

    for (path, reason) in [
        ("/two/x", Reason::PolicyConflict),
        ("/unknown", Reason::UnknownTenant),
        ("/other", Reason::UnknownTenant),
        ("/broken", Reason::InvalidRequirement),
    ] {
        assert_refusal(&send!(app, GET path), 500);
        world.denied(reason).await;
        assert_refusal(&send!(app, GET path, token.clone()), 500);
        world.denied(reason).await;
    }
    touched.nothing();
}

mod renamed {
    use iam_actix::{public as open, require_role as role};

    /// Two families of attributes, because renamed ones are not recognised: two wrappers.
    #[open]
    #[role("admin")]
    #[actix_web::get("/renamed")]
    pub(super) async fn split() -> &'static str {
        "ok"
    }
}

#[actix_web::test]
async fn attributes_that_a_renamed_import_splits_still_add_up() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(renamed::split));

    assert_refusal(&send!(app, GET "/renamed"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(&send!(app, GET "/renamed", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
}

#[actix_web::test]
async fn a_second_gate_of_the_same_iam_changes_nothing() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").service(open).service(mine).wrap(world.iam.middleware()))
    );

    assert_eq!(send!(app, GET "/s/open").status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/s/mine"), 401);
    world.denied(Reason::MissingCredential).await;
    let response = send!(app, GET "/s/mine", world.bearer_with(&roles(&["user"])));
    assert_eq!(response.status(), 200);
    assert_eq!(
        response
            .headers()
            .get_all(HeaderName::from_static("x-request-id"))
            .count(),
        1
    );
    world.allowed().await;
}

#[actix_web::test]
async fn gates_of_two_iams_let_nobody_in() {
    let mut world = World::start().await;
    let other = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::scope("/s").service(open).route("/x", web::get().to(handler)).wrap(other.iam.middleware()))
    );

    let response = send!(app, GET "/s/x", world.bearer());
    assert_refusal(&response, 500);
    world.denied(Reason::PolicyConflict).await;
    touched.nothing();
}
