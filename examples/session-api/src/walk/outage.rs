//! Step 7: the servers do not answer.

use std::io;

use scenario::{Promise, client::Request, relay::Relay};

use super::{ALLOWED, Walk, new_email};

/// Cuts a service off from Kratos and from Hydra.
///
/// # Errors
///
/// When an instance does not start, or a server gives no credential.
pub(super) async fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.report.step(7, "Servers that do not answer");
    let world = walk.world;
    let person = world.kratos.register(&new_email("finn")).await?;
    let client = world.hydra.client("jobs:read", &["session-api"]).await?;
    let token = world
        .hydra
        .client_token(&client, "jobs:read", "session-api")
        .await?;
    let any = "127.0.0.1:0".parse().map_err(io::Error::other)?;
    let mut public = Relay::start(any, world.kratos.public).await?;
    let mut admin = Relay::start(any, world.kratos.admin).await?;
    let mut hydra = Relay::start(any, world.hydra.admin).await?;
    let urls = [&public, &admin, &hydra].map(|relay| format!("http://{}", relay.address()));
    let service = world
        .another(|iam| {
            let [public, admin, hydra] = urls;
            for tenant in iam.tenants.values_mut() {
                if let Some(kratos) = &mut tenant.kratos {
                    kratos.public_url.clone_from(&public);
                    kratos.admin_url = Some(admin.clone());
                }
                if let Some(settings) = &mut tenant.hydra {
                    settings.admin_url = Some(hydra.clone());
                }
            }
        })
        .await
        .map_err(io::Error::other)?;
    let me = || Request::get("/me").bearer(&person.session_token);
    let log_out = || Request::new("POST", "/logout").bearer(&person.session_token);
    let jobs = || Request::get("/jobs").bearer(&token);
    let down = |proves| Promise::new(503, "auth.failure.upstream", proves);
    let up = |proves| Promise::new(200, ALLOWED, proves);

    walk.report.ask(&service, me(), up("Kratos is there")).await;
    admin.take_down().await;
    let kept = Promise::new(503, ALLOWED, "Kratos cannot revoke: 503, not a logout");
    walk.report.ask(&service, log_out(), kept).await;
    walk.report
        .ask(&service, me(), up("the session still counts"))
        .await;
    public.take_down().await;
    walk.report
        .ask(&service, me(), down("Kratos is down: 503, not 401"))
        .await;
    let feed = Request::get("/feed").bearer(&person.session_token);
    walk.report
        .ask(&service, feed, down("and not nobody where none is required"))
        .await;
    public.put_up().await?;
    admin.put_up().await?;
    walk.report.ask(&service, me(), up("Kratos is there again")).await;

    walk.report.ask(&service, jobs(), up("Hydra is there")).await;
    hydra.take_down().await;
    walk.report
        .ask(&service, jobs(), down("Hydra is down: 503, not 401"))
        .await;
    hydra.put_up().await?;
    walk.report
        .ask(&service, jobs(), up("Hydra is there again"))
        .await;
    service.stop().await;
    Ok(())
}
