//! A world that tests control: time, upstreams, audit.

mod audit;
mod client;
#[cfg(test)]
mod fixture;

#[cfg(test)]
pub(crate) use self::fixture::*;
pub use self::{audit::ChannelSink, client::ScriptedClient};
pub use crate::clock::ManualClock;
