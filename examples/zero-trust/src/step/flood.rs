//! Step 9, continued: ten thousand tokens with made-up key ids, at once.
//!
//! At once means that all of them wait at the same time, so the flood comes over HTTP/2: Actix answers the requests of an
//! HTTP/1.1 connection one after the other, and ten thousand connections are more than one process may usually open.

use std::{cell::Cell, io, net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future;
use ory_dev::oathkeeper::KeyFile;
use scenario::{
    Promise, RunningService,
    client::{Request, within},
    relay::Relay,
};
use serde_json::json;
use tokio::{
    net::TcpStream,
    runtime::Builder,
    sync::oneshot,
    task::{self, JoinHandle},
    time::{self, Instant},
};
use uuid::Uuid;

use super::{
    extra_key::ExtraKey,
    rotation::{key_id, key_set_url, key_source, new_token},
};
use crate::{step::login::LoggedIn, walk::Walk};

/// Floods a service with unpublished key ids, while valid requests continue: with the key that the service knows, and with a
/// newer key of the gateway.
pub(super) async fn made_up_keys(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.addresses.gateway_api).await?;
    let url = key_set_url(jwks.address());
    let service = world
        .orders_api_over_http2(
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
    let (extra, new) = match &world.key_file {
        Some(path) => {
            let extra = ExtraKey::append(KeyFile::at(path))?;
            let new = new_token(world, who, &key_id(&old)?).await?;
            (Some(extra), Some(new))
        }
        None => (None, None),
    };
    let flood = Flood::open(service.address, &old).await?;
    let before = jwks.requests();
    service.audit.forget();

    let over = Cell::new(false);
    let (flooded, with_old, with_new) = future::join3(
        async {
            let flooded = flood.release().await;
            over.set(true);
            flooded
        },
        people(&service, Some(&old), &over),
        people(&service, new.as_deref(), &over),
    )
    .await;
    let flooded = flooded?;
    // A request that still waited would have caused one more fetch by then.
    time::sleep(Duration::from_secs(1)).await;
    let fetches = jwks.requests().saturating_sub(before);

    everybody_refused(walk, &service, flooded).await;
    few_fetches(walk, fetches, flooded);
    no_refusal(walk, "old", with_old);
    no_refusal(walk, "new", with_new);
    if let Some(extra) = extra {
        extra.replace(&key_id(&old)?)?;
    }
    service.audit.forget();
    service.stop().await;
    Ok(())
}

/// The answers to a person's requests.
#[derive(Clone, Copy, Debug, Default)]
struct People {
    passed: usize,
    sent: usize,
}

/// Sends a person's requests one after the other, until the flood is over.
async fn people(service: &RunningService, token: Option<&str>, over: &Cell<bool>) -> Option<People> {
    let token = token?;
    let mut people = People::default();
    while people.sent < LEAST_VALID || !over.get() {
        let answer = Request::get("/orders").bearer(token).send(service.address).await;
        people.sent = people.sent.saturating_add(1);
        if answer.is_ok_and(|response| response.status() == 200) {
            people.passed = people.passed.saturating_add(1);
        }
    }
    Some(people)
}

fn no_refusal(walk: &mut Walk<'_>, which: &str, people: Option<People>) {
    let Some(People { passed, sent }) = people else {
        walk.report
            .say("skipped: a new key during the flood needs --jwks-file");
        return;
    };
    walk.observe(
        &format!("GET /orders with the {which} key"),
        format!("{passed} of {sent}"),
        "no valid token was refused meanwhile",
        passed == sent,
    );
}

async fn everybody_refused(walk: &mut Walk<'_>, service: &RunningService, flooded: Flooded) {
    let Flooded {
        refused,
        unavailable,
        other,
        answered,
        ..
    } = flooded;
    walk.observe(
        "GET /orders with made-up key ids",
        format!(
            "{refused} 401, {unavailable} 503, {other} other in {:.1} s",
            answered.as_secs_f32()
        ),
        "each of 10,000 at once is refused",
        refused == MADE_UP,
    );
    let written = service.audit.count(&["auth.failure.unknown_key"], MADE_UP).await;
    walk.observe(
        "GET /orders with made-up key ids",
        format!("{written} audit events"),
        "and stands in the audit",
        written == MADE_UP,
    );
}

/// Checks the number of fetches that the flood caused.
///
/// A request that arrives after a fetch has started shares the next fetch, a second later. So requests that are sent within a second
/// are answered by the second fetch. Each further second of sending allows one more fetch, and the promise says so.
fn few_fetches(walk: &mut Walk<'_>, fetches: usize, flooded: Flooded) {
    let Flooded { sent, answered, .. } = flooded;
    let (most, promise) = if sent <= Duration::from_secs(1) && answered <= Duration::from_secs(2) {
        let promise = "10,000 made-up key ids in a second cost at most two fetches";
        (2, promise.to_owned())
    } else {
        let most = answered.as_secs().saturating_add(1).max(2);
        let promise = format!(
            "10,000 made-up key ids, sent in {:.1} s and answered in {:.1} s, cost at most {most} fetches: one a second",
            sent.as_secs_f32(),
            answered.as_secs_f32()
        );
        (most, promise)
    };
    walk.observe(
        "GET /.well-known/jwks.json",
        format!("{fetches} fetches, {most} allowed"),
        &promise,
        u64::try_from(fetches).is_ok_and(|fetches| fetches <= most),
    );
}

/// The answers to the flood, and the times until it was sent and answered.
#[derive(Clone, Copy, Debug, Default)]
struct Flooded {
    refused: usize,
    unavailable: usize,
    other: usize,
    sent: Duration,
    answered: Duration,
}

/// A prepared flood: its connections are open and its requests are ready.
struct Flood {
    word: oneshot::Sender<Instant>,
    ended: JoinHandle<io::Result<Flooded>>,
}

impl Flood {
    /// Opens the connections, and creates requests whose tokens have different key ids.
    async fn open(to: SocketAddr, token: &str) -> io::Result<Self> {
        let requests = (0..CONNECTIONS)
            .map(|_| (0..STREAMS).map(|_| made_up(to, token)).collect())
            .collect::<io::Result<_>>()?;
        let (opened, open) = oneshot::channel();
        let (word, spoken) = oneshot::channel();

        // On another thread, because the gateway that publishes the keys shares the walk's thread.
        let ended = task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(to, requests, opened, spoken))
        });
        // An error while opening the connections is reported at release.
        let _ = open.await;
        Ok(Self { word, ended })
    }

    /// Sends everything at once and waits for the answers.
    async fn release(self) -> io::Result<Flooded> {
        let _ = self.word.send(Instant::now());
        self.ended.await?
    }
}

type Requests = Vec<http_0_2::Request<()>>;

fn made_up(to: SocketAddr, token: &str) -> io::Result<http_0_2::Request<()>> {
    let (_, signed) = token.split_once('.').unwrap_or_default();
    let header = json!({ "alg": "RS256", "kid": Uuid::new_v4().to_string(), "typ": "JWT" }).to_string();
    let token = format!("{}.{signed}", URL_SAFE_NO_PAD.encode(header));
    http_0_2::Request::get(format!("http://{to}/orders"))
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .map_err(io::Error::other)
}

async fn run(
    to: SocketAddr,
    requests: Vec<Requests>,
    opened: oneshot::Sender<()>,
    word: oneshot::Receiver<Instant>,
) -> io::Result<Flooded> {
    let mut connections = Vec::new();
    for requests in requests {
        let stream = TcpStream::connect(to).await?;
        let (client, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let client = client.ready().await.map_err(io::Error::other)?;
        connections.push((client, requests));
    }
    let _ = opened.send(());
    let started = word.await.map_err(io::Error::other)?;

    let mut answers = Vec::new();
    for (mut client, requests) in connections {
        for request in requests {
            let (answer, _) = client.send_request(request, true).map_err(io::Error::other)?;
            answers.push(answer);
        }
        // The connection's own task writes them, on this thread.
        task::yield_now().await;
    }
    let mut flooded = Flooded {
        sent: started.elapsed(),
        ..Flooded::default()
    };
    for answer in answers {
        let count = match within(async { answer.await.map_err(io::Error::other) }).await {
            Ok(response) if response.status() == 401 => &mut flooded.refused,
            Ok(response) if response.status() == 503 => &mut flooded.unavailable,
            Ok(_) | Err(_) => &mut flooded.other,
        };
        *count = count.saturating_add(1);
    }
    flooded.answered = started.elapsed();
    Ok(flooded)
}

const CONNECTIONS: usize = 100;
const STREAMS: usize = 100;
const MADE_UP: usize = CONNECTIONS * STREAMS;
const LEAST_VALID: usize = 50;
