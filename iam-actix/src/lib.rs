//! Identity and access for Actix Web beside the Ory stack: exact default deny, attributes, extractors.
//!
//! Annotate handlers, register one middleware, and nothing is open that does not say so. What is *not* in here: login
//! pages, user stores, token issuance; that is what Kratos, Hydra and Oathkeeper are for.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, Responder, get, post, web};
//! use iam_actix::{Body, Iam, IamConfig, Identity, public, require_permission, require_role};
//!
//! #[public] // open to everybody; `#[optional]` knows who comes, if they say so
//! #[get("/inventory/health")]
//! async fn health() -> impl Responder {
//!     "ok"
//! }
//!
//! #[get("/inventory")] // nothing said: an authenticated principal is required
//! async fn list(user: Identity) -> impl Responder {
//!     format!("stock as {} may see it", user.subject())
//! }
//!
//! #[require_role("warehouse:admin")] // any of the listed roles; stacked attributes are all required
//! #[post("/inventory/adjust")]
//! async fn adjust(user: Identity, Body(body): Body<String>) -> impl Responder {
//!     format!("{} wrote {body}", user.subject())
//! }
//!
//! #[require_permission(namespace = "listings", relation = "view", object = "inventory:{sku}")] // asks Keto
//! #[get("/inventory/{sku}/ledger")]
//! async fn ledger(sku: web::Path<String>) -> impl Responder {
//!     format!("ledger of {sku}")
//! }
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let iam = Iam::builder(IamConfig::from_file("iam.toml")?).start().await?;
//!     let gate = iam.clone();
//!     HttpServer::new(move || {
//!         App::new()
//!             .service(health)
//!             .service(list)
//!             .service(adjust)
//!             .service(ledger)
//!             .wrap(gate.middleware())
//!     })
//!     .bind(("127.0.0.1", 3002))?
//!     .run()
//!     .await?;
//!     iam.flush_audit().await;
//!     Ok(())
//! }
//! ```
//!
//! # The way of a request
//!
//! ```text
//! request ─▶ gate            the router chooses the route; who comes, and may they come at all?   400 401 503
//!            route wrapper   roles, scopes, permissions; last of all, single use                  400 401 403 503
//!            extractors, handler
//! response ◀─ one audit event, one request id
//! ```
//!
//! Routing is synchronous in Actix Web, and futures do nothing until they are polled. So the gate lets the router choose
//! first, reads what the chosen route says, and drops the future unpolled when the request is refused: neither the
//! handler nor its extractors nor the body are touched.
//!
//! # Order of middleware
//!
//! CORS, loggers, compression and default headers belong *outside* the gate: `wrap` them after it. Preflights carry no
//! credentials, and refusals are normal responses that loggers and error handlers see. The request of such a response is
//! rebuilt: it has the method, target, peer and headers of the real one, but no credentials, no path parameters and no
//! extensions.
//!
//! The last `wrap` is the outermost:
//!
//! | | Middleware | Why there |
//! |---|---|---|
//! | outermost | `Logger` | a refusal is a line like any other |
//! | | CORS | preflights carry no credentials; refusals carry its headers |
//! | | `Compress`, `DefaultHeaders`, `ErrorHandlers` | they see refusals too |
//! | | `NormalizePath`, `from_fn`, sessions | what they hide, the gate would refuse |
//! | | **[`Iam::middleware`]** | |
//! | innermost | scopes, resources, routes with their policies | a policy is outermost of what wraps the same thing |
//!
//! ```
//! # use actix_web::{App, middleware};
//! # use iam_actix::Iam;
//! # fn app(iam: Iam) {
//! let app = App::new()
//!     .wrap(iam.middleware())
//!     .wrap(middleware::Compress::default())
//!     .wrap(middleware::Logger::default()); // outermost
//! # let _ = app;
//! # }
//! ```
//!
//! # Extractors
//!
//! | Extractor | Gives | Fails with |
//! |---|---|---|
//! | [`Principal`] | whoever was authenticated | 401 for an anonymous caller |
//! | [`Identity`] | a person | 401 for an anonymous caller, 403 for a machine |
//! | [`Client`] | a machine | 401 for an anonymous caller, 403 for a person |
//! | [`Tenant`] | the tenant that the request is decided for | |
//! | [`Access`] | permissions that the handler asks by itself | 401 for an anonymous caller |
//! | [`Granted`] | the very object that the route's permission was checked for | 400 for a value that cannot be read, 500 without one object |
//! | [`RequestId`] | the id of the request | |
//! | [`Body`] | what another extractor makes of the body, in time | 408, or with the status of the other |
//!
//! Each of them but the last fails with 500 when the request is not inside the gate, and on a public route whatever needs a
//! principal does: credentials are not looked at there, so there never is one.
//!
//! `Option<Identity>` turns every error into `None`, which is Actix Web's own doing. It grants nothing and checks nothing: the
//! gate has decided before. On a route that is optional, `None` is an anonymous caller.
//!
//! # Limits
//!
//! - A middleware *inside* the gate that answers asynchronously before it calls inward (`from_fn`, session middlewares,
//!   `Condition` around them) hides the route. The gate then treats the request as protected by the default tenant, and
//!   the route's wrapper still enforces its own policy; a public, optional or other-tenant route behind it answers 401,
//!   and the log names it and the remedy once. What such a middleware hides is also claimed for before the wrapper
//!   checks, when a scope outside of it, or the tenant, accepts credentials only once.
//! - What runs synchronously before a future is polled, such as the body of a raw `fn_service` or `wrap_fn` closure, runs
//!   before authentication. [`ScopeExt::protected`] authenticates before it calls inward, but a credential is used up last
//!   of all: what such a body does, it also does for one that was used before. A middleware inside the gate must not spawn
//!   the inner future as a task of its own.
//! - A middleware *inside* the gate that routes a request twice, such as a fallback that changes the target of what was not
//!   found and calls inward again, takes the decision about the first route along: a second route is held to what it says,
//!   and to what the scopes around it say, but one that says nothing is open to whomever the gate let in for the first one,
//!   refused there or not. Outside of the gate, each time is decided anew.
//! - Without the gate, annotated routes and extractors answer 500, but handlers with neither are open:
//!   [`Iam::check`] finds that.
//! - What a scope, resource or route requires is asked before the answer goes out, also when a middleware between the two
//!   throws the inner answer away and gives its own. What that middleware *does* by then is done, and what it makes of a
//!   refusal is its own answer. One between the gate and all of them answers whom the gate let in.
//! - Where one request needs two credentials that are accepted once, the first is used up also when the second is refused.
//! - A caller that goes away before the last check leaves no event: nothing was allowed.
//! - `#[get]` guards its resource: another method on that path is 401 without and 404 with credentials.
//! - An error that is none of ours and that a middleware inside the gate returns instead of a response is passed on as it
//!   is, without request id.
//! - A refusal of an extractor, or of what a handler asks, counts in the audit when it was made a response, whatever a middleware
//!   inside makes of that.
//! - A resource of several patterns is on record by its first one, as Actix Web calls it.
//! - Actix Web's introspection, which [`Iam::check`] reads, joins the patterns of scopes and routes while the application is built.
//!   Two parameters of one name on one way, as in a scope `/shops/{id}` with a route `/orders/{id}`, end in a panic there: give
//!   each a name of its own.
//! - Extractors work until the request is answered: what a streamed body needs, its handler takes.
//! - A token of more than 16 KiB (`oathkeeper.max_token`, up to 64 KiB), or with claims of more than 128 members or 16 levels, is
//!   malformed (401), be it genuine or not. A subject that Keto's notation cannot write is refused where a permission asks for it (401).
//! - Actix sends `100 Continue` before any middleware can decide.
//! - What is no HTTP that Actix reads, or a head that is too long or too slow, Actix answers by itself: without problem
//!   details, without an event. It bounds the time of the first head on a connection (`client_request_timeout`); a later
//!   one ends with the silence that `keep_alive` allows.
//! - The gate never waits for a body, and Actix bounds the time of a head only: a handler that takes a body should take it
//!   as a [`Body`], which has a deadline.
//!
//! # Features
//!
//! `testing` adds the module `testing`: an issuer and upstreams in memory for tests of one's own. It changes nothing else.
//!
//! # Deployment
//!
//! - One `Iam` for each process, started outside of `HttpServer::new` and shared by all workers: keys, used tokens and the
//!   audit queue are one. Used tokens are remembered in this process; several processes that accept tokens once need a
//!   shared store, see [`Ports::replay_store`].
//! - Behind Oathkeeper, the claims template of the rule needs something unique for each request where tokens are accepted
//!   once; else the gateway sends the same one again.
//! - The clock must be right to within the configured skew.

mod gate;
mod request;
mod policy;
mod extract;
mod answer;
mod check;
mod tenant;
mod upstream;
pub mod audit;
mod health;
mod iam;
mod ports;
mod log_throttle;
mod worker;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use crate::{
    answer::error::Error,
    answer::problem::ProblemDetails,
    audit::{AuditEvents, ChannelAuditSink, JsonLinesAuditSink, TracingAuditSink, audit_channel},
    check::{
        AccessMap, CheckError, Declaration, EnclosedPolicy, Finding, Openness, RouteAccess, UnsampledPolicy,
        UnsampledRoute,
    },
    extract::{Access, Body, BodyConfig, Client, Granted, Identity, Principal, Tenant},
    gate::IamMiddleware,
    health::Health,
    iam::{Iam, IamBuilder, PurgeError, StartError, TenantServices},
    policy::{ResourceExt, RouteExt, ScopeExt, SecuredFactory},
    ports::Ports,
    request::request_id::RequestId,
};
pub use iam_macros::{
    optional, protected, public, require_permission, require_role, require_scope, single_use,
};

pub use iam_core::{
    clock, config,
    config::{ConfigError, IamConfig},
    tenant::Transport,
};
pub use iam_grammar::Permission;

/// Self-service flows in front of Kratos: what a login or registration page of one's own needs.
pub mod flows {
    pub use iam_core::{
        request::RequestHead,
        service::{
            CallError,
            kratos::flows::{Flow, FlowAnswer, FlowClient, FlowContext, FlowKind},
        },
    };
}

#[cfg(test)]
mod test_log;
#[cfg(test)]
mod test_upstream;
