//! The cost of protection over HTTP.
//!
//! One worker, loopback, sixteen keep-alive connections of a client that never sleeps, the median of seven runs of short
//! alternating turns. Prints what was measured in one process:
//!
//! - the time that our protected route without a cache adds to a route that checks the signature and nothing else, as a part of the
//!   time that actix-web-httpauth with jsonwebtoken by hand adds, which chooses among published keys;
//! - the ratios of the throughputs of these, and of the one by hand with a single key;
//! - the ratio of throughput of our protected route on hits of the verified-token cache and of a bare route;
//! - the same on hits of the session cache;
//! - the ratios of throughput of our route and of one that makes the same upstream call by hand with awc, for sessions and for access
//!   tokens that no cache knows;
//! - the upstream calls that 1,000 concurrent requests with one session cost, when no cache knows it.
//!
//! Names of parts select them. With `--quick`, there is one run of one turn: it shows that everything works, and its figures mean
//! nothing.
//!
//! Ours runs with its defaults and writes its audit as JSON lines to a file, on a thread beside its worker. With a third core that
//! work would not be in the ratios: measure with two (`taskset -c 0,1`).

#![expect(
    clippy::arithmetic_side_effects,
    clippy::async_yields_async,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where anything is not as expected"
)]

mod added;
mod floor;
mod ory;
mod peer;
mod tokens;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    iter::Cycle,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    slice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, Responder, dev::ServerHandle, get, web};
use iam_actix::{
    Iam, IamConfig, Identity,
    config::{AuditSinkConfig, OathkeeperConfig, TenantConfig},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{added::Added, ory::Ory, tokens::Tokens};

#[get("/protected")]
async fn protected(user: Identity) -> impl Responder {
    HttpResponse::Ok()
        .insert_header(("x-subject", user.subject().len()))
        .body("ok")
}

#[get("/protected")]
async fn bare() -> impl Responder {
    HttpResponse::Ok().insert_header(("x-subject", 5)).body("ok")
}

fn main() {
    let tokens = Arc::new(Tokens::mint(DISTINCT));
    let few: Vec<_> = tokens.all.iter().take(100).cloned().collect();
    let keys = KeyServer::start(&tokens);

    if is_wanted("no-cache") {
        let (address, iam) = start_ours(&keys, 0);
        let ours = Variant::new("ours, no cache", address, &tokens.all);
        let by_hand = Variant::new("by hand", peer::start(&tokens), &tokens.all);
        let floor = Variant::new("signature only", floor::start(&tokens), &tokens.all);
        let single = Variant::new(
            "by hand, a single key",
            peer::start_with_single_key(&tokens),
            &tokens.all,
        );
        let [ours, by_hand, floor, single] = measure([&ours, &by_hand, &floor, &single]);
        print_added(&ours, &by_hand, &floor, 0.25);
        print_ratio("no cache: ours / by hand", &ours, &by_hand, None);
        print_ratio("no cache: ours / by hand, a single key", &ours, &single, None);
        print_ratio("no cache: signature only / by hand", &floor, &by_hand, None);
        assert_nothing_dropped(&iam);
        std::fs::remove_file(audit_file(0)).unwrap();
    }
    if is_wanted("cache-hits") {
        let (address, iam) = start_ours(&keys, CACHED);
        let cached = Variant::new("ours, cache hits", address, &few);
        let open = Variant::new("bare route", start_bare(), &few);
        let [cached, open] = measure([&cached, &open]);
        print_ratio("cache hits: ours / bare route", &cached, &open, Some(0.80));
        assert_nothing_dropped(&iam);
        std::fs::remove_file(audit_file(CACHED)).unwrap();
    }
    println!("requests to JWKS on the hot path: {}", keys.beyond_starts());
    if is_wanted("session-hits") {
        session_hits();
    }
    if is_wanted("session-cold") {
        session_cold();
    }
    if is_wanted("introspection-cold") {
        introspection_cold();
    }
    if is_wanted("concurrent") {
        concurrent();
    }
}

fn session_hits() {
    let upstream = Ory::start(Duration::ZERO);
    let (address, iam) = upstream.sessions(Duration::from_secs(60));
    let cached = Variant::of("ours, session cache hits", address, ory::with_cookies(100));
    let open = Variant::of("bare route", start_bare(), ory::with_cookies(100));
    let [cached, open] = measure([&cached, &open]);
    print_ratio(
        "session cache hits: ours / bare route",
        &cached,
        &open,
        Some(0.75),
    );
    println!("whoami calls for 100 sessions: {}", upstream.calls());
    finish(&iam);
}

fn session_cold() {
    let upstream = Ory::start(Duration::ZERO);
    let (address, iam) = upstream.sessions(Duration::ZERO);
    let ours = Variant::of("ours, cold sessions", address, ory::with_cookies(COLD)).turn(COLD);
    let by_hand = Variant::of(
        "awc by hand",
        upstream.sessions_by_hand(),
        ory::with_cookies(COLD),
    )
    .turn(COLD);
    let [ours, by_hand] = measure([&ours, &by_hand]);
    print_ratio("cold sessions: ours / by hand", &ours, &by_hand, Some(0.95));
    finish(&iam);
}

fn introspection_cold() {
    let upstream = Ory::start(Duration::ZERO);
    let (address, iam) = upstream.tokens();
    let requests = ory::with_tokens("/protected", COLD);
    let ours = Variant::of("ours, 1,000 distinct tokens", address, requests).turn(COLD);
    let requests = ory::with_tokens("/introspected", COLD);
    let by_hand = Variant::of("awc by hand", upstream.tokens_by_hand(), requests).turn(COLD);
    let [ours, by_hand] = measure([&ours, &by_hand]);
    print_ratio("introspection, cold: ours / by hand", &ours, &by_hand, Some(0.95));
    finish(&iam);
}

/// Sends one session over many connections at once, while the upstream takes its time.
fn concurrent() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let upstream = Ory::start(Duration::from_secs(2));
    let (address, iam) = upstream.sessions(Duration::ZERO);
    let request = ory::with_cookies(1).remove(0);
    let mut connections: Vec<_> = (0..COLD).map(|_| Connection::open(address)).collect();

    for connection in &mut connections {
        connection.send(&request);
    }
    for connection in &mut connections {
        while !connection.is_answered() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    let calls = upstream.calls();
    println!(
        "{COLD} concurrent cold requests with one session: upstream calls: {calls} (aim 1: {})",
        verdict(calls == 1)
    );
    finish(&iam);
}

/// Ends a part with sessions or access tokens.
fn finish(iam: &Iam) {
    assert_nothing_dropped(iam);
    std::fs::remove_file(audit_file("ory")).unwrap();
}

fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// Returns whether a part was selected by its name, or no part was selected.
fn is_wanted(part: &str) -> bool {
    let mut names = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with("--"))
        .peekable();

    names.peek().is_none() || names.any(|name| name == part)
}

/// Checks that no event was dropped: the result would be too good, because dropped events are not written.
fn assert_nothing_dropped(iam: &Iam) {
    assert_eq!(iam.dropped_audit_events(), 0);
}

fn audit_file(part: impl std::fmt::Display) -> PathBuf {
    std::env::temp_dir().join(format!("iam-bench-{part}.jsonl"))
}

/// The throughput of a variant in each run, in requests per second.
struct Throughput {
    name: &'static str,
    runs: Vec<f64>,
}

impl Throughput {
    fn median(&self) -> f64 {
        median(self.runs.clone())
    }
}

/// Measures variants side by side. Turns are short, so that other load on the machine affects all of them alike.
fn measure<const N: usize>(variants: [&Variant; N]) -> [Throughput; N] {
    let mut clients = variants.map(Client::of);
    let mut measured = variants.map(|variant| Throughput {
        name: variant.name,
        runs: Vec::new(),
    });

    let (runs, turns) = if is_quick() { (1, 1) } else { (RUNS, TURNS) };
    for run in 0..=runs {
        let mut secs = [0.0; N];
        for _ in 0..turns {
            for (secs, client) in secs.iter_mut().zip(&mut clients) {
                *secs += client.take_turn();
            }
        }
        if run == 0 {
            // A warm-up: caches, buffers and predictions are filled here.
            continue;
        }
        for ((measured, secs), client) in measured.iter_mut().zip(secs).zip(&clients) {
            measured.runs.push((turns * client.turn) as f64 / secs);
        }
    }
    measured
}

/// Prints the ratio of two throughputs: the median of the ratios of each run.
fn print_ratio(name: &str, ours: &Throughput, other: &Throughput, least: Option<f64>) {
    let runs = ours.runs.iter().zip(&other.runs);
    let ratio = median(runs.map(|(ours, other)| ours / other).collect());

    let aim = least.map_or_else(String::new, |least| {
        format!(" (aim at least {least:.2}: {})", verdict(ratio >= least))
    });
    println!(
        "{name}: {ratio:.2}{aim}; {} {:.0}/s, {} {:.0}/s",
        ours.name,
        ours.median(),
        other.name,
        other.median()
    );
}

/// Prints the time that ours adds to the bare signature check, as a part of the time that the other adds.
fn print_added(ours: &Throughput, other: &Throughput, floor: &Throughput, most: f64) {
    let added = Added::of(ours.median(), other.median(), floor.median());
    let ratio = added.ratio();

    println!(
        "no cache: time added to the bare signature check, ours / by hand: {ratio:.2} (aim at most {most:.2}: {}); {} {:.1} µs, {} {:.1} µs",
        verdict(ratio <= most),
        ours.name,
        added.ours,
        other.name,
        added.other
    );
}

const fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A running application and its requests.
struct Variant {
    name: &'static str,
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    /// The number of requests in one turn.
    turn: usize,
}

impl Variant {
    fn new(name: &'static str, address: SocketAddr, tokens: &[String]) -> Self {
        let requests = tokens
            .iter()
            .map(|token| {
                format!("GET /protected HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n")
                    .into_bytes()
            })
            .collect();
        Self::of(name, address, requests)
    }

    const fn of(name: &'static str, address: SocketAddr, requests: Vec<Vec<u8>>) -> Self {
        Self {
            name,
            address,
            requests,
            turn: REQUESTS,
        }
    }

    const fn turn(mut self, requests: usize) -> Self {
        self.turn = requests;
        self
    }
}

/// Sends the requests of a variant repeatedly, in order.
struct Client<'v> {
    connections: Vec<Connection>,
    requests: Cycle<slice::Iter<'v, Vec<u8>>>,
    turn: usize,
}

impl<'v> Client<'v> {
    fn of(variant: &'v Variant) -> Self {
        Self {
            connections: (0..CONNECTIONS)
                .map(|_| Connection::open(variant.address))
                .collect(),
            requests: variant.requests.iter().cycle(),
            turn: variant.turn,
        }
    }

    /// Sends the requests of one turn and returns the seconds until all were answered.
    ///
    /// The client never sleeps: it polls its connections in turn. The result therefore measures the server without the cost
    /// of waking the client.
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark measures with the monotonic clock"
    )]
    fn take_turn(&mut self) -> f64 {
        let mut requests = self.requests.by_ref().take(self.turn);
        let mut answered = 0;

        let begun = Instant::now();
        for (connection, request) in self.connections.iter_mut().zip(&mut requests) {
            connection.send(request);
        }
        while answered < self.turn {
            for connection in &mut self.connections {
                if !connection.is_answered() {
                    continue;
                }
                answered += 1;
                if let Some(request) = requests.next() {
                    connection.send(request);
                }
            }
        }
        begun.elapsed().as_secs_f64()
    }
}

struct Connection {
    stream: TcpStream,
    buffer: [u8; 1024],
    filled: usize,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            buffer: [0; 1024],
            filled: 0,
        }
    }

    fn send(&mut self, request: &[u8]) {
        // It fits into the empty send buffer of the socket.
        assert_eq!(self.stream.write(request).unwrap(), request.len());
    }

    /// Returns whether the response has arrived.
    fn is_answered(&mut self) -> bool {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Err(err) if err.kind() == ErrorKind::WouldBlock => return false,
            read => {
                let read = read.unwrap();
                assert_ne!(read, 0, "a connection was closed while it waited for its turn");
                self.filled += read;
            }
        }
        let answer = &self.buffer[..self.filled];
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(answer)
        );

        // The body is two bytes, so the answer has arrived when the header block and these have.
        let arrived = answer.ends_with(b"\r\n\r\nok");
        if arrived {
            self.filled = 0;
        }
        arrived
    }
}

fn start_ours(keys: &KeyServer, cached: usize) -> (SocketAddr, Iam) {
    let mut config = IamConfig::new();
    let mut tenant =
        TenantConfig::behind(OathkeeperConfig::new(tokens::ISSUER, [tokens::AUDIENCE]).jwks_url(keys.url()));
    tenant.cache.verified_tokens = cached;
    config.tenants.insert("default".to_owned(), tenant);
    let audit = audit_file(cached);
    std::fs::write(&audit, "").unwrap();
    config.audit.sink = AuditSinkConfig::File(audit.display().to_string());
    let (give, given) = mpsc::channel();
    let address = serve(move |listener| async move {
        let iam = Iam::builder(config).start().await.unwrap();
        give.send(iam.clone()).unwrap();
        HttpServer::new(move || App::new().service(protected).wrap(iam.middleware()))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run()
    });
    (address, given.recv().unwrap())
}

fn start_bare() -> SocketAddr {
    serve(move |listener| async move {
        HttpServer::new(move || App::new().service(bare))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run()
    })
}

/// Serves on its own thread until the process ends.
fn serve<F, S>(start: F) -> SocketAddr
where
    F: FnOnce(TcpListener) -> S + Send + 'static,
    S: Future<Output = actix_web::dev::Server>,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (running, started) = mpsc::channel::<ServerHandle>();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = start(listener).await;
            running.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    started.recv().unwrap();
    address
}

/// Publishes the keys, and counts the fetches.
struct KeyServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    /// The number of clients that know the address. Each fetches once at start.
    told: AtomicUsize,
}

impl KeyServer {
    fn start(tokens: &Tokens) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, jwks) = (Arc::clone(&asked), tokens.jwks.to_string());
        let address = serve(move |listener| async move {
            HttpServer::new(move || {
                let (counter, jwks) = (Arc::clone(&counter), jwks.clone());
                App::new().default_service(web::to(move || {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let jwks = jwks.clone();
                    async move { HttpResponse::Ok().content_type("application/json").body(jwks) }
                }))
            })
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run()
        });
        Self {
            address,
            asked,
            told: AtomicUsize::new(0),
        }
    }

    fn url(&self) -> String {
        self.told.fetch_add(1, Ordering::Relaxed);
        format!("http://{}/jwks.json", self.address)
    }

    fn beyond_starts(&self) -> usize {
        self.asked
            .load(Ordering::Relaxed)
            .saturating_sub(self.told.load(Ordering::Relaxed))
    }
}

const CACHED: usize = 10_000;
/// Distinct credentials that no cache knows, and concurrent requests with one.
const COLD: usize = 1_000;
const CONNECTIONS: usize = 16;
const DISTINCT: usize = 10_000;
/// The number of requests in one turn, so that each turn uses every token. The events of the last 5 milliseconds are
/// written during the other variant's turn: a few hundredths.
const REQUESTS: usize = DISTINCT;
const RUNS: usize = 7;
const TURNS: usize = 5;
