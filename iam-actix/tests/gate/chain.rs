//! Routes that list several transports: which credential decides, and what each of them is asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    App, HttpResponse,
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use bytes::Bytes;
use iam_actix::{
    AuditEvents, Iam, Principal, RouteExt as _, ScopeExt as _, Transport, audit_channel, optional, transport,
};
use iam_core::{
    clock::{Clock as _, SystemClock},
    config::{HydraConfig, IamConfig, KratosConfig, OathkeeperConfig, ReplayMode, TenantConfig},
    decision::Reason,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
};
use serde_json::{Value, json};

use crate::common::{AUDIENCE, ISSUER, Issuer};

const HYDRA: &str = "http://127.0.0.1:4444";

/// A Kratos that knows `alice`'s session, and a Hydra that knows `ci-bot`'s token.
#[derive(Debug, Default)]
struct Servers {
    asked: Mutex<Vec<&'static str>>,
}

impl Servers {
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl HttpClient for Servers {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        let (server, (status, body)) = match request.uri().path() {
            "/sessions/whoami" => ("kratos", whoami(&request)),
            "/admin/oauth2/introspect" => ("hydra", introspected(request.body())),
            path => panic!("{path}"),
        };
        self.asked.lock().unwrap().push(server);

        let response = http::Response::builder()
            .status(status)
            .header("content-type", "application/json; charset=utf-8")
            .body(Bytes::from(body.to_string()))
            .unwrap();
        Box::pin(async move { Ok(response) })
    }
}

fn whoami(request: &http::Request<Bytes>) -> (u16, Value) {
    let known = |name, value| request.headers().get(name).is_some_and(|it| it == value);
    if !known("cookie", "ory_kratos_session=alice") && !known("x-session-token", "ory_st_alice") {
        return (401, json!({ "error": { "code": 401 } }));
    }
    let now = SystemClock::new().now();
    let body = json!({
        "id": "s-1", "active": true,
        "expires_at": now.saturating_add(Duration::from_secs(600)).to_rfc3339(),
        "authenticated_at": now.saturating_sub(Duration::from_secs(60)).to_rfc3339(),
        "authenticator_assurance_level": "aal1",
        "authentication_methods": [{ "method": "password", "aal": "aal1" }],
        "identity": { "id": "alice", "schema_id": "default", "state": "active", "traits": {} },
    });
    (200, body)
}

fn introspected(body: &[u8]) -> (u16, Value) {
    if !body.starts_with(b"token=ory_at_ci-bot") {
        return (200, json!({ "active": false }));
    }
    let now = SystemClock::new().now().as_secs();
    let body = json!({
        "active": true, "client_id": "ci-bot", "sub": "ci-bot", "exp": now.saturating_add(600), "iat": now, "nbf": now,
        "aud": [AUDIENCE], "iss": HYDRA, "token_type": "Bearer", "token_use": "access_token",
    });
    (200, body)
}

struct Stage {
    iam: Iam,
    issuer: Issuer,
    servers: Arc<Servers>,
    events: AuditEvents,
}

impl Stage {
    /// One tenant with every transport; the gateway's tokens, in a header of their own, count once each.
    async fn start() -> Self {
        let issuer = Issuer::new("k1");
        let mut gateway = OathkeeperConfig::new(ISSUER, [AUDIENCE]).key(issuer.jwk());
        gateway.header = Some("x-gateway-token".to_owned());
        gateway.replay = ReplayMode::Always;
        let mut tenant =
            TenantConfig::behind(gateway).hydra(HydraConfig::new("http://127.0.0.1:4445", HYDRA, [AUDIENCE]));
        tenant.kratos = Some(KratosConfig::new("https://kratos.example"));
        tenant.transports.extend([
            Transport::Oauth2,
            Transport::CookieOrBearer,
            Transport::Bearer,
            Transport::Cookie,
        ]);

        let servers = Arc::new(Servers::default());
        let (sink, events) = audit_channel();
        let iam = Iam::builder(IamConfig::new().tenant("default", tenant))
            .http_client(Arc::clone(&servers) as Arc<_>)
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();
        Self {
            iam,
            issuer,
            servers,
            events,
        }
    }

    async fn reason(&mut self) -> Option<Reason> {
        let event = self.events.next().await.unwrap();
        assert_eq!(self.events.drain(), [], "one event for each request");
        event.reason
    }

    fn gateway(&self) -> Header {
        let token = self.issuer.token(&json!({ "jti": "j-1" }));
        ("x-gateway-token", token.leak())
    }
}

type Header = (&'static str, &'static str);

const COOKIE: Header = ("cookie", "ory_kratos_session=alice");
const SESSION: Header = ("authorization", "Bearer ory_st_alice");
const SESSION_HEADER: Header = ("x-session-token", "ory_st_alice");
const ACCESS: Header = ("authorization", "Bearer ory_at_ci-bot.x");

async fn who(principal: Principal) -> String {
    principal.subject().to_owned()
}

#[transport("oauth2", "cookie-or-bearer")]
#[actix_web::get("/reports")]
async fn reports(principal: Principal) -> String {
    principal.subject().to_owned()
}

#[transport("oauth2", "cookie-or-bearer")]
#[actix_web::post("/reports")]
async fn write(principal: Principal) -> String {
    principal.subject().to_owned()
}

#[optional]
#[transport("oauth2", "cookie-or-bearer")]
#[actix_web::get("/feed")]
async fn feed(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.subject().to_owned())
}

macro_rules! stage_app {
    ($stage:expr $(, $($rest:tt)*)?) => {
        init_service(
            App::new().service(reports).service(write).service(feed) $($($rest)*)? .wrap($stage.iam.middleware()),
        )
        .await
    };
}

macro_rules! send {
    ($app:expr, $method:ident $path:expr, $headers:expr) => {{
        let mut request = TestRequest::default()
            .method(actix_web::http::Method::$method)
            .uri($path);
        let headers: &[Header] = $headers;
        for header in headers {
            request = request.append_header(*header);
        }
        call_service(&$app, request.to_request()).await
    }};
}

#[actix_web::test]
async fn the_credential_that_is_presented_decides_and_one_server_is_asked() {
    let mut stage = Stage::start().await;
    let app = stage_app!(stage);

    for (header, server, subject) in [
        (COOKIE, "kratos", "alice"),
        (SESSION, "kratos", "alice"),
        (SESSION_HEADER, "kratos", "alice"),
        (ACCESS, "hydra", "ci-bot"),
    ] {
        for path in ["/reports", "/feed"] {
            let response = send!(app, GET path, &[header]);
            assert_eq!(response.status(), 200, "{path} {header:?}");
            assert_eq!(read_body(response).await, subject);
            assert_eq!(stage.reason().await, None);
            assert_eq!(stage.servers.take(), [server]);
        }
    }

    let response = send!(app, GET "/reports", &[]);
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
    assert_eq!(stage.reason().await, Some(Reason::MissingCredential));
    let response = send!(app, GET "/feed", &[]);
    assert_eq!(read_body(response).await, "nobody");
    assert_eq!(stage.reason().await, None);
    assert_eq!(stage.servers.take(), [""; 0]);
}

/// R093: no server is asked about either of two credentials.
#[actix_web::test]
async fn two_credentials_of_the_list_are_400() {
    let mut stage = Stage::start().await;
    let app = stage_app!(stage);
    let nonsense = ("authorization", "Bearer nonsense");

    for headers in [
        [COOKIE, ACCESS],
        [ACCESS, COOKIE],
        [COOKIE, nonsense],
        [ACCESS, SESSION_HEADER],
        [ACCESS, SESSION],
        [COOKIE, SESSION_HEADER],
        [ACCESS, ACCESS],
    ] {
        for path in ["/reports", "/feed"] {
            let response = send!(app, GET path, &headers);
            assert_eq!(response.status(), 400, "{path} {headers:?}");
            assert_eq!(stage.reason().await, Some(Reason::AmbiguousCredential));
        }
    }
    assert_eq!(stage.servers.take(), [""; 0]);
}

/// R020: a token goes to the server of its form, and to no other. The prefix of another kind gains nothing.
#[actix_web::test]
async fn a_bad_token_is_401_and_never_tried_as_another_kind() {
    let mut stage = Stage::start().await;
    let app = stage_app!(stage);

    for (token, reason, asked) in [
        ("Bearer ory_st_ci-bot.x", Reason::SessionInactive, &["kratos"][..]),
        ("Bearer ory_at_alice", Reason::TokenInactive, &["hydra"]),
        ("Bearer eyJh.eyJh.c2ln", Reason::TokenInactive, &["hydra"]),
        ("Bearer alice", Reason::Malformed, &[]),
        ("Bearer ory_rt_ci-bot.x", Reason::Malformed, &[]),
        ("Bearer", Reason::Malformed, &[]),
    ] {
        let response = send!(app, GET "/reports", &[("authorization", token)]);
        assert_eq!(response.status(), 401, "{token}");
        assert_eq!(stage.reason().await, Some(reason), "{token}");
        assert_eq!(stage.servers.take(), asked, "{token}");
    }
    // An ended session is nobody where nobody is required; an access token that is not active is a bad credential.
    let ended = send!(app, GET "/feed", &[("authorization", "Bearer ory_st_ended")]);
    assert_eq!(read_body(ended).await, "nobody");
    let inactive = send!(app, GET "/feed", &[("authorization", "Bearer ory_at_ended")]);
    assert_eq!(inactive.status(), 401);
}

/// The CSRF check is about the credential that was used, not about the list.
#[actix_web::test]
async fn pages_of_other_sites_are_refused_with_a_cookie_only() {
    let mut stage = Stage::start().await;
    let app = stage_app!(stage);
    let site = ("sec-fetch-site", "cross-site");

    assert_eq!(send!(app, POST "/reports", &[COOKIE, site]).status(), 403);
    assert_eq!(stage.reason().await, Some(Reason::Csrf));
    for header in [ACCESS, SESSION, SESSION_HEADER] {
        assert_eq!(send!(app, POST "/reports", &[header, site]).status(), 200);
        assert_eq!(stage.reason().await, None);
    }
    assert_eq!(send!(app, POST "/reports", &[COOKIE]).status(), 200);
}

/// `oathkeeper.replay = "always"` counts for the gateway's token, also where the list has other transports.
#[actix_web::test]
async fn the_gateways_token_is_used_once_and_the_others_are_used_again() {
    let mut stage = Stage::start().await;
    let route = || {
        web::get()
            .to(who)
            .transports([Transport::Oauth2, Transport::Cookie, Transport::Oathkeeper])
    };
    let app = stage_app!(stage, .route("/orders", route()));
    let token = stage.gateway();

    for header in [ACCESS, ACCESS, COOKIE, COOKIE, token] {
        assert_eq!(send!(app, GET "/orders", &[header]).status(), 200, "{header:?}");
        assert_eq!(stage.reason().await, None);
    }
    assert_eq!(send!(app, GET "/orders", &[token]).status(), 401);
    assert_eq!(stage.reason().await, Some(Reason::Replay));
}

/// Two wrappers of one list authenticate once; a wrapper that is announced late, with another list, authenticates again.
#[actix_web::test]
async fn one_list_on_the_way_is_one_authentication_and_two_lists_contradict_each_other() {
    let mut stage = Stage::start().await;
    let list = [Transport::Oauth2, Transport::CookieOrBearer];
    let other = [Transport::CookieOrBearer, Transport::Oauth2];
    let ok = || web::get().to(HttpResponse::Ok);
    let app = stage_app!(
        stage,
        .service(web::scope("/same").route("/x", ok().transports(list)).transports(list))
        .service(web::scope("/other").route("/x", ok().transports(other)).transports(list))
        .route("/shared", ok().transports([Transport::Bearer, Transport::CookieOrBearer]))
        .route("/twice", ok().transports([Transport::Cookie, Transport::Cookie]))
    );

    assert_eq!(send!(app, GET "/same/x", &[COOKIE]).status(), 200);
    assert_eq!(stage.reason().await, None);
    assert_eq!(stage.servers.take(), ["kratos"]);
    for path in ["/other/x", "/shared", "/twice"] {
        assert_eq!(send!(app, GET path, &[COOKIE]).status(), 500, "{path}");
        assert_eq!(stage.reason().await, Some(Reason::PolicyConflict));
    }
    assert_eq!(stage.servers.take(), [""; 0]);
}

#[actix_web::test]
async fn the_access_map_prints_the_list() {
    let stage = Stage::start().await;
    let checked = stage.iam.check(|| {
        App::new()
            .service(reports)
            .route(
                "/orders",
                web::get().to(HttpResponse::Ok).transport(Transport::Oathkeeper),
            )
            .wrap(stage.iam.middleware())
    });

    let map = checked.await.unwrap();
    let printed = map.to_string();
    let line = |path| printed.lines().find(|line| line.contains(path)).unwrap();
    assert!(
        line("/reports").contains(" by oauth2|cookie-or-bearer"),
        "{printed}"
    );
    assert!(!line("/orders").contains(" by "), "{printed}");
    let json = serde_json::to_value(&map).unwrap().to_string();
    assert!(
        json.contains(r#""transports":["oauth2","cookie-or-bearer"]"#),
        "{json}"
    );
}

#[actix_web::test]
async fn the_check_finds_transports_that_share_a_credential() {
    let stage = Stage::start().await;
    let checked = stage.iam.check(|| {
        App::new()
            .route(
                "/x",
                web::get()
                    .to(HttpResponse::Ok)
                    .transports([Transport::Cookie, Transport::CookieOrBearer]),
            )
            .wrap(stage.iam.middleware())
    });

    let printed = checked.await.unwrap_err().to_string();
    assert!(
        printed.contains(
            "`/x`: of the transports \"cookie\", \"cookie-or-bearer\" of the tenant `default`, two take the same credential"
        ),
        "{printed}"
    );
}
