//! Does every route of orders-api and inventory-api let in whom it says, and touch nothing before?

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use actix_web::dev::{Server, ServerHandle};
use iam_actix::{
    IamConfig, Ports,
    clock::{Clock as _, SystemClock},
    testing::TestIssuer,
};
use iam_core::jwt::Algorithm;
use ory_dev::{config::Vars, keto::Keto};
use serde_json::{Value, json};
use uuid::Uuid;
use zero_trust::{
    audit::Audit,
    client::{Request, Response},
};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// One service, the issuer whose tokens it takes, and the Keto that it asks.
struct Stand {
    address: SocketAddr,
    audience: &'static str,
    audit: Arc<Audit>,
    handle: ServerHandle,
    issuer: TestIssuer,
    keto: Keto,
}

impl Stand {
    async fn orders() -> Self {
        Self::start("orders-api", |file, change, address, ports| async move {
            let mut config = orders_api::Config::from_file(file).unwrap();
            change(&mut config.iam);
            let server = orders_api::run(config.listen(address).workers(1), ports).await;
            spawn(server.unwrap())
        })
        .await
    }

    async fn inventory() -> Self {
        Self::start("inventory-api", |file, change, address, ports| async move {
            let mut config = inventory_api::Config::from_file(file).unwrap();
            change(&mut config.iam);
            let server = inventory_api::run(config.listen(address).workers(1), ports).await;
            spawn(server.unwrap())
        })
        .await
    }

    async fn start<F: Future<Output = ServerHandle>>(
        audience: &'static str,
        run: impl FnOnce(String, Box<dyn FnOnce(&mut IamConfig)>, SocketAddr, Ports) -> F,
    ) -> Self {
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
        // The port is free again before the service takes it: nobody else asks for exactly this one.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

        let file = format!("{EXAMPLES}/{audience}/{audience}.toml");
        let handle = run(file, change, address, ports).await;
        Self {
            address,
            audience,
            audit,
            handle,
            issuer,
            keto,
        }
    }

    fn token(&self, roles: &[&str]) -> String {
        self.token_for(self.audience, roles)
    }

    fn token_for(&self, audience: &str, roles: &[&str]) -> String {
        let now = SystemClock::new().now();
        let expires = now.saturating_add(Duration::from_secs(60)).as_secs();
        let claims = json!({
            "iss": "http://127.0.0.1:4455/", "aud": [audience], "sub": SUBJECT, "tenant": "default",
            "iat": now.as_secs(), "nbf": now.as_secs(), "exp": expires, "jti": Uuid::new_v4().to_string(),
            "metadataPublic": { "roles": roles },
        });
        self.issuer.sign(&claims).unwrap()
    }

    /// Sends a request and asserts its status and the event that it left.
    async fn expect(&self, request: Request, status: u16, event: &str) -> Response {
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

    async fn grant(&self, namespace: &str, object: &str, relation: &str) {
        let tuple = json!({
            "namespace": namespace, "object": object, "relation": relation,
            "subject_id": format!("user:{SUBJECT}"),
        });
        let written = Request::new("PUT", "/admin/relation-tuples").json(&tuple);
        assert_eq!(written.send(self.keto.write()).await.unwrap().status(), 201);
    }

    async fn stop(self) {
        self.handle.stop(false).await;
        self.keto.stop().await;
    }
}

fn spawn(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix_web::rt::spawn(server);
    handle
}

fn keto() -> Keto {
    let folder = format!("{EXAMPLES}/ory-dev/config");
    let vars = Vars::new(&folder, std::env::temp_dir());
    let config = Keto::from_files(Path::new(&folder).join("keto.yml").as_path(), &vars).unwrap();
    Keto::start(config.any_ports()).unwrap()
}

fn wanted() -> Value {
    json!({ "sku": "sku-1", "quantity": 2 })
}

fn change() -> Value {
    json!({ "sku": "sku-1", "by": 3 })
}

/// A request whose body is no JSON, although it says so.
fn no_json(path: &str) -> Request {
    Request::post(path, &Value::Null).header("x-note", "`null` is no object")
}

fn too_large(path: &str) -> Request {
    Request::post(
        path,
        &json!({ "sku": "a".repeat(3 << 20), "quantity": 1, "by": 1 }),
    )
}

const SUBJECT: &str = "9f1c6a7e-2a39-4bb0-9a55-0b7c9a2f9f10";

#[actix_web::test]
async fn nothing_of_orders_api_is_open() {
    let stand = Stand::orders().await;
    let missing = "auth.failure.missing_credential";

    for request in [
        Request::get("/orders"),
        Request::get("/orders/7"),
        Request::post("/orders", &wanted()),
        no_json("/orders"),
        Request::get("/"),
        Request::new("DELETE", "/orders"),
    ] {
        let refused = stand.expect(request, 401, missing).await;

        assert!(refused.header("www-authenticate").is_some());
    }
    // The body is not even looked at: what is refused is the caller.
    stand
        .expect(
            Request::post("/orders", &wanted()).bearer("x"),
            401,
            "auth.failure.malformed",
        )
        .await;
    stand.stop().await;
}

#[actix_web::test]
async fn token_for_another_service_is_refused() {
    let (orders, inventory) = (Stand::orders().await, Stand::inventory().await);
    let refused = "auth.failure.audience_mismatch";

    let request = Request::get("/orders").bearer(&orders.token_for("inventory-api", &[]));
    orders.expect(request, 401, refused).await;
    let request = Request::get("/inventory").bearer(&inventory.token_for("orders-api", &[]));
    inventory.expect(request, 401, refused).await;

    inventory.stop().await;
    orders.stop().await;
}

#[actix_web::test]
async fn people_see_their_own_orders_only() {
    let stand = Stand::orders().await;
    let place = Request::post("/orders", &wanted()).bearer(&stand.token(&[]));
    let placed = stand.expect(place, 201, "auth.success").await.json();
    assert_eq!(placed["owner"], SUBJECT);
    assert_eq!(
        (&placed["sku"], &placed["quantity"]),
        (&json!("sku-1"), &json!(2))
    );

    let list = Request::get("/orders").bearer(&stand.token(&[]));
    let listed = stand.expect(list, 200, "auth.success").await.json();

    assert_eq!(listed, json!({ "user": SUBJECT, "orders": [placed] }));
    stand.stop().await;
}

#[actix_web::test]
async fn order_is_read_only_with_the_permission() {
    let stand = Stand::orders().await;
    let place = Request::post("/orders", &wanted()).bearer(&stand.token(&[]));
    let placed = stand.expect(place, 201, "auth.success").await.json();
    let id = placed["id"].as_str().unwrap();
    let read = || Request::get(format!("/orders/{id}")).bearer(&stand.token(&[]));

    // Not even who placed it may read it: Keto decides, and only Keto.
    stand.expect(read(), 403, "authz.permission.deny").await;
    stand.grant("orders", &format!("orders:{id}"), "viewers").await;
    let found = stand.expect(read(), 200, "auth.success").await.json();

    assert_eq!(found, placed);
    stand.stop().await;
}

#[actix_web::test]
async fn unknown_order_is_404_only_for_who_may_read_it() {
    let stand = Stand::orders().await;
    let read = || Request::get("/orders/nowhere").bearer(&stand.token(&[]));

    stand.expect(read(), 403, "authz.permission.deny").await;
    stand.grant("orders", "orders:nowhere", "viewers").await;
    stand.expect(read(), 404, "auth.success").await;
    stand.stop().await;
}

#[actix_web::test]
async fn order_that_cannot_be_read_is_400_after_the_gate_and_burns_its_token() {
    let stand = Stand::orders().await;
    for body in [
        json!(null),
        json!([]),
        json!({ "sku": "sku-1" }),
        json!({ "sku": 7, "quantity": 1 }),
        json!({ "sku": "sku-1", "quantity": -1 }),
        json!({ "sku": "sku-1", "quantity": 1, "owner": "somebody else" }),
    ] {
        let token = stand.token(&[]);

        let first = Request::post("/orders", &body).bearer(&token);
        stand.expect(first, 400, "auth.success").await;
        let second = Request::post("/orders", &wanted()).bearer(&token);
        stand.expect(second, 401, "auth.failure.replay").await;
    }
    stand.stop().await;
}

#[actix_web::test]
async fn order_that_is_too_large_is_413() {
    let stand = Stand::orders().await;

    let request = too_large("/orders").bearer(&stand.token(&[]));

    stand.expect(request, 413, "auth.success").await;
    stand.stop().await;
}

#[actix_web::test]
async fn only_health_of_inventory_api_is_open() {
    let stand = Stand::inventory().await;
    let missing = "auth.failure.missing_credential";

    for request in [
        Request::get("/inventory"),
        Request::post("/inventory/adjust", &change()),
        no_json("/inventory/adjust"),
        Request::get("/inventory/sku-1/ledger"),
        Request::new("POST", "/inventory/health"),
        Request::get("/inventory/health/"),
        Request::get("/inventory/healthx"),
    ] {
        stand.expect(request, 401, missing).await;
    }
    let health = Request::get("/inventory/health")
        .send(stand.address)
        .await
        .unwrap();
    assert_eq!((health.status(), health.json()), (200, json!({ "status": "ok" })));
    stand.stop().await;
}

#[actix_web::test]
async fn stock_is_adjusted_only_with_the_very_role() {
    let stand = Stand::inventory().await;
    let adjust = |roles: &[&str]| Request::post("/inventory/adjust", &change()).bearer(&stand.token(roles));

    for roles in [
        &[][..],
        &["warehouse"],
        &["Warehouse:admin"],
        &["warehouse:admin "],
        &["warehouse:*"],
    ] {
        stand.expect(adjust(roles), 403, "authz.role.deny").await;
    }
    let entry = stand
        .expect(adjust(&["staff", "warehouse:admin"]), 200, "auth.success")
        .await;

    assert_eq!(
        entry.json(),
        json!({ "sku": "sku-1", "by": 3, "level": 3, "actor": SUBJECT })
    );
    let list = Request::get("/inventory").bearer(&stand.token(&[]));
    let listed = stand.expect(list, 200, "auth.success").await.json();
    assert_eq!(listed, json!({ "user": SUBJECT, "stock": { "sku-1": 3 } }));
    stand.stop().await;
}

#[actix_web::test]
async fn change_that_cannot_be_read_is_looked_at_only_with_the_role() {
    let stand = Stand::inventory().await;

    let without = no_json("/inventory/adjust").bearer(&stand.token(&[]));
    stand.expect(without, 403, "authz.role.deny").await;
    let with = no_json("/inventory/adjust").bearer(&stand.token(&["warehouse:admin"]));
    stand.expect(with, 400, "auth.success").await;
    let large = too_large("/inventory/adjust").bearer(&stand.token(&["warehouse:admin"]));
    stand.expect(large, 413, "auth.success").await;
    stand.stop().await;
}

#[actix_web::test]
async fn ledger_is_read_only_with_the_permission_on_that_article() {
    let stand = Stand::inventory().await;
    let adjust = Request::post("/inventory/adjust", &change()).bearer(&stand.token(&["warehouse:admin"]));
    stand.expect(adjust, 200, "auth.success").await;
    let ledger = |sku: &str| Request::get(format!("/inventory/{sku}/ledger")).bearer(&stand.token(&[]));

    stand.expect(ledger("sku-1"), 403, "authz.permission.deny").await;
    stand.grant("listings", "inventory:sku-1", "view").await;
    let read = stand.expect(ledger("sku-1"), 200, "auth.success").await.json();

    assert_eq!(read["ledger"][0]["by"], 3);
    for other in ["sku-2", "sku-1x", "sku", "SKU-1"] {
        stand.expect(ledger(other), 403, "authz.permission.deny").await;
    }
    stand.stop().await;
}

#[actix_web::test]
async fn keto_that_is_down_is_503_and_nothing_else_stops() {
    let stand = Stand::inventory().await;
    let (address, token) = (stand.address, || stand.token(&["warehouse:admin"]));
    let requests = [
        (Request::get("/inventory/sku-1/ledger").bearer(&token()), 503),
        (Request::get("/inventory").bearer(&token()), 200),
        (
            Request::post("/inventory/adjust", &change()).bearer(&token()),
            200,
        ),
    ];
    let Stand { keto, handle, .. } = stand;
    keto.stop().await;

    for (request, status) in requests {
        let line = request.line();
        let answer = request.send(address).await.unwrap();

        assert_eq!(answer.status(), status, "{line}: {}", answer.text());
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{line}");
    }
    handle.stop(false).await;
}

#[actix_web::test]
async fn port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let file = |service: &str| format!("{EXAMPLES}/{service}/{service}.toml");

    let orders = orders_api::Config::from_file(file("orders-api"))
        .unwrap()
        .listen(address);
    let inventory = inventory_api::Config::from_file(file("inventory-api"))
        .unwrap()
        .listen(address);
    let bff = auth_bff::Config::from_file(file("auth-bff"))
        .unwrap()
        .listen(address);

    for err in [
        orders_api::run(orders, Ports::default()).await.err().unwrap(),
        inventory_api::run(inventory, Ports::default())
            .await
            .err()
            .unwrap(),
        auth_bff::run(bff, Ports::default()).await.err().unwrap(),
    ] {
        let err = err.to_string();
        assert!(
            err.contains(&address.to_string()) && err.contains("stop the program"),
            "{err}"
        );
    }
}

#[actix_web::test]
async fn configuration_that_cannot_be_right_stops_the_service_with_every_problem() {
    let mut config = orders_api::Config::from_file(format!("{EXAMPLES}/orders-api/orders-api.toml")).unwrap();
    let tenant = config.iam.tenants.get_mut("default").unwrap();
    tenant.oathkeeper.as_mut().unwrap().audience.clear();
    tenant.keto.as_mut().unwrap().read_url = "nowhere".to_owned();

    let err = orders_api::run(config, Ports::default())
        .await
        .err()
        .unwrap()
        .to_string();

    assert!(err.contains("audience") && err.contains("read_url"), "{err}");
}
