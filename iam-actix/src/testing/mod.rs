//! How does a service test what stands behind the gate?
//!
//! With the real gate, the real wrappers and the service's own configuration, in a world that the test controls: an issuer
//! that signs real tokens, a permission server that knows the tuples it was given, a clock that stands still, and the audit
//! events of every decision. Nothing is switched off, so what passes here is what happens in production.
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
