//! Step 9: what happens while the keys cannot be had, and when somebody makes key ids up?

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future;
use iam_actix::IamConfig;
use ory_dev::oathkeeper::KeyFile;
use serde_json::json;
use tokio::time;
use uuid::Uuid;

use super::rotation::{key_id, key_source, new_token};
use crate::{
    client::{Connection, Request, within},
    relay::Relay,
    step::login::LoggedIn,
    walk::{Promise, Walk},
    world::{Service, World, eventually},
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

/// Ten thousand tokens with key ids that nobody published, while people go on working: with the key that the service
/// knows, and with one that the gateway took up since.
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
    let old = world.capture(&who.person).await?;
    walk.ask(
        &service,
        Request::get("/orders").bearer(&old),
        Promise::new(200, "auth.success", "before the flood"),
    )
    .await;
    let key_file = world.key_file.as_ref().map(KeyFile::at);
    let new = match &key_file {
        Some(key_file) => Some(switch_keys(world, who, key_file, &old).await?),
        None => None,
    };
    let before = jwks.requests();
    service.audit.forget();

    let started = time::Instant::now();
    let flood = future::join_all((0..FLOOD_CONNECTIONS).map(|_| flood(service.address, &old)));
    let (flood, with_old, with_new) = future::join3(
        async { (flood.await, started.elapsed()) },
        passed(&service, Some(&old)),
        passed(&service, new.as_deref()),
    )
    .await;
    let fetches = jwks.requests().saturating_sub(before);
    // Two in the first second, and one for each that a slow machine takes longer.
    let most = started.elapsed().as_secs().saturating_add(2);

    report_flood(walk, &service, &flood.0, flood.1).await;
    walk.observe(
        "GET /.well-known/jwks.json",
        format!("{fetches} fetches, {most} allowed"),
        "made-up key ids cost at most two fetches in a second",
        u64::try_from(fetches).is_ok_and(|fetches| fetches <= most),
    );
    for (which, passed) in [("old", with_old), ("new", with_new)] {
        let Some(passed) = passed else {
            walk.report
                .say("left out: without --jwks-file there is no new key during the flood");
            continue;
        };
        walk.observe(
            &format!("GET /orders with the {which} key"),
            format!("{passed} of {VALID}"),
            "no valid token was refused meanwhile",
            passed == VALID,
        );
    }
    if let Some(key_file) = &key_file {
        key_file.remove(&key_id(&old)?).map_err(io::Error::other)?;
    }
    service.audit.forget();
    service.stop().await;
    Ok(())
}

/// Lets the gateway sign with a new key and returns a token of it.
async fn switch_keys(world: &World, who: &LoggedIn, key_file: &KeyFile, old: &str) -> io::Result<String> {
    let old_kid = key_id(old)?;
    key_file.append_rsa().map_err(io::Error::other)?;
    new_token(world, who, &old_kid).await
}

/// Says how many of a person's requests passed, one after the other.
async fn passed(service: &Service, token: Option<&str>) -> Option<usize> {
    let token = token?;
    let mut passed = 0_usize;
    for _ in 0..VALID {
        let answer = Request::get("/orders").bearer(token).send(service.address).await;
        if answer.is_ok_and(|response| response.status() == 200) {
            passed = passed.saturating_add(1);
        }
    }
    Some(passed)
}

async fn report_flood(
    walk: &mut Walk<'_>,
    service: &Service,
    connections: &[io::Result<Answered>],
    took: Duration,
) {
    let made_up = FLOOD_CONNECTIONS.saturating_mul(FLOOD_REQUESTS);
    let mut all = Answered::default();
    for answered in connections.iter().flatten() {
        all.refused = all.refused.saturating_add(answered.refused);
        all.unavailable = all.unavailable.saturating_add(answered.unavailable);
        all.other = all.other.saturating_add(answered.other);
    }
    let refused = all.refused.saturating_add(all.unavailable);
    let seen = format!(
        "{} 401, {} 503, {} other in {:.1} s",
        all.refused,
        all.unavailable,
        all.other,
        took.as_secs_f32()
    );
    walk.observe(
        "GET /orders with made-up key ids",
        seen,
        "each of 10,000 is refused",
        refused == made_up && all.other == 0,
    );
    let events = ["auth.failure.unknown_key", "auth.failure.upstream"];
    let written = service.audit.count(&events, made_up).await;
    walk.observe(
        "GET /orders with made-up key ids",
        format!("{written} audit events"),
        "and stands in the audit",
        written == made_up,
    );
}

/// How the requests of one connection were answered.
#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    refused: usize,
    unavailable: usize,
    other: usize,
}

/// Writes many requests on one connection without waiting for the answers, then reads them.
async fn flood(to: SocketAddr, token: &str) -> io::Result<Answered> {
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

    let mut answered = Answered::default();
    for _ in 0..FLOOD_REQUESTS {
        let count = match within(connection.response()).await?.status() {
            401 => &mut answered.refused,
            503 => &mut answered.unavailable,
            _ => &mut answered.other,
        };
        *count = count.saturating_add(1);
    }
    Ok(answered)
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
        oathkeeper.jwks.stale = Some(Duration::from_secs(4));
    }
}

const FLOOD_CONNECTIONS: usize = 1_000;
const FLOOD_REQUESTS: usize = 10;
const VALID: usize = 50;
