//! A service behind the embedded Hydra: machines by client credentials, people by the code flow with PKCE, revocation, and JWTs.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, get, post};
use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use iam_actix::{Iam, IamConfig, Principal, require_scope};
use iam_core::principal;
use ory_dev::{
    config::Vars,
    hydra::{Hydra, TokenStrategy},
};
use scenario::{
    client::{Connection, Request, Response},
    free_address,
};
use serde_json::{Value, json};

const AUDIENCE: &str = "session-api";
const CALLBACK: &str = "http://127.0.0.1:3000/callback";
const VERIFIER: &str = "a-verifier-that-has-more-than-forty-three-characters";

fn who(caller: Principal) -> Value {
    match caller.into_inner() {
        principal::Principal::Client(client) => json!({ "client": client.client_id(), "user": null }),
        principal::Principal::Identity(identity) => {
            json!({ "client": identity.acting_client(), "user": identity.subject() })
        }
    }
}

#[require_scope("jobs:read")]
#[get("/jobs")]
async fn jobs(caller: Principal) -> HttpResponse {
    HttpResponse::Ok().json(who(caller))
}

#[require_scope("jobs:write")]
#[post("/jobs")]
async fn add(caller: Principal) -> HttpResponse {
    HttpResponse::Created().json(who(caller))
}

/// A Hydra, and a service that accepts its access tokens.
struct World {
    hydra: Hydra,
    address: SocketAddr,
    service: ServerHandle,
}

impl World {
    async fn start(strategy: TokenStrategy) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ory-dev/config");
        let file = Path::new(folder).join("hydra.yml");
        let config = Hydra::from_files(&file, &Vars::new(folder, std::env::temp_dir())).unwrap();
        let hydra = Hydra::start(config.ports(0, 0).access_tokens(strategy)).unwrap();
        let tokens = match strategy {
            TokenStrategy::Jwt => format!("tokens = \"jwt\"\npublic_url = \"{}\"", hydra.public_url()),
            TokenStrategy::Opaque => format!("admin_url = \"{}\"", hydra.admin_url()),
        };
        let config = format!(
            "[tenants.default]\ntransports = [\"oauth2\"]\n[tenants.default.hydra]\nissuer = \"{}\"\n\
             audience = [\"{AUDIENCE}\"]\n{tokens}",
            hydra.issuer()
        );
        let iam = Iam::builder(IamConfig::from_toml(&config).unwrap())
            .start()
            .await
            .unwrap();

        let address = free_address().unwrap();
        let server = HttpServer::new(move || App::new().wrap(iam.middleware()).service(jobs).service(add))
            .workers(1)
            .bind(address)
            .unwrap()
            .run();
        let service = server.handle();
        actix_web::rt::spawn(server);
        Self {
            hydra,
            address,
            service,
        }
    }

    async fn list(&self, token: &str) -> Response {
        Request::get("/jobs")
            .bearer(token)
            .send(self.address)
            .await
            .unwrap()
    }

    async fn client(&self, body: &Value) -> Value {
        let request = Request::post("/admin/clients", body);
        let made = request.send(self.hydra.admin_addr()).await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text());
        made.json()
    }

    async fn worker(&self) -> Value {
        self.client(&json!({
            "grant_types": ["client_credentials"], "scope": "jobs:read jobs:write",
            "audience": [AUDIENCE, "billing-api"],
        }))
        .await
    }

    /// Sends a form to Hydra's public port as a client.
    async fn form(&self, path: &str, client: &Value, fields: &[(&str, &str)]) -> Response {
        let (id, secret) = (&client["client_id"], &client["client_secret"]);
        let pair = format!("{}:{}", id.as_str().unwrap(), secret.as_str().unwrap());
        let body = encoded(fields);
        let address = self.hydra.public_addr();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            STANDARD.encode(pair),
            body.len()
        );
        let mut connection = Connection::open(address).await.unwrap();
        connection.write(request.as_bytes()).await.unwrap();
        connection.response().await.unwrap()
    }

    async fn token(&self, client: &Value, fields: &[(&str, &str)]) -> Value {
        let answer = self.form("/oauth2/token", client, fields).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    }

    async fn machine(&self, client: &Value, scope: &str, audience: &str) -> String {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("audience", audience),
        ];
        let answer = self.token(client, &fields).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Goes through login and consent as `alice-id`, and returns the answer of the token endpoint.
    async fn person(&self, client: &Value) -> Value {
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
        let query = encoded(&[
            ("client_id", client["client_id"].as_str().unwrap()),
            ("response_type", "code"),
            ("scope", "openid offline jobs:read"),
            ("audience", AUDIENCE),
            ("redirect_uri", CALLBACK),
            ("state", "a-random-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let start = self.visit(&format!("/oauth2/auth?{query}"), "").await;
        let login = in_location(&start, "login_challenge");
        let next = self
            .accept("login", &login, &json!({"subject": "alice-id"}))
            .await;
        let consent = self.visit(&next, &start.cookies()).await;
        let challenge = in_location(&consent, "consent_challenge");
        let granted = json!({
            "grant_scope": ["openid", "offline", "jobs:read"], "grant_access_token_audience": [AUDIENCE],
        });
        let next = self.accept("consent", &challenge, &granted).await;
        let jar = format!("{}; {}", start.cookies(), consent.cookies());
        let back = self.visit(&next, &jar).await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &in_location(&back, "code")),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(client, &fields).await
    }

    async fn web(&self) -> Value {
        self.client(&json!({
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "scope": "openid offline jobs:read", "redirect_uris": [CALLBACK], "audience": [AUDIENCE],
        }))
        .await
    }

    async fn visit(&self, path: &str, cookies: &str) -> Response {
        let mut request = Request::get(path);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        request.send(self.hydra.public_addr()).await.unwrap()
    }

    /// Accepts a login or consent request, and returns the path to go on with.
    async fn accept(&self, stage: &str, challenge: &str, body: &Value) -> String {
        let query = encoded(&[(&format!("{stage}_challenge"), challenge)]);
        let path = format!("/admin/oauth2/auth/requests/{stage}/accept?{query}");
        let answer = Request::new("PUT", path)
            .json(body)
            .send(self.hydra.admin_addr())
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let url = answer.json()["redirect_to"].as_str().unwrap().to_owned();
        url.split_at(url.find("/oauth2/").unwrap()).1.to_owned()
    }

    async fn stop(self) {
        self.service.stop(false).await;
        self.hydra.stop().await;
    }
}

/// RFC 3986: every byte that is not unreserved is written in hexadecimal.
fn encoded(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                write!(out, "%{byte:02X}").unwrap();
            }
            out
        })
    };
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    pairs.join("&")
}

/// Returns a value in the query of the `Location` header. The values that are looked for need no decoding.
fn in_location(response: &Response, name: &str) -> String {
    let location = response.header("location").unwrap();
    let query = location.split_once('?').unwrap().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(own, _)| *own == name).unwrap();
    value.replace("%3D", "=")
}

fn challenge(response: &Response) -> &str {
    response.header("www-authenticate").unwrap()
}

#[actix_web::test]
async fn machine_is_let_in_with_its_scopes_and_for_its_audience_only() {
    for strategy in [TokenStrategy::Opaque, TokenStrategy::Jwt] {
        let world = World::start(strategy).await;
        let client = world.worker().await;
        let token = world.machine(&client, "jobs:read", AUDIENCE).await;

        let listed = world.list(&token).await;
        assert_eq!(listed.status(), 200, "{}", listed.text());
        assert_eq!(
            listed.json(),
            json!({ "client": client["client_id"], "user": null })
        );

        let write = Request::post("/jobs", &json!({"name": "a"})).bearer(&token);
        let denied = write.send(world.address).await.unwrap();
        assert_eq!(denied.status(), 403);
        assert_eq!(
            challenge(&denied),
            r#"Bearer error="insufficient_scope", scope="jobs:write""#
        );

        let elsewhere = world.machine(&client, "jobs:read", "billing-api").await;
        for refused in [world.list(&elsewhere).await, world.list("ory_at_nope").await] {
            assert_eq!(refused.status(), 401);
            assert_eq!(challenge(&refused), r#"Bearer error="invalid_token""#);
        }
        let none = Request::get("/jobs").send(world.address).await.unwrap();
        assert_eq!((none.status(), challenge(&none)), (401, r#"Bearer realm="api""#));
        world.stop().await;
    }
}

/// D31, D32, R020: a refresh token and an ID token come with the access token, and neither is one.
#[actix_web::test]
async fn person_through_a_client_is_let_in_with_the_access_token_only() {
    for strategy in [TokenStrategy::Opaque, TokenStrategy::Jwt] {
        let world = World::start(strategy).await;
        let client = world.web().await;

        let tokens = world.person(&client).await;

        let of = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let listed = world.list(&of("access_token")).await;
        assert_eq!(listed.status(), 200, "{}", listed.text());
        let expected = json!({ "client": client["client_id"], "user": "alice-id" });
        assert_eq!(listed.json(), expected);
        for other in ["refresh_token", "id_token"] {
            assert_eq!(world.list(&of(other)).await.status(), 401, "{other} {strategy:?}");
        }
        world.stop().await;
    }
}

/// A JWT that is verified by the service itself lives until it expires, as the configuration says.
#[actix_web::test]
async fn revoked_token_is_refused_where_hydra_is_asked() {
    for (strategy, expected) in [(TokenStrategy::Opaque, 401), (TokenStrategy::Jwt, 200)] {
        let world = World::start(strategy).await;
        let client = world.worker().await;
        let token = world.machine(&client, "jobs:read", AUDIENCE).await;
        assert_eq!(world.list(&token).await.status(), 200);

        let revoked = world.form("/oauth2/revoke", &client, &[("token", &token)]).await;
        assert_eq!(revoked.status(), 200, "{}", revoked.text());

        assert_eq!(world.list(&token).await.status(), expected, "{strategy:?}");
        world.stop().await;
    }
}

#[actix_web::test]
async fn hydra_that_is_down_is_no_refusal_of_the_token() {
    for (strategy, expected) in [(TokenStrategy::Opaque, 503), (TokenStrategy::Jwt, 200)] {
        let world = World::start(strategy).await;
        let client = world.worker().await;
        let token = world.machine(&client, "jobs:read", AUDIENCE).await;

        let (hydra, address, service) = (world.hydra, world.address, world.service);
        hydra.stop().await;

        let answer = Request::get("/jobs").bearer(&token).send(address).await.unwrap();
        assert_eq!(answer.status(), expected, "{strategy:?}");
        assert_eq!(answer.header("retry-after").is_some(), expected == 503);
        service.stop(false).await;
    }
}
