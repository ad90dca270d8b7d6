//! The zero-trust scenario, end to end.
//!
//! A person registers and logs in through the gateway, reads and places orders, and adjusts the stock. An attacker captures tokens
//! in transit, forges, replays and floods; servers fail. [`walk()`] does all of it against running servers and reports which
//! promises held. Read [`step`] in order.

#![expect(
    clippy::exhaustive_structs,
    reason = "an application, whose types only its own tests use"
)]

pub mod command;
pub mod world;
pub mod walk;
pub mod step;

use std::io;

use scenario::Report;
use walk::Walk;
use world::World;

/// Walks every step and records in `report` what held.
///
/// # Errors
///
/// When an answer lacks what the next step needs.
pub async fn walk(world: &World, report: &mut Report) -> io::Result<()> {
    let mut walk = Walk { world, report };
    let who = step::login::walk(&mut walk).await?;
    step::gateway::walk(&mut walk, &who).await?;
    step::direct::walk(&mut walk, &who).await?;
    step::audience::walk(&mut walk, &who).await?;
    step::replay::walk(&mut walk, &who).await?;
    step::role::walk(&mut walk, &who).await?;
    step::permission::walk(&mut walk, &who).await?;
    step::rotation::walk(&mut walk, &who).await?;
    step::outage::walk(&mut walk, &who).await
}
