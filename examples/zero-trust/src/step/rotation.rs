//! Step 8: the gateway's key is rotated under load, without a restart and without a refused request.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use iam_actix::IamConfig;
use ory_dev::oathkeeper::KeyFile;
use scenario::{
    Promise,
    client::{Connection, Request, within},
    eventually,
    ory::Person,
    relay::Relay,
};
use tokio::{task::JoinSet, time};

use super::extra_key::ExtraKey;
use crate::{step::login::LoggedIn, walk::Walk, world::World};

/// Rotates the key as Oathkeeper does: the appended key signs at once.
///
/// # Errors
///
/// When the key file cannot be changed, or the gateway does not load the change.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(8, "Key rotation under load");
    let world = walk.world;
    let Some(key_file) = world.key_file.as_ref().map(KeyFile::at) else {
        walk.report
            .say("skipped: rotating the gateway's key needs --jwks-file");
        return Ok(());
    };

    let jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.addresses.gateway_api).await?;
    let counted = key_set_url(jwks.address());
    let direct = key_set_url(world.addresses.gateway_api);
    let unaware = world
        .orders_api(
            |iam| key_source(iam, &counted, Duration::from_secs(600), Duration::from_secs(60)),
            (world.ports)(),
        )
        .await
        .map_err(io::Error::other)?;
    let quick = world
        .orders_api(
            |iam| key_source(iam, &direct, Duration::from_secs(1), Duration::from_secs(3)),
            (world.ports)(),
        )
        .await
        .map_err(io::Error::other)?;
    world.relay.point_at(quick.address);
    let load = Load::start(world.addresses.gateway, &who.person);
    load.reach(REQUESTS / 2).await;
    // Captured late: it lives a minute, and must outlive its key.
    let old = world.capture(&who.person).await?;
    let old_kid = key_id(&old)?;
    let known = Promise::new(200, "auth.success", "the old key is known");
    walk.ask(&unaware, Request::get("/orders").bearer(&old), known)
        .await;
    let before = jwks.requests();
    let extra = ExtraKey::append(key_file)?;
    let new = new_token(world, who, &old_kid).await?;
    let unseen = Promise::new(
        200,
        "auth.success",
        "a service that never saw the new kid verifies it at once",
    );
    walk.ask(&unaware, Request::get("/orders").bearer(&new), unseen)
        .await;
    let kept = Promise::new(200, "auth.success", "the old key still verifies");
    walk.ask(&unaware, Request::get("/orders").bearer(&old), kept)
        .await;
    let again = Promise::new(200, "auth.success", "the new key is known from now on");
    walk.ask(&unaware, Request::get("/orders").bearer(&new), again)
        .await;
    // Its next refresh is minutes away: only the new key can cause a fetch.
    let fetches = jwks.requests().saturating_sub(before);
    walk.observe(
        "GET /.well-known/jwks.json",
        fetches,
        "exactly one fetch for all of that",
        fetches == 1,
    );

    load.reach(load.sent().saturating_add(REQUESTS / 2)).await;
    let (sent, refused, first) = load.stop().await;
    let seen = format!("{sent} requests on {CONNECTIONS} connections, {refused} refused{first}");
    let held = sent >= REQUESTS && refused == 0;
    walk.observe(
        "GET /orders under load",
        seen,
        "the switch refuses no valid token",
        held,
    );

    removed(walk, extra, &old_kid, &old, &new, &quick).await?;
    world.relay.point_at(world.orders_api.address);
    unaware.stop().await;
    quick.stop().await;
    Ok(())
}

async fn removed(
    walk: &mut Walk<'_>,
    extra: ExtraKey,
    old_kid: &str,
    old: &str,
    new: &str,
    service: &scenario::RunningService,
) -> io::Result<()> {
    let world = walk.world;
    extra.replace(old_kid)?;
    let gone = eventually(PATIENCE, || async { !publishes(world, old_kid).await }).await;
    walk.observe(
        "GET /.well-known/jwks.json",
        gone,
        "the gateway no longer publishes the old key",
        gone,
    );

    let refused = eventually(Duration::from_secs(15), || async {
        let answer = Request::get("/orders").bearer(old).send(service.address).await;
        answer.is_ok_and(|response| response.status() == 401)
    });
    let refused = refused.await;
    walk.observe(
        "GET /orders with the old key",
        refused,
        "the removed key is refused after its grace",
        refused,
    );
    let promise = Promise::new(401, "auth.failure.unknown_key", "and stays refused");
    walk.ask(service, Request::get("/orders").bearer(old), promise)
        .await;
    let promise = Promise::new(200, "auth.success", "the new key serves on, without a restart");
    walk.ask(service, Request::get("/orders").bearer(new), promise)
        .await;
    Ok(())
}

/// Requests through the gateway on sixteen connections, until it is stopped.
struct Load {
    sent: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    /// The first answer that was not 200.
    first: Arc<OnceLock<String>>,
    over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    fn start(gateway: SocketAddr, person: &Person) -> Self {
        let (sent, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let first = Arc::new(OnceLock::new());
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (sent, refused, over) = (Arc::clone(&sent), Arc::clone(&refused), Arc::clone(&over));
            let first = Arc::clone(&first);
            let bytes = Request::get("/orders")
                .bearer(&person.session_token)
                .bytes(gateway, true);
            tasks.spawn(async move {
                let mut connection = None;
                while !over.load(Ordering::Relaxed) {
                    let answer = within(exchange(&mut connection, gateway, &bytes)).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                    if !matches!(answer, Ok(200)) {
                        refused.fetch_add(1, Ordering::Relaxed);
                        first.get_or_init(|| format!("{answer:?}"));
                    }
                }
            });
        }
        Self {
            sent,
            refused,
            first,
            over,
            tasks,
        }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    async fn reach(&self, requests: usize) {
        eventually(Duration::from_secs(120), || async {
            // After so many refusals the load has failed.
            self.sent() >= requests || self.refused.load(Ordering::Relaxed) >= ENOUGH
        })
        .await;
    }

    /// Returns the numbers of sent and refused requests, and the first refusal.
    async fn stop(mut self) -> (usize, usize, String) {
        self.over.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        let first = self
            .first
            .get()
            .map_or_else(String::new, |first| format!(", first {first}"));
        (self.sent(), self.refused.load(Ordering::Relaxed), first)
    }
}

async fn exchange(connection: &mut Option<Connection>, to: SocketAddr, bytes: &[u8]) -> io::Result<u16> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(to).await?,
    };
    open.write(bytes).await?;
    let response = open.response().await?;
    if response
        .header("connection")
        .is_none_or(|value| !value.eq_ignore_ascii_case("close"))
    {
        *connection = Some(open);
    }
    Ok(response.status())
}

/// Waits until the gateway signs with another key: the embedded one takes a second, the real one half a minute.
pub(super) async fn new_token(world: &World, who: &LoggedIn, old_kid: &str) -> io::Result<String> {
    for _ in 0..PATIENCE.as_millis() / 200 {
        let token = world.capture(&who.person).await?;
        if key_id(&token)? != old_kid {
            return Ok(token);
        }
        time::sleep(Duration::from_millis(200)).await;
    }
    Err(io::Error::other("the gateway did not take the new key over"))
}

async fn publishes(world: &World, kid: &str) -> bool {
    let set = Request::get("/.well-known/jwks.json")
        .send(world.addresses.gateway_api)
        .await;
    set.is_ok_and(|set| set.text().contains(kid))
}

/// Reads the `kid` of a token's header, unverified.
pub(super) fn key_id(token: &str) -> io::Result<String> {
    super::direct::key_id(token.split('.').next().unwrap_or_default())
}

/// Returns the URL of the key set that a server publishes.
pub(super) fn key_set_url(publisher: SocketAddr) -> String {
    format!("http://{publisher}/.well-known/jwks.json")
}

/// Changes the URL of the keys of a service.
pub(super) fn key_source(iam: &mut IamConfig, url: &str, refresh: Duration, grace: Duration) {
    for oathkeeper in iam
        .tenants
        .values_mut()
        .filter_map(|tenant| tenant.oathkeeper.as_mut())
    {
        oathkeeper.jwks.url = Some(url.to_owned());
        oathkeeper.jwks.refresh = Some(refresh);
        oathkeeper.jwks.grace = Some(grace);
    }
}

const CONNECTIONS: usize = 16;
const ENOUGH: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);
const REQUESTS: usize = 5_000;
