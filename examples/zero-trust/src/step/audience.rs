//! Step 4: a captured token opens no other service and no other tenant.

use std::io;

use scenario::{Promise, client::Request};

use crate::{step::login::LoggedIn, walk::Walk};

/// Presents the captured token to a service for another audience, and to one for another tenant.
///
/// # Errors
///
/// When no token can be captured, or an instance does not start.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(4, "The captured token elsewhere");
    let world = walk.world;
    let token = world.capture(&who.person).await?;

    let billing = world
        .orders_api(
            |iam| {
                for tenant in iam.tenants.values_mut() {
                    if let Some(oathkeeper) = &mut tenant.oathkeeper {
                        oathkeeper.audience = vec!["billing-api".to_owned()];
                    }
                }
            },
            (world.ports)(),
        )
        .await
        .map_err(io::Error::other)?;
    let promise = Promise::new(
        401,
        "auth.failure.audience_mismatch",
        "made for orders-api, refused by billing-api",
    );
    walk.ask(&billing, Request::get("/orders").bearer(&token), promise)
        .await;
    billing.stop().await;

    let acme = world
        .orders_api(
            |iam| {
                let tenant = iam.tenants.pop_first();
                iam.tenants
                    .extend(tenant.map(|(_, tenant)| ("acme".to_owned(), tenant)));
                iam.default_tenant = Some("acme".to_owned());
            },
            (world.ports)(),
        )
        .await
        .map_err(io::Error::other)?;
    let promise = Promise::new(
        401,
        "auth.tenant_mismatch",
        "made for tenant default, refused by tenant acme",
    );
    walk.ask(&acme, Request::get("/orders").bearer(&token), promise)
        .await;
    acme.stop().await;
    Ok(())
}
