//! One test for each fault of the access map, named after the fault.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use actix_cors::Cors;
use actix_web::{
    App, HttpResponse,
    dev::{ServiceRequest, fn_service},
    guard,
    middleware::from_fn,
    web,
};
use iam_actix::{AccessMap, Openness, RouteExt as _, ScopeExt as _, public};
use iam_core::tenant::Transport;
use serde_json::Value;

use super::{checked, feed, findings, health, jobs, order, panics, pass, route, unsampled_routes};
use crate::common::World;

/// One row of the map, as text.
fn row(map: &AccessMap, pattern: &str) -> String {
    let rows = map.routes().iter().filter(|route| route.pattern == pattern);
    let rows: Vec<_> = rows.map(ToString::to_string).collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

#[actix_web::test]
async fn a_scope_was_listed_without_what_its_hidden_route_requires() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(
            web::scope("/named")
                .service(jobs)
                .wrap(from_fn(pass))
                .require_role(["staff"]),
        )
        .service(
            web::scope("/built")
                .route("/x", route().require_role(["admin"]))
                .wrap(from_fn(pass))
                .require_role(["staff"]),
        )
        .service(
            web::scope("/plain")
                .route("/x", route().require_role(["admin"]))
                .require_role(["staff"]),
        );
    })
    .await
    .unwrap();

    let named: Vec<_> = map
        .routes()
        .iter()
        .filter(|route| route.pattern.starts_with("/named"))
        .collect();
    assert_eq!(named.len(), 2);
    for route in named {
        assert!(!route.exact);
        let line = route.to_string();
        assert!(
            line.contains("role:staff (not exact: a middleware inside the gate hides `jobs` in "),
            "{line}"
        );
        let json = serde_json::to_value(route).unwrap();
        assert_eq!(json["exact"], false);
        assert!(json["notes"][0].as_str().unwrap().contains("`jobs`"));
    }
    let built = row(&map, "/built/x");
    assert!(built.contains("may hide `require_role` in"), "{built}");
    assert!(
        row(&map, "/plain/x").ends_with("role:staff role:admin")
            || row(&map, "/plain/x").ends_with("role:admin role:staff")
    );
    assert!(findings(map.strict()).len() >= 2);
}

#[actix_web::test]
async fn a_guarded_scope_was_listed_as_if_every_request_reached_it() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(
            web::scope("/host")
                .guard(guard::Host("admin.example"))
                .route("/x", route())
                .require_role(["admin"]),
        );
    })
    .await
    .unwrap();
    let hosts: Vec<_> = map
        .routes()
        .iter()
        .map(|route| (route.guard.as_deref(), route.requirements.len(), route.exact))
        .collect();
    assert_eq!(hosts, [(None, 0, true), (Some("Host(admin.example)"), 1, true)]);

    let map = checked(&world, |app| {
        app.service(
            web::scope("/odd")
                .guard(guard::fn_guard(|_| true))
                .route("/x", route().require_role(["admin"])),
        )
        .service(
            web::scope("/several")
                .guard(guard::Host("admin.example"))
                .guard(guard::Header("x-kind", "rare"))
                .route("/x", route().public()),
        );
    })
    .await
    .unwrap();

    for pattern in ["/odd/x", "/several/x"] {
        let row = row(&map, pattern);
        assert!(
            row.contains("(not exact: requests that fulfil the guards `"),
            "{row}"
        );
    }
    assert_eq!(unsampled_routes(&map), ["GET /odd/x", "GET /several/x"]);
    let refused = findings(map.strict());
    assert!(
        refused.iter().any(|one| one.starts_with(
            "not sampled: GET /several/x: the guards `Host(admin.example)`, `Header(x-kind, rare)`"
        )),
        "{refused:?}"
    );
}

#[actix_web::test]
async fn strict_mode_refused_applications_with_closed_scopes() {
    let world = World::start().await;
    let ran = Arc::new(AtomicUsize::new(0));
    let body = Arc::clone(&ran);

    let map = checked(&world, |app| {
        app.service(
            web::scope("/closed")
                .service(jobs)
                .route("/built", route().require_role(["admin"]))
                .service(web::resource("/raw").to(panics))
                .default_service(fn_service(move |request: ServiceRequest| {
                    body.fetch_add(1, SeqCst);
                    ready(Ok(request.into_response(HttpResponse::Ok())))
                }))
                .protected()
                .require_role(["staff"]),
        )
        .service(health);
    })
    .await
    .unwrap()
    .strict()
    .unwrap();

    assert_eq!(ran.load(SeqCst), 0, "nothing in a closed scope runs for a sample");
    assert!(map.unsampled().is_empty());
    let enclosed: Vec<_> = map.enclosed().iter().map(|policy| policy.declared.name).collect();
    assert_eq!(enclosed.len(), 2);
    assert!(enclosed.contains(&"jobs") && enclosed.contains(&"require_role"));
    let closed: Vec<_> = map
        .routes()
        .iter()
        .filter(|route| route.pattern.starts_with("/closed"))
        .collect();
    assert_eq!(closed.len(), 4);
    for route in closed {
        assert_eq!(route.openness, Openness::Protected);
        assert_eq!(route.requirements, ["role:staff"]);
        assert!(!route.exact);
        assert!(route.notes[0].starts_with("samples end at the closed scope `protected` in "));
    }
}

/// A hidden public route beside a closed scope does not count as one inside of it.
#[actix_web::test]
async fn strict_mode_passes_no_hidden_route_for_one_inside_a_closed_scope() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(web::scope("/closed").service(order).protected())
            .service(
                web::scope("/open")
                    .route("/x", route().public())
                    .wrap(from_fn(pass))
                    .require_role(["staff"]),
            );
    })
    .await
    .unwrap();

    assert_eq!(map.enclosed().len(), 1);
    assert_eq!(map.unsampled().len(), 1);
    assert!(map.strict().is_err());
}

#[actix_web::test]
async fn strict_mode_refused_patterns_with_nested_braces_and_quantifiers() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        for pattern in [
            r"/a/{s:[A-Z]{2,4}}",
            r"/b/{id:zz\d{17}}",
            r"/c/{v:v\d{1,2}(\.\d{1,2}){2}}/{page}",
            r"/d/{name:[äöü]{3}}",
            r"/e/{x:(foo|bar){2}}-{y:[^a-z/]+}",
        ] {
            app.route(pattern, route().protected());
        }
    })
    .await
    .unwrap();

    assert_eq!(map.routes().len(), 5);
    map.strict().unwrap();
}

#[actix_web::test]
async fn two_gates_on_one_way_passed_the_check() {
    let world = World::start().await;
    let other = World::start().await;

    for (outer, inner, expected) in [
        (
            &world,
            &other,
            "two gates of different `Iam`s are on the way to `GET /inner/x`",
        ),
        (&other, &world, "no gate"),
        (
            &world,
            &world,
            "the gate is registered twice on the way to `GET /inner/x`",
        ),
    ] {
        let found = findings(
            world
                .iam
                .check(|| {
                    App::new()
                        .service(
                            web::scope("/inner")
                                .route("/x", route().protected())
                                .wrap(inner.iam.middleware()),
                        )
                        .service(health)
                        .wrap(outer.iam.middleware())
                })
                .await,
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
    let found = findings(
        world
            .iam
            .check(|| {
                App::new()
                    .service(health)
                    .wrap(world.iam.middleware())
                    .wrap(other.iam.middleware())
            })
            .await,
    );
    assert!(found[0].starts_with("two gates of different `Iam`s"), "{found:?}");
}

#[actix_web::test]
async fn cors_inside_the_gate_passed_the_check() {
    let world = World::start().await;
    let cors = || Cors::default().allowed_origin("https://app.example");
    let routes = |app: &mut web::ServiceConfig| {
        app.service(health).route("/plain", route());
    };

    let inside = world
        .iam
        .check(|| {
            App::new()
                .configure(routes)
                .wrap(cors())
                .wrap(world.iam.middleware())
        })
        .await;
    let found = findings(inside);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("preflights are answered inside the gate")
            && found[0].ends_with("this concerns `/health`, `/plain`"),
        "{found:?}"
    );

    world
        .iam
        .check(|| {
            App::new()
                .configure(routes)
                .wrap(world.iam.middleware())
                .wrap(cors())
        })
        .await
        .unwrap();
    // The gate admits preflights to a scope that is public.
    checked(&world, |app| {
        app.service(web::scope("/open").route("/x", route()).wrap(cors()).public())
            .service(web::resource("/raw").to(panics));
    })
    .await
    .unwrap();
    let found = findings(
        checked(&world, |app| {
            app.service(web::resource("/one").route(route()).wrap(cors()))
                .service(web::resource("/two").route(route()));
        })
        .await,
    );
    assert!(found[0].ends_with("this concerns `/one`"), "{found:?}");
}

#[actix_web::test]
async fn what_main_prints_of_a_failed_check_was_unreadable() {
    let world = World::start().await;

    let error = checked(&world, |app| {
        app.route("/a", route().tenant("nobody"))
            .route("/b", route().transport(Transport::Cookie));
    })
    .await
    .unwrap_err();

    let printed = format!("{error:?}");
    assert_eq!(printed, error.to_string());
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "the access check found 2 faults:");
    assert!(
        lines[1].starts_with("- `/a`: no tenant `nobody` is configured: add `[tenants.nobody]`"),
        "{printed}"
    );
    assert!(
        lines[2].starts_with("- `/b`: the tenant `default` does not use"),
        "{printed}"
    );
    for finding in error.findings() {
        assert_eq!(format!("{finding:?}"), finding.to_string());
    }
}

#[actix_web::test]
async fn a_snapshot_of_the_map_changed_with_every_line_of_code() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.service(health);
    })
    .await
    .unwrap();

    let declared = |map: &AccessMap| {
        let json: Value = serde_json::to_value(map).unwrap();
        json["routes"][0]["declared"][0].clone()
    };
    let short = declared(&map);
    assert_eq!(short["name"], "health");
    assert!(short["file"].as_str().unwrap().ends_with("check/mod.rs"));
    assert_eq!(short.as_object().unwrap().len(), 2);
    let long = declared(&map.with_lines());
    assert!(long["line"].as_u64().unwrap() > 1, "{long}");
}

#[actix_web::test]
async fn a_hidden_public_route_was_only_called_not_sampled() {
    let world = World::start().await;

    let found = findings(
        checked(&world, |app| {
            app.service(web::scope("/hidden").service(health).wrap(from_fn(pass)))
                .service(web::scope("/feeds").service(feed).wrap(from_fn(pass)))
                .service(web::scope("/jobs").service(jobs).wrap(from_fn(pass)));
        })
        .await,
    );

    assert_eq!(found.len(), 2, "{found:?}");
    for (one, handler, pattern) in [
        (&found[0], "health", "GET /hidden/health"),
        (&found[1], "feed", "GET /feeds/feed"),
    ] {
        assert!(
            one.starts_with(&format!(
                "`{pattern}` answers 401 to requests that its policy admits"
            )) && one.contains(&format!("the policy `{handler}` in "))
                && one.contains("check/mod.rs:")
                && one.contains("register that middleware outside of the gate"),
            "{one}"
        );
    }
}

/// `/users/{user}` and `/users/a` match one path. The sample of the first is not one that the second takes.
#[actix_web::test]
async fn a_route_beside_one_without_a_policy_is_not_called_hidden() {
    let world = World::start().await;

    let map = checked(&world, |app| {
        app.route("/users/a", route())
            .service(user)
            .route("/{any}", route())
            .service(about);
    })
    .await
    .unwrap();

    assert!(row(&map, "/users/{user}").contains(" public "));
    let unsampled: Vec<_> = map
        .unsampled()
        .iter()
        .map(|policy| policy.declared.name)
        .collect();
    assert_eq!(unsampled, ["about"], "`/{{any}}` takes every request to `/about`");
}

#[public]
#[actix_web::get("/users/{user}")]
async fn user() -> &'static str {
    "ok"
}

#[public]
#[actix_web::get("/about")]
async fn about() -> &'static str {
    "ok"
}
