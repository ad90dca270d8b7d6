//! What was presented?
//!
//! The only place that reads credentials out of headers. What comes out is *unverified*.

mod authorization;
mod csrf;

pub use authorization::{CredentialError, Presented, bare, bearer};
pub use csrf::{CsrfError, CsrfRule};
