//! Asks the identity server.

pub mod flows;
