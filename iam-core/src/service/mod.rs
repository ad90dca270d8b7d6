//! Calls to upstreams.
//!
//! One module for each server. Every call goes through [`HttpClient`](crate::http::HttpClient). Responses are decoded
//! strictly: an unexpected one is an error.

mod call;
pub mod hydra;
pub mod jwks;
pub mod keto;
pub mod kratos;
mod validity;

pub use self::{call::CallError, validity::Validity};
