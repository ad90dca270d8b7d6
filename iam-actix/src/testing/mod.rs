//! How does a service test what stands behind the gate?
//!
//! With the real gate, the real wrappers and the service's own configuration, in a world that the test controls: an issuer
//! that signs real tokens, a permission server that knows the tuples it was given, a clock that stands still, and the audit
//! events of every decision. Nothing is switched off, so what passes here is what happens in production, but for what a test
//! controls:
//!
//! - **Time** stands still until [`TestWorld::clock`] is moved: tokens do not expire, and keys are not fetched anew, by themselves.
//!   Whoever waits does so in real time: a request with an unknown key for `jwks.wait`, readiness for a second before it asks an
//!   upstream again.
//! - **Tokens** say what the test says, where the tenant looks for it. Whether the gateway's own claims template puts metadata, scopes,
//!   the tenant and something unique into them, only the gateway can tell.
//! - **Keys** of different gateways bear the same ids. A token of another one is refused for its signature, with 401, where in production
//!   its key is unknown: 401, too.
//! - **Permission servers** know the tuples that were granted, and nothing else: they follow no subject sets and no rules of a namespace,
//!   have every namespace and relation (Keto does not: 500), take batches of any size and do not look at `keto.token`. They answer checks
//!   and readiness; what a service writes or lists by itself, they do not take.
//! - **Other upstreams**, such as Kratos, are not there, and nothing is sent anywhere: no call takes time, is too large or lacks TLS.
//! - **Audit events** go to [`TestWorld::next_event`] instead of the configured sink.
//!
//! What `Iam::check` finds in the routes of an application is found by that alone, here as in production.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use actix_web::{App, HttpResponse, get, test};
//! use iam_actix::{Identity, IamConfig, require_role, testing::TestWorld};
//!
//! #[require_role("warehouse:admin")]
//! #[get("/stock")]
//! async fn stock(user: Identity) -> HttpResponse {
//!     HttpResponse::Ok().body(user.subject().to_owned())
//! }
//!
//! # actix_web::rt::System::new().block_on(async {
//! let world = TestWorld::new(IamConfig::from_toml(r#"
//!     [tenants.default]
//!     transports = ["oathkeeper"]
//!     [tenants.default.oathkeeper]
//!     issuer = "https://gateway.example/"
//!     audience = ["stock-api"]
//!     [tenants.default.oathkeeper.jwks]
//!     url = "https://gateway.example/.well-known/jwks.json"
//! "#)?)?;
//! let iam = world.start().await?;
//! let app = test::init_service(App::new().service(stock).wrap(iam.middleware())).await;
//!
//! let anybody = world.identity("alice");
//! let admin = world.identity("bob").role("warehouse:admin");
//! let get = |user: iam_actix::testing::TestPrincipal| {
//!     test::TestRequest::get().uri("/stock").insert_header(user.header()).to_request()
//! };
//! assert_eq!(test::call_service(&app, get(anybody)).await.status(), 403);
//! assert_eq!(test::call_service(&app, get(admin)).await.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod issuer;
mod principal;
mod upstreams;
mod world;

pub use iam_core::clock::ManualClock;

pub use self::{
    issuer::{IssuerError, TestIssuer},
    principal::TestPrincipal,
    world::{TestWorld, WorldError},
};
