//! Step 5: a captured token is worthless on a single-use route.

use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc};

use futures_util::future;
use iam_actix::{IamConfig, config::ReplayMode};
use scenario::{
    Promise, RunningService,
    client::{Connection, Request, within},
    relay::Relay,
};
use serde_json::json;
use tokio::{net::TcpStream, sync::Barrier};

use crate::{step::login::LoggedIn, walk::Walk};

/// Presents captured tokens twice, two hundred times at once, and on routes that refuse for other reasons.
///
/// # Errors
///
/// When no token can be captured, or an instance does not start.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(5, "The captured token twice");
    let world = walk.world;
    twice(walk, who).await?;
    let place =
        |token: &str| Request::post("/orders", &json!({ "sku": "sku-1", "quantity": 1 })).bearer(token);
    race(walk, who, &world.orders_api, "POST /orders (single_use)", place).await?;

    let always = world
        .orders_api(replay_always, (world.ports)())
        .await
        .map_err(io::Error::other)?;
    let read = |token: &str| Request::get("/orders").bearer(token);
    race(walk, who, &always, "GET /orders (replay = \"always\")", read).await?;
    always.stop().await;
    refused_burns_nothing(walk, who).await
}

async fn twice(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let token = world.capture(&who.person).await?;
    let place = || Request::post("/orders", &json!({ "sku": "sku-1", "quantity": 1 })).bearer(&token);

    let first = Promise::new(201, "auth.success", "the first time it passes");
    walk.ask(&world.orders_api, place(), first).await;
    let second = Promise::new(401, "auth.failure.replay", "the second time it does not");
    walk.ask(&world.orders_api, place(), second).await;
    Ok(())
}

/// Sends the same token on two hundred connections at the same instant, in several rounds.
async fn race(
    walk: &mut Walk<'_>,
    who: &LoggedIn,
    service: &RunningService,
    what: &str,
    request: impl Fn(&str) -> Request,
) -> io::Result<()> {
    let mut wrong = Vec::new();
    let mut workers = BTreeSet::new();
    let mut rounds_on_several_workers = 0_usize;
    let rounds = walk.world.rounds;
    service.audit.forget();
    for _ in 0..rounds {
        let token = walk.world.capture(&who.person).await?;
        let round = round(service.address, &request(&token)).await?;
        if round.passed != 1 || round.refused != COPIES.saturating_sub(1) {
            wrong.push(format!("{} passed, {} refused", round.passed, round.refused));
        }
        if round.workers.len() >= 2 {
            rounds_on_several_workers = rounds_on_several_workers.saturating_add(1);
        }
        workers.extend(round.workers);
    }
    let expected = COPIES.saturating_sub(1).saturating_mul(rounds);
    let replays = service.audit.count(&["auth.failure.replay"], expected).await;
    service.audit.forget();

    let seen = wrong
        .first()
        .map_or_else(|| format!("{rounds} rounds, one passed in each"), Clone::clone);
    walk.observe(
        what,
        seen,
        "of 200 copies at once exactly one passes, in each round",
        wrong.is_empty(),
    );
    walk.observe(
        what,
        format!("{replays} times auth.failure.replay"),
        "the audit names each of the others",
        replays == expected,
    );
    let seen = format!(
        "{} workers, {rounds_on_several_workers} rounds on several",
        workers.len()
    );
    let held = workers.len() >= 2 && rounds_on_several_workers == rounds;
    walk.observe(what, seen, "at least two workers served", held);
    Ok(())
}

struct Round {
    passed: usize,
    refused: usize,
    workers: BTreeSet<String>,
}

async fn round(to: SocketAddr, request: &Request) -> io::Result<Round> {
    let mut bytes = request.bytes(to, false);
    // All but the last byte is written before the barrier, so that every request is complete in the same instant.
    let last = bytes.pop().into_iter().collect::<Vec<_>>();
    let (bytes, last, barrier) = (Arc::new(bytes), Arc::new(last), Arc::new(Barrier::new(COPIES)));
    let copies = (0..COPIES).map(|_| {
        let (bytes, last, barrier) = (Arc::clone(&bytes), Arc::clone(&last), Arc::clone(&barrier));
        within(async move {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            let mut connection = Connection::new(stream);
            connection.write(&bytes).await?;
            barrier.wait().await;
            connection.write(&last).await?;
            connection.response().await
        })
    });

    let mut round = Round {
        passed: 0,
        refused: 0,
        workers: BTreeSet::new(),
    };
    for response in future::join_all(copies).await {
        let response = response?;
        match response.status() {
            200..=299 => round.passed = round.passed.saturating_add(1),
            401 => round.refused = round.refused.saturating_add(1),
            _ => {}
        }
        round
            .workers
            .extend(response.header("x-worker").map(str::to_owned));
    }
    Ok(round)
}

/// A request that is refused for its role, or because Keto is down, does not use up its token.
async fn refused_burns_nothing(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let mut keto = Relay::start(([127, 0, 0, 1], 0).into(), world.addresses.keto_read).await?;
    let read_url = format!("http://{}", keto.address());
    let change = |iam: &mut IamConfig| {
        replay_always(iam);
        for tenant in iam.tenants.values_mut() {
            if let Some(oathkeeper) = &mut tenant.oathkeeper {
                oathkeeper.audience = vec!["orders-api".to_owned(), "inventory-api".to_owned()];
            }
            if let Some(keto) = &mut tenant.keto {
                keto.read_url.clone_from(&read_url);
            }
        }
    };
    let service = world
        .inventory_api(change, (world.ports)())
        .await
        .map_err(io::Error::other)?;
    keto.take_down().await;
    let token = world.capture(&who.person).await?;

    let adjust = Request::post("/inventory/adjust", &json!({ "sku": "sku-1", "delta": 1 })).bearer(&token);
    walk.ask(
        &service,
        adjust,
        Promise::new(403, "authz.role.deny", "refused for its role"),
    )
    .await;
    let ledger = Request::get("/inventory/sku-1/ledger").bearer(&token);
    walk.ask(
        &service,
        ledger,
        Promise::new(503, "authz.upstream_unavailable", "Keto is down"),
    )
    .await;
    let list = || Request::get("/inventory").bearer(&token);
    walk.ask(
        &service,
        list(),
        Promise::new(200, "auth.success", "neither burnt the token"),
    )
    .await;
    walk.ask(
        &service,
        list(),
        Promise::new(401, "auth.failure.replay", "this did"),
    )
    .await;
    service.stop().await;
    Ok(())
}

fn replay_always(iam: &mut IamConfig) {
    for oathkeeper in iam
        .tenants
        .values_mut()
        .filter_map(|tenant| tenant.oathkeeper.as_mut())
    {
        oathkeeper.replay = ReplayMode::Always;
    }
}

const COPIES: usize = 200;
