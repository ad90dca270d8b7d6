//! The gateway's `header` mutator in front of a service: identities in plain headers with the gateway's secret, and an envelope that a
//! rule holds ready with its signature (the mutator's templates cannot sign).

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle, get};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use iam_actix::{
    Iam, IamConfig, Identity,
    clock::{Clock as _, SystemClock},
    require_role,
};
use ory_dev::{config::Vars, oathkeeper::Oathkeeper};
use scenario::{client::Request, free_address};
use serde_json::{Value, json};
use uuid::Uuid;

const SECRET: &str = "only-the-gateway-knows-this-secret";
const KEY: &[u8; 32] = b"the gateway and the service know";

#[get("/protected")]
async fn protected(user: Identity) -> String {
    user.subject().to_owned()
}

#[require_role("admin")]
#[get("/admin")]
async fn admin(user: Identity) -> String {
    user.subject().to_owned()
}

/// A gateway whose rule admits every request as `alice` and sets headers, and a service behind it.
struct World {
    gateway: Oathkeeper,
    service: ServerHandle,
    address: SocketAddr,
}

impl World {
    async fn start(headers: &Value, verifier: &str) -> Self {
        let address = free_address().unwrap();
        let gateway = gateway(headers, address);
        let config = format!(
            "[tenants.default]\ntransports = [\"oathkeeper\"]\n[tenants.default.oathkeeper]\n{verifier}"
        );
        let iam = Iam::builder(IamConfig::from_toml(&config).unwrap())
            .start()
            .await
            .unwrap();
        let server = HttpServer::new(move || {
            App::new()
                .wrap(iam.middleware())
                .service(protected)
                .service(admin)
        })
        .workers(1)
        .bind(address)
        .unwrap()
        .run();
        let service = server.handle();
        actix_web::rt::spawn(server);
        Self {
            gateway,
            service,
            address,
        }
    }

    /// Sends a request through the gateway, and returns status and body.
    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        send(self.gateway.proxy_addr(), path, headers).await
    }

    /// Sends a request past the gateway.
    async fn bypass(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        send(self.address, path, headers).await
    }

    async fn stop(self) {
        self.service.stop(false).await;
        self.gateway.stop().await;
    }
}

async fn send(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| {
        request.header(name, *value)
    });
    let response = request.send(address).await.unwrap();
    (response.status(), response.text())
}

fn gateway(headers: &Value, service: SocketAddr) -> Oathkeeper {
    let folder = std::env::temp_dir().join(format!("iam-gateway-headers-{}", Uuid::new_v4()));
    fs::create_dir_all(&folder).unwrap();
    let rules = json!([{
        "id": "everything",
        "upstream": {"url": "http://127.0.0.1:3001"},
        "match": {"url": "http://127.0.0.1:4455/<{,/**,**}>", "methods": ["GET"]},
        "authenticators": [{"handler": "anonymous", "config": {"subject": "alice"}}],
        "authorizer": {"handler": "allow"},
        "mutators": [{"handler": "header", "config": {"headers": headers}}],
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
async fn headers_of_the_gateway_count_and_those_of_its_callers_do_not() {
    let verifier =
        format!("verifier = \"headers\"\nproof_secret = \"{SECRET}\"\nroles_header = \"X-User-Role\"");
    let headers = json!({
        "X-User-Id": "{{ print .Subject }}", "X-Gateway-Secret": SECRET, "X-User-Role": "{{ print .Extra.role }}",
    });
    let world = World::start(&headers, &verifier).await;
    let forged = [
        ("X-User-Id", "root"),
        ("X-Gateway-Secret", SECRET),
        ("X-User-Role", "admin"),
    ];

    assert_eq!(world.ask("/protected", &[]).await, (200, "alice".to_owned()));
    // The mutator replaces what a caller sets. The missing role is `<no value>`, which is no role.
    assert_eq!(world.ask("/protected", &forged).await, (200, "alice".to_owned()));
    assert_eq!(world.ask("/admin", &forged).await.0, 403);
    assert_eq!(world.bypass("/protected", &[("X-User-Id", "alice")]).await.0, 401);
    let guess = [("X-User-Id", "alice"), ("X-Gateway-Secret", "guess")];
    assert_eq!(world.bypass("/protected", &guess).await.0, 401);
    world.stop().await;
}

/// The gateway passes on what its rule does not set, so a rule without the id makes nobody of its callers.
#[actix_web::test]
async fn gateway_without_the_secret_vouches_for_nobody() {
    let verifier = format!("verifier = \"headers\"\nproof_secret = \"{SECRET}\"");
    let world = World::start(&json!({"X-User-Id": "{{ print .Subject }}"}), &verifier).await;

    assert_eq!(world.ask("/protected", &[]).await.0, 401);
    world.stop().await;
}

#[actix_web::test]
async fn envelope_in_the_gateways_rule_is_verified_by_the_service() {
    let now = SystemClock::new().now();
    let expiry = now.saturating_add(Duration::from_secs(600)).as_secs();
    let members = json!({"sub": "alice", "aud": "orders-api", "exp": expiry});
    let envelope = STANDARD.encode(members.to_string());
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, KEY), envelope.as_bytes());
    let signature = STANDARD.encode(tag);
    let verifier = format!(
        "verifier = \"hmac\"\naudience = [\"orders-api\"]\nkeys = [\"base64:{}\"]",
        STANDARD.encode(KEY)
    );
    let headers = json!({"X-User": envelope, "X-User-Signature": signature});
    let world = World::start(&headers, &verifier).await;

    assert_eq!(world.ask("/protected", &[]).await, (200, "alice".to_owned()));
    let forged = [("X-User", "e30="), ("X-User-Signature", signature.as_str())];
    assert_eq!(world.ask("/protected", &forged).await, (200, "alice".to_owned()));
    assert_eq!(world.bypass("/protected", &forged).await.0, 401);
    assert_eq!(world.bypass("/protected", &[("X-User", &envelope)]).await.0, 401);
    world.stop().await;
}
