//! Verification and policy for services that stand beside or behind the Ory stack.
//!
//! This crate decides; it does not serve. It has no framework, no runtime and no HTTP client: the network is asked
//! through [`http::HttpClient`], the time through [`clock::Clock`], and everything that can be decided without them is a
//! pure function that a test can call. `iam-actix` puts it in front of Actix Web handlers.
//!
//! ```text
//! request ─▶ request      what arrived (borrowed)
//!            tenant       for whom
//!            credential   what was presented            unverified
//!            authenticate ─▶ jwt, jwks, replay
//!            principal    who                           verified
//!            requirement  what the route asks
//!            authorize    ─▶ role, permission
//!            decision     yes, or no and why
//!            audit        who must know
//! ```

pub mod clock;
pub mod secret;
pub mod http;
pub mod json;
pub mod request;
pub mod tenant;
pub mod credential;
pub mod authenticate;
pub mod jwt;
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
