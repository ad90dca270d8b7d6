//! How are upstreams asked?
//!
//! One module for each server. Everything goes through [`HttpClient`](crate::http::HttpClient); answers are decoded
//! strictly, and whatever is not exactly an answer is none.

mod call;
pub mod jwks;
pub mod keto;
pub mod kratos;

pub use call::CallError;
