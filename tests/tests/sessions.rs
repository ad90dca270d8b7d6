//! Sessions of a running Kratos at the gate: by cookie and by token, with a second factor, and after logging out.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    dev::ServiceResponse,
    http::StatusCode,
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use iam_actix::{
    AssuranceLevel, Iam, IamConfig, Principal, RouteExt as _, Session,
    config::{KratosConfig, TenantConfig},
};
use ory_dev::{
    config::Vars,
    kratos::{Clock, Kratos, RequiredAal, authenticator_code},
};
use scenario::{
    client::{Request, Response},
    ory::PASSWORD,
};
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
const EMAIL: &str = "alice@example.com";

/// A Kratos, and an application beside it.
struct Stand {
    kratos: Kratos,
    clock: Clock,
    iam: Iam,
}

impl Stand {
    async fn start(required: RequiredAal) -> Self {
        let folder = format!("{EXAMPLES}/ory-dev/config");
        let vars = Vars::new(&folder, std::env::temp_dir());
        let clock = Clock::default();
        let config = Kratos::from_files(format!("{folder}/kratos.yml").as_ref(), &vars).unwrap();
        let config = config.ports(0, 0).clock(&clock).required_aal(required);
        let kratos = Kratos::start(config).unwrap();

        let at = KratosConfig::new(kratos.public_url().as_str()).login_url("http://127.0.0.1:4455/login");
        let config = IamConfig::new().tenant("default", TenantConfig::with_sessions(at));
        let iam = Iam::builder(config).start().await.unwrap();
        Self { kratos, clock, iam }
    }

    async fn send(&self, request: Request) -> Response {
        let address = self.kratos.public_url().as_str().trim_start_matches("http://");
        let address: SocketAddr = address.trim_end_matches('/').parse().unwrap();
        request.send(address).await.unwrap()
    }

    /// Starts a flow of `client` (`api` or `browser`), and returns it with the cookies that came with it.
    async fn flow(&self, path: &str, headers: &[(&str, &str)]) -> (Value, String) {
        let mut request = Request::get(format!("/self-service/{path}"));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = self.send(request).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        (answer.json(), answer.cookies())
    }

    async fn submit(&self, flow: &Value, body: &Value, headers: &[(&str, &str)]) -> Response {
        let action = flow["ui"]["action"].as_str().unwrap();
        let path = action.splitn(4, '/').nth(3).unwrap();
        let mut request = Request::post(format!("/{path}"), body);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = self.send(request).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer
    }

    /// Registers natively, and returns the session token.
    async fn register(&self) -> String {
        let (flow, _) = self.flow("registration/api", &[]).await;
        let body = json!({ "method": "password", "password": PASSWORD, "traits": { "email": EMAIL } });
        token(&self.submit(&flow, &body, &[]).await)
    }

    /// Logs in natively, and returns the session token.
    async fn log_in(&self) -> String {
        let (flow, _) = self.flow("login/api", &[]).await;
        let body = json!({ "method": "password", "password": PASSWORD, "identifier": EMAIL });
        token(&self.submit(&flow, &body, &[]).await)
    }

    /// Logs in with a browser, and returns its cookies.
    async fn log_in_with_browser(&self) -> String {
        let (flow, cookies) = self.flow("login/browser", &[]).await;
        let nodes = flow["ui"]["nodes"].as_array().unwrap();
        let csrf = nodes
            .iter()
            .find(|node| node["attributes"]["name"] == "csrf_token")
            .unwrap();
        let body = json!({
            "method": "password", "password": PASSWORD, "identifier": EMAIL,
            "csrf_token": csrf["attributes"]["value"],
        });
        let answer = self.submit(&flow, &body, &[("cookie", &cookies)]).await;
        format!("{cookies}; {}", answer.cookies())
    }

    /// Links an authenticator app, and returns its secret.
    async fn link_app(&self, token: &str) -> String {
        let headers = [("x-session-token", token)];
        let (flow, _) = self.flow("settings/api", &headers).await;
        let nodes = flow["ui"]["nodes"].as_array().unwrap();
        let node = nodes
            .iter()
            .find(|node| node["attributes"]["id"] == "totp_secret_key")
            .unwrap();
        let secret = node["attributes"]["text"]["text"].as_str().unwrap();
        let body = json!({ "method": "totp", "totp_code": self.code(secret) });
        self.submit(&flow, &body, &headers).await;
        secret.to_owned()
    }

    async fn step_up(&self, token: &str, secret: &str) {
        let headers = [("x-session-token", token)];
        let (flow, _) = self.flow("login/api?aal=aal2", &headers).await;
        let body = json!({ "method": "totp", "totp_code": self.code(secret) });
        self.submit(&flow, &body, &headers).await;
    }

    fn code(&self, secret: &str) -> String {
        authenticator_code(secret, &self.clock).unwrap()
    }
}

fn token(answer: &Response) -> String {
    answer.json()["session_token"].as_str().unwrap().to_owned()
}

macro_rules! app {
    ($stand:expr) => {
        init_service(
            App::new()
                .route("/me", web::get().to(me))
                .route("/feed", web::get().to(feed).optional())
                .route("/strong", web::get().to(me).require_aal(AssuranceLevel::Aal2))
                .route(
                    "/fresh",
                    web::get().to(me).require_fresh_session(Duration::from_secs(900)),
                )
                .wrap($stand.iam.middleware()),
        )
        .await
    };
}

async fn me(session: Session) -> HttpResponse {
    let traits: Value = session.traits().unwrap();
    let methods: Vec<_> = session
        .authentication_methods()
        .iter()
        .map(|method| method.method.clone())
        .collect();
    HttpResponse::Ok()
        .json(json!({ "email": traits["email"], "aal": session.aal().as_str(), "methods": methods }))
}

async fn feed(principal: Option<Principal>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "user": principal.map(|principal| principal.subject().to_owned()) }))
}

/// Sends a request with one header, and returns the status, the challenge and the body.
macro_rules! ask {
    ($app:expr, $path:expr, $header:expr) => {
        read(
            call_service(
                &$app,
                TestRequest::with_uri($path).insert_header($header).to_request(),
            )
            .await,
        )
        .await
    };
}

async fn read(response: ServiceResponse<impl MessageBody>) -> (StatusCode, String, Value) {
    let status = response.status();
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = serde_json::from_slice(&read_body(response).await).unwrap_or_default();
    (status, challenge, body)
}

#[actix_web::test]
async fn a_session_counts_by_token_and_by_cookie_until_its_person_logs_out() {
    let stand = Stand::start(RequiredAal::Aal1).await;
    let app = app!(stand);
    let token = stand.register().await;
    let bearer = format!("Bearer {token}");
    let jar = stand.log_in_with_browser().await;
    let by_each = [
        ("authorization", bearer.as_str()),
        ("x-session-token", token.as_str()),
        ("cookie", jar.as_str()),
    ];

    for header in by_each {
        let (status, _, body) = ask!(app, "/me", header);
        assert_eq!(status, 200, "{header:?}");
        assert_eq!(
            body,
            json!({ "email": EMAIL, "aal": "aal1", "methods": ["password"] })
        );
        let (_, _, body) = ask!(app, "/feed", header);
        assert!(body["user"].is_string(), "{body}");
    }

    let out = Request::new("DELETE", "/self-service/logout/api").json(&json!({ "session_token": token }));
    assert_eq!(stand.send(out).await.status(), 204);
    let (link, _) = stand.flow("logout/browser", &[("cookie", &jar)]).await;
    let link = link["logout_url"].as_str().unwrap().to_owned();
    let path = format!("/{}", link.splitn(4, '/').nth(3).unwrap());
    stand.send(Request::get(path).header("cookie", jar.clone())).await;

    for header in by_each {
        let (status, challenge, _) = ask!(app, "/me", header);
        assert_eq!(
            (status.as_u16(), challenge.as_str()),
            (401, r#"Bearer error="invalid_token""#)
        );
        let (status, _, body) = ask!(app, "/feed", header);
        assert_eq!((status.as_u16(), body), (200, json!({ "user": null })));
    }
}

/// The answers of Kratos to nonsense are no outage: an undecodable cookie alone is 401 there.
#[actix_web::test]
async fn nonsense_is_nobodys_session() {
    let stand = Stand::start(RequiredAal::Aal1).await;
    let app = app!(stand);

    for header in [
        ("cookie", "ory_kratos_session=x"),
        ("cookie", "ory_kratos_session=MTc5NTMyODY3MHxHT0gzd"),
        ("x-session-token", "x"),
        ("authorization", "Bearer ory_at_abc.def"),
    ] {
        assert_eq!(ask!(app, "/me", header).0, 401, "{header:?}");
        assert_eq!(
            ask!(app, "/feed", header).2,
            json!({ "user": null }),
            "{header:?}"
        );
    }
}

/// R072, R111
#[actix_web::test]
async fn a_second_factor_is_asked_for_and_then_suffices() {
    let stand = Stand::start(RequiredAal::HighestAvailable).await;
    let app = app!(stand);
    let secret = stand.link_app(&stand.register().await).await;
    let token = stand.log_in().await;
    let header = ("x-session-token", token.as_str());

    for path in ["/me", "/feed", "/strong"] {
        let (status, challenge, body) = ask!(app, path, header);
        assert_eq!(status, 401, "{path}");
        assert!(
            challenge.starts_with(r#"Bearer error="insufficient_user_authentication", acr_values="aal2""#),
            "{challenge}"
        );
        assert_eq!(body["login_url"], "http://127.0.0.1:4455/login");
        assert!(
            !body.to_string().contains(stand.kratos.public_url().as_str()),
            "{body}"
        );
    }

    stand.step_up(&token, &secret).await;

    for path in ["/strong", "/fresh"] {
        let (status, _, body) = ask!(app, path, header);
        assert_eq!(status, 200, "{path}");
        assert_eq!(
            body,
            json!({ "email": EMAIL, "aal": "aal2", "methods": ["password", "totp"] })
        );
    }
}

#[actix_web::test]
async fn a_weak_session_is_asked_for_more_on_strong_routes_only() {
    let stand = Stand::start(RequiredAal::Aal1).await;
    let app = app!(stand);
    let token = stand.register().await;
    let header = ("x-session-token", token.as_str());

    assert_eq!(ask!(app, "/me", header).0, 200);
    assert_eq!(ask!(app, "/fresh", header).0, 200);
    let (status, challenge, _) = ask!(app, "/strong", header);
    assert_eq!(status, 401);
    assert_eq!(
        challenge,
        r#"Bearer error="insufficient_user_authentication", acr_values="aal2""#
    );
}
