//! The routes of orders-api and inventory-api admit only the declared callers, and read nothing before the decision.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

mod connections;
mod limits;
mod stand;

use std::net::TcpListener;

use iam_actix::Ports;
use scenario::client::Request;
use serde_json::{Value, json};

use crate::stand::{EXAMPLES, SUBJECT, Stand};

fn wanted() -> Value {
    json!({ "sku": "sku-1", "quantity": 2 })
}

fn change() -> Value {
    json!({ "sku": "sku-1", "delta": 3 })
}

/// A request with an invalid JSON body.
fn no_json(path: &str) -> Request {
    Request::post(path, &Value::Null).header("x-note", "`null` is no object")
}

fn too_large(path: &str) -> Request {
    Request::post(
        path,
        &json!({ "sku": "a".repeat(3 << 20), "quantity": 1, "delta": 1 }),
    )
}

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
    // The body is not read: the refusal concerns the caller.
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
async fn order_without_a_quantity_is_for_one_piece() {
    let stand = Stand::orders().await;

    let place = Request::post("/orders", &json!({ "sku": "sku-1" })).bearer(&stand.token(&[]));
    let placed = stand.expect(place, 201, "auth.success").await.json();

    assert_eq!(
        (&placed["sku"], &placed["quantity"]),
        (&json!("sku-1"), &json!(1))
    );
    stand.stop().await;
}

#[actix_web::test]
async fn change_of_the_stock_is_a_delta_and_is_echoed() {
    let stand = Stand::inventory().await;
    let adjust = |delta: i32| {
        let body = json!({ "sku": "sku-1", "delta": delta });
        Request::post("/inventory/adjust", &body).bearer(&stand.token(&["warehouse:admin"]))
    };

    for (delta, level) in [(5, 5), (-2, 3)] {
        let entry = stand.expect(adjust(delta), 200, "auth.success").await.json();

        assert_eq!(
            entry,
            json!({ "sku": "sku-1", "delta": delta, "level": level, "actor": SUBJECT })
        );
    }
    stand.stop().await;
}

#[actix_web::test]
async fn order_is_read_only_with_the_permission() {
    let stand = Stand::orders().await;
    let place = Request::post("/orders", &wanted()).bearer(&stand.token(&[]));
    let placed = stand.expect(place, 201, "auth.success").await.json();
    let id = placed["id"].as_str().unwrap();
    let read = || Request::get(format!("/orders/{id}")).bearer(&stand.token(&[]));

    // Even the person who placed the order may not read it without a tuple: only Keto decides.
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
        json!({ "quantity": 1 }),
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
        json!({ "sku": "sku-1", "delta": 3, "level": 3, "actor": SUBJECT })
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

    assert_eq!(read["ledger"][0]["delta"], 3);
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
