//! Step 9: what happens while the keys cannot be had, and when somebody makes key ids up?

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future;
use iam_actix::IamConfig;
use serde_json::json;
use tokio::time;
use uuid::Uuid;

use super::rotation::key_source;
use crate::{
    client::{Connection, Request},
    relay::Relay,
    step::login::LoggedIn,
    walk::{Promise, Walk},
    world::{Service, eventually},
};

/// Takes the published keys away, and floods a service with made-up key ids.
///
/// # Errors
///
/// When no token can be captured, or an instance does not start.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(9, "No keys, and made-up keys");
    known_keys_serve_for_a_while(walk, who).await?;
    started_without_keys(walk, who).await?;
    made_up_keys(walk, who).await
}

async fn known_keys_serve_for_a_while(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let mut jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.places.gateway_api).await?;
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
    let mut jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.places.gateway_api).await?;
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

async fn recovers(service: &Service, token: &str) -> bool {
    eventually(Duration::from_secs(20), || async {
        let answer = Request::get("/orders").bearer(token).send(service.address).await;
        answer.is_ok_and(|response| response.status() == 200)
    })
    .await
}

/// Ten thousand tokens with key ids that nobody published, while people go on working.
async fn made_up_keys(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.places.gateway_api).await?;
    let url = key_set_url(jwks.address());
    let service = world
        .orders_api(
            |iam| key_source(iam, &url, Duration::from_secs(600), Duration::from_secs(60)),
            (world.ports)(),
        )
        .await
        .map_err(io::Error::other)?;
    let token = world.capture(&who.person).await?;
    walk.ask(
        &service,
        Request::get("/orders").bearer(&token),
        Promise::new(200, "auth.success", "before the flood"),
    )
    .await;
    let before = jwks.requests();

    let flood = future::join_all((0..FLOOD_CONNECTIONS).map(|_| flood(service.address, &token)));
    let flood = time::timeout(Duration::from_secs(1), flood);
    let valid = async {
        let mut passed = 0_usize;
        for _ in 0..VALID {
            let answer = Request::get("/orders").bearer(&token).send(service.address).await;
            if answer.is_ok_and(|response| response.status() == 200) {
                passed = passed.saturating_add(1);
            }
        }
        passed
    };
    let (_, passed) = future::join(flood, valid).await;
    let fetches = jwks.requests().saturating_sub(before);

    let made_up = FLOOD_CONNECTIONS.saturating_mul(FLOOD_REQUESTS);
    let seen = format!("{made_up} made-up key ids, {fetches} fetches");
    walk.observe(
        "GET /orders with made-up key ids",
        seen,
        "they cost at most two fetches",
        fetches <= 2,
    );
    let held = passed == VALID;
    walk.observe(
        "GET /orders",
        format!("{passed} of {VALID}"),
        "no valid token was refused meanwhile",
        held,
    );
    service.audit.forget();
    service.stop().await;
    Ok(())
}

/// Writes many requests on one connection without waiting for the answers.
async fn flood(to: SocketAddr, token: &str) -> io::Result<()> {
    let mut segments = token.split('.').skip(1);
    let (claims, signature) = (
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
    );
    let mut bytes = Vec::new();
    for _ in 0..FLOOD_REQUESTS {
        let header = json!({ "alg": "RS256", "kid": Uuid::new_v4().to_string(), "typ": "JWT" }).to_string();
        let token = format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(header));
        bytes.extend(Request::get("/orders").bearer(&token).bytes(to, true));
    }
    let mut connection = Connection::open(to).await?;
    connection.write(&bytes).await?;
    for _ in 0..FLOOD_REQUESTS {
        connection.response().await?;
    }
    Ok(())
}

fn key_set_url(relay: SocketAddr) -> String {
    format!("http://{relay}/.well-known/jwks.json")
}

fn short_lived(iam: &mut IamConfig, url: &str) {
    key_source(iam, url, Duration::from_secs(1), Duration::from_secs(3));
    for oathkeeper in iam
        .tenants
        .values_mut()
        .filter_map(|tenant| tenant.oathkeeper.as_mut())
    {
        oathkeeper.jwks.stale = Duration::from_secs(4);
    }
}

const FLOOD_CONNECTIONS: usize = 1_000;
const FLOOD_REQUESTS: usize = 10;
const VALID: usize = 100;
