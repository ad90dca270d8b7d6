//! How does a service test what stands behind the gate?
//!
//! A test uses the real gate, the real wrappers and the service's own configuration. A [`TestWorld`] provides what surrounds them:
//! an issuer that signs real tokens, a permission server, a manual clock, and the audit events of every decision. No check is
//! switched off, so a test shows what production does, with these differences:
//!
//! - **Time** stands still until the test moves [`TestWorld::clock`]. Tokens do not expire and keys are not refreshed by themselves.
//!   Waits take real time: a request with an unknown key waits for `jwks.wait`, and the readiness route asks an upstream at most once
//!   a second.
//! - **Tokens** contain the claims that the test sets, where the tenant expects them. Test the claims template of the gateway (metadata,
//!   scopes, tenant, a unique claim) with the gateway itself.
//! - **Keys** of different gateways have the same ids. A token of another gateway fails with 401 because of its signature; in production
//!   it fails with 401 because of its unknown key.
//! - **Permission servers** know the granted tuples only. They resolve no subject sets and no namespace rules, and accept every namespace
//!   and relation (Keto answers an error for unknown ones, which becomes 500), batches of any size, and any `keto.token`. They
//!   answer checks and readiness, and reject writes and lists.
//! - **Identity servers** know the sessions that the test makes with [`TestWorld::session`]. They answer `whoami` as Kratos does, and
//!   readiness; they have no flows and no admin port. Times are those of [`TestWorld::clock`].
//! - **Envelopes and identity headers** of gateways contain what the test sets, and are signed or proved with the secrets of the
//!   configuration. A test sets the peer of a request itself.
//! - **OAuth 2 servers** know the tokens that the test issues with [`TestWorld::access_token`]. They answer introspections and readiness,
//!   publish the keys of JWTs, and accept any credential of the service. They have no endpoints for clients.
//! - **Authenticators** of the application's own are passed to [`TestWorld::with_authenticators`]. Their look-ups reach the real servers.
//! - **Other upstreams** do not exist, and nothing is sent over a network. Calls take no time, and neither size limits
//!   nor TLS are exercised.
//! - **Audit events** go to [`TestWorld::next_event`] instead of the configured sink.
//!
//! `Iam::check` finds faults in the routes of an application here as in production: call it in a test of its own.
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

mod access_token;
mod envelope;
mod forwarded;
mod issuer;
mod principal;
mod session;
mod upstreams;
mod world;

pub use iam_core::clock::ManualClock;

pub use self::{
    access_token::TestAccessToken,
    envelope::TestEnvelope,
    forwarded::TestForwarded,
    issuer::{IssuerError, TestIssuer},
    principal::TestPrincipal,
    session::TestSession,
    world::{TestWorld, WorldError},
};
