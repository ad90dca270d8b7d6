//! Asks the identity server.

mod admin;
pub mod flows;
mod whoami;

pub use self::admin::{AdminClient, AdminError};
pub(crate) use self::whoami::Finding;
pub use self::whoami::{Whoami, whoami};
