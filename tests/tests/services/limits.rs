//! What does a service take, and from whom?

use std::{io, net::SocketAddr, time::Duration};

use actix_web::rt;
use futures_util::future::{join_all, join3};
use iam_actix::Ports;
use serde_json::{Value, json};
use zero_trust::{
    client::{Connection, Request, Response, within},
    world::free_address,
};

use crate::stand::{EXAMPLES, Stand};

const GATEWAY: &str = "http://127.0.0.1:4455";

fn order(token: &str) -> Request {
    Request::post("/orders", &json!({ "sku": "sku-1", "quantity": 1 })).bearer(token)
}

fn adjust(token: &str) -> Request {
    Request::post("/inventory/adjust", &json!({ "sku": "sku-1", "by": 1 })).bearer(token)
}

#[actix_web::test]
async fn write_from_a_page_of_another_origin_is_refused() {
    let (orders, inventory) = (Stand::orders().await, Stand::inventory().await);
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:3001",
        "https://127.0.0.1:4455",
        "http://127.0.0.1:4455.evil.example",
    ] {
        let write = order(&orders.token(&[])).header("origin", origin);
        orders.expect(write, 403, "auth.failure.csrf").await;
        let write = adjust(&inventory.token(&["warehouse:admin"])).header("origin", origin);
        inventory.expect(write, 403, "auth.failure.csrf").await;
    }
    inventory.stop().await;
    orders.stop().await;
}

/// A browser that does not send `Sec-Fetch-Site` says where the page comes from in `Origin` only.
#[actix_web::test]
async fn write_from_a_page_of_the_gateway_is_let_in() {
    let (orders, inventory) = (Stand::orders().await, Stand::inventory().await);

    let write = order(&orders.token(&[])).header("origin", GATEWAY);
    orders.expect(write, 201, "auth.success").await;
    let write = adjust(&inventory.token(&["warehouse:admin"])).header("origin", GATEWAY);
    inventory.expect(write, 200, "auth.success").await;

    inventory.stop().await;
    orders.stop().await;
}

#[actix_web::test]
async fn body_that_cannot_be_taken_is_told_in_fixed_words() {
    let (orders, inventory) = (Stand::orders().await, Stand::inventory().await);
    let bodies = [
        (
            400,
            json!({ "sku": "sku-1", "quantity": 1, "by": 1, "<script>": 1 }),
        ),
        (
            400,
            json!({ "sku": "<script>", "quantity": "<script>", "by": "<script>" }),
        ),
        (400, json!("<script>")),
        (
            413,
            json!({ "sku": "<script>".repeat(2 << 10), "quantity": 1, "by": 1 }),
        ),
    ];

    for (status, body) in &bodies {
        let request = Request::post("/orders", body).bearer(&orders.token(&[]));
        let refused = orders.expect(request, *status, "auth.success").await;
        assert_fixed(&refused, *status);
        let admin = inventory.token(&["warehouse:admin"]);
        let request = Request::post("/inventory/adjust", body).bearer(&admin);
        let refused = inventory.expect(request, *status, "auth.success").await;
        assert_fixed(&refused, *status);
    }
    let untyped = Request::new("POST", "/orders").bearer(&orders.token(&[]));
    let refused = orders.expect(untyped, 400, "auth.success").await;
    assert_fixed(&refused, 400);
    inventory.stop().await;
    orders.stop().await;
}

fn assert_fixed(refused: &Response, status: u16) {
    let title = if status == 413 {
        "Payload Too Large"
    } else {
        "Bad Request"
    };
    let told = json!({
        "type": "about:blank", "title": title, "status": status, "detail": "the body cannot be taken",
    });
    assert_eq!(refused.json(), told);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
}

#[actix_web::test]
async fn client_that_is_slow_with_its_request_is_hung_up_on() {
    let (orders, inventory, bff) = (Stand::orders().await, Stand::inventory().await, bff().await);

    let (one, two, three) = join3(
        half_a_request(orders.address),
        half_a_request(inventory.address),
        half_a_request(bff),
    )
    .await;

    assert_eq!((one, two, three), (408, 408, 408));
    inventory.stop().await;
    orders.stop().await;
}

/// Sends half of a request's head and returns the status of what comes back before the connection ends.
async fn half_a_request(to: SocketAddr) -> u16 {
    let mut connection = Connection::open(to).await.unwrap();
    connection
        .write(b"GET /orders HTTP/1.1\r\nhost: 127.0.0.1\r\nauthoriz")
        .await
        .unwrap();
    let status = within(connection.response()).await.unwrap().status();
    let ended = within(connection.response()).await.unwrap_err();
    assert_ne!(ended.kind(), io::ErrorKind::TimedOut, "the connection stays");
    status
}

/// A head can be bounded by the server; a form is bounded by the service, for its routes are open to everybody.
#[actix_web::test]
async fn form_that_is_slow_to_arrive_is_hung_up_on() {
    let bff = bff().await;

    let slow = [
        ("login", 0),
        ("login", 20),
        ("registration", 0),
        ("registration", 20),
    ];

    let refused = join_all(slow.map(|(route, bytes)| half_a_form(bff, route, bytes))).await;

    for (refused, slow) in refused.iter().zip(slow) {
        let told = json!({
            "type": "about:blank", "title": "Request Timeout", "status": 408,
            "detail": "the form took too long to arrive",
        });
        assert_eq!(refused.json(), told, "{slow:?}");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        assert_eq!(refused.header("connection"), Some("close"));
    }
}

#[actix_web::test]
async fn form_that_arrives_in_pieces_is_taken() {
    let bff = bff().await;
    let mut connection = Connection::open(bff).await.unwrap();
    // No flow has an id of this length, so the service judges it alone.
    let path = format!("/auth/login/{}", "x".repeat(129));
    let begun = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{{");
    connection.write(begun.as_bytes()).await.unwrap();
    rt::time::sleep(Duration::from_millis(100)).await;

    connection.write(b"}").await.unwrap();

    let judged = within(connection.response()).await.unwrap();
    assert_eq!(judged.json()["detail"], "this is no flow");
}

#[actix_web::test]
async fn form_that_is_too_large_is_told_so() {
    let bff = bff().await;
    let form = json!({ "password": "x".repeat(64 << 10) });

    let refused = Request::post("/auth/login/flow", &form).send(bff).await.unwrap();

    assert_eq!(refused.status(), 413);
    assert_eq!(refused.json()["detail"], "the form cannot be taken");
}

/// Sends a form that never ends, at first a byte each 200 milliseconds, and returns what comes back before the connection
/// ends.
async fn half_a_form(to: SocketAddr, route: &str, bytes: usize) -> Response {
    let mut connection = Connection::open(to).await.unwrap();
    let head = format!("POST /auth/{route}/flow HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n");
    connection.write(head.as_bytes()).await.unwrap();
    for _ in 0..bytes {
        connection.write(b" ").await.unwrap();
        rt::time::sleep(Duration::from_millis(200)).await;
    }
    let response = within(connection.response()).await.unwrap();
    let ended = within(connection.response()).await.unwrap_err();
    assert_ne!(ended.kind(), io::ErrorKind::TimedOut, "the connection stays");
    response
}

async fn bff() -> SocketAddr {
    let address = free_address().unwrap();
    let config = auth_bff::Config::from_file(format!("{EXAMPLES}/auth-bff/auth-bff.toml")).unwrap();
    let server = auth_bff::run(config.listen(address), Ports::default())
        .await
        .unwrap();
    rt::spawn(server);
    address
}

#[actix_web::test]
async fn service_that_takes_http_2_still_takes_http_1() {
    let stand = Stand::orders_over_http2().await;

    let (client, connection) =
        h2::client::handshake(tokio::net::TcpStream::connect(stand.address).await.unwrap())
            .await
            .unwrap();
    rt::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut ask = |token: Option<String>| {
        let mut request = http_0_2::Request::get(format!("http://{}/orders", stand.address));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        client.send_request(request.body(()).unwrap(), true).unwrap().0
    };

    assert_eq!(ask(None).await.unwrap().status(), 401);
    assert_eq!(ask(Some(stand.token(&[]))).await.unwrap().status(), 200);
    let read = Request::get("/orders").bearer(&stand.token(&[]));
    let listed: Value = stand.expect(read, 200, "auth.success").await.json();
    assert!(listed["orders"].is_array());
    stand.stop().await;
}
