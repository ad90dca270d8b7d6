//! The failure table: every upstream with every fault, over real sockets. The documentation shows what is tested here.

use std::{collections::BTreeMap, thread};

use actix_web::test::read_body;
use iam_core::{
    audit::Outcome,
    clock::SystemClock,
    config::{HydraConfig, KetoConfig, KratosConfig, OathkeeperConfig, TenantConfig, UpstreamConfig},
    tenant::Transport,
};
use tokio::{net::TcpSocket, time::Instant};

use super::*;

/// A server that a request needs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Server {
    /// At the first fetch of the keys.
    Jwks,
    /// At a later fetch, for a token whose key is new.
    NewKey,
    Kratos,
    Keto,
    Hydra,
}

/// How it fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Down,
    Slow,
    Dribbling,
    Closing,
    Error500,
    Error503,
    Refusing,
    RefusingPage,
    WrongType,
    Truncated,
    Huge,
    Redirect,
    WrongShape,
    NotJson,
}

impl Server {
    const ALL: [Self; 5] = [Self::Jwks, Self::NewKey, Self::Kratos, Self::Keto, Self::Hydra];

    const fn name(self) -> &'static str {
        match self {
            Self::Jwks => "JWKS",
            Self::NewKey => "JWKS, new key",
            Self::Kratos => "Kratos",
            Self::Keto => "Keto",
            Self::Hydra => "Hydra",
        }
    }

    const fn asked(self) -> &'static str {
        match self {
            Self::Jwks => "the keys of tokens, for the first time",
            Self::NewKey => "the keys of tokens, for one with a new key",
            Self::Kratos => "`GET /sessions/whoami`",
            Self::Keto => "`POST /relation-tuples/batch/check`",
            Self::Hydra => "`POST /admin/oauth2/introspect`",
        }
    }

    /// Returns the body of an answer that admits the caller.
    fn good(self, issuer: &TestIssuer) -> String {
        let now = SystemClock::new().now();
        let later = now.saturating_add(Duration::from_secs(600));
        match self {
            Self::Jwks | Self::NewKey => issuer.key_set(),
            Self::Kratos => json!({
                "id": "s-1", "active": true, "expires_at": later.to_rfc3339(),
                "authenticated_at": now.to_rfc3339(), "authenticator_assurance_level": "aal1",
                "identity": {
                    "id": "alice", "schema_id": "default", "state": "active", "traits": { "email": MARKER },
                    "metadata_public": null,
                },
            }),
            Self::Keto => json!({ "results": [{ "allowed": true }] }),
            Self::Hydra => json!({
                "active": true, "client_id": "ci-bot", "sub": "ci-bot", "exp": later.as_secs(), "aud": ["orders-api"],
                "iss": HYDRA, "token_type": "Bearer", "token_use": "access_token",
            }),
        }
        .to_string()
    }

    fn config(self, url: &str, issuer: &TestIssuer) -> IamConfig {
        let mut upstream = UpstreamConfig::default();
        upstream.timeout = Some(DEADLINE);
        upstream.max_body = Some(MAX_BODY);
        let gateway = OathkeeperConfig::new(ISSUER, ["orders-api"]);
        let mut tenant = match self {
            Self::Jwks | Self::NewKey => {
                let mut gateway = gateway.jwks_url(format!("{url}/jwks.json"));
                gateway.jwks.timeout = Some(DEADLINE);
                // Longer than a fetch takes, so that its end decides.
                gateway.jwks.wait = Some(DEADLINE.saturating_mul(2));
                gateway.jwks.refetch_interval = Some(Duration::from_millis(100));
                gateway.jwks.max_body = Some(MAX_BODY);
                TenantConfig::behind(gateway)
            }
            Self::Kratos => TenantConfig::with_sessions(KratosConfig::new(url)),
            Self::Keto => {
                let key = issuer.key_set()["keys"][0].clone();
                TenantConfig::behind(gateway.key(key)).keto(KetoConfig::new(url))
            }
            Self::Hydra => {
                let mut tenant = TenantConfig::default();
                tenant.transports = vec![Transport::Oauth2];
                tenant.hydra = Some(HydraConfig::new(url, HYDRA, ["orders-api"]));
                tenant
            }
        };
        if !matches!(self, Self::Jwks | Self::NewKey) {
            tenant.upstream = upstream;
        }
        IamConfig::new().tenant("default", tenant)
    }

    fn request(self, issuer: &TestIssuer) -> Request {
        let (name, value) = match self {
            Self::Jwks | Self::NewKey | Self::Keto => {
                let token = issuer.sign(&claims(&SystemClock::new())).unwrap();
                ("authorization", format!("Bearer {token}"))
            }
            Self::Kratos => ("cookie", "ory_kratos_session=x".to_owned()),
            Self::Hydra => ("authorization", "Bearer ory_at_x.y".to_owned()),
        };
        let path = if matches!(self, Self::Keto) {
            "/orders/7"
        } else {
            "/orders"
        };
        TestRequest::with_uri(path)
            .insert_header((name, value))
            .to_request()
    }
}

impl Fault {
    const ALL: [Self; 14] = [
        Self::Down,
        Self::Slow,
        Self::Dribbling,
        Self::Closing,
        Self::Error500,
        Self::Error503,
        Self::Refusing,
        Self::RefusingPage,
        Self::WrongType,
        Self::Truncated,
        Self::Huge,
        Self::Redirect,
        Self::WrongShape,
        Self::NotJson,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Down => "refuses connections",
            Self::Slow => "sends nothing within the deadline",
            Self::Dribbling => "sends byte by byte beyond the deadline",
            Self::Closing => "closes the connection without an answer",
            Self::Error500 => "answers 500",
            Self::Error503 => "answers 503",
            Self::Refusing => "answers 401 with an error in JSON",
            Self::RefusingPage => "answers 401 with a page",
            Self::WrongType => "declares another content type than JSON",
            Self::Truncated => "sends less than it announces",
            Self::Huge => "sends more than `max_body`",
            Self::Redirect => "redirects",
            Self::WrongShape => "sends JSON of another shape",
            Self::NotJson => "sends no JSON",
        }
    }

    /// Returns what the server sends, if it listens. `good` would admit the caller.
    fn answer(self, good: &str) -> Option<Answer> {
        let raw = |status: &str, kind: &str, announced: usize, body: &str| {
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {announced}\r\n\r\n");
            format!("{head}{body}")
        };
        let error = json!({ "error": { "message": MARKER } }).to_string();
        Some(match self {
            Self::Down => return None,
            Self::Slow => Answer::Hang,
            Self::Dribbling => {
                let whole = raw("200 OK", "application/json", good.len(), good);
                // Slower than the deadline, whatever the length.
                Answer::Dribble(whole, Duration::from_millis(20))
            }
            Self::Closing => Answer::Close,
            Self::Error500 => Answer::Json(500, error),
            Self::Error503 => Answer::Json(503, error),
            Self::Refusing => Answer::Json(401, error),
            // As a proxy in front of the server does, whatever the body.
            Self::RefusingPage => {
                Answer::Raw(raw("401 Unauthorized", "text/html", error.len(), &error).into_bytes())
            }
            Self::WrongType => Answer::Raw(raw("200 OK", "text/html", good.len(), good).into_bytes()),
            Self::Truncated => {
                let announced = good.len().saturating_add(1);
                Answer::Raw(raw("200 OK", "application/json", announced, good).into_bytes())
            }
            // Good JSON otherwise: white space may follow.
            Self::Huge => Answer::Json(200, format!("{good}{}", " ".repeat(MAX_BODY))),
            Self::Redirect => Answer::Raw(
                format!("HTTP/1.1 302 Found\r\nLocation: /{MARKER}\r\nContent-Length: 0\r\n\r\n")
                    .into_bytes(),
            ),
            Self::WrongShape => Answer::Json(200, json!({ "status": "ok", "of": MARKER }).to_string()),
            Self::NotJson => Answer::Json(200, MARKER.to_owned()),
        })
    }
}

/// What the caller and the audit see of one fault.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Cell {
    status: u16,
    retry_after: Option<String>,
    event: &'static str,
    reason: &'static str,
    detail: &'static str,
}

/// A server, and what the test can turn.
struct Stand {
    issuer: Arc<TestIssuer>,
    is_failing: Arc<AtomicBool>,
    /// Dropped where the server refuses connections.
    upstream: Option<TestUpstream>,
    /// Then keeps its port, so that no server of another test listens there.
    port: Option<TcpSocket>,
    url: String,
}

impl Stand {
    /// Starts a server that fails from the beginning, except where the keys are fetched once before.
    fn start(server: Server, fault: Fault) -> Self {
        let issuer = Arc::new(TestIssuer::new().unwrap());
        let is_failing = Arc::new(AtomicBool::new(false));
        let (of_upstream, failing) = (Arc::clone(&issuer), Arc::clone(&is_failing));
        let upstream = TestUpstream::start(move |request| {
            let good = server.good(&of_upstream);
            // What a redirect points to would admit the caller.
            let fails = failing.load(Ordering::SeqCst) && !request.line.contains(MARKER);
            let answer = fails.then(|| fault.answer(&good)).flatten();
            answer.unwrap_or(Answer::Json(200, good))
        });
        let mut stand = Self {
            issuer,
            is_failing,
            url: upstream.url(""),
            upstream: Some(upstream),
            port: None,
        };
        if server != Server::NewKey {
            stand.fail(fault);
        }
        stand
    }

    fn fail(&mut self, fault: Fault) {
        self.is_failing.store(true, Ordering::SeqCst);
        if matches!(fault, Fault::Down) {
            self.upstream = None;
            self.port = Some(occupy(&self.url));
        }
    }

    fn asked(&self) -> Vec<String> {
        let upstream = self.upstream.iter();
        let requests = upstream.flat_map(TestUpstream::requests);
        requests.map(|request| request.line).collect()
    }
}

/// Binds the port of a server that has just ended, without listening.
fn occupy(url: &str) -> TcpSocket {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let address = address.parse().unwrap();
    for _ in 0..200 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        if socket.bind(address).is_ok() {
            return socket;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{url} is still in use");
}

/// Sends one request while `server` fails, and asserts what holds for every fault.
async fn cell(server: Server, fault: Fault) -> Cell {
    let case = format!("{} that {}", server.name(), fault.name());
    let mut stand = Stand::start(server, fault);
    let (sink, mut events) = audit_channel();
    let began = Instant::now();
    let iam = Iam::builder(server.config(&stand.url, &stand.issuer))
        .audit_sink(Arc::new(sink))
        .start()
        .await
        .unwrap();
    assert!(
        began.elapsed() < DEADLINE.saturating_add(TOLERANCE),
        "start: {case}"
    );
    let handled = web::Data::new(AtomicBool::new(false));
    let app = counting(&iam, &handled).await;
    let with_known_key = server.request(&stand.issuer);
    if server == Server::NewKey {
        stand.issuer.add_key().unwrap();
        stand.fail(fault);
    }
    let before = stand.asked().len();

    let began = Instant::now();
    let response = call_service(&app, server.request(&stand.issuer)).await;
    assert!(began.elapsed() < DEADLINE.saturating_add(TOLERANCE), "{case}");

    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let head = format!("{:?}", response.headers());
    let body = read_body(response).await;
    assert!(!handled.load(Ordering::SeqCst), "the handler ran: {case}");
    let asked = stand.asked();
    // Without keys, requests are refused at once: the fetch was that of the start.
    let needed = if server == Server::Jwks { 0 } else { before };
    assert!(
        asked.len() > needed || matches!(fault, Fault::Down),
        "nothing was asked: {case}"
    );
    let followed = asked.iter().any(|line| line.contains(MARKER));
    assert!(!followed, "a redirect was followed: {case}");
    let shown = format!("{head}{}", String::from_utf8_lossy(&body));
    assert!(!shown.contains(MARKER), "{case} is shown: {shown}");
    let event = events.next().await.unwrap();
    assert_eq!(event.outcome, Outcome::Deny, "{case}");
    assert_eq!(events.drain(), [], "{case}");

    if server == Server::NewKey {
        let known = call_service(&app, with_known_key).await;
        assert_eq!(known.status(), 200, "the key of this token is known: {case}");
    }
    Cell {
        status,
        retry_after,
        event: event.event.as_str(),
        reason: event.reason.unwrap().code(),
        detail: event.detail.unwrap_or("none"),
    }
}

async fn counting(
    iam: &Iam,
    handled: &web::Data<AtomicBool>,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody + use<>>, Error = Error> + use<> {
    let order = |handled: web::Data<AtomicBool>| async move {
        handled.store(true, Ordering::SeqCst);
        HttpResponse::Ok().finish()
    };
    init_service(
        App::new()
            .app_data(handled.clone())
            .route("/orders", web::get().to(order))
            .route(
                "/orders/{id}",
                web::get()
                    .to(order)
                    .require_permission(Permission::new("orders", "view", "orders:{id}")),
            )
            .wrap(iam.middleware()),
    )
    .await
}

/// Writes the two tables of the documentation: what all faults of an upstream have in common, and what tells them apart.
fn tables(cells: &BTreeMap<(usize, Server), Cell>) -> [String; 2] {
    let usual = |server| &cells[&(0, server)];
    let mut lines = vec![
        "| Upstream | Asked for | Status | `Retry-After` | Event | Reason |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(Server::ALL.map(|server| {
        let Cell {
            status,
            retry_after,
            event,
            reason,
            ..
        } = usual(server);
        let seconds = retry_after.as_deref().unwrap_or("none");
        let (name, asked) = (server.name(), server.asked());
        format!("| {name} | {asked} | {status} | {seconds} | `{event}` | `{reason}` |")
    }));
    let common = lines.join("\n");

    let mut lines = vec![
        format!("| The upstream | {} |", Server::ALL.map(Server::name).join(" | ")),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for (row, fault) in Fault::ALL.iter().enumerate() {
        let details = Server::ALL.map(|server| {
            let cell = &cells[&(row, server)];
            let is_usual = Cell {
                detail: usual(server).detail,
                ..cell.clone()
            } == *usual(server);
            if is_usual {
                format!("`{}`", cell.detail)
            } else {
                let seconds = cell.retry_after.as_deref();
                let retry = seconds.map_or(String::new(), |seconds| format!(", retry after {seconds}"));
                format!("{} `{}`{retry}", cell.status, cell.event)
            }
        });
        lines.push(format!("| {} | {} |", fault.name(), details.join(" | ")));
    }
    [common, lines.join("\n")]
}

/// D16, D73, D77, D78, R079, R083, R135, R137: no fault of an upstream admits anybody, costs more than the deadline, or is shown.
#[expect(clippy::print_stdout, reason = "for the documentation")]
#[actix_web::test]
async fn every_fault_of_an_upstream_ends_as_the_documentation_says() {
    let mut cells = BTreeMap::new();
    for (row, fault) in Fault::ALL.into_iter().enumerate() {
        for server in Server::ALL {
            let cell = cell(server, fault).await;
            // Kratos says 401 of the caller's credential. It is sent none of ours.
            if matches!((server, fault), (Server::Kratos, Fault::Refusing)) {
                assert_eq!((cell.status, &cell.retry_after), (401, &None));
                assert_eq!(cell.event, "auth.failure.session_inactive");
            } else {
                assert_eq!(cell.status, 503, "{server:?} {fault:?} {cell:?}");
                assert_eq!(cell.retry_after.as_deref(), Some("1"), "{server:?} {fault:?}");
                let expected = match server {
                    Server::Jwks | Server::NewKey => ("auth.failure.upstream", "keys_unavailable"),
                    Server::Kratos => ("auth.failure.upstream", "session_unavailable"),
                    Server::Keto => ("authz.upstream_unavailable", "permission_unavailable"),
                    Server::Hydra => ("auth.failure.upstream", "introspection_unavailable"),
                };
                assert_eq!((cell.event, cell.reason), expected, "{server:?} {fault:?}");
            }
            cells.insert((row, server), cell);
        }
    }

    let tables = tables(&cells);
    println!("{}", tables.join("\n\n"));
    for table in &tables {
        assert!(
            include_str!("../../failures.md").contains(table),
            "`failures.md` does not show what happens"
        );
    }
}

/// What fails in the table is the fault alone: without one, the same requests are let in.
#[actix_web::test]
async fn the_same_request_is_let_in_where_the_upstream_answers() {
    for server in Server::ALL {
        let issuer = TestIssuer::new().unwrap();
        let upstream = TestUpstream::always(Answer::Json(200, server.good(&issuer)));
        let iam = Iam::builder(server.config(&upstream.url(""), &issuer))
            .start()
            .await
            .unwrap();
        let handled = web::Data::new(AtomicBool::new(false));
        let app = counting(&iam, &handled).await;

        let response = call_service(&app, server.request(&issuer)).await;

        assert_eq!(response.status(), 200, "{server:?}");
        assert!(handled.load(Ordering::SeqCst), "{server:?}");
    }
}

/// Long enough for a loaded machine to answer within it, and far from the time that a slow upstream takes.
const DEADLINE: Duration = Duration::from_millis(500);

/// An upper bound, not a measurement.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The issuer of access tokens.
const HYDRA: &str = "http://127.0.0.1:4444";

const MAX_BODY: usize = 4096;

/// In every answer of an upstream, and in none of ours.
const MARKER: &str = "SECRET-of-the-upstream";
