//! The promises of the service, in the order in which people meet them. Read the steps in order; each is one file.

mod visitor;
mod session;
mod permission;
mod machine;
mod step_up;
mod logout;
mod outage;

use std::io;

use scenario::Report;
use uuid::Uuid;

use crate::world::World;

/// A walk through a world.
pub(crate) struct Walk<'a> {
    pub(crate) world: &'a World,
    pub(crate) report: &'a mut Report,
}

/// Walks every step and records in `report` what held.
///
/// # Errors
///
/// When an answer lacks what the next step needs.
pub async fn walk(world: &World, report: &mut Report) -> io::Result<()> {
    let mut walk = Walk { world, report };
    visitor::walk(&mut walk).await;
    session::walk(&mut walk).await?;
    permission::walk(&mut walk).await?;
    machine::walk(&mut walk).await?;
    step_up::walk(&mut walk).await?;
    logout::walk(&mut walk).await?;
    outage::walk(&mut walk).await
}

/// Returns an address that nobody has registered.
pub(crate) fn new_email(name: &str) -> String {
    format!("{name}-{}@example.com", Uuid::new_v4().simple())
}

pub(crate) const ALLOWED: &str = "auth.success";
