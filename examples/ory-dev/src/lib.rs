//! An embedded stand-in for Kratos, Keto and Oathkeeper: in memory, loopback only, for development and tests.
//!
//! It reads the configuration files of the real servers, listens where they listen and answers as they do, computed
//! from its own state. It is not for production: nothing is stored, nothing is hardened, and it serves only loopback
//! addresses. What runs against it runs against the real servers by changing nothing but what listens on the ports.

pub mod config;
pub mod server;
pub mod kratos;
pub mod keto;
pub mod oathkeeper;
mod stack;

pub use stack::{Stack, StackConfig, StackError, shipped_configuration};
