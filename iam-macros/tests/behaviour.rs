//! What the attributes do in a running application, behind a real gate, with real tokens.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may fail"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{
    App, Error, HttpResponse,
    body::MessageBody,
    dev::{Service, ServiceResponse},
    get,
    guard::GuardContext,
    http::{Method, StatusCode},
    middleware::DefaultHeaders,
    post, scope, test,
    web::{self, ServiceConfig},
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_actix::{
    Iam, IamConfig, optional, protected, public, public as open, require_permission, require_role,
    require_scope, single_use,
};
use iam_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};

/// The key pair of RFC 7515, appendix A.3: nobody may take it for a secret.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

async fn iam() -> Iam {
    let config = IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["orders-api"]
        algorithms = ["ES256"]
        [tenants.default.oathkeeper.jwks]
        keys = [{{ kty = "EC", crv = "P-256", kid = "k", x = "{X}", y = "{Y}" }}]
        [tenants.default.keto]
        read_url = "http://127.0.0.1:1"
        "#
    ))
    .unwrap();
    Iam::builder(config).start().await.unwrap()
}

/// Signs a fresh token for somebody with these roles.
fn token(roles: &[&str]) -> String {
    static TOKENS: AtomicUsize = AtomicUsize::new(0);

    let now = SystemClock::new().now().as_secs();
    signed(&json!({
        "iss": "https://gateway.example/",
        "sub": "bob",
        "aud": ["orders-api"],
        "jti": TOKENS.fetch_add(1, Ordering::Relaxed).to_string(),
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "metadataPublic": { "roles": roles },
    }))
}

fn signed(claims: &Value) -> String {
    let bytes = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
    let public = [vec![4], bytes(X), bytes(Y)].concat();
    let key =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes(D), &public)
            .unwrap();
    let header = json!({ "alg": "ES256", "kid": "k", "typ": "JWT" });
    let input = [&header, claims]
        .map(|it| URL_SAFE_NO_PAD.encode(it.to_string()))
        .join(".");

    let signature = key
        .sign(&aws_lc_rs::rand::SystemRandom::new(), input.as_bytes())
        .unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn status<S, B>(app: &S, method: &Method, path: &str, token: Option<&str>) -> StatusCode
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let mut request = test::TestRequest::with_uri(path).method(method.clone());
    if let Some(token) = token {
        request = request.insert_header(("authorization", format!("Bearer {token}")));
    }
    test::call_service(app, request.to_request()).await.status()
}

async fn ok() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// One open and one guarded handler for each attribute of Actix Web that names a method.
macro_rules! methods {
    ($($method:ident)*) => {
        $(mod $method {
            use super::{HttpResponse, ok, public, require_role};

            #[public]
            #[actix_web::$method("/open")]
            pub(super) async fn opened() -> HttpResponse {
                ok().await
            }

            #[require_role("admin")]
            #[actix_web::$method("/guarded")]
            pub(super) async fn guarded() -> HttpResponse {
                ok().await
            }

            #[actix_web::$method("/unannotated")]
            pub(super) async fn unannotated() -> HttpResponse {
                ok().await
            }
        })*

        fn all_methods(config: &mut ServiceConfig) {
            $(config.service(
                web::scope(concat!("/", stringify!($method)))
                    .service($method::opened)
                    .service($method::guarded)
                    .service($method::unannotated),
            );)*
        }

        const METHODS: &[&str] = &[$(stringify!($method)),*];
    };
}

methods! { connect delete get head options patch post put query trace }

#[actix_web::test]
async fn every_method_attribute_of_actix_carries_the_policy() {
    let iam = iam().await;
    let app = test::init_service(App::new().wrap(iam.middleware()).configure(all_methods)).await;

    for name in METHODS {
        let method = Method::from_bytes(name.to_uppercase().as_bytes()).unwrap();
        let path = |last: &str| format!("/{name}/{last}");

        assert_eq!(
            status(&app, &method, &path("open"), None).await,
            StatusCode::OK,
            "{name}"
        );
        assert_eq!(
            status(&app, &method, &path("unannotated"), None).await,
            StatusCode::UNAUTHORIZED,
            "{name}"
        );
        let guarded = path("guarded");
        assert_eq!(
            status(&app, &method, &guarded, None).await,
            StatusCode::UNAUTHORIZED,
            "{name}"
        );
        let clerk = token(&["clerk"]);
        assert_eq!(
            status(&app, &method, &guarded, Some(&clerk)).await,
            StatusCode::FORBIDDEN,
            "{name}"
        );
        let admin = token(&["admin"]);
        assert_eq!(
            status(&app, &method, &guarded, Some(&admin)).await,
            StatusCode::OK,
            "{name}"
        );
    }
}

#[require_role("admin")]
#[actix_web::route("/route", method = "GET", method = "POST", method = "PURGE")]
async fn by_route() -> HttpResponse {
    ok().await
}

#[require_role("admin")]
#[actix_web::routes]
#[get("/routes")]
#[put("/routes/put")]
async fn by_routes() -> HttpResponse {
    ok().await
}

#[actix_web::test]
async fn route_and_routes_carry_the_policy_on_each_of_their_methods() {
    let iam = iam().await;
    let app = App::new()
        .wrap(iam.middleware())
        .service(by_route)
        .service(by_routes);
    let app = test::init_service(app).await;

    let purge = Method::from_bytes(b"PURGE").unwrap();
    for (method, path) in [
        (&Method::GET, "/route"),
        (&Method::POST, "/route"),
        (&purge, "/route"),
        (&Method::GET, "/routes"),
        (&Method::PUT, "/routes/put"),
    ] {
        assert_eq!(
            status(&app, method, path, None).await,
            StatusCode::UNAUTHORIZED,
            "{method} {path}"
        );
        let clerk = token(&["clerk"]);
        assert_eq!(
            status(&app, method, path, Some(&clerk)).await,
            StatusCode::FORBIDDEN,
            "{method} {path}"
        );
        let admin = token(&["admin"]);
        assert_eq!(
            status(&app, method, path, Some(&admin)).await,
            StatusCode::OK,
            "{method} {path}"
        );
    }
}

/// Handlers that say the same three things in every order.
macro_rules! orders {
    ($($name:ident: #[$first:meta] #[$second:meta] #[$third:meta];)*) => {
        $(
            #[$first]
            #[$second]
            #[$third]
            #[post("/")]
            async fn $name() -> HttpResponse {
                ok().await
            }
        )*

        fn all_orders(config: &mut ServiceConfig) {
            $(config.service(web::scope(concat!("/", stringify!($name))).service($name));)*
        }

        const ORDERS: &[&str] = &[$(stringify!($name)),*];
    };
}

orders! {
    abc: #[require_role("a")] #[require_role("b", "c")] #[single_use];
    acb: #[require_role("a")] #[single_use] #[iam_actix::require_role("b", "c")];
    bac: #[require_role("b", "c")] #[iam_actix::require_role("a")] #[single_use];
    bca: #[require_role("b", "c")] #[::iam_actix::single_use] #[require_role("a")];
    cab: #[single_use] #[require_role("a")] #[require_role("b", "c")];
    cba: #[single_use] #[require_role("b", "c")] #[require_role("a")];
}

/// D38: of several requirements only the outermost survived.
#[actix_web::test]
async fn of_several_requirements_each_survives_in_every_order() {
    let iam = iam().await;
    let app = test::init_service(App::new().wrap(iam.middleware()).configure(all_orders)).await;

    for name in ORDERS {
        let path = format!("/{name}/");
        for lacking in [&["a"][..], &["b", "c"], &[]] {
            let token = token(lacking);
            let status = status(&app, &Method::POST, &path, Some(&token)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{name} {lacking:?}");
        }
        let token = token(&["a", "c"]);
        assert_eq!(
            status(&app, &Method::POST, &path, Some(&token)).await,
            StatusCode::OK,
            "{name}"
        );
        let again = status(&app, &Method::POST, &path, Some(&token)).await;
        assert_eq!(again, StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[actix_web::test]
async fn several_attributes_are_one_policy_and_one_wrapper() {
    let iam = iam().await;

    let gate = iam.middleware();
    let map = iam
        .check(move || App::new().wrap(gate).configure(all_orders))
        .await
        .unwrap();

    assert_eq!(map.routes().len(), ORDERS.len());
    for route in map.routes() {
        assert_eq!(route.declared.len(), 1, "{route}");
        assert!(ORDERS.contains(&route.declared[0].name), "{route}");
        assert!(
            route.declared[0].file.ends_with("behaviour.rs"),
            "{}",
            route.declared[0].file
        );
    }
}

#[require_role("admin")]
#[open]
#[get("/split")]
async fn split() -> HttpResponse {
    ok().await
}

/// D40: a route that was opened lost its other requirements without a word.
#[actix_web::test]
async fn a_renamed_public_does_not_beat_a_requirement() {
    let iam = iam().await;
    let app = test::init_service(App::new().wrap(iam.middleware()).service(split)).await;

    assert_eq!(
        status(&app, &Method::GET, "/split", None).await,
        StatusCode::UNAUTHORIZED
    );
    let clerk = token(&["clerk"]);
    assert_eq!(
        status(&app, &Method::GET, "/split", Some(&clerk)).await,
        StatusCode::FORBIDDEN
    );
}

fn is_internal(context: &GuardContext<'_>) -> bool {
    context.head().headers().contains_key("x-internal")
}

fn mark() -> DefaultHeaders {
    DefaultHeaders::new().add(("x-mark", "mine"))
}

#[public]
#[get("/own/{id}", name = "own", guard = "is_internal", wrap = "mark()")]
async fn with_own_settings(request: actix_web::HttpRequest) -> HttpResponse {
    HttpResponse::Ok().body(request.url_for("own", ["7"]).unwrap().path().to_owned())
}

#[actix_web::test]
async fn the_users_own_name_guard_and_wrapper_keep_working() {
    let iam = iam().await;
    let app = test::init_service(App::new().wrap(iam.middleware()).service(with_own_settings)).await;

    let request = test::TestRequest::with_uri("/own/1")
        .insert_header(("x-internal", "1"))
        .to_request();
    let response = test::call_service(&app, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers().get("x-mark").unwrap(), "mine");
    assert_eq!(test::read_body(response).await, "/own/7");

    assert_eq!(
        status(&app, &Method::GET, "/own/1", None).await,
        StatusCode::UNAUTHORIZED
    );
}

#[require_role("admin")]
#[scope("/stock")]
mod stock {
    use super::{HttpResponse, get, ok, post, single_use};

    #[get("/{sku}")]
    pub(super) async fn read() -> HttpResponse {
        ok().await
    }

    #[single_use]
    #[post("/{sku}")]
    pub(super) async fn adjust() -> HttpResponse {
        ok().await
    }
}

#[public]
#[scope("/shop")]
mod shop {
    use super::{HttpResponse, get, ok, require_role};

    #[get("/offers")]
    pub(super) async fn offers() -> HttpResponse {
        ok().await
    }

    #[require_role("admin")]
    #[get("/margins")]
    pub(super) async fn margins() -> HttpResponse {
        ok().await
    }
}

#[actix_web::test]
async fn what_a_module_says_holds_for_its_routes_and_adds_up_with_what_they_say() {
    let iam = iam().await;
    let app = App::new()
        .wrap(iam.middleware())
        .service(stock::read)
        .service(stock::adjust);
    let app = test::init_service(app.service(shop::offers).service(shop::margins)).await;
    let (admin, clerk) = (token(&["admin"]), token(&["clerk"]));

    assert_eq!(
        status(&app, &Method::GET, "/stock/1", None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&app, &Method::GET, "/stock/1", Some(&clerk)).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&app, &Method::GET, "/stock/1", Some(&admin)).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, &Method::POST, "/stock/1", Some(&clerk)).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&app, &Method::POST, "/stock/1", Some(&admin)).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, &Method::POST, "/stock/1", Some(&admin)).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&app, &Method::GET, "/shop/offers", None).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, &Method::GET, "/shop/margins", None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&app, &Method::GET, "/shop/margins", Some(&clerk)).await,
        StatusCode::FORBIDDEN
    );
}

#[cfg_attr(all(), require_role("admin"))]
#[cfg_attr(not(all()), public)]
#[cfg_attr(all(), get("/conditional"))]
async fn conditional() -> HttpResponse {
    ok().await
}

#[protected]
#[get("/protected")]
async fn explicitly_protected() -> HttpResponse {
    ok().await
}

/// A handler that needs a principal and nothing else had no attribute to say so, and strict mode refused it.
#[actix_web::test]
async fn protected_admits_every_principal_and_satisfies_strict_mode() {
    let iam = iam().await;
    let gate = iam.middleware();
    let map = iam
        .check(move || App::new().wrap(gate).service(explicitly_protected))
        .await
        .unwrap();
    map.strict().unwrap();

    let app = App::new().wrap(iam.middleware()).service(explicitly_protected);
    let app = test::init_service(app).await;
    assert_eq!(
        status(&app, &Method::GET, "/protected", None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&app, &Method::GET, "/protected", Some(&token(&[]))).await,
        StatusCode::OK
    );
}

#[optional]
#[get("/optional")]
async fn optionally() -> HttpResponse {
    ok().await
}

#[require_scope("orders:read")]
#[get("/scoped")]
async fn scoped() -> HttpResponse {
    ok().await
}

#[require_permission(namespace = "orders", relation = "view", object = "orders:{id}")]
#[get("/orders/{id}")]
async fn permitted() -> HttpResponse {
    ok().await
}

fn others(config: &mut ServiceConfig) {
    config
        .service(conditional)
        .service(optionally)
        .service(scoped)
        .service(permitted);
}

#[actix_web::test]
async fn the_other_words_do_what_they_say() {
    let iam = iam().await;
    let app = test::init_service(App::new().wrap(iam.middleware()).configure(others)).await;
    let (admin, clerk) = (token(&["admin"]), token(&["clerk"]));

    assert_eq!(
        status(&app, &Method::GET, "/conditional", None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&app, &Method::GET, "/conditional", Some(&clerk)).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&app, &Method::GET, "/conditional", Some(&admin)).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, &Method::GET, "/optional", None).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, &Method::GET, "/optional", Some(&clerk)).await,
        StatusCode::OK
    );
    assert_eq!(
        status(&app, &Method::GET, "/optional", Some("no.token")).await,
        StatusCode::UNAUTHORIZED
    );
    // Roles are not scopes.
    assert_eq!(
        status(&app, &Method::GET, "/scoped", Some(&admin)).await,
        StatusCode::FORBIDDEN
    );
    // Nobody answers where the permission server should be.
    let unanswered = status(&app, &Method::GET, "/orders/7", Some(&admin)).await;
    assert_eq!(unanswered, StatusCode::SERVICE_UNAVAILABLE);
}

/// The parts of a tuple travel separately. A value with marks in it is one object, and an unusable value is the caller's mistake.
#[actix_web::test]
async fn an_object_id_cannot_smuggle_in_a_relation_and_a_subject() {
    let iam = iam().await;
    let app = test::init_service(App::new().wrap(iam.middleware()).configure(others)).await;
    let admin = token(&["admin"]);

    for (path, expected) in [
        // The permission server is not there to answer.
        ("/orders/x%23view@User:evil", StatusCode::SERVICE_UNAVAILABLE),
        (
            "/orders/x%23owners%40User%3Aevil",
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        ("/orders/a:b", StatusCode::SERVICE_UNAVAILABLE),
        ("/orders/%0A", StatusCode::BAD_REQUEST),
        ("/orders/%2e%2e", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(
            status(&app, &Method::GET, path, Some(&admin)).await,
            expected,
            "{path}"
        );
    }
}
