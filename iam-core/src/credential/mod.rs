//! What was presented?
//!
//! The only place that reads credentials out of headers. What comes out is *unverified*.

mod authorization;
mod cookie;
mod csrf;
mod forwarded;
mod session;

pub use authorization::{CredentialError, Presented, bare, bearer};
pub use cookie::cookie;
pub(crate) use cookie::{Cookie, MAX_CREDENTIAL, cookies};
pub use csrf::{CsrfError, CsrfRule};
pub(crate) use forwarded::forwarded;
pub(crate) use session::{Carriers, SESSION_TOKEN};
pub use session::{SessionCarrier, SessionCredential};
