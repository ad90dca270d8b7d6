#![doc = include_str!("../README.md")]

pub mod config;
pub mod server;
pub mod kratos;
pub mod keto;
pub mod hydra;
pub mod oathkeeper;
mod stack;
#[doc(hidden)]
pub mod fuzz;

pub use stack::{Stack, StackConfig, StackError, shipped_configuration};
