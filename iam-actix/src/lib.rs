//! Identity and access for Actix Web beside the Ory stack: exact default deny, attributes, extractors.
//!
//! Annotate handlers and register one middleware: every route is then protected unless it is declared open. Login pages, user
//! stores and token issuance are *not* part of this crate; Kratos, Hydra and Oathkeeper provide them.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, Responder, get, post, web};
//! use iam_actix::{Body, Iam, IamConfig, Identity, public, require_permission, require_role};
//!
//! #[public] // open to everybody; `#[optional]` also authenticates callers that present a credential
//! #[get("/inventory/health")]
//! async fn health() -> impl Responder {
//!     "ok"
//! }
//!
//! #[get("/inventory")] // no attribute: an authenticated principal is required
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
//! request ─▶ gate            the router chooses the route; the caller is authenticated     400 401 503
//!            route wrapper   roles, scopes, permissions; last of all, single use           400 401 403 503
//!            extractors, handler
//! response ◀─ one audit event, one request id
//! ```
//!
//! Routing is synchronous in Actix Web, and futures do nothing until they are polled. So the gate calls the router first, reads
//! the policies of the chosen route, and drops the future unpolled when the request is refused: the handler and its extractors do
//! not run, and the body is not read.
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
//! | | `NormalizePath`, `from_fn`, sessions | inside the gate they would hide routes from it |
//! | | **[`Iam::middleware`]** | |
//! | innermost | scopes, resources, routes with their policies | the policy is the outermost wrapper of its route, resource or scope |
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
//! | [`Principal`] | the authenticated principal | 401 for an anonymous caller |
//! | [`Identity`] | a person | 401 for an anonymous caller, 403 for a machine |
//! | [`Session`] | the Kratos session of a person: times, level, methods, devices, traits | 401 for an anonymous caller, 403 for a principal without a session |
//! | [`Client`] | a machine | 401 for an anonymous caller, 403 for a person |
//! | [`Tenant`] | the tenant that the request is decided for | |
//! | [`Access`] | permission checks in the handler | 401 for an anonymous caller |
//! | [`Granted`] | the path parameter that the route's permission was checked for | 400 for a value of another type, 500 unless there is exactly one |
//! | [`RequestId`] | the id of the request | |
//! | [`Body`] | the value of another extractor, from a body with a deadline | 408, or the status of the other extractor |
//!
//! All but the last fail with 500 when the request is not inside the gate. Those that need a principal also fail with 500 on a
//! public route, where credentials are ignored and there is no principal.
//!
//! `Option<Identity>` turns every error into `None`: Actix Web defines it so. It grants nothing and checks nothing, because the
//! gate has decided before. On an optional route, `None` is an anonymous caller.
//!
//! # Who is admitted
//!
//! | Credential | `public` | `optional` | `anonymous` | nothing said, `protected`, a requirement |
//! |---|---|---|---|---|
//! | none, or an empty cookie | no principal | no principal | no principal | 401 |
//! | a good one | no principal | the principal | 403 | the principal |
//! | a session that Kratos does not know, or that is over | no principal | no principal | no principal | 401 |
//! | a session whose second factor is due | no principal | 401, step-up | 401, step-up | 401, step-up |
//! | any other bad one: malformed, forged, an expired token | no principal | 401 | 401 | 401 |
//! | two, or one twice | no principal | 400 | 400 | 400 |
//! | a good one, sent by a page of another site | no principal | 403 | 403 | 403 |
//! | any, and the upstream that has to be asked gives no answer | no principal | 503 | 503 | 503 |
//!
//! Only the credentials of the route's transports are looked at. The CSRF check is on for the session cookie and for the gateway's token,
//! and off for session tokens and access tokens, which no browser sends by itself.
//!
//! A step-up is the challenge of RFC 9470 (`insufficient_user_authentication` with `acr_values` and `max_age`), with the tenant's
//! `kratos.login_url` as the member `login_url` of the problem. A URL of Kratos is never shown. The page itself has to be public, or
//! another application's: a session whose second factor is due is not admitted to an optional one.
//!
//! Two tenants with the same Kratos accept the same sessions, because Kratos asserts no tenant. Isolation between them is the Kratos
//! instance.
//!
//! # Access tokens
//!
//! The transport `oauth2` takes an OAuth 2 access token from `Authorization: Bearer`, and from nowhere else. With
//! `tokens = "introspect"` Hydra is asked about each token, and its answer is checked again: use, issuer, audience, times. With
//! `tokens = "jwt"` tokens are verified here, with keys and a verifier of their own: a gateway's token never passes as an access token, nor
//! the other way round. A revoked JWT is accepted until it expires.
//!
//! A client that acts for itself (`sub` equals `client_id`) is a [`Client`]. A person through a client is an [`Identity`] whose
//! `acting_client` names the client. Both have the scopes of the token, and no roles. A missing scope is 403, and the challenge names the
//! scopes that the route requires (RFC 6750 §3.1). A route of [`single_use`] cannot accept introspected tokens, because they
//! have no id: [`Iam::check`] finds such a route, and it answers 500.
//!
//! # Several transports on one route
//!
//! `#[transport("oauth2", "cookie-or-bearer")]` accepts either credential. The transport whose credential is presented decides, alone: its
//! CSRF rule applies, and the others are not tried when it refuses. Credentials of two of the transports are 400, a malformed one
//! counting as presented; none is 401.
//!
//! Where two of the transports read `Authorization: Bearer`, the form of the token tells which of them it is for: `ory_st_…` is a session
//! token of Kratos, `ory_at_…` an opaque access token of Hydra, and three parts with two dots are a JWT. Each token has one of these
//! forms at most and is verified as that kind only; any other token is 401. Session tokens without the prefix, of servers before Ory
//! introduced it, travel in `X-Session-Token` on such a route. Transports that would take the same credential cannot be listed together, such
//! as `oauth2` and an `oathkeeper` whose header is `Authorization`: [`Iam::check`] reports the route, and it answers 500.
//!
//! # Tokens of Kratos's tokenizer
//!
//! `whoami?tokenize_as=NAME` gives a JWT in place of a session. It is verified here, without a call to Kratos, by the transport
//! `oathkeeper` with an issuer and keys of its own:
//!
//! ```toml
//! [tenants.default]
//! transports = ["oathkeeper"]
//!
//! [tenants.default.oathkeeper]
//! issuer = "https://kratos.example/"          # Kratos's `serve.public.base_url`, with its slash
//! audience = ["orders-api"]
//! metadata_claim = "metadataPublic"
//! # The public half of the template's `jwks_url`: Kratos publishes it nowhere.
//! jwks.keys = [{ kty = "RSA", alg = "RS256", kid = "…", n = "…", e = "AQAB" }]
//! ```
//!
//! Kratos sets `iss`, `sub`, `sid`, `exp`, `iat`, `nbf` and `jti`, and no audience. The template's claims mapper has to add `aud`, and the
//! tenant where there are several; without `aud` each token is refused with 401, because it would pass at every service that has the keys:
//!
//! ```text
//! local session = std.extVar('session');
//! { claims: { aud: ['orders-api'], tenant: 'default', metadataPublic: session.identity.metadata_public } }
//! ```
//!
//! A token is accepted until it expires, also after its session was revoked. A tenant has one gateway, so a service behind Oathkeeper
//! that also takes these tokens needs a second tenant for them. `.transports([Transport::Oathkeeper, Transport::CookieOrBearer])`
//! takes such a token or a session.
//!
//! # Credentials of an application's own
//!
//! An [`Authenticator`](authenticator::Authenticator) accepts credentials that Ory does not issue: API keys, sessions of an older system,
//! tokens that another server reviews. [`Ports::authenticator`] registers it; its name is the transport `custom:NAME` in the
//! configuration, in [`macro@transport`] and in lists. It names its carriers and gets the one credential in them: a repeated or second one is
//! refused before. What it states is checked before it becomes a principal: this very tenant, an expiry that is not over, well-formed
//! subject, roles and scopes. A look-up of its own is awaited for its `timeout` at most; without an answer the request is 503. The CSRF
//! check is on unless it says otherwise. `examples/api-keys` keeps hashed API keys in a table.
//!
#![doc = include_str!("failures.md")]
//!
//! # Limits
//!
//! ## Middleware inside the gate
//!
//! 1. A middleware that answers asynchronously before it calls inward (`from_fn`, session middlewares, a `Condition` around them) hides
//!    the routes behind it. The gate treats such a request as protected by the default tenant, and the route's wrapper still
//!    enforces its own policy. A public, optional or other-tenant route behind such a middleware answers 401. The log names the
//!    policy and the remedy once, and [`Iam::check`] reports it. A policy from an extension trait has no name of its own, so the log
//!    reports it as a possibility until a request with a credential proves it.
//! 2. Where a scope outside such a middleware, or the tenant, accepts credentials only once, the credential is claimed before the
//!    hidden wrapper checks its own requirements.
//! 3. Code that runs synchronously before a future is polled, such as the body of a raw `fn_service` or `wrap_fn` closure, runs
//!    before authentication. [`ScopeExt::protected`] authenticates before it calls inward. It does not claim the credential first: such
//!    a body also runs for a credential that was used before.
//! 4. A middleware must not spawn the inner future as a separate task.
//! 5. A middleware that routes one request twice, such as a fallback that changes the target and calls inward again, carries the
//!    decision about the first route along. The second route's own policy and the policies of its scopes are enforced. A second route
//!    without any policy is open to every request that the gate admitted for the first one. Outside the gate, each call is decided anew.
//! 6. The requirements of a scope, resource or route are enforced before the response goes out, also when a middleware in between
//!    replaces the inner response. Side effects of that middleware have happened by then. A middleware between the gate and every
//!    wrapper answers any request that the gate admitted.
//! 7. An error of another crate that a middleware returns instead of a response is passed on unchanged, without a request id.
//!
//! ## Routes
//!
//! 8. Without the gate, annotated routes and extractors answer 500, but handlers without either are open. [`Iam::check`] finds that.
//! 9. `#[get]` guards its resource: another method on the same path is 401 without a credential and 404 with one.
//! 10. Actix Web's introspection joins the patterns of scopes and routes while the application is built. Two parameters of one name on
//!     one way, such as a scope `/shops/{id}` with a route `/orders/{id}`, panic there: use two names.
//!
//! ## Credentials and bodies
//!
//! 11. A session cookie or session token of more than 4096 bytes is malformed: 401. A token of more than 16 KiB (`oathkeeper.max_token`, up to 64 KiB), or with claims of more than 128 members or 16 levels, is
//!     malformed: 401.
//! 12. A subject that Keto cannot be asked about is refused where a permission is required: 403.
//! 13. Where one request needs two credentials that are accepted once, the first is used up also when the second is refused.
//! 14. Extractors work until the request is answered. A handler that streams its body takes what it needs before.
//! 15. The gate never waits for a body, and Actix bounds the time of a head only. A handler should take its body as a [`Body`], which
//!     has a deadline.
//! 16. Actix sends `100 Continue` before any middleware can decide. It answers malformed, too long and too slow heads itself: without
//!     problem details and without an event. `client_request_timeout` bounds the first head of a connection, `keep_alive` the later ones.
//!
//! ## Audit
//!
//! 17. A request whose caller disconnects before the last check has no event: nothing was allowed.
//! 18. A refusal by an extractor, or by a check in the handler, decides the event once it has become a response, even if a middleware
//!     inside the gate replaces that response.
//! 19. An event names a resource of several patterns by the first one. The event of a request that was refused before its route announced
//!     a policy names the first route that the path and method fit.
//!
//! # Caches
//!
//! | Cached | Key of `[tenants.X.cache]` | Ends at the latest |
//! |---|---|---|
//! | verified tokens | `verified_tokens` (a number; on) | with the token, or with its key |
//! | sessions that Kratos confirms | `session_ttl` (off) | with the session, or when it is revoked through this process |
//! | access tokens that Hydra calls active | `introspection_ttl` (off) | with the token, or when it is revoked through this process |
//! | unknown sessions and inactive tokens | `negative_ttl` (2 seconds) | the same |
//! | permissions | `permission_ttl` (off) | when a tuple is written or deleted through this process |
//! | permissions that are denied | `negative_ttl` (2 seconds, where permissions are cached) | the same |
//!
//! The answer is cached, not the decision: each request checks expiry, level, age and audience again. A session that lacks a factor is
//! not cached, and a route that asks for a level or an age which the cached session lacks asks Kratos anew, so a step-up counts at once.
//!
//! A time counts from the start of the call that brought the answer, and is a minute at most. What an upstream did not answer is never
//! cached. Concurrent requests for what is not cached share one call, which goes on when any of them goes away. Each cache has
//! `max_entries` places and belongs to one tenant; a secret is known to it by a keyed hash only. An answer of more than 64 KiB about a
//! session or token is not cached, and each request asks.
//!
//! [`Sessions::revoke`] and [`Identities::delete`] drop what is cached, for all tenants of the same Kratos, and so does
//! [`TenantServices::revoke`] for what has ended elsewhere. A call that began before leaves nothing in the cache.
//!
//! A change that another process makes takes effect here when the time is over. Where that is too late, a requirement can be fresh:
//! `#[require_permission("Vault:{id}#open", fresh)]`, [`RouteExt::require_fresh_permission`] and [`Access::require_fresh`] get the
//! answer to a call that begins after the request arrived. On a route with the first or second, the session or token is asked about
//! anew as well; [`Access::require_fresh`] comes too late for that. Such calls are not shared.
//!
//! # Features
//!
//! `testing` adds the module `testing`: an issuer and upstreams in memory, for tests of an application. It changes nothing else.
//!
//! # Deployment
//!
//! - One `Iam` for each process, started outside of `HttpServer::new` and shared by all workers: keys, used tokens and the
//!   audit queue are one. Used tokens are remembered in this process; several processes that accept tokens once need a
//!   shared store, see [`Ports::replay_store`].
//! - Behind Oathkeeper, where tokens are accepted only once, the claims template of the rule needs a value that is unique for each
//!   request. Otherwise the gateway sends the same token again.
//! - The clock must be right to within the configured skew.

mod gate;
mod request;
mod route;
mod policy;
mod extract;
mod answer;
mod check;
mod tenant;
mod upstream;
pub mod audit;
mod health;
mod iam;
mod state;
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
    extract::{Access, Body, BodyConfig, Client, Granted, Identity, Principal, Session, Tenant},
    gate::IamMiddleware,
    health::Health,
    iam::{Iam, IamBuilder, Identities, Revocation, Sessions, StartError, TenantServices, UnknownTenant},
    policy::{ResourceExt, RouteExt, ScopeExt, SecuredFactory},
    ports::Ports,
    request::request_id::RequestId,
    state::PurgeError,
};
pub use iam_macros::{
    anonymous, optional, protected, public, require_aal, require_fresh_session, require_permission,
    require_role, require_scope, single_use, tenant, transport,
};

pub use iam_core::{
    clock, config,
    config::{ConfigError, IamConfig},
    principal,
    principal::{ActiveToken, AssuranceLevel},
    tenant::Transport,
};
pub use iam_grammar::Permission;

/// Credentials that an application accepts by code of its own, by the transport `custom:NAME`.
pub mod authenticator {
    pub use iam_core::authenticate::{
        Authenticator, Carrier, CrossSite, CustomCredential, Fault, LookUpError, Reply, Stated, Statement,
    };
}

pub use iam_core::service::kratos::AdminError;

/// Self-service flows of Kratos, for an application with its own login or registration page.
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
