//! Verification and policy for services that stand beside or behind the Ory stack.
//!
//! This crate makes decisions and does no I/O. It has no framework, no runtime and no HTTP client: it reaches the network
//! through [`http::HttpClient`] and reads the time through [`clock::Clock`]. Everything else is a pure function that a test can
//! call. `iam-actix` puts it in front of Actix Web handlers.
//!
//! It is *not* a server, an HTTP client, a store of users or sessions, or an issuer of tokens. It makes no response: a refusal
//! has a [reason](decision::Reason), and the reason a [class](decision::Class).
//!
//! ```text
//! request ─▶ request      what arrived (borrowed)
//!            tenant       for whom
//!            credential   what was presented            unverified
//!            authenticate ─▶ jwt, envelope, jwks, replay
//!            principal    who                           verified
//!            requirement  what the route asks
//!            authorize    ─▶ role, permission
//!            decision     yes, or no and why
//!            audit        who must know
//! ```
//!
//! # Quick start
//!
//! One function from a request to a decision. Comments mark the two places that would use the network:
//!
//! ```
//! use iam_core::{
//!     authenticate::{Authentication, authenticate},
//!     authorize::{Verdict, authorize},
//!     clock::Timestamp,
//!     config::IamConfig,
//!     decision::{Reason, Refusal},
//!     request::RequestHead,
//!     requirement::{EffectivePolicy, RoutePolicy},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = IamConfig::from_toml(r#"
//!     [tenants.default]
//!     transports = ["oathkeeper"]
//!     [tenants.default.oathkeeper]
//!     issuer = "https://gateway.example/"
//!     audience = ["orders-api"]
//!     [tenants.default.oathkeeper.jwks]
//!     url = "https://gateway.example/.well-known/jwks.json"
//! "#)?.validate()?;
//! let route = RoutePolicy::new("src/main.rs:7", "adjust").require_role(["warehouse:admin"]);
//! let policy = EffectivePolicy::merge(&[&route])?;
//! let target = settings.registry().resolve(Some(&policy)).map_err(|refusal| refusal.reason.code())?;
//!
//! let decide = |head: &RequestHead<'_>, now: Timestamp| -> Result<(), Refusal> {
//!     let authenticated = match authenticate(&target, head, now)? {
//!         Authentication::Known(authenticated) => authenticated,
//!         // Fetch what the lookup needs (`service::jwks`), then call its `conclude`.
//!         Authentication::Ask(_) => return Err(Reason::KeysUnavailable.into()),
//!     };
//!     match authorize(authenticated.principal(), &policy, target.tenant(), &|_| None, now)? {
//!         Verdict::Allow => Ok(()),
//!         // Ask the permission server (`service::keto`), and give the query its answers.
//!         Verdict::Ask(_) => Err(Reason::PermissionUnavailable.into()),
//!     }
//! };
//!
//! let nobody = RequestHead { method: "POST", authority: None, headers: &[], peer: None };
//! let refusal = decide(&nobody, Timestamp::from_secs(1)).unwrap_err();
//! assert_eq!(refusal.reason, Reason::MissingCredential);
//! assert_eq!(refusal.reason.class().status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `testing` adds the module `testing`: a manual clock, upstreams with scripted answers, and a sink that hands audit events to
//!   a test. It changes nothing else.
//!
//! # Deployment
//!
//! - Expiry is decided by the clock: keep clocks within `clock_skew`.
//! - Key stores, caches and the replay store are state: build them once for each process, and share them. A
//!   [`replay::MemoryReplayStore`] is not shared with other processes.
//! - This crate caches no permissions: a revoked permission is denied as soon as the permission server denies it.

pub mod clock;
pub mod secret;
pub mod http;
pub mod json;
mod ascii;
mod keyed_hash;
mod rfc3339;
pub mod fingerprint;
pub mod request;
pub mod tenant;
pub mod credential;
pub mod authenticate;
pub mod jwt;
pub mod envelope;
pub mod jwks;
pub mod replay;
pub mod principal;
pub mod role;
pub mod scope;
pub mod requirement;
pub mod authorize;
pub mod decision;
pub mod audit;
pub mod config;
pub mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
