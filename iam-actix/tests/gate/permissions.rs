//! Permissions, single use, and what a handler asks by itself.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use crate::common;

use actix_web::{
    App, FromRequest as _, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::ServiceRequest,
    http::StatusCode,
    middleware::{Next, from_fn},
    rt::time::timeout,
    test, web,
};
use futures_util::future::join;
use iam_actix::{
    Access, AuditEvents, Client, Error, Granted, Iam, Permission, RouteExt as _, audit_channel,
    require_permission, require_role, single_use,
};
use iam_core::{
    audit::EventName,
    clock::{Clock as _, ManualClock, Timestamp},
    config::{IamConfig, OathkeeperConfig, TenantConfig},
    decision::Reason,
    replay::{Claim, ClaimFuture, ReplayError, ReplayId, ReplayStore},
    tenant::ReplayMode,
};
use serde_json::json;

use crate::common::{Issuer, Touched, World, assert_refusal, handler};

#[require_permission(namespace = "docs", relation = "view", object = "docs:{id}")]
#[actix_web::get("/docs/{id}")]
async fn document(id: web::Path<String>, granted: Granted<String>) -> String {
    assert_eq!(*id, *granted);
    format!("{} {}", granted.tuples()[0], *granted)
}

/// R092, R139
#[actix_web::test]
async fn keto_is_asked_about_the_object_that_the_handler_loads() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(document));

    for (raw, object) in [
        ("7", "7"),
        ("a%2Fb", "a/b"),
        ("a%25b", "a%b"),
        ("a%2Bb", "a+b"),
        ("a+b", "a+b"),
        ("%C3%A9", "é"),
        ("ann@example.com", "ann@example.com"),
        ("urn:isbn:0451450523", "urn:isbn:0451450523"),
        ("arn:aws:s3:::bucket%2Fkey", "arn:aws:s3:::bucket/key"),
        ("report%20(final).pdf", "report (final).pdf"),
        ("x%23view%40user:evil", "x#view@user:evil"),
    ] {
        world.keto.allow(&format!("docs:docs:{object}#view@user:alice"));

        let response = send!(app, GET & format!("/docs/{raw}"), world.bearer());

        assert_eq!(response.status(), 200, "{raw}");
        let body = test::read_body(response).await;
        assert!(body.ends_with(object.as_bytes()), "{raw}");
        let event = world.allowed().await;
        assert_eq!(event.route.as_deref(), Some("/docs/{id}"));
    }
}

/// R092, R170
#[actix_web::test]
async fn a_parameter_that_cannot_name_an_object_is_400_and_keto_is_not_asked() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(document));

    for raw in [
        "%fe",
        "%ff",
        "%EF%BF%BD",
        "%20",
        "a%0D%0Ab",
        "%00",
        "a%E2%80%8Bb",
        "%2e",
        "%2e%2e",
        "a%2F..%2Fb",
    ] {
        assert_refusal(&send!(app, GET & format!("/docs/{raw}"), world.bearer()), 400);
        world.denied(Reason::InvalidObject).await;
    }
    assert_eq!(world.keto.asked(), [""; 0]);
}

#[require_permission(namespace = "listings", relation = "view", object = "inventory:{sku}")]
#[actix_web::get("/inventory/{sku}/ledger")]
async fn ledger() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Keto was asked about `inventory:..`.
#[actix_web::test]
async fn a_dot_segment_in_the_path_is_400_and_keto_is_not_asked() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(ledger));

    let refused = send!(app, GET "/inventory/%2e%2e/ledger", world.bearer());

    assert_refusal(&refused, 400);
    let event = world.denied(Reason::InvalidObject).await;
    assert_eq!(event.detail, Some("dot_segment"));
    assert_eq!(world.keto.asked(), [""; 0]);
}

/// A valid token was answered with 401, so that the client went back to the login page.
#[actix_web::test]
async fn a_subject_as_people_have_them_was_401_where_a_permission_is_required() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(document));

    for text in [
        "auth0|5f7c8ec7",
        "ann@example.com",
        "https://app.example/u/7",
        "urn:uuid:0d2c3f4e",
        "did:key:z6Mk",
        "spiffe://td/ns/a",
        "Ann (ext)",
        "a#b@c",
    ] {
        for (claims, kind) in [
            (json!({ "sub": text }), "user"),
            (json!({ "sub": text, "client_id": text }), "client"),
        ] {
            let bearer = world.bearer_with(&claims);
            assert_refusal(&send!(app, GET "/docs/7", bearer.clone()), 403);
            world.denied(Reason::PermissionDeny).await;

            world.keto.allow(&format!("docs:docs:7#view@{kind}:{text}"));
            assert_eq!(send!(app, GET "/docs/7", bearer).status(), 200, "{claims}");
            world.allowed().await;
        }
    }

    let asked = world.keto.asked().len();
    let unaskable = world.bearer_with(&json!({ "sub": "a/../b" }));
    assert_refusal(&send!(app, GET "/docs/7", unaskable), 403);
    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.detail, Some("subject_unaskable"));
    assert_eq!(world.keto.asked().len(), asked);
}

/// R082, R083, R084, R157, D44, D84, D85
#[actix_web::test]
async fn a_denied_permission_is_403_and_a_keto_that_is_down_503() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/docs/{id}", web::post().to(handler).require_permission(Permission::new("docs", "edit", "{id}")))
    );

    assert_refusal(&send!(app, POST "/docs/7"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(world.keto.asked(), [""; 0], "nobody is asked about nobody");

    assert_refusal(&send!(app, POST "/docs/7", world.bearer()), 403);
    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.actor.as_deref(), Some("user:alice"));

    world.keto.down(true);
    assert_refusal(&send!(app, POST "/docs/7", world.bearer()), 503);
    world.denied(Reason::PermissionUnavailable).await;
    touched.nothing();

    world.keto.down(false);
    world.keto.allow("docs:7#edit@user:alice");
    assert_eq!(send!(app, POST "/docs/7", world.bearer()).status(), 200);
    world.allowed().await;
}

/// R083: also where the client is somebody else's and knows no deadline.
#[actix_web::test]
async fn a_permission_server_that_never_answers_is_503_and_nobody_waits_for_ever() {
    let mut world = World::with(|mut config| {
        let keto = config
            .tenants
            .get_mut("default")
            .and_then(|tenant| tenant.keto.as_mut());
        keto.unwrap().upstream.timeout = Some(Duration::from_millis(50));
        config
    })
    .await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(pay));
    let payer = world.bearer_with(&json!({ "metadataPublic": { "roles": ["payer"] } }));
    world.keto.allow("orders:7#pay@user:alice");
    world.keto.hang(true);

    let answer = timeout(Duration::from_secs(10), async {
        send!(app, POST "/orders/7/payment", payer.clone())
    })
    .await
    .expect("an answer soon after the deadline of the call");

    assert_refusal(&answer, 503);
    assert!(answer.headers().contains_key("retry-after"));
    let event = world.denied(Reason::PermissionUnavailable).await;
    assert_eq!(event.detail, Some("upstream_timeout"));
    touched.nothing();
    // What handlers ask by themselves ends as well.
    let asked = world.iam.default_tenant().permissions().unwrap();
    let tuple = "docs:7#view@user:alice".parse().unwrap();
    let refused = timeout(Duration::from_secs(10), asked.check(&[tuple], ""))
        .await
        .expect("an answer soon after the deadline of the call");
    assert_eq!(refused.unwrap_err().detail, Some("upstream_timeout"));
    world.keto.hang(false);
    assert_eq!(send!(app, POST "/orders/7/payment", payer).status(), 200);
    world.allowed().await;
}

/// D25
#[actix_web::test]
async fn the_question_to_keto_carries_the_request_id() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(document));

    send!(app, GET "/docs/7", world.bearer(), ("x-request-id", "trace-7"));

    assert_eq!(world.keto.request_ids(), ["trace-7"]);
    assert_eq!(
        world.denied(Reason::PermissionDeny).await.request_id.as_deref(),
        Some("trace-7")
    );
}

/// D41
#[actix_web::test]
async fn a_machine_is_asked_about_under_a_name_of_its_own() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(document));
    world.keto.allow("docs:docs:7#view@user:alice");

    let machine = world.bearer_with(&json!({ "client_id": "alice" }));
    assert_refusal(&send!(app, GET "/docs/7", machine), 403);

    assert_eq!(world.keto.asked(), ["docs:docs:7#view@client:alice"]);
    assert_eq!(
        world.denied(Reason::PermissionDeny).await.actor.as_deref(),
        Some("client:alice")
    );
}

#[single_use]
#[require_role("payer")]
#[require_permission(namespace = "orders", relation = "pay", object = "{id}")]
#[actix_web::post("/orders/{id}/payment")]
async fn pay(touched: web::Data<Touched>, seen: common::Seen) -> HttpResponse {
    handler(touched, seen, web::Bytes::new()).await
}

/// D5, R162
#[actix_web::test]
async fn a_refused_request_burns_nothing_and_a_used_token_is_refused() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .service(pay));
    let payer = world.bearer_with(&json!({ "metadataPublic": { "roles": ["payer"] } }));
    let path = "/orders/7/payment";

    // The same id, in a token without the role.
    let number = json!({ "jti": "one" });
    assert_refusal(&send!(app, POST path, world.bearer_with(&number)), 403);
    world.denied(Reason::RoleDeny).await;
    world.keto.down(true);
    assert_refusal(&send!(app, POST path, payer.clone()), 503);
    world.denied(Reason::PermissionUnavailable).await;
    world.keto.down(false);
    assert_refusal(&send!(app, POST path, payer.clone()), 403);
    world.denied(Reason::PermissionDeny).await;
    touched.nothing();

    world.keto.allow("orders:7#pay@user:alice");
    assert_eq!(send!(app, POST path, payer.clone()).status(), 200);
    world.allowed().await;
    let response = send!(app, POST path, payer);
    assert_refusal(&response, 401);
    assert_eq!(
        response.headers().get("www-authenticate").unwrap(),
        r#"Bearer error="invalid_token""#
    );
    let event = world.denied(Reason::Replay).await;
    assert_eq!(event.event.as_str(), "auth.failure.replay");
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
    assert_eq!(touched.counts().0, 1);

    let first = world.bearer_with(&json!({ "jti": "one", "metadataPublic": { "roles": ["payer"] } }));
    assert_eq!(
        send!(app, POST path, first).status(),
        200,
        "the refused one was not burnt"
    );
    world.allowed().await;
}

/// A store that somebody shares between processes, and that does not answer.
#[derive(Debug, Default)]
struct Silent(AtomicUsize);

impl ReplayStore for Silent {
    fn claim(&self, _: ReplayId<'_>, _: Timestamp, _: Timestamp) -> ClaimFuture {
        self.0.fetch_add(1, SeqCst);
        ClaimFuture::ready(Err(ReplayError::Unavailable))
    }
}

/// A store that takes five seconds, and the clock that they pass on.
#[derive(Debug)]
struct Slow(ManualClock);

impl ReplayStore for Slow {
    fn claim(&self, _: ReplayId<'_>, _: Timestamp, _: Timestamp) -> ClaimFuture {
        self.0.advance(Duration::from_secs(5));
        ClaimFuture::ready(Ok(Claim::First))
    }
}

/// Starts with a slow store, and a clock that only it and the test advance.
async fn beside_slow_store(tenant: TenantConfig) -> (Iam, AuditEvents, ManualClock) {
    let clock = ManualClock::at_system_time();
    let (sink, events) = audit_channel();
    let iam = Iam::builder(IamConfig::new().tenant("default", tenant))
        .clock(Arc::new(clock.clone()))
        .replay_store(Arc::new(Slow(clock.clone())))
        .audit_sink(Arc::new(sink))
        .start()
        .await
        .unwrap();

    (iam, events, clock)
}

/// Also where no wrapper asks the store.
#[actix_web::test]
async fn event_of_a_claim_tells_when_the_store_had_answered() {
    let issuer = Issuer::new("k1");
    let mut tenant = common::tenant(&issuer);
    tenant.oathkeeper.as_mut().unwrap().replay = ReplayMode::Always;
    let (iam, mut events, clock) = beside_slow_store(tenant).await;
    let begun = clock.now();
    let app = test::init_service(
        App::new()
            .wrap(iam.middleware())
            .route("/", web::get().to(HttpResponse::Ok)),
    )
    .await;
    let bearer = ("authorization", format!("Bearer {}", issuer.token(&json!({}))));

    assert_eq!(send!(app, GET "/", bearer).status(), 200);

    let after_the_store = begun.saturating_add(Duration::from_secs(5));
    assert_eq!(events.next().await.unwrap().time, after_the_store);
}

/// However long the handler takes.
#[actix_web::test]
async fn event_tells_when_the_request_was_decided() {
    let issuer = Issuer::new("k1");
    let (iam, mut events, clock) = beside_slow_store(common::tenant(&issuer)).await;
    let begun = clock.now();
    let in_handler = clock.clone();
    let handler = move || {
        in_handler.advance(Duration::from_secs(60));
        ready(HttpResponse::Ok())
    };
    let in_swallow = clock.clone();
    let swallow = move |request: HttpRequest| {
        in_swallow.advance(Duration::from_secs(60));
        async move {
            Client::extract(&request)
                .await
                .map_or("a person", |_| "a machine")
        }
    };
    let in_slow = clock.clone();
    let slow = move |request: ServiceRequest, next: Next<BoxBody>| {
        let in_slow = in_slow.clone();
        async move {
            in_slow.advance(Duration::from_secs(7));
            next.call(request).await
        }
    };
    let in_late = clock.clone();
    let late = move |access: Access| {
        in_late.advance(Duration::from_secs(60));
        async move {
            access
                .require("docs", "view", "")
                .await
                .map(|()| HttpResponse::Ok())
        }
    };
    let app = test::init_service(
        App::new()
            .wrap(iam.middleware())
            .route("/", web::get().to(handler.clone()))
            .route("/open", web::get().to(handler.clone()).public())
            .route("/once", web::post().to(handler.clone()).single_use())
            .service(
                web::scope("/slow")
                    .route("/", web::get().to(handler).require_scope(["read"]))
                    .wrap(from_fn(slow)),
            )
            .route("/late", web::get().to(late))
            .route("/swallow", web::get().to(swallow)),
    )
    .await;
    let bearer = ("authorization", format!("Bearer {}", issuer.token(&json!({}))));

    assert_eq!(send!(app, GET "/", bearer.clone()).status(), 200);
    assert_eq!(events.next().await.unwrap().time, begun);

    clock.set(begun);
    assert_eq!(send!(app, GET "/open").status(), 200);
    assert_eq!(events.next().await.unwrap().time, begun);

    clock.set(begun);
    assert_eq!(send!(app, POST "/once", bearer.clone()).status(), 200);
    let after_the_store = begun.saturating_add(Duration::from_secs(5));
    assert_eq!(events.next().await.unwrap().time, after_the_store);

    clock.set(begun);
    let reader = issuer.token(&json!({ "scope": "read" }));
    let reader = ("authorization", format!("Bearer {reader}"));
    assert_eq!(send!(app, GET "/slow/", reader).status(), 200);
    let after_the_middleware = begun.saturating_add(Duration::from_secs(7));
    assert_eq!(events.next().await.unwrap().time, after_the_middleware);

    clock.set(begun);
    assert_eq!(send!(app, GET "/swallow", bearer.clone()).status(), 200);
    assert_eq!(events.next().await.unwrap().time, begun);

    clock.set(begun);
    assert_eq!(send!(app, GET "/late", bearer).status(), 400);
    let after_the_handler_asked = begun.saturating_add(Duration::from_secs(60));
    assert_eq!(events.next().await.unwrap().time, after_the_handler_asked);

    clock.set(begun);
    assert_eq!(send!(app, GET "/").status(), 401);
    assert_eq!(events.next().await.unwrap().time, begun);
}

/// D4
#[actix_web::test]
async fn a_replay_store_that_was_plugged_in_was_never_asked() {
    let issuer = Issuer::new("k1");
    let store = Arc::new(Silent::default());
    let iam = Iam::builder(IamConfig::new().tenant("default", common::tenant(&issuer)))
        .replay_store(Arc::clone(&store) as Arc<_>)
        .start()
        .await
        .unwrap();
    let app = test::init_service(
        App::new()
            .wrap(iam.middleware())
            .route("/once", web::post().to(HttpResponse::Ok).single_use()),
    )
    .await;

    let bearer = ("authorization", format!("Bearer {}", issuer.token(&json!({}))));
    assert_refusal(&send!(app, POST "/once", bearer), 503);

    assert_eq!(store.0.load(SeqCst), 1);
}

/// R052
#[actix_web::test]
async fn a_token_without_id_is_refused_where_it_would_have_to_be_used_up() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/once", web::post().to(handler).single_use()));

    assert_refusal(
        &send!(app, POST "/once", world.bearer_with(&json!({ "jti": null }))),
        401,
    );
    let event = world.denied(Reason::Malformed).await;
    assert_eq!(event.detail, Some("token_id_missing"));
    touched.nothing();
}

/// D5
#[actix_web::test]
async fn with_replay_always_every_route_takes_a_token_once_and_no_request_burns_its_own() {
    let issuer = Issuer::new("k1");
    let mut oathkeeper = OathkeeperConfig::new(common::ISSUER, [common::AUDIENCE]).key(issuer.jwk());
    oathkeeper.replay = ReplayMode::Always;
    let config = IamConfig::new().tenant("default", TenantConfig::behind(oathkeeper));
    let mut world = World::of(issuer, config).await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/plain", web::get().to(handler))
        .service(web::scope("/s").route("/once", web::get().to(handler).single_use().require_scope(["s"])))
        .route("/open", web::get().to(handler).public())
    );

    let token = world.bearer();
    assert_eq!(send!(app, GET "/plain", token.clone()).status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/plain", token.clone()), 401);
    let event = world.denied(Reason::Replay).await;
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
    assert_eq!(
        send!(app, GET "/open", token).status(),
        200,
        "public looks at no credential"
    );
    world.allowed().await;

    let token = world.bearer_with(&json!({ "scope": "s" }));
    assert_eq!(send!(app, GET "/s/once", token.clone()).status(), 200);
    world.allowed().await;
    assert_refusal(&send!(app, GET "/plain", token), 401);
    world.denied(Reason::Replay).await;
}

async fn edit(access: Access, id: web::Path<String>) -> Result<HttpResponse, Error> {
    access.require("orders", "edit", &id).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn edit_or_view(access: Access, id: web::Path<String>) -> Result<HttpResponse, Error> {
    if access.require("orders", "edit", &id).await.is_err() {
        access.require("orders", "view", &id).await?;
    }
    Ok(HttpResponse::Ok().finish())
}

#[actix_web::test]
async fn a_handler_asks_with_the_same_answers_and_the_same_one_event() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/edit/{id}", web::get().to(edit))
        .route("/either/{id}", web::get().to(edit_or_view))
        .route("/open/{id}", web::get().to(edit).optional())
    );

    assert_refusal(&send!(app, GET "/edit/7", world.bearer()), 403);
    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.requirements, ["permission:orders#edit"]);
    assert_refusal(&send!(app, GET "/edit/%2e%2e", world.bearer()), 400);
    world.denied(Reason::InvalidObject).await;
    world.keto.down(true);
    assert_refusal(&send!(app, GET "/edit/7", world.bearer()), 503);
    world.denied(Reason::PermissionUnavailable).await;
    world.keto.down(false);
    assert_refusal(&send!(app, GET "/open/7"), 401);
    world.denied(Reason::MissingCredential).await;

    world.keto.allow("orders:7#view@user:alice");
    assert_eq!(send!(app, GET "/either/7", world.bearer()).status(), 200);
    assert_eq!(world.allowed().await.requirements.len(), 2);
    world.keto.allow("orders:7#edit@user:alice");
    assert_eq!(send!(app, GET "/edit/7", world.bearer()).status(), StatusCode::OK);
    world.allowed().await;
}

/// Asks both before it looks at either answer.
async fn edit_and_view(access: Access, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let (edit, view) = join(
        access.require("orders", "edit", &id),
        access.require("orders", "view", &id),
    )
    .await;
    edit.and(view)?;
    Ok(HttpResponse::Ok().finish())
}

/// What the caller sees is on record, whatever was answered last.
#[actix_web::test]
async fn of_two_answers_the_refusal_that_became_the_response_is_on_record() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(world, touched, .route("/both/{id}", web::get().to(edit_and_view)));
    world.keto.allow("orders:7#view@user:alice");

    assert_refusal(&send!(app, GET "/both/7", world.bearer()), 403);
    let event = world.denied(Reason::PermissionDeny).await;
    assert_eq!(event.requirements.len(), 2);

    world.keto.allow("orders:7#edit@user:alice");
    assert_eq!(send!(app, GET "/both/7", world.bearer()).status(), 200);
    world.allowed().await;
}

/// Nobody is asked, so nobody gets in. The fault is the configuration's, and the event says so.
#[actix_web::test]
async fn a_permission_of_a_tenant_without_keto_is_500_and_the_event_names_the_configuration() {
    let issuer = Issuer::new("k1");
    let mut tenant = common::tenant(&issuer);
    tenant.keto = None;
    let mut world = World::of(issuer, IamConfig::new().tenant("default", tenant)).await;
    world.keto.allow("docs:7#edit@user:alice");
    let touched = Touched::default();
    let permission = || Permission::new("docs", "edit", "{id}");
    let app = app!(
        world, touched,
        .route("/docs/{id}", web::post().to(handler).require_permission(permission()).single_use())
        .route("/role/{id}", web::post().to(handler).require_permission(permission()).require_role(["editor"]))
        .route("/edit/{id}", web::post().to(edit))
    );

    let token = world.bearer();
    for path in ["/docs/7", "/docs/7", "/edit/7"] {
        let response = send!(app, POST path, token.clone());

        assert_refusal(&response, 500);
        let body: serde_json::Value = test::read_body_json(response).await;
        assert!(!body.to_string().to_lowercase().contains("keto"), "{body}");
        let event = world.denied(Reason::InvalidRequirement).await;
        assert_eq!(event.detail, Some("no_permission_server"));
        assert_eq!(event.tenant.as_deref(), Some("default"));
        assert_eq!(event.actor.as_deref(), Some("user:alice"));
    }
    // Who may not come anyway learns nothing of it.
    assert_refusal(&send!(app, POST "/docs/7"), 401);
    world.denied(Reason::MissingCredential).await;
    assert_refusal(&send!(app, POST "/role/7", world.bearer()), 403);
    world.denied(Reason::RoleDeny).await;
    touched.nothing();
    assert_eq!(world.keto.asked(), [""; 0]);
}

async fn number(granted: Granted<u64>) -> String {
    granted.to_string()
}

#[actix_web::test]
async fn granted_hands_out_nothing_that_was_not_checked() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let permission = || Permission::new("docs", "view", "{id}");
    let app = app!(
        world, touched,
        .route("/unchecked/{id}", web::get().to(number))
        .route("/two/{id}/{other}", web::get().to(number).require_permission(Permission::new("docs", "view", "{id}/{other}")))
        .route("/checked/{id}", web::get().to(number).require_permission(permission()))
    );
    for tuple in [
        "docs:7#view@user:alice",
        "docs:7/8#view@user:alice",
        "docs:x#view@user:alice",
    ] {
        world.keto.allow(tuple);
    }

    assert_refusal(&send!(app, GET "/unchecked/7", world.bearer()), 500);
    world.denied(Reason::InvalidRequirement).await;
    assert_refusal(&send!(app, GET "/two/7/8", world.bearer()), 500);
    world.denied(Reason::InvalidRequirement).await;
    assert_refusal(&send!(app, GET "/checked/x", world.bearer()), 400);
    world.denied(Reason::InvalidObject).await;
    assert_eq!(
        test::read_body(send!(app, GET "/checked/7", world.bearer())).await,
        "7"
    );
    world.allowed().await;
}

async fn not_found_after_the_check(access: Access) -> Result<HttpResponse, actix_web::Error> {
    access.require("orders", "edit", "7").await?;
    Err(actix_web::error::ErrorNotFound("no such order"))
}

async fn not_found_instead_of_the_check() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorNotFound("no such order"))
}

/// D45: what a handler says by itself stays what it says; only Keto's silence is an upstream's.
#[actix_web::test]
async fn a_handlers_not_found_was_mistaken_for_an_upstream_that_is_down() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let app = app!(
        world, touched,
        .route("/after", web::get().to(not_found_after_the_check))
        .route("/instead", web::get().to(not_found_instead_of_the_check))
    );
    world.keto.allow("orders:7#edit@user:alice");

    for path in ["/after", "/instead"] {
        let response = send!(app, GET path, world.bearer());
        assert_eq!(response.status(), 404, "{path}");
        assert!(!response.headers().contains_key("retry-after"), "{path}");
        world.allowed().await;
    }

    world.keto.down(true);
    assert_refusal(&send!(app, GET "/after", world.bearer()), 503);
    world.denied(Reason::PermissionUnavailable).await;
}

#[actix_web::test]
async fn a_parameter_called_as_the_caller_is_asked_about_nobody() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let permission = || Permission::new("users", "view", "{user}");
    let app = app!(
        world, touched,
        .route("/users/{user}", web::get().to(handler).require_permission(permission()))
        .service(web::scope("/of/{user}").route("/all", web::get().to(handler).require_permission(permission())))
    );
    // What the caller may do with its own object says nothing about the one that the path names.
    world.keto.allow("users:alice#view@user:alice");

    for path in ["/users/bob", "/users/alice", "/of/bob/all"] {
        assert_refusal(&send!(app, GET path, world.bearer()), 500);
        world.denied(Reason::InvalidRequirement).await;
    }
    touched.nothing();
    assert_eq!(world.keto.asked(), [""; 0]);
}

/// D51, D84
#[actix_web::test]
async fn every_tuple_that_a_service_writes_leaves_an_event() {
    let mut world = World::start().await;
    let keto = world.iam.default_tenant().permissions().unwrap();
    let tuple = "orders:7#edit@\"user:bob\"".parse().unwrap();

    keto.create(&tuple, "r-1").await.unwrap();
    let event = world.event().await;
    assert_eq!(event.event, EventName::AuthzPermissionGrant);
    assert_eq!(event.tenant.as_deref(), Some("default"));
    assert_eq!(event.request_id.as_deref(), Some("r-1"));
    assert_eq!(event.tuple.as_deref(), Some("orders:7#edit@\"user:bob\""));

    keto.delete(&tuple, "r-2").await.unwrap();
    assert_eq!(world.event().await.event, EventName::AuthzPermissionRevoke);

    world.keto.down(true);
    keto.create(&tuple, "r-3").await.unwrap_err();
    world.denied(Reason::PermissionUnavailable).await;
}
