//! Step 3: permissions at Keto.

use std::io;

use scenario::{Promise, client::Request, ory};
use uuid::Uuid;

use super::{ALLOWED, Walk, new_email};

/// Reads a report without and with the permission.
///
/// # Errors
///
/// When Kratos gives no session, or Keto does not write the tuple.
pub(super) async fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.report.step(3, "Reports");
    let world = walk.world;
    let person = world.kratos.register(&new_email("rita")).await?;
    let report = Uuid::new_v4().to_string();
    let read = || Request::get(format!("/reports/{report}")).bearer(&person.session_token);

    let denied = Promise::new(403, "authz.permission.deny", "nobody granted it");
    walk.report.ask(&world.service, read(), denied).await;
    let subject = format!("user:{}", person.id);
    ory::grant(world.keto_write, ["reports", &report, "view", &subject]).await?;
    let allowed = Promise::new(200, ALLOWED, "granted at Keto, it is read");
    walk.report.ask(&world.service, read(), allowed).await;
    Ok(())
}
