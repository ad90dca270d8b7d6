#![doc = include_str!("../README.md")]

pub mod config;
pub mod server;
pub mod kratos;
pub mod keto;
pub mod oathkeeper;
mod stack;

pub use stack::{Stack, StackConfig, StackError, shipped_configuration};
