//! Step 9: the keys are unavailable, and an attacker makes key ids up.

use std::{io, time::Duration};

use iam_actix::IamConfig;
use scenario::{Promise, RunningService, client::Request, eventually, relay::Relay};

use super::{
    flood,
    rotation::{key_set_url, key_source},
};
use crate::{step::login::LoggedIn, walk::Walk};

/// Cuts a service off from the published keys, and floods a service with made-up key ids.
///
/// # Errors
///
/// When no token can be captured, or an instance does not start.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(9, "No keys, and made-up keys");
    known_keys_serve_for_a_while(walk, who).await?;
    started_without_keys(walk, who).await?;
    flood::made_up_keys(walk, who).await
}

async fn known_keys_serve_for_a_while(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let mut jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.addresses.gateway_api).await?;
    let url = key_set_url(jwks.address());
    let service = world
        .orders_api(|iam| short_lived(iam, &url), (world.ports)())
        .await
        .map_err(io::Error::other)?;
    let token = world.capture(&who.person).await?;
    let read = || Request::get("/orders").bearer(&token);

    walk.ask(
        &service,
        read(),
        Promise::new(200, "auth.success", "the keys are there"),
    )
    .await;
    jwks.take_down().await;
    walk.ask(
        &service,
        read(),
        Promise::new(200, "auth.success", "JWKS down: known keys serve on"),
    )
    .await;
    let ended = eventually(Duration::from_secs(20), || async {
        read()
            .send(service.address)
            .await
            .is_ok_and(|response| response.status() == 503)
    });
    let ended = ended.await;
    walk.observe("GET /orders", ended, "but not for longer than stated", ended);
    walk.ask(
        &service,
        read(),
        Promise::new(
            503,
            "auth.failure.upstream",
            "then it is 503, not 200 and not 401",
        ),
    )
    .await;
    jwks.put_up().await?;
    let back = recovers(&service, &token).await;
    walk.observe("GET /orders", back, "JWKS up again: it recovers by itself", back);
    service.stop().await;
    Ok(())
}

async fn started_without_keys(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let mut jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.addresses.gateway_api).await?;
    jwks.take_down().await;
    let url = key_set_url(jwks.address());
    let service = world
        .orders_api(|iam| short_lived(iam, &url), (world.ports)())
        .await
        .map_err(io::Error::other)?;
    let token = world.capture(&who.person).await?;

    let promise = Promise::new(
        503,
        "auth.failure.upstream",
        "started while JWKS is down: 503, never 200",
    );
    walk.ask(&service, Request::get("/orders").bearer(&token), promise)
        .await;
    jwks.put_up().await?;
    let back = recovers(&service, &token).await;
    walk.observe("GET /orders", back, "it recovers by itself", back);
    service.stop().await;
    Ok(())
}

async fn recovers(service: &RunningService, token: &str) -> bool {
    eventually(Duration::from_secs(20), || async {
        let answer = Request::get("/orders").bearer(token).send(service.address).await;
        answer.is_ok_and(|response| response.status() == 200)
    })
    .await
}

fn short_lived(iam: &mut IamConfig, url: &str) {
    key_source(iam, url, Duration::from_secs(1), Duration::from_secs(3));
    for oathkeeper in iam
        .tenants
        .values_mut()
        .filter_map(|tenant| tenant.oathkeeper.as_mut())
    {
        oathkeeper.jwks.stale = Some(Duration::from_secs(4));
    }
}
