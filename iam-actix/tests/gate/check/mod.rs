//! The access map, and the findings of `Iam::check`.

mod faults;
mod unfulfilled;

use actix_web::{
    App, Error, Responder, Route,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    guard,
    middleware::{Next, from_fn},
    web,
};
use iam_actix::{
    AccessMap, CheckError, Finding, Iam, Openness, Permission, ResourceExt as _, RouteExt as _,
    ScopeExt as _, optional, public, require_permission, require_role,
};
use iam_core::{config::IamConfig, tenant::Transport};
use serde_json::Value;

use crate::common::{self, Issuer, World};

#[public]
#[actix_web::get("/health")]
async fn health() -> impl Responder {
    "ok"
}

#[optional]
#[actix_web::get("/feed")]
async fn feed() -> impl Responder {
    "ok"
}

#[require_role("admin")]
#[actix_web::route("/jobs/{id:[0-9]+}", method = "POST", method = "DELETE")]
async fn jobs() -> impl Responder {
    "ok"
}

#[require_permission(namespace = "orders", relation = "view", object = "orders:{id}")]
#[actix_web::get("/orders/{id}")]
async fn order() -> impl Responder {
    "ok"
}

#[require_permission(namespace = "orders", relation = "view", object = "{shop}/{id}")]
#[actix_web::get("/orders/{id}")]
async fn order_of_shop() -> impl Responder {
    "ok"
}

fn unsampled_routes(map: &AccessMap) -> Vec<&str> {
    let routes = map.unsampled_routes().iter();
    routes.map(|unsampled| unsampled.route.as_str()).collect()
}

fn route() -> Route {
    web::get().to(panics)
}

/// Calls inward only when it is polled, as every `from_fn` does.
async fn pass<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    next.call(request).await
}

async fn panics() -> String {
    panic!("no sample may run a handler")
}

fn findings(result: Result<AccessMap, CheckError>) -> Vec<String> {
    let error = result.unwrap_err();
    error.findings().iter().map(ToString::to_string).collect()
}

/// Checks an application with `routes` inside the gate of `world`.
async fn checked(
    world: &World,
    routes: impl FnOnce(&mut web::ServiceConfig),
) -> Result<AccessMap, CheckError> {
    world
        .iam
        .check(|| App::new().configure(routes).wrap(world.iam.middleware()))
        .await
}

/// R148
#[actix_web::test]
async fn the_map_lists_what_every_route_requires() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(health)
            .service(feed)
            .service(web::scope("/admin").service(jobs).require_role(["staff"]))
            .service(order)
            .route("/plain", route());
    })
    .await
    .unwrap();

    let rows: Vec<_> = map
        .routes()
        .iter()
        .map(|route| {
            (
                route.method.as_str(),
                route.pattern.as_str(),
                route.openness,
                route.requirements.len(),
            )
        })
        .collect();
    for expected in [
        ("GET", "/health", Openness::Public, 0),
        ("GET", "/feed", Openness::Optional, 0),
        ("POST", "/admin/jobs/{id:[0-9]+}", Openness::Protected, 2),
        ("DELETE", "/admin/jobs/{id:[0-9]+}", Openness::Protected, 2),
        ("GET", "/orders/{id}", Openness::Protected, 1),
        ("GET", "/plain", Openness::Protected, 0),
    ] {
        assert!(rows.contains(&expected), "{expected:?} in {rows:?}");
    }
    assert_eq!(rows.len(), 6);
    assert!(map.unsampled().is_empty());
    let shown = map
        .routes()
        .iter()
        .find(|route| route.pattern == "/orders/{id}")
        .unwrap();
    assert_eq!(shown.declared[0].name, "order");
    assert!(shown.declared[0].file.ends_with("check/mod.rs") && shown.declared[0].line.is_some());
    assert!(map.routes().iter().all(|route| route.exact));
    let json: Value = serde_json::to_value(&map).unwrap();
    assert_eq!(json["routes"][0]["tenant"], "default");

    let refused = findings(map.strict());
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].starts_with("`GET /plain` declares no policy: add"),
        "{refused:?}"
    );
}

#[actix_web::test]
async fn a_parameter_with_the_name_of_a_reserved_placeholder_is_found() {
    let world = World::start().await;

    let found = findings(
        checked(&world, |app| {
            app.route(
                "/users/{user}",
                route().require_permission(Permission::new("users", "view", "users:{user}")),
            )
            .route(
                "/cats/{id}",
                route().require_permission(Permission::tuple("Cat:{id}#owners@User:{user}")),
            );
        })
        .await,
    );

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("`user`") && found[0].contains("rename"),
        "{found:?}"
    );
}

#[actix_web::test]
async fn a_placeholder_that_no_part_of_the_pattern_provides_is_found() {
    let world = World::start().await;

    let found = findings(
        checked(&world, |app| {
            app.service(web::scope("/shops/{shop}").service(order_of_shop))
                .service(order_of_shop)
                .service(
                    web::scope("/s")
                        .route("/{id}", route())
                        .require_permission(Permission::new("orders", "view", "{id}")),
                );
        })
        .await,
    );

    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("`/orders/{id}`: no parameter `shop`")
            || found[1].starts_with("`/orders/{id}`: no parameter `shop`"),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("`/s/{id}`: no parameter `id`")),
        "{found:?}"
    );
}

#[actix_web::test]
async fn a_permission_of_a_tenant_without_a_permission_server_is_found_with_the_remedy() {
    let issuer = Issuer::new("k1");
    let with_keto = common::tenant(&issuer);
    let mut without = with_keto.clone();
    without.keto = None;
    let config = IamConfig::new()
        .tenant("asks", with_keto)
        .tenant("bare", without)
        .default_tenant("bare");
    let world = World::of(issuer, config).await;

    let error = checked(&world, |app| {
        app.service(health)
            .service(jobs)
            .service(web::scope("/asks").service(order).tenant("asks"))
            .service(
                web::scope("/shops")
                    .service(order)
                    .require_permission(Permission::new("shops", "enter", "main")),
            );
    })
    .await
    .unwrap_err();

    let [one, other] = error.findings() else {
        panic!("{error}")
    };
    for (problem, asked) in [(one, "shops"), (other, "orders")] {
        let Finding::NoPermissionServer {
            requirement,
            tenant,
            pattern,
            declared,
            ..
        } = problem
        else {
            panic!("{problem}")
        };
        assert!(
            requirement.starts_with(&format!("permission:{asked}:")),
            "{requirement}"
        );
        assert_eq!(tenant, "bare");
        assert_eq!(pattern, "/shops/orders/{id}");
        assert_eq!(declared.name, "order");
        let line = problem.to_string();
        assert!(
            line.starts_with("`/shops/orders/{id}`: `permission:")
                && line.contains("the tenant `bare` has none: add `[tenants.bare.keto]` with its `read_url`")
                && line.contains("; `order` in "),
            "{line}"
        );
    }
}

#[actix_web::test]
async fn contradictions_and_unknown_tenants_are_found() {
    let world = World::start().await;

    let error = checked(&world, |app| {
        app.service(web::scope("/two").route("/x", route().tenant("a")).tenant("b"))
            .service(
                web::resource("/unknown")
                    .route(route())
                    .route(web::post().to(panics))
                    .tenant("nobody"),
            )
            .route("/broken", route().require_role([""]));
    })
    .await
    .unwrap_err();

    let kinds = |wanted: fn(&Finding) -> bool| error.findings().iter().filter(|one| wanted(one)).count();
    assert_eq!(kinds(|one| matches!(one, Finding::Conflict { .. })), 2);
    assert_eq!(kinds(|one| matches!(one, Finding::Tenant { .. })), 1);
    assert_eq!(error.findings().len(), 3);
}

#[actix_web::test]
async fn a_transport_that_the_tenant_does_not_use_is_found_where_it_is_used() {
    let world = World::start().await;

    let found = findings(
        checked(&world, |app| {
            app.route("/used", route().transport(Transport::Oathkeeper))
                .route("/open", route().transport(Transport::Cookie).public())
                .route("/cookie", route().transport(Transport::Cookie));
        })
        .await,
    );

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "`/cookie`: the tenant `default` does not use the transport \"cookie\": add it to `tenants.default.transports`"
        ),
        "{found:?}"
    );
}

#[actix_web::test]
async fn what_no_sample_reaches_is_listed_and_refused_in_strict_mode() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(
            web::scope("/hidden")
                .route("/x", route().public())
                .wrap(from_fn(pass)),
        )
        .service(
            web::resource("/guarded")
                .guard(guard::fn_guard(|_| false))
                .route(route())
                .public(),
        );
    })
    .await
    .unwrap();

    let names: Vec<_> = map
        .unsampled()
        .iter()
        .map(|policy| policy.declared.name)
        .collect();
    assert_eq!(names, ["public", "public"]);
    assert!(map.strict().is_err());
}

/// Where two patterns match one path, each row lists the requirements of its own route.
#[actix_web::test]
async fn a_route_is_not_listed_with_what_another_one_requires() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(
            web::scope("/open")
                .route("/{page}", route().public())
                .route("/{tail:.*}", route()),
        )
        .service(
            web::scope("/closed")
                .route("/{page}", route().require_role(["admin"]))
                .route("/{tail:.*}", route().public()),
        )
        .service(
            web::scope("/users")
                .route("/a", route().public())
                .route("/{user}", route()),
        );
    })
    .await
    .unwrap();

    let mode = |pattern: &str| {
        let route = map.routes().iter().find(|route| route.pattern == pattern);
        route.map(|route| (route.openness, route.requirements.clone()))
    };
    let admin = vec!["role:admin".to_owned()];
    assert_eq!(mode("/open/{page}"), Some((Openness::Public, vec![])));
    assert_eq!(mode("/open/{tail:.*}"), Some((Openness::Protected, vec![])));
    assert_eq!(mode("/closed/{page}"), Some((Openness::Protected, admin)));
    assert_eq!(mode("/closed/{tail:.*}"), Some((Openness::Public, vec![])));
    assert_eq!(mode("/users/a"), Some((Openness::Public, vec![])));
    assert_eq!(mode("/users/{user}"), Some((Openness::Protected, vec![])));
    assert!(map.unsampled_routes().is_empty());
    assert!(map.strict().is_err());
}

#[actix_web::test]
async fn a_route_that_no_sample_reaches_is_listed_and_refused_in_strict_mode() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.route(r"/{id:a\bb}", route())
            .route("/{page}", route().public())
            .route("/about", route().public());
    })
    .await
    .unwrap();

    assert_eq!(unsampled_routes(&map), ["GET /about", r"GET /{id:a\bb}"]);
    assert!(map.to_string().contains("not sampled: GET /about"));
    let found = findings(map.strict());
    assert!(
        found
            .iter()
            .any(|finding| finding.starts_with(r"not sampled: GET /{id:a\bb}: no path is known")),
        "{found:?}"
    );
}

/// The map lists open methods and guarded routes beside a protected route of the same pattern.
#[actix_web::test]
async fn what_is_open_beside_a_protected_route_of_its_pattern_is_not_passed_over() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        let admin = || route().require_role(["admin"]);
        let rare = route().guard(guard::Header("x-kind", "rare"));
        let hosts = web::scope("/host").guard(guard::Host("rare.example"));
        app.service(
            web::scope("/s")
                .route("/header", rare)
                .route("/header", admin())
                .route("/get", admin())
                .route(
                    "/both",
                    web::route()
                        .guard(guard::Any(guard::Get()).or(guard::Post()))
                        .to(panics),
                )
                .public(),
        )
        .service(hosts.route("/x", route()).public())
        .service(
            web::resource("/all")
                .route(admin())
                .route(web::route().to(panics))
                .public(),
        )
        .service(
            web::resource("/closed")
                .route(admin())
                .route(web::route().to(panics))
                .protected(),
        );
    })
    .await
    .unwrap();

    let mut lines: Vec<_> = map
        .routes()
        .iter()
        .map(|route| {
            let guard = route.guard.as_deref().unwrap_or_default();
            format!("{} {} {:?} {guard}", route.method, route.pattern, route.openness)
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "* /all Public ",
            "* /s/get Public ",
            "* /s/header Public ",
            "GET /all Protected ",
            "GET /closed Protected ",
            "GET /host/x Protected ",
            "GET /host/x Public Host(rare.example)",
            "GET /s/both Public ",
            "GET /s/get Protected ",
            "GET /s/header Protected ",
            "GET /s/header Public Header(x-kind, rare)",
            "POST /s/both Public ",
        ]
    );
    assert!(map.routes().iter().all(|route| route.exact));
    assert!(map.unsampled_routes().is_empty());
    map.strict().unwrap();
}

/// Actix Web names a resource by its first pattern, also when another one matched.
#[actix_web::test]
async fn each_pattern_of_a_resource_is_sampled_and_strict_mode_takes_it() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(web::resource(["/a", "/b/{id}"]).route(route()).protected());
    })
    .await
    .unwrap();

    let patterns: Vec<_> = map.routes().iter().map(|route| route.pattern.as_str()).collect();
    assert_eq!(patterns, ["/a", "/b/{id}"]);
    map.strict().unwrap();
}

#[actix_web::test]
async fn a_route_outside_of_the_gate_does_not_pass() {
    let world = World::start().await;
    let iam = world.iam.clone();

    let found = findings(
        world
            .iam
            .check(|| {
                App::new().route("/open", route()).service(
                    web::scope("")
                        .wrap(iam.middleware())
                        .route("/closed", route().protected()),
                )
            })
            .await,
    );

    assert_eq!(
        found,
        ["`GET /open` is outside of the gate: register `iam.middleware()` on the application itself"]
    );
}

#[actix_web::test]
async fn an_application_without_the_gate_does_not_pass() {
    let world = World::start().await;
    let other = World::start().await;

    assert_eq!(
        findings(world.iam.check(|| App::new().service(health)).await),
        ["no gate: register `iam.middleware()` on the application"]
    );
    let foreign = other.iam.clone();
    assert_eq!(
        findings(
            world
                .iam
                .check(|| App::new().service(health).wrap(foreign.middleware()))
                .await
        ),
        ["no gate: register `iam.middleware()` on the application"]
    );
}

#[actix_web::test]
async fn a_check_leaves_no_audit_event_and_reaches_the_gate_through_outer_middleware() {
    let mut world = World::start().await;
    let iam: Iam = world.iam.clone();

    world
        .iam
        .check(|| {
            App::new()
                .service(health)
                .wrap(iam.middleware())
                .wrap(from_fn(pass))
        })
        .await
        .unwrap();

    let touched = crate::common::Touched::default();
    let app = app!(world, touched, .service(health));
    assert_eq!(send!(app, GET "/health").status(), 200);
    world.allowed().await;
}
