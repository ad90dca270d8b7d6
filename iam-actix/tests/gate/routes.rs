//! Default deny, exactly: the decision is about the route that the router has chosen, and nothing of a refused route runs.

use crate::common;

use actix_web::{
    HttpResponse, guard,
    http::{Method, header::HeaderValue},
    test, web,
};
use iam_actix::{ResourceExt as _, RouteExt as _, public, require_role};
use iam_core::{
    config::{IamConfig, KetoConfig, OathkeeperConfig, TenantConfig},
    decision::Reason,
};
use serde_json::{Value, json};

use crate::common::{Issuer, Keto, Touched, World, assert_refusal, handler, post};

#[public]
#[actix_web::get("/public")]
async fn open(touched: web::Data<Touched>, seen: common::Seen) -> HttpResponse {
    handler(touched, seen, web::Bytes::new()).await
}

#[require_role("admin")]
#[actix_web::post("/admin")]
async fn admin(touched: web::Data<Touched>, seen: common::Seen, body: web::Bytes) -> HttpResponse {
    handler(touched, seen, body).await
}

/// R112, R144, R155
#[actix_web::test]
async fn a_route_without_annotation_refuses_a_caller_without_credential_and_touches_nothing() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::post().to(handler)));

    let response = test::call_service(&app, post("/orders").to_request()).await;

    assert_refusal(&response, 401);
    assert_eq!(
        response.headers().get("www-authenticate").unwrap(),
        r#"Bearer realm="api""#
    );
    touched.nothing();
    let event = world.denied(Reason::MissingCredential).await;
    assert_eq!(event.method.as_deref(), Some("POST"));
    assert_eq!(event.tenant.as_deref(), Some("default"));
    assert_eq!(event.actor, None);
}

#[actix_web::test]
async fn a_route_without_annotation_lets_an_authenticated_caller_in() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders/{id}", web::post().to(handler)));

    let request = post("/orders/7").insert_header(world.bearer());
    let response = test::call_service(&app, request.to_request()).await;

    assert_eq!(response.status(), 200);
    assert_eq!(touched.counts(), (1, 1, 1));
    let event = world.allowed().await;
    assert_eq!(event.route.as_deref(), Some("/orders/{id}"));
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
    assert_eq!(event.tenant.as_deref(), Some("default"));
}

#[actix_web::test]
async fn a_public_route_ignores_credentials_good_or_bad() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(open));

    for header in [
        ("x-nothing", String::new()),
        world.bearer(),
        ("authorization", "Bearer a.b.c".to_owned()),
    ] {
        assert_eq!(send!(app, GET "/public", header).status(), 200);
        let event = world.allowed().await;
        assert_eq!(event.actor, None);
        assert_eq!(event.route.as_deref(), Some("/public"));
    }
    assert_eq!(touched.counts(), (3, 3, 0));
}

/// R155, R099
#[actix_web::test]
async fn a_missing_role_is_refused_before_extractors_and_body() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(admin));

    let request = post("/admin").insert_header(world.bearer());
    let response = test::call_service(&app, request.to_request()).await;

    assert_refusal(&response, 403);
    assert_eq!(
        response.headers().get("www-authenticate").unwrap(),
        r#"Bearer error="insufficient_scope""#
    );
    touched.nothing();
    let event = world.denied(Reason::RoleDeny).await;
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
    assert_eq!(event.route.as_deref(), Some("/admin"));
    assert_eq!(event.requirements, ["role:admin"]);

    let roles = json!({ "metadataPublic": { "roles": ["admin"] } });
    let request = post("/admin").insert_header(world.bearer_with(&roles));
    let response = test::call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(touched.counts(), (1, 1, 1));
    world.allowed().await;
}

/// R082, R150
#[actix_web::test]
async fn paths_that_match_nothing_are_401_without_and_404_with_a_credential() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(open).route("/orders", web::get().to(handler)));

    assert_refusal(&send!(app, GET "/nothing"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(send!(app, GET "/nothing", world.bearer()).status(), 404);
    world.allowed().await;

    // A trailing slash is another path.
    assert_refusal(&send!(app, GET "/public/"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(send!(app, GET "/public/", world.bearer()).status(), 404);
    world.allowed().await;
    touched.nothing();
}

/// R150
#[actix_web::test]
async fn a_default_service_is_protected() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(open).default_service(web::to(handler)));

    assert_refusal(&send!(app, GET "/nothing"), 401);
    world.denied(Reason::MissingCredential).await;
    touched.nothing();

    assert_eq!(send!(app, GET "/nothing", world.bearer()).status(), 200);
    world.allowed().await;
    assert_eq!(touched.counts(), (1, 1, 0));
}

#[actix_web::test]
async fn methods_of_one_path_are_told_apart() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::resource("/items")
                .route(web::get().to(handler).public())
                .route(web::post().to(handler))
                .route(web::put().to(handler).require_role(["admin"])),
        )
    );

    assert_eq!(send!(app, GET "/items").status(), 200);
    world.allowed().await;
    assert_eq!(touched.counts(), (1, 1, 0));

    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = test::TestRequest::with_uri("/items").method(method);
        assert_refusal(&test::call_service(&app, request.to_request()).await, 401);
        world.denied(Reason::MissingCredential).await;
    }
    assert_refusal(&send!(app, PUT "/items", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    assert_eq!(touched.counts(), (1, 1, 0));

    assert_eq!(send!(app, DELETE "/items", world.bearer()).status(), 405);
    world.allowed().await;
    assert_eq!(send!(app, POST "/items", world.bearer()).status(), 200);
    world.allowed().await;
}

/// `#[get]` guards its resource, so another method reaches no wrapper.
#[actix_web::test]
async fn another_method_on_an_annotated_path_is_401_without_and_404_with_a_credential() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(open));

    assert_refusal(&send!(app, POST "/public"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(send!(app, POST "/public", world.bearer()).status(), 404);
    world.allowed().await;
    touched.nothing();
}

#[actix_web::test]
async fn resources_that_only_guards_tell_apart_keep_their_own_policies() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(
            web::resource("/data")
                .guard(guard::Header("x-kind", "open"))
                .route(web::get().to(handler))
                .public(),
        )
        .service(web::resource("/data").route(web::get().to(handler)))
    );

    assert_eq!(send!(app, GET "/data", ("x-kind", "open")).status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/data", ("x-kind", "other")), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(touched.counts(), (1, 1, 0));
}

/// R091
#[actix_web::test]
async fn the_decision_is_about_the_route_that_the_router_chose() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(open)
        .route("/admin", web::get().to(handler))
        .route("/s/secret", web::get().to(handler))
    );

    for path in [
        "/adm%69n",
        "/s/s%65cret",
        "http://example.com/admin",
        "//admin",
        "/public/../admin",
    ] {
        assert_refusal(&send!(app, GET path), 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();

    assert_eq!(send!(app, GET "/adm%69n", world.bearer()).status(), 200);
    let event = world.allowed().await;
    assert_eq!(event.route.as_deref(), Some("/admin"));
    assert_eq!(send!(app, GET "/publ%69c").status(), 200);
    world.allowed().await;
}

/// R089
#[actix_web::test]
async fn the_method_never_changes_the_decision() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(web::resource("/orders").route(web::route().to(handler))));

    for method in ["HEAD", "OPTIONS", "TRACE", "FOO", "CONNECT", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = test::TestRequest::with_uri("/orders").method(method);

        assert_refusal(&test::call_service(&app, request.to_request()).await, 401);
        world.denied(Reason::MissingCredential).await;
    }
    touched.nothing();
}

/// R090
#[actix_web::test]
async fn headers_that_name_another_method_are_ignored() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .service(web::resource("/items").route(web::get().to(handler).public()).route(web::post().to(handler)))
    );

    assert_refusal(
        &send!(app, POST "/items?_method=GET", ("x-http-method-override", "GET")),
        401,
    );
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
}

/// R085
#[actix_web::test]
async fn two_authorization_lines_are_refused_with_400() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));
    let good = world.bearer();

    for other in [good.clone(), ("authorization", "Basic eA==".to_owned())] {
        for lines in [[good.clone(), other.clone()], [other.clone(), good.clone()]] {
            let mut request = test::TestRequest::with_uri("/orders");
            for line in lines {
                request = request.append_header(line);
            }

            let response = test::call_service(&app, request.to_request()).await;

            assert_refusal(&response, 400);
            assert_eq!(
                response.headers().get("www-authenticate").unwrap(),
                r#"Bearer error="invalid_request""#
            );
            world.denied(Reason::AmbiguousCredential).await;
        }
    }
    touched.nothing();
}

/// R064, R065, R066, R086
#[actix_web::test]
async fn only_a_bearer_token_in_the_header_is_a_credential() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));
    let token = world.issuer.token(&json!({}));

    for scheme in ["bearer", "BEARER", "BeArEr"] {
        let header = ("authorization", format!("{scheme} {token}"));
        assert_eq!(send!(app, GET "/orders", header).status(), 200);
        world.allowed().await;
    }

    let refused: [Vec<u8>; 7] = [
        token.clone().into_bytes(),
        b"Basic eA==".to_vec(),
        format!("Token {token}").into_bytes(),
        b"Bearer".to_vec(),
        b"Bearer ".to_vec(),
        format!("Bearer {token} x").into_bytes(),
        b"Bearer \xc3\xa9\xff".to_vec(),
    ];
    for value in refused {
        let request = test::TestRequest::with_uri("/orders")
            .insert_header(("authorization", HeaderValue::from_bytes(&value).unwrap()));
        assert_refusal(&test::call_service(&app, request.to_request()).await, 401);
        world.event().await;
    }

    assert_refusal(&send!(app, GET & format!("/orders?access_token={token}")), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(touched.counts(), (3, 3, 0));
}

/// R097, R135
#[actix_web::test]
async fn refusals_of_bad_tokens_look_alike() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));
    let other = common::Issuer::new("k1");
    let tokens = [
        (world.issuer.token(&json!({ "exp": 1 })), Reason::Expired),
        (
            world.issuer.token(&json!({ "aud": ["billing-api"] })),
            Reason::AudienceMismatch,
        ),
        (
            world.issuer.token(&json!({ "iss": "http://other/" })),
            Reason::IssuerMismatch,
        ),
        (
            world.issuer.token(&json!({ "tenant": "acme" })),
            Reason::TenantMismatch,
        ),
        (other.token(&json!({})), Reason::InvalidSignature),
        ("a.b.c".to_owned(), Reason::Malformed),
    ];
    let mut seen = Vec::new();

    for (token, reason) in tokens {
        let response =
            send!(app, GET "/orders", ("authorization", format!("Bearer {token}")), ("x-request-id", "same"));
        assert_refusal(&response, 401);
        let challenge = response.headers().get("www-authenticate").unwrap().clone();
        assert_eq!(challenge, r#"Bearer error="invalid_token""#);
        seen.push(test::read_body(response).await);

        let event = world.denied(reason).await;
        assert_eq!(event.actor, None, "an unverified claim is nobody's name");
    }

    assert!(seen.iter().all(|body| *body == seen[0]));
    let problem: Value = serde_json::from_slice(&seen[0]).unwrap();
    assert_eq!(
        problem,
        json!({ "type": "about:blank", "title": "Unauthorized", "status": 401, "request_id": "same" })
    );
    touched.nothing();
}

#[actix_web::test]
async fn development_mode_tells_the_reason() {
    let mut world = World::with(|config| config.development(true)).await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));

    let problem: Value = test::read_body_json(send!(app, GET "/orders")).await;

    assert_eq!(problem["reason"], "missing_credential");
    world.denied(Reason::MissingCredential).await;
}

/// D24, D25
#[actix_web::test]
async fn every_response_and_event_carries_the_same_request_id() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(open).route("/orders", web::get().to(handler)));

    for path in ["/public", "/orders"] {
        let response = send!(app, GET path, ("x-request-id", "trace-1"));
        assert_eq!(response.headers().get("x-request-id").unwrap(), "trace-1");
        assert_eq!(world.event().await.request_id.as_deref(), Some("trace-1"));

        let response = send!(app, GET path, ("x-request-id", "a\"b{}"));
        let id = response.headers().get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(world.event().await.request_id.as_deref(), Some(id));
    }
}

/// R119
#[actix_web::test]
async fn identity_headers_from_the_wire_are_nothing() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));

    let response = send!(app, GET "/orders", ("x-user", "admin"), ("x-tenant", "default"), ("x-forwarded-for", "127.0.0.1"));
    assert_refusal(&response, 401);
    world.denied(Reason::MissingCredential).await;

    send!(app, GET "/orders", world.bearer(), ("x-user", "admin"));
    assert_eq!(world.allowed().await.actor.as_deref(), Some("user:alice"));
}

fn with_fetched_keys() -> IamConfig {
    let oathkeeper =
        OathkeeperConfig::new(common::ISSUER, [common::AUDIENCE]).jwks_url("http://127.0.0.1:4456/jwks.json");
    let tenant = TenantConfig::behind(oathkeeper).keto(KetoConfig::new("http://127.0.0.1:4466"));

    IamConfig::new().tenant("default", tenant)
}

/// R083, R084, D16, D84
#[actix_web::test]
async fn without_keys_a_token_is_503_and_what_needs_no_key_is_as_ever() {
    let issuer = Issuer::new("k1");
    let upstream = Keto::default();
    upstream.down(true);
    let mut world = World::beside(upstream, issuer, with_fetched_keys()).await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(open).route("/orders", web::get().to(handler)));

    assert_refusal(&send!(app, GET "/orders", world.bearer()), 503);
    let event = world.denied(Reason::KeysUnavailable).await;
    assert_eq!(event.event.as_str(), "auth.failure.upstream");
    assert_eq!(event.actor, None);
    assert_refusal(&send!(app, GET "/orders"), 401);
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
    assert_eq!(send!(app, GET "/public").status(), 200);
    world.allowed().await;
}

/// D17, R094
#[actix_web::test]
async fn a_malformed_cookie_is_no_credential_and_no_error() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));

    for cookie in [
        "ory_kratos_session=%E0%A4%A",
        "ory_kratos_session=%zz",
        "=",
        "a=1; a=2",
    ] {
        assert_refusal(&send!(app, GET "/orders", ("cookie", cookie)), 401);
        world.denied(Reason::MissingCredential).await;
        assert_eq!(
            send!(app, GET "/orders", ("cookie", cookie), world.bearer()).status(),
            200
        );
        world.allowed().await;
    }
}

/// R143
#[actix_web::test]
async fn a_request_signed_with_a_key_that_was_just_published_waits_for_it() {
    let issuer = Issuer::new("k1");
    let mut world = World::of(issuer, with_fetched_keys()).await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));
    assert_eq!(send!(app, GET "/orders", world.bearer()).status(), 200);
    world.allowed().await;

    let unpublished = Issuer::new("k9").token(&json!({}));
    assert_refusal(
        &send!(app, GET "/orders", ("authorization", format!("Bearer {unpublished}"))),
        401,
    );
    world.denied(Reason::UnknownKey).await;
    let next = Issuer::new("k2");
    world.keto.publish(next.jwk());
    let token = format!("Bearer {}", next.token(&json!({})));
    assert_eq!(send!(app, GET "/orders", ("authorization", token)).status(), 200);
    world.allowed().await;
}

/// D104
#[actix_web::test]
async fn a_browser_that_another_site_made_send_a_request_is_refused() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(
        web::resource("/orders").route(web::post().to(handler)).route(web::get().to(handler))
    ));

    for header in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        assert_refusal(&send!(app, POST "/orders", world.bearer(), header), 403);
        world.denied(Reason::Csrf).await;
    }
    touched.nothing();
    assert_eq!(
        send!(app, POST "/orders", world.bearer(), ("sec-fetch-site", "same-origin")).status(),
        200
    );
    world.allowed().await;
    assert_eq!(
        send!(app, GET "/orders", world.bearer(), ("sec-fetch-site", "cross-site")).status(),
        200
    );
    world.allowed().await;
}

/// A default service would name, for good, the first route that a guard has kept somebody from.
#[actix_web::test]
async fn what_a_default_service_answers_is_recorded_under_no_route() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let guarded = || {
        web::resource("/admin/{id}")
            .guard(guard::Header("x-inside", "1"))
            .route(web::get().to(handler).public())
    };
    let app = app!(
        world,
        touched,
        .service(guarded())
            .service(web::scope("/area").service(guarded()).default_service(web::to(handler).public()))
            .service(web::scope("/plain").service(guarded()))
            .default_service(web::to(handler).public())
    );

    for path in [
        "/admin/1",
        "/other",
        "/",
        "/area/admin/1",
        "/area/other",
        "/plain/admin/1",
        "/plain/other",
    ] {
        assert_eq!(send!(app, GET path).status(), 200, "{path}");
        assert_eq!(world.allowed().await.route, None, "{path}");
    }
    for (path, route) in [
        ("/admin/1", "/admin/{id}"),
        ("/area/admin/1", "/area/admin/{id}"),
        ("/plain/admin/1", "/plain/admin/{id}"),
    ] {
        assert_eq!(send!(app, GET path, ("x-inside", "1")).status(), 200, "{path}");
        assert_eq!(world.allowed().await.route.as_deref(), Some(route));
    }
}
