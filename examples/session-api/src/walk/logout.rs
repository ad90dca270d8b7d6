//! Step 6: logging out.

use std::{io, time::Duration};

use iam_actix::IamConfig;
use scenario::{Promise, client::Request};

use super::{ALLOWED, Walk, new_email};

/// Logs out, with and without a cache.
///
/// # Errors
///
/// When Kratos gives no session, or an instance does not start.
pub(super) async fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.report.step(6, "Logging out");
    let world = walk.world;
    let email = new_email("emil");
    let person = world.kratos.register(&email).await?;
    let cookie = world.kratos.log_in_as_browser(&email).await?;
    let keep_sessions = |iam: &mut IamConfig| {
        for tenant in iam.tenants.values_mut() {
            tenant.cache.session_ttl = Duration::from_secs(60);
        }
    };
    let cached = world.another(keep_sessions).await.map_err(io::Error::other)?;

    let by_token = |method, path: &str| Request::new(method, path).bearer(&person.session_token);
    let by_cookie = |method, path: &str| {
        Request::new(method, path)
            .header("cookie", cookie.clone())
            .header("sec-fetch-site", "same-origin")
    };
    for service in [&world.service, &cached] {
        let known = Promise::new(200, ALLOWED, "logged in");
        walk.report.ask(service, by_token("GET", "/me"), known).await;
    }
    let known = Promise::new(200, ALLOWED, "so is the browser");
    walk.report.ask(&cached, by_cookie("GET", "/me"), known).await;

    for (log_out, again) in [
        (by_token("POST", "/logout"), by_token("GET", "/me")),
        (by_cookie("POST", "/logout"), by_cookie("GET", "/me")),
    ] {
        let left = Promise::new(204, ALLOWED, "logged out");
        walk.report.ask(&cached, log_out, left).await;
        let over = Promise::new(
            401,
            "auth.failure.session_inactive",
            "and at once over, also in the cache",
        );
        walk.report.ask(&cached, again, over).await;
    }
    let over = Promise::new(401, "auth.failure.session_inactive", "everywhere");
    walk.report
        .ask(&world.service, by_token("GET", "/me"), over)
        .await;
    let nobody = Promise::new(200, ALLOWED, "and nobody where none is required");
    walk.report
        .ask(&world.service, by_token("GET", "/feed"), nobody)
        .await;
    cached.stop().await;
    Ok(())
}
