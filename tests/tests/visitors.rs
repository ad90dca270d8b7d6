//! Visitors of the gateway's handlers `anonymous` and `noop` are anonymous in the service, although the gateway signs
//! tokens for them.
//!
//! With the feature `live-ory`, the same holds behind the real gateway, whose program is in the folder `ORY_BIN`.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

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

/// A gateway whose rules admit every request with the subject of a handler.
trait Gateway: Sized {
    fn start(handler: &Value, service: SocketAddr) -> Self;

    /// Returns the address that requests are sent to.
    fn proxy(&self) -> SocketAddr;

    /// Returns the URL of the published keys.
    fn jwks_url(&self) -> String;

    async fn stop(self);
}

/// A gateway, and a service behind it.
struct World<G> {
    gateway: G,
    service: ServerHandle,
}

impl<G: Gateway> World<G> {
    async fn start(handler: &Value, keys: &str) -> Self {
        let address = free_address().unwrap();
        let gateway = G::start(handler, address);
        let jwks = gateway.jwks_url();
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
        let response = Request::get(path).send(self.gateway.proxy()).await.unwrap();
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

/// Returns the folder of a gateway with its access rules. `proxy` is the address that requests name.
fn folder(handler: &Value, proxy: SocketAddr, service: SocketAddr) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("iam-visitors-{}", Uuid::new_v4()));
    fs::create_dir_all(&folder).unwrap();
    let rules = json!([{
        "id": "everything",
        "upstream": {"url": format!("http://{service}")},
        "match": {"url": format!("http://{proxy}/<{{,/**,**}}>"), "methods": ["GET"]},
        "authenticators": [{"handler": "cookie_session"}, handler],
        "authorizer": {"handler": "allow"},
        "mutators": [{"handler": "id_token", "config": {"claims": "{\"aud\": [\"orders-api\"]}"}}],
    }]);
    fs::write(folder.join("access-rules.json"), rules.to_string()).unwrap();
    folder
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ory-dev/config/oathkeeper.yml")
}

impl Gateway for Oathkeeper {
    fn start(handler: &Value, service: SocketAddr) -> Self {
        let folder = folder(handler, ([127, 0, 0, 1], 4455).into(), service);
        let config = Self::from_files(&shipped(), &Vars::new(&folder, &folder)).unwrap();
        Self::start(config.ports(0, 0).workers(1)).unwrap()
    }

    fn proxy(&self) -> SocketAddr {
        self.proxy_addr()
    }

    fn jwks_url(&self) -> String {
        format!("{}.well-known/jwks.json", self.api_url())
    }

    async fn stop(self) {
        Self::stop(self).await;
    }
}

async fn visitors_are_anonymous<G: Gateway>() {
    for handler in [json!({"handler": "anonymous"}), json!({"handler": "noop"})] {
        let world = World::<G>::start(&handler, "").await;

        let (status, body) = world.ask("/protected").await;
        assert_eq!(status, 401, "{handler}: {body}");
        assert_eq!(world.ask("/optional").await, (200, json!("nobody")), "{handler}");
        world.stop().await;
    }
}

async fn chosen_subject_is_anonymous_once_configured<G: Gateway>() {
    let handler = json!({"handler": "anonymous", "config": {"subject": "guest"}});
    let world = World::<G>::start(&handler, "").await;
    assert_eq!(world.ask("/protected").await, (200, json!("guest")));
    world.stop().await;

    let world = World::<G>::start(&handler, "anonymous_subjects = [\"guest\"]").await;
    assert_eq!(world.ask("/protected").await.0, 401);
    assert_eq!(world.ask("/optional").await, (200, json!("nobody")));
    world.stop().await;
}

#[actix_web::test]
async fn visitor_of_the_gateway_is_anonymous_in_the_service() {
    visitors_are_anonymous::<Oathkeeper>().await;
}

#[actix_web::test]
async fn subject_that_an_operator_chose_for_visitors_is_anonymous_once_it_is_configured() {
    chosen_subject_is_anonymous_once_configured::<Oathkeeper>().await;
}

#[cfg(feature = "live-ory")]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a message says what the test needs"
)]
mod live {
    //! The real gateway, with the shipped configuration on free ports.

    use std::{
        env,
        fs::File,
        net::TcpStream,
        process::{Child, Command},
        thread,
        time::Duration,
    };

    use super::*;

    /// The program, ended when it is dropped.
    struct RealGateway {
        program: Child,
        proxy: SocketAddr,
        api: SocketAddr,
    }

    impl Gateway for RealGateway {
        fn start(handler: &Value, service: SocketAddr) -> Self {
            let bin = env::var_os("ORY_BIN")
                .expect("these tests need `ORY_BIN`, the folder of the gateway's program");
            let bin = Path::new(&bin).join("oathkeeper");
            let [proxy, api, metrics] = [(); 3].map(|()| free_address().unwrap());
            let folder = folder(handler, proxy, service);

            let keys = Command::new(&bin)
                .args(["credentials", "generate", "--alg", "RS256"])
                .output()
                .unwrap();
            fs::write(folder.join("id-token.jwks.json"), keys.stdout).unwrap();
            let here = folder.to_str().unwrap();
            let config = fs::read_to_string(shipped())
                .unwrap()
                .replace("${CONFIG}", here)
                .replace("${STATE}", here)
                .replace("port: 4455", &format!("port: {}", proxy.port()))
                .replace("port: 4456", &format!("port: {}", api.port()))
                .replace("port: 4457", &format!("port: {}", metrics.port()));
            fs::write(folder.join("oathkeeper.yml"), config).unwrap();

            let log = File::create(folder.join("log")).unwrap();
            let program = Command::new(&bin)
                .args(["serve", "-c"])
                .arg(folder.join("oathkeeper.yml"))
                .env("SQA_OPT_OUT", "true")
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let gateway = Self { program, proxy, api };
            for _ in 0..200 {
                if [proxy, api].iter().all(|port| TcpStream::connect(port).is_ok()) {
                    return gateway;
                }
                thread::sleep(Duration::from_millis(50));
            }
            panic!(
                "the gateway does not listen: see {}",
                folder.join("log").display()
            );
        }

        fn proxy(&self) -> SocketAddr {
            self.proxy
        }

        fn jwks_url(&self) -> String {
            format!("http://{}/.well-known/jwks.json", self.api)
        }

        async fn stop(self) {
            drop(self);
        }
    }

    impl Drop for RealGateway {
        fn drop(&mut self) {
            // A program that has ended by itself is no failure of the test.
            let _ = self.program.kill();
            let _ = self.program.wait();
        }
    }

    #[actix_web::test]
    async fn visitor_of_the_real_gateway_is_anonymous_in_the_service() {
        visitors_are_anonymous::<RealGateway>().await;
    }

    #[actix_web::test]
    async fn subject_that_an_operator_chose_at_the_real_gateway_is_anonymous_once_it_is_configured() {
        chosen_subject_is_anonymous_once_configured::<RealGateway>().await;
    }
}
