//! Asks the identity server.

pub mod flows;
mod whoami;

pub(crate) use self::whoami::Finding;
pub use self::whoami::{Whoami, whoami};
