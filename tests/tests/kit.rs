//! One generated set of requests against the test kit, the embedded servers and, with the feature `live-ory`, the real ones. The same
//! application answers them with the same policies, and the answers are compared: what passes in a test passes in production.
//!
//! Every credential goes by every carrier to every access of every transport.
//!
//! # What is not compared
//!
//! - Sessions and access tokens that expired by themselves: real servers would have to be waited for. Ended and revoked ones are
//!   compared, which both servers answer in the same way.
//! - Sessions whose second factor is due: servers answer so with another configuration (`required_aal: highest_available`). The test
//!   `sessions` covers the embedded server with it.
//! - A cookie of a session with a second factor: the client of the scenarios steps up in an application only, so the session comes as a
//!   token.
//! - JWT access tokens, which no server is asked about. The test `oauth2` covers them.
//! - The gateway's transport `oathkeeper`: the scenario `zero-trust` covers it against both kinds of servers.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{collections::BTreeMap, env::temp_dir, time::Duration};

use actix_web::{
    App, HttpResponse, Route,
    body::MessageBody,
    dev::ServiceResponse,
    http::Method,
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use iam_actix::{
    AssuranceLevel, AuditEvents, Iam, IamConfig, Principal, RouteExt as _, Transport,
    audit::AuditEvent,
    audit_channel,
    testing::{TestSession, TestWorld},
};
use iam_core::{decision::Reason, principal};
use ory_dev::config::Vars;
use scenario::{
    client::{Request, Response},
    ory, text,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// What a route says about its callers.
#[derive(Clone, Copy, Debug)]
enum Access {
    Public,
    Optional,
    Anonymous,
    Protected,
    SecondLevel,
    /// Requires a login of the last hour.
    Fresh,
    /// Requires a login of the last second: no session is that new.
    Recent,
    Scope,
    /// An unsafe request from a page of another site, to a protected route.
    CrossSite,
}

impl Access {
    const ALL: [Self; 9] = [
        Self::Public,
        Self::Optional,
        Self::Anonymous,
        Self::Protected,
        Self::SecondLevel,
        Self::Fresh,
        Self::Recent,
        Self::Scope,
        Self::CrossSite,
    ];

    fn secure(self, route: Route) -> Route {
        match self {
            Self::Public => route.public(),
            Self::Optional => route.optional(),
            Self::Anonymous => route.anonymous(),
            Self::Protected | Self::CrossSite => route.protected(),
            Self::SecondLevel => route.require_aal(AssuranceLevel::Aal2),
            Self::Fresh => route.require_fresh_session(Duration::from_secs(3600)),
            Self::Recent => route.require_fresh_session(Duration::from_secs(1)),
            Self::Scope => route.require_scope(["jobs:read"]),
        }
    }
}

/// The transports of a route. The last one is a chain.
const TRANSPORTS: [&[Transport]; 5] = [
    &[Transport::Cookie],
    &[Transport::Bearer],
    &[Transport::CookieOrBearer],
    &[Transport::Oauth2],
    &[Transport::Oauth2, Transport::CookieOrBearer],
];

fn path(transports: &[Transport], access: Access) -> String {
    let names: Vec<_> = transports.iter().map(ToString::to_string).collect();
    format!("/{}/{access:?}", names.join("+"))
}

/// Sessions and tokens of one world, by what they are.
#[derive(Default)]
struct Credentials {
    cookies: BTreeMap<&'static str, String>,
    session_tokens: BTreeMap<&'static str, String>,
    access_tokens: BTreeMap<&'static str, String>,
}

/// What a request presents: its headers, and their name in the report.
struct Presented {
    name: String,
    headers: Vec<(&'static str, String)>,
}

impl Credentials {
    /// Adds credentials that no server has issued.
    fn with_made_up(mut self) -> Self {
        for (kind, cookie, token) in [
            ("empty", "", ""),
            ("malformed", "\"a b\"", "a b"),
            (
                "unknown",
                "bm90LWEtc2Vzc2lvbg",
                "ory_st_00000000000000000000000000000000",
            ),
        ] {
            self.cookies.insert(kind, cookie.to_owned());
            self.session_tokens.insert(kind, token.to_owned());
        }
        self.access_tokens
            .insert("unknown", "ory_at_unknown.unknown".to_owned());
        self
    }

    /// Returns every credential in every carrier, and every pair of carriers.
    fn presented(&self) -> Vec<Presented> {
        let cookies = self
            .cookies
            .iter()
            .map(|(kind, value)| (format!("{kind} session"), cookie(value)));
        let tokens = self.session_tokens.iter().flat_map(|(kind, value)| {
            [bearer(value), header(value)].map(|sent| (format!("{kind} session"), sent))
        });
        let access_tokens = self.access_tokens.iter().flat_map(|(kind, value)| {
            [bearer(value), header(value), cookie(value)].map(|sent| (format!("{kind} access token"), sent))
        });
        let single: Vec<_> = cookies.chain(tokens).chain(access_tokens).collect();

        let [session, token] = ["good"; 2];
        let (session, token) = (
            self.cookies.get(session).expect("a session"),
            self.session_tokens.get(token).expect("a session"),
        );
        let access_token = self.access_tokens.get("good").expect("an access token");
        let carriers = [
            cookie(session),
            bearer(token),
            header(token),
            bearer(access_token),
            header("ory_st_unknown"),
        ];
        let pairs = carriers.iter().enumerate().flat_map(|(position, first)| {
            carriers
                .iter()
                .skip(position)
                .map(move |second| vec![first.clone(), second.clone()])
        });

        let none = Presented {
            name: "nothing".to_owned(),
            headers: Vec::new(),
        };
        let two_cookies = Presented {
            name: "two session cookies in one line".to_owned(),
            headers: vec![("cookie", format!("{COOKIE}={session}; {COOKIE}={session}"))],
        };
        let single = single.into_iter().map(|(name, sent)| Presented {
            name: format!("{name} in `{}`", sent.0),
            headers: vec![sent],
        });
        let pairs = pairs.enumerate().map(|(number, headers)| Presented {
            name: format!(
                "pair {number} in {:?}",
                headers.iter().map(|sent| sent.0).collect::<Vec<_>>()
            ),
            headers,
        });
        [none, two_cookies]
            .into_iter()
            .chain(single)
            .chain(pairs)
            .collect()
    }
}

fn cookie(value: &str) -> (&'static str, String) {
    ("cookie", format!("theme=dark; {COOKIE}={value}"))
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

fn header(token: &str) -> (&'static str, String) {
    ("x-session-token", token.to_owned())
}

/// What the caller and the audit see of a request.
#[derive(Debug, Eq, PartialEq)]
struct Answer {
    status: u16,
    challenge: Option<String>,
    retry_after: Option<String>,
    event: &'static str,
    reason: Option<&'static str>,
    detail: Option<&'static str>,
    /// The kind of the caller, where the handler ran; the problem without the request's id otherwise.
    body: Value,
}

/// Where the events of an application arrive.
enum Events {
    Kit(Box<TestWorld>),
    Channel(AuditEvents),
}

impl Events {
    async fn next(&mut self) -> AuditEvent<'static> {
        let event = match self {
            Self::Kit(world) => world.next_event().await,
            Self::Channel(events) => {
                let next = tokio::time::timeout(Duration::from_secs(5), events.next());
                next.await.ok().flatten()
            }
        };
        event.expect("an event for each request")
    }
}

/// Sends all requests, and returns their answers by name.
async fn answers(iam: &Iam, mut events: Events, credentials: &Credentials) -> BTreeMap<String, Answer> {
    let mut app = App::new();
    for (transports, access) in routes() {
        let route = web::route().to(who).transports(transports.iter().copied());
        app = app.route(&path(transports, access), access.secure(route));
    }
    let app = init_service(app.wrap(iam.middleware())).await;

    let mut answers = BTreeMap::new();
    for presented in credentials.presented() {
        for (transports, access) in routes() {
            let name = format!("{} to {}", presented.name, path(transports, access));
            let id = Uuid::new_v4().to_string();
            let mut request = TestRequest::with_uri(&path(transports, access))
                .insert_header(("x-request-id", id.as_str()))
                .insert_header(("host", "api.example"));
            if matches!(access, Access::CrossSite) {
                request = request
                    .method(Method::POST)
                    .insert_header(("sec-fetch-site", "cross-site"))
                    .insert_header(("origin", "https://other.example"));
            }
            for header in &presented.headers {
                request = request.append_header((header.0, header.1.as_str()));
            }
            let response = call_service(&app, request.to_request()).await;
            let event = events.next().await;
            assert_eq!(event.request_id.as_deref(), Some(id.as_str()), "{name}");
            let answer = answer(response, &event, &id).await;
            assert!(answers.insert(name, answer).is_none(), "names are unique");
        }
    }
    answers
}

fn routes() -> impl Iterator<Item = (&'static [Transport], Access)> {
    TRANSPORTS
        .into_iter()
        .flat_map(|transports| Access::ALL.map(|access| (transports, access)))
}

async fn who(caller: Option<Principal>) -> HttpResponse {
    let kind = match caller.map(Principal::into_inner) {
        None => "nobody",
        Some(principal::Principal::Client(_)) => "a client",
        Some(principal::Principal::Identity(identity)) if identity.acting_client().is_some() => {
            "a person through a client"
        }
        Some(principal::Principal::Identity(_)) => "a person",
    };
    HttpResponse::Ok().json(kind)
}

async fn answer(
    response: ServiceResponse<impl MessageBody>,
    event: &AuditEvent<'_>,
    request_id: &str,
) -> Answer {
    let status = response.status().as_u16();
    let text = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (challenge, retry_after) = (text("www-authenticate"), text("retry-after"));
    let body = read_body(response).await;
    let body = String::from_utf8_lossy(&body).replace(request_id, "ID");
    Answer {
        status,
        challenge,
        retry_after,
        event: event.event.as_str(),
        reason: event.reason.map(Reason::code),
        detail: event.detail,
        body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
    }
}

/// The servers of one run.
struct Servers {
    kratos: ory::Kratos,
    hydra: ory::Hydra,
    hydra_issuer: String,
}

impl Servers {
    fn config(&self) -> IamConfig {
        let config = format!(
            r#"
            [tenants.default]
            transports = ["cookie-or-bearer", "cookie", "bearer", "oauth2"]
            cache.negative_ttl = "0s"
            [tenants.default.kratos]
            public_url = "http://{}"
            login_url = "https://app.example/login"
            [tenants.default.hydra]
            admin_url = "http://{}"
            issuer = "{}"
            audience = ["{AUDIENCE}"]
            "#,
            self.kratos.public, self.hydra.admin, self.hydra_issuer
        );
        IamConfig::from_toml(&config).unwrap()
    }

    /// Registers people and clients, and logs them in.
    async fn credentials(&self) -> Credentials {
        let mut made = Credentials::default();
        for kind in ["good", "ended", "of an inactive identity"] {
            let email = new_email();
            let person = self.kratos.register(&email).await.unwrap();
            let cookie = self.kratos.log_in_as_browser(&email).await.unwrap();
            match kind {
                "ended" => {
                    let browser = Request::get("/sessions/whoami").header("cookie", cookie.as_str());
                    let session = browser.send(self.kratos.public).await.unwrap().json();
                    for id in [&person.session, &text(&session, "/id").unwrap()] {
                        let end = Request::new("DELETE", format!("/admin/sessions/{id}"));
                        self.admin(end, 204).await;
                    }
                }
                "of an inactive identity" => {
                    let change = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
                    let path = format!("/admin/identities/{}", person.id);
                    self.admin(Request::new("PATCH", path).json(&change), 200).await;
                }
                _ => {}
            }
            let (_, value) = cookie.split_once('=').unwrap();
            made.cookies.insert(kind, value.to_owned());
            made.session_tokens.insert(kind, person.session_token);
        }

        let email = new_email();
        let strong = self.kratos.register(&email).await.unwrap();
        let secret = self.kratos.set_up_totp(&strong).await.unwrap();
        let again = self.kratos.log_in(&email).await.unwrap();
        let raised = self.kratos.step_up(&again, &secret).await.unwrap();
        made.session_tokens.insert("second-level", raised.session_token);

        self.add_access_tokens(&mut made).await;
        made
    }

    async fn add_access_tokens(&self, made: &mut Credentials) {
        let scope = "jobs:read jobs:write offline";
        let client = self.hydra.client(scope, &[AUDIENCE, "other-api"]).await.unwrap();
        for (kind, scope, audience) in [
            ("good", "jobs:read", AUDIENCE),
            ("unscoped", "jobs:write", AUDIENCE),
            ("foreign", "jobs:read", "other-api"),
            ("revoked", "jobs:read", AUDIENCE),
        ] {
            let token = self.hydra.client_token(&client, scope, audience).await.unwrap();
            if kind == "revoked" {
                self.hydra.revoke(&client, &token).await.unwrap();
            }
            made.access_tokens.insert(kind, token);
        }
        let person = Uuid::new_v4().to_string();
        let user = self
            .hydra
            .user_tokens(&client, &person, "jobs:read offline", AUDIENCE);
        let user = user.await.unwrap();
        for (kind, member) in [("person's", "/access_token"), ("refresh", "/refresh_token")] {
            made.access_tokens.insert(kind, text(&user, member).unwrap());
        }
    }

    async fn admin(&self, request: Request, status: u16) {
        let answer: Response = request.send(self.kratos.admin).await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text());
    }

    /// Compares the answers of an application beside these servers with those of one in a world of the test kit.
    async fn compare(&self) {
        let kit = TestWorld::new(self.config()).unwrap();
        let in_kit = kit_credentials(&kit).with_made_up();
        let real = self.credentials().await.with_made_up();
        // So that no login is of the last second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (sink, events) = audit_channel();
        let iam = Iam::builder(self.config())
            .audit_sink(std::sync::Arc::new(sink))
            .start()
            .await
            .unwrap();

        let of_servers = answers(&iam, Events::Channel(events), &real).await;
        let iam = kit.start().await.unwrap();
        let of_kit = answers(&iam, Events::Kit(Box::new(kit)), &in_kit).await;

        assert_eq!(of_kit.len(), of_servers.len());
        let differences: Vec<_> = of_servers
            .iter()
            .filter(|(name, answer)| of_kit.get(*name) != Some(answer))
            .map(|(name, answer)| format!("{name}\n  servers: {answer:?}\n  kit:     {:?}", of_kit.get(name)))
            .collect();
        assert!(
            differences.is_empty(),
            "{} of {} answers differ:\n{}",
            differences.len(),
            of_servers.len(),
            differences.join("\n")
        );
        assert_covers(&of_servers);
    }
}

/// Asserts that the set reaches what it is for, so that two worlds cannot agree by refusing everything.
fn assert_covers(answers: &BTreeMap<String, Answer>) {
    let told = |answer: &Answer| answer.reason.unwrap_or("allowed");
    let reached: std::collections::BTreeSet<_> = answers.values().map(told).collect();
    for reason in [
        "allowed",
        "already_authenticated",
        "ambiguous_credential",
        "audience_mismatch",
        "csrf",
        "insufficient_level",
        "malformed",
        "missing_credential",
        "scope_deny",
        "session_inactive",
        "token_inactive",
    ] {
        assert!(
            reached.contains(reason),
            "no request is refused for {reason}: {reached:?}"
        );
    }
    for caller in ["nobody", "a client", "a person", "a person through a client"] {
        assert!(
            answers.values().any(|answer| answer.body == json!(caller)),
            "no request is of {caller}"
        );
    }
    let failed = answers.iter().find(|(_, answer)| answer.status >= 500);
    assert_eq!(failed, None, "no credential makes an upstream fail");
}

/// Makes the same credentials in the test kit.
fn kit_credentials(kit: &TestWorld) -> Credentials {
    let mut made = Credentials::default();
    let session = |subject| kit.session(subject).age(Duration::from_secs(5));
    let mut add = |kind, session: &TestSession| {
        let (_, cookie) = session.cookie();
        let (_, value) = cookie.split_once('=').unwrap();
        made.cookies.insert(kind, value.to_owned());
        made.session_tokens.insert(kind, session.token_value());
    };
    add("good", &session("alice"));
    add("ended", &session("bob").revoked());
    add("of an inactive identity", &session("carl").inactive());
    made.session_tokens
        .insert("second-level", session("dora").aal2().token_value());

    let token = || kit.access_token("ci-bot").scope("jobs:read");
    for (kind, token) in [
        ("good", token()),
        ("unscoped", kit.access_token("ci-bot").scope("jobs:write")),
        ("foreign", token().audience(["other-api"])),
        ("revoked", token().revoked()),
        ("person's", token().user("alice")),
        ("refresh", token().user("alice").refresh_token()),
    ] {
        made.access_tokens.insert(kind, token.token());
    }
    made
}

fn new_email() -> String {
    format!("kit-{}@example.com", Uuid::new_v4().simple())
}

/// R020: what the kit says of a credential, the servers say.
#[actix_web::test]
async fn the_kit_answers_as_the_embedded_servers_do() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ory-dev/config");
    let vars = Vars::new(folder, temp_dir());
    let file = |name: &str| std::path::Path::new(folder).join(name);
    let config = ory_dev::kratos::Kratos::from_files(&file("kratos.yml"), &vars).unwrap();
    let kratos = ory_dev::kratos::Kratos::start(config.ports(0, 0)).unwrap();
    let config = ory_dev::hydra::Hydra::from_files(&file("hydra.yml"), &vars).unwrap();
    let hydra = ory_dev::hydra::Hydra::start(config.ports(0, 0)).unwrap();
    let servers = Servers {
        kratos: ory::Kratos::new(kratos.public_addr(), kratos.admin_addr()),
        hydra: ory::Hydra::new(hydra.public_addr(), hydra.admin_addr()),
        hydra_issuer: hydra.issuer().to_owned(),
    };

    servers.compare().await;

    kratos.stop().await;
    hydra.stop().await;
}

/// R020: the same requests, with real servers on their usual ports.
#[cfg(feature = "live-ory")]
#[actix_web::test]
async fn the_kit_answers_as_the_real_servers_do() {
    let local = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let servers = Servers {
        kratos: ory::Kratos::new(local(4433), local(4434)),
        hydra: ory::Hydra::new(local(4444), local(4445)),
        hydra_issuer: "http://127.0.0.1:4444".to_owned(),
    };

    servers.compare().await;
}

const AUDIENCE: &str = "session-api";
const COOKIE: &str = "ory_kratos_session";
