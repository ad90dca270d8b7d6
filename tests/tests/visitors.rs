//! Visitors of the gateway's handlers `anonymous` and `noop` are anonymous in the service, although the gateway signs
//! tokens for them.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{fs, net::SocketAddr, path::Path};

use actix_web::{App, HttpServer, dev::ServerHandle, get};
use iam_actix::{Iam, IamConfig, Identity, optional};
use ory_dev::{config::Vars, oathkeeper::Oathkeeper};
use scenario::{client::Request, free_address};
use serde_json::{Value, json};
use uuid::Uuid;

#[get("/protected")]
async fn protected(user: Identity) -> String {
    user.subject().to_owned()
}

#[optional]
#[get("/optional")]
async fn open(user: Option<Identity>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.subject().to_owned())
}

/// A gateway whose rules admit every request with the subject of a handler, and a service behind it.
struct World {
    gateway: Oathkeeper,
    service: ServerHandle,
}

impl World {
    async fn start(handler: &Value, keys: &str) -> Self {
        let address = free_address().unwrap();
        let gateway = gateway(handler, address);
        let jwks = format!("{}.well-known/jwks.json", gateway.api_url());
        let config = format!(
            "[tenants.default]\ntransports = [\"oathkeeper\"]\n[tenants.default.oathkeeper]\nissuer = \"http://127.0.0.1:4455/\"\naudience = [\"orders-api\"]\njwks.url = \"{jwks}\"\n{keys}"
        );
        let iam = Iam::builder(IamConfig::from_toml(&config).unwrap())
            .start()
            .await
            .unwrap();
        let server =
            HttpServer::new(move || App::new().wrap(iam.middleware()).service(protected).service(open))
                .workers(1)
                .bind(address)
                .unwrap()
                .run();
        let service = server.handle();
        actix_web::rt::spawn(server);
        Self { gateway, service }
    }

    /// Sends a request through the gateway, and returns status and body.
    async fn ask(&self, path: &str) -> (u16, Value) {
        let response = Request::get(path).send(self.gateway.proxy_addr()).await.unwrap();
        let json = response.json();
        let body = if json.is_null() {
            json!(response.text())
        } else {
            json
        };
        (response.status(), body)
    }

    async fn stop(self) {
        self.service.stop(false).await;
        self.gateway.stop().await;
    }
}

fn gateway(handler: &Value, service: SocketAddr) -> Oathkeeper {
    let folder = std::env::temp_dir().join(format!("iam-visitors-{}", Uuid::new_v4()));
    fs::create_dir_all(&folder).unwrap();
    let rules = json!([{
        "id": "everything",
        "upstream": {"url": "http://127.0.0.1:3001"},
        "match": {"url": "http://127.0.0.1:4455/<{,/**,**}>", "methods": ["GET"]},
        "authenticators": [{"handler": "cookie_session"}, handler],
        "authorizer": {"handler": "allow"},
        "mutators": [{"handler": "id_token", "config": {"claims": "{\"aud\": [\"orders-api\"]}"}}],
    }]);
    fs::write(folder.join("access-rules.json"), rules.to_string()).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ory-dev/config/oathkeeper.yml");
    let config = Oathkeeper::from_files(&shipped, &Vars::new(&folder, &folder)).unwrap();
    let service = format!("http://{service}").parse().unwrap();
    let config = config
        .replace_origin(&"http://127.0.0.1:3001".parse().unwrap(), &service)
        .ports(0, 0)
        .workers(1);
    Oathkeeper::start(config).unwrap()
}

#[actix_web::test]
async fn visitor_of_the_gateway_is_anonymous_in_the_service() {
    for handler in [json!({"handler": "anonymous"}), json!({"handler": "noop"})] {
        let world = World::start(&handler, "").await;

        let (status, body) = world.ask("/protected").await;
        assert_eq!(status, 401, "{handler}: {body}");
        assert_eq!(world.ask("/optional").await, (200, json!("nobody")), "{handler}");
        world.stop().await;
    }
}

#[actix_web::test]
async fn subject_that_an_operator_chose_for_visitors_is_anonymous_once_it_is_configured() {
    let handler = json!({"handler": "anonymous", "config": {"subject": "guest"}});
    let world = World::start(&handler, "").await;
    assert_eq!(world.ask("/protected").await, (200, json!("guest")));
    world.stop().await;

    let world = World::start(&handler, "anonymous_subjects = [\"guest\"]").await;
    assert_eq!(world.ask("/protected").await.0, 401);
    assert_eq!(world.ask("/optional").await, (200, json!("nobody")));
    world.stop().await;
}
