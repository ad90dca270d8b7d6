//! Step 9, continued: ten thousand tokens with made-up key ids, at once.
//!
//! At once means that all of them wait at the same time, so the flood comes over HTTP/2: Actix answers the requests of an
//! HTTP/1.1 connection one after the other, and ten thousand connections are more than one process may usually open.

use std::{cell::Cell, io, net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future;
use ory_dev::oathkeeper::KeyFile;
use serde_json::json;
use tokio::{
    net::TcpStream,
    runtime::Builder,
    task,
    time::{self, Instant},
};
use uuid::Uuid;

use super::rotation::{key_id, key_set_url, key_source, new_token};
use crate::{
    client::{Request, within},
    relay::Relay,
    step::login::LoggedIn,
    walk::{Promise, Walk},
    world::{Service, World},
};

/// Floods a service with key ids that nobody published, while people go on working: with the key that the service knows,
/// and with one that the gateway took up since.
pub(super) async fn made_up_keys(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    let world = walk.world;
    let jwks = Relay::start(([127, 0, 0, 1], 0).into(), world.places.gateway_api).await?;
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
    let key_file = world.key_file.as_ref().map(KeyFile::at);
    let new = match &key_file {
        Some(key_file) => Some(switch_keys(world, who, key_file, &old).await?),
        None => None,
    };
    let flood = Flood::of(service.address, &old)?;
    let before = jwks.requests();
    service.audit.forget();

    let (started, over) = (Instant::now(), Cell::new(false));
    let (answered, with_old, with_new) = future::join3(
        async {
            let answered = flood.release().await;
            over.set(true);
            (answered, started.elapsed())
        },
        people(&service, Some(&old), &over),
        people(&service, new.as_deref(), &over),
    )
    .await;
    let (answered, took) = (answered.0?, answered.1);
    // Whoever still waited would have made one more fetch due by then.
    time::sleep(Duration::from_secs(1)).await;
    let fetches = jwks.requests().saturating_sub(before);

    report(walk, &service, answered, took).await;
    // Whoever comes after a fetch has started shares the next, a second later: all are answered by the second within two
    // seconds. A machine that needs longer to let ten thousand in makes one more for each second of that.
    let most = took.as_secs().saturating_add(1).max(2);
    walk.observe(
        "GET /.well-known/jwks.json",
        format!("{fetches} fetches, {most} allowed"),
        "10,000 made-up key ids in a second cost at most two fetches",
        u64::try_from(fetches).is_ok_and(|fetches| fetches <= most),
    );
    nobody_refused(walk, "old", with_old);
    nobody_refused(walk, "new", with_new);
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

/// How a person's requests were answered.
#[derive(Clone, Copy, Debug, Default)]
struct People {
    passed: usize,
    sent: usize,
}

/// Sends a person's requests one after the other, until the flood is over.
async fn people(service: &Service, token: Option<&str>, over: &Cell<bool>) -> Option<People> {
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

fn nobody_refused(walk: &mut Walk<'_>, which: &str, people: Option<People>) {
    let Some(People { passed, sent }) = people else {
        walk.report
            .say("left out: without --jwks-file there is no new key during the flood");
        return;
    };
    walk.observe(
        &format!("GET /orders with the {which} key"),
        format!("{passed} of {sent}"),
        "no valid token was refused meanwhile",
        passed == sent,
    );
}

async fn report(walk: &mut Walk<'_>, service: &Service, answered: Answered, took: Duration) {
    let Answered {
        refused,
        unavailable,
        other,
    } = answered;
    walk.observe(
        "GET /orders with made-up key ids",
        format!(
            "{refused} 401, {unavailable} 503, {other} other in {:.1} s",
            took.as_secs_f32()
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

/// How the flood was answered.
#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    refused: usize,
    unavailable: usize,
    other: usize,
}

/// Requests that are ready to be sent, for each connection.
struct Flood {
    to: SocketAddr,
    requests: Vec<Vec<http_0_2::Request<()>>>,
}

impl Flood {
    /// Makes requests of a token by giving each a key id of its own.
    fn of(to: SocketAddr, token: &str) -> io::Result<Self> {
        let (_, signed) = token.split_once('.').unwrap_or_default();
        let request = || {
            let header =
                json!({ "alg": "RS256", "kid": Uuid::new_v4().to_string(), "typ": "JWT" }).to_string();
            let token = format!("{}.{signed}", URL_SAFE_NO_PAD.encode(header));
            http_0_2::Request::get(format!("http://{to}/orders"))
                .header("authorization", format!("Bearer {token}"))
                .body(())
                .map_err(io::Error::other)
        };

        let requests = (0..CONNECTIONS)
            .map(|_| (0..STREAMS).map(|_| request()).collect())
            .collect::<io::Result<_>>()?;
        Ok(Self { to, requests })
    }

    /// Sends everything at once and waits for the answers.
    async fn release(self) -> io::Result<Answered> {
        // On a thread of its own, for the gateway that publishes the keys shares the walk's.
        let flooding = task::spawn_blocking(|| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.run())
        });
        flooding.await?
    }

    async fn run(self) -> io::Result<Answered> {
        let mut connections = Vec::new();
        for requests in self.requests {
            let stream = TcpStream::connect(self.to).await?;
            let (client, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            let client = client.ready().await.map_err(io::Error::other)?;
            connections.push((client, requests));
        }

        let mut answers = Vec::new();
        for (mut client, requests) in connections {
            for request in requests {
                let (answer, _) = client.send_request(request, true).map_err(io::Error::other)?;
                answers.push(answer);
            }
        }
        let mut answered = Answered::default();
        for answer in answers {
            let count = match within(async { answer.await.map_err(io::Error::other) }).await {
                Ok(response) if response.status() == 401 => &mut answered.refused,
                Ok(response) if response.status() == 503 => &mut answered.unavailable,
                Ok(_) | Err(_) => &mut answered.other,
            };
            *count = count.saturating_add(1);
        }
        Ok(answered)
    }
}

const CONNECTIONS: usize = 100;
const STREAMS: usize = 100;
const MADE_UP: usize = CONNECTIONS * STREAMS;
const LEAST_VALID: usize = 50;
