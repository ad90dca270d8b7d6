use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use actix_web::dev::ServerHandle;
use iam_actix::{
    ConfigError, IamConfig, Ports,
    clock::{Clock as _, SystemClock},
    testing::TestIssuer,
};
use iam_core::jwt::Algorithm;
use ory_dev::{config::Vars, keto::Keto};
use scenario::{
    Audit,
    client::{Request, Response},
    free_address,
};
use serde_json::json;
use service::{BoxError, Running};
use uuid::Uuid;

/// One service, its token issuer, and its Keto.
pub(crate) struct Stand {
    pub(crate) address: SocketAddr,
    audience: &'static str,
    audit: Arc<Audit>,
    pub(crate) handle: ServerHandle,
    issuer: TestIssuer,
    pub(crate) keto: Keto,
}

impl Stand {
    pub(crate) async fn orders() -> Self {
        Self::orders_with(|config| config).await
    }

    pub(crate) async fn orders_over_http2() -> Self {
        Self::orders_with(orders_api::Config::http2).await
    }

    pub(crate) async fn orders_with(shape: fn(orders_api::Config) -> orders_api::Config) -> Self {
        Self::start(
            "orders-api",
            orders_api::Config::from_file,
            |mut config, around| {
                (around.change)(&mut config.iam);
                orders_api::run(shape(config).listen(around.address).workers(1), around.ports)
            },
        )
        .await
    }

    pub(crate) async fn inventory() -> Self {
        Self::inventory_with(|config| config).await
    }

    pub(crate) async fn inventory_with(shape: fn(inventory_api::Config) -> inventory_api::Config) -> Self {
        Self::start(
            "inventory-api",
            inventory_api::Config::from_file,
            |mut config, around| {
                (around.change)(&mut config.iam);
                inventory_api::run(shape(config).listen(around.address).workers(1), around.ports)
            },
        )
        .await
    }

    async fn start<C, F>(
        audience: &'static str,
        read: impl FnOnce(String) -> Result<C, ConfigError>,
        run: impl FnOnce(C, Surroundings) -> F,
    ) -> Self
    where
        F: Future<Output = Result<Running, BoxError>>,
    {
        let issuer = TestIssuer::signing_with(&[Algorithm::Rs256]).unwrap();
        let keto = keto();
        let (keys, read_url) = (issuer.key_set(), format!("http://{}", keto.read()));
        let change = Box::new(move |iam: &mut IamConfig| {
            let tenant = iam.tenants.get_mut("default").unwrap();
            let jwks = &mut tenant.oathkeeper.as_mut().unwrap().jwks;
            jwks.url = None;
            jwks.keys.clone_from(keys["keys"].as_array().unwrap());
            tenant.keto.as_mut().unwrap().read_url = read_url;
        });
        let audit = Arc::new(Audit::default());
        let ports = Ports::default().audit_sink(Arc::<Audit>::clone(&audit));
        let address = free_address().unwrap();

        let config = read(format!("{EXAMPLES}/{audience}/{audience}.toml")).unwrap();
        let surroundings = Surroundings {
            address,
            change,
            ports,
        };
        let server = run(config, surroundings).await.unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self {
            address,
            audience,
            audit,
            handle,
            issuer,
            keto,
        }
    }

    pub(crate) fn token(&self, roles: &[&str]) -> String {
        self.token_for(self.audience, roles)
    }

    pub(crate) fn token_for(&self, audience: &str, roles: &[&str]) -> String {
        let now = SystemClock::new().now();
        let expires = now.saturating_add(Duration::from_secs(60)).as_secs();
        let claims = json!({
            "iss": "http://127.0.0.1:4455/", "aud": [audience], "sub": SUBJECT, "tenant": "default",
            "iat": now.as_secs(), "nbf": now.as_secs(), "exp": expires, "jti": Uuid::new_v4().to_string(),
            "metadataPublic": { "roles": roles },
        });
        self.issuer.sign(&claims).unwrap()
    }

    /// Sends a request and asserts its status and its audit event.
    pub(crate) async fn expect(&self, request: Request, status: u16, event: &str) -> Response {
        let (line, id) = (request.line(), Uuid::new_v4().to_string());
        let response = request
            .header("x-request-id", &id)
            .send(self.address)
            .await
            .unwrap();
        let written = self.audit.of(&id).await.unwrap();

        let seen = (response.status(), written.event.as_str());
        assert_eq!(seen, (status, event), "{line}: {}", response.text());
        response
    }

    pub(crate) async fn grant(&self, namespace: &str, object: &str, relation: &str) {
        let tuple = json!({
            "namespace": namespace, "object": object, "relation": relation,
            "subject_id": format!("user:{SUBJECT}"),
        });
        let written = Request::new("PUT", "/admin/relation-tuples").json(&tuple);
        assert_eq!(written.send(self.keto.write()).await.unwrap().status(), 201);
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
        self.keto.stop().await;
    }
}

/// Starts an auth-bff whose Kratos is not used.
pub(crate) async fn bff() -> SocketAddr {
    bff_with(|config| config).await.0
}

pub(crate) async fn bff_with(shape: fn(auth_bff::Config) -> auth_bff::Config) -> (SocketAddr, ServerHandle) {
    let address = free_address().unwrap();
    let config = auth_bff::Config::from_file(format!("{EXAMPLES}/auth-bff/auth-bff.toml")).unwrap();
    let server = auth_bff::run(shape(config).listen(address), Ports::default())
        .await
        .unwrap();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// The configuration of a service under test.
struct Surroundings {
    address: SocketAddr,
    change: Box<dyn FnOnce(&mut IamConfig)>,
    ports: Ports,
}

fn keto() -> Keto {
    let folder = format!("{EXAMPLES}/ory-dev/config");
    let vars = Vars::new(&folder, std::env::temp_dir());
    let config = Keto::from_files(Path::new(&folder).join("keto.yml").as_path(), &vars).unwrap();
    Keto::start(config.any_ports()).unwrap()
}

pub(crate) const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
pub(crate) const SUBJECT: &str = "9f1c6a7e-2a39-4bb0-9a55-0b7c9a2f9f10";
