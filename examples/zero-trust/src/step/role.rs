//! Step 6: a role decides, and a new role takes effect.

use std::io;

use scenario::{Promise, client::Request};
use serde_json::json;

use crate::{step::login::LoggedIn, walk::Walk};

/// Adjusts the stock without and with the role.
///
/// # Errors
///
/// When Kratos's admin API gives no answer.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(6, "Roles");
    let world = walk.world;
    let (gateway, inventory) = (world.addresses.gateway, &world.inventory_api);
    let adjust = || {
        let body = json!({ "sku": "sku-1", "delta": 1 });
        Request::post("/inventory/adjust", &body).bearer(&who.person.session_token)
    };

    let denied = Promise::new(403, "authz.role.deny", "without the role");
    walk.ask_through(gateway, inventory, adjust(), denied).await;

    let patched = world.set_roles(&who.person, &["warehouse:admin"]).await?;
    walk.observe(
        "PATCH /admin/identities/{id}",
        patched.status(),
        "an administrator gives the role",
        patched.status() == 200,
    );
    let allowed = Promise::new(200, "auth.success", "with the role");
    walk.ask_through(gateway, inventory, adjust(), allowed).await;
    Ok(())
}
