//! The steps of the walk, in order. Each step reports which of its promises held.

pub mod login;
pub mod gateway;
pub mod direct;
pub mod audience;
pub mod replay;
pub mod role;
pub mod permission;
mod extra_key;
pub mod rotation;
mod flood;
pub mod outage;
