//! Test doubles: clock, upstreams and audit.

mod audit;
mod client;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod mint;

pub use self::{audit::ChannelSink, client::ScriptedClient};
#[cfg(test)]
pub(crate) use self::{fixture::*, mint::*};
pub use crate::clock::ManualClock;
