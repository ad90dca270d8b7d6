//! The limits of a service on requests: origins, heads, bodies and ids.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::rt;
use futures_util::future::{TryFutureExt as _, join_all, join3};
use scenario::client::{Connection, Request, Response, within};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::stand::{Stand, bff};

const GATEWAY: &str = "http://127.0.0.1:4455";

fn order(token: &str) -> Request {
    Request::post("/orders", &json!({ "sku": "sku-1", "quantity": 1 })).bearer(token)
}

fn adjust(token: &str) -> Request {
    Request::post("/inventory/adjust", &json!({ "sku": "sku-1", "delta": 1 })).bearer(token)
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

/// A browser that does not send `Sec-Fetch-Site` reports the page's origin only in `Origin`.
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
            json!({ "sku": "sku-1", "quantity": 1, "delta": 1, "<script>": 1 }),
        ),
        (
            400,
            json!({ "sku": "<script>", "quantity": "<script>", "delta": "<script>" }),
        ),
        (400, json!("<script>")),
        (
            413,
            json!({ "sku": "<script>".repeat(2 << 10), "quantity": 1, "delta": 1 }),
        ),
    ];

    for (status, body) in &bodies {
        let request = Request::post("/orders", body).bearer(&orders.token(&[]));
        let refused = orders.expect(request, *status, "auth.success").await;
        assert_refused(&refused, "the body cannot be taken");
        let admin = inventory.token(&["warehouse:admin"]);
        let request = Request::post("/inventory/adjust", body).bearer(&admin);
        let refused = inventory.expect(request, *status, "auth.success").await;
        assert_refused(&refused, "the body cannot be taken");
    }
    let untyped = Request::new("POST", "/orders").bearer(&orders.token(&[]));
    let refused = orders.expect(untyped, 400, "auth.success").await;
    assert_refused(&refused, "the body cannot be taken");
    inventory.stop().await;
    orders.stop().await;
}

/// Asserts that a refusal has this detail and no other text.
fn assert_refused(refused: &Response, detail: &str) {
    let status = refused.status();
    let title = match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        _ => "",
    };
    let told = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
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

/// Sends half of a request's head and returns the status of the response before the connection ends.
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

/// The server limits only the time of a head. Each handler with a body limits that body's time, also behind the gate.
#[actix_web::test]
async fn body_that_is_slow_to_arrive_is_hung_up_on() {
    let (orders, inventory, bff) = (Stand::orders().await, Stand::inventory().await, bff().await);
    let admin = inventory.token(&["warehouse:admin"]);
    let form = |route: &str| Request::post(format!("/auth/{route}/flow"), &json!(" ".repeat(100)));
    let slow = [
        (orders.address, order(&orders.token(&[])), 0),
        (orders.address, order(&orders.token(&[])), 20),
        (inventory.address, adjust(&admin), 0),
        (inventory.address, adjust(&admin), 20),
        (bff, form("login"), 0),
        (bff, form("login"), 20),
        (bff, form("registration"), 0),
        (bff, form("registration"), 20),
    ];

    let refused = join_all(
        slow.iter()
            .map(|(to, request, late)| dribble(*to, request, *late)),
    )
    .await;

    for (refused, (_, request, late)) in refused.iter().zip(&slow) {
        let line = request.line();
        assert_eq!(refused.status(), 408, "{line}, {late} late bytes");
        assert_refused(refused, "the body took too long to arrive");
        assert_eq!(refused.header("connection"), Some("close"), "{line}");
    }
    inventory.stop().await;
    orders.stop().await;
}

#[actix_web::test]
async fn body_that_is_slow_over_http_2_ends_its_stream_only() {
    let stand = Stand::orders_over_http2().await;
    let mut client = http2(stand.address).await;
    let mut ask = |method: &str, ended| {
        let request = http_0_2::Request::builder()
            .method(method)
            .uri(format!("http://{}/orders", stand.address))
            .header("authorization", format!("Bearer {}", stand.token(&[])))
            .header("content-type", "application/json");
        client.send_request(request.body(()).unwrap(), ended).unwrap()
    };

    let (slow, mut body) = ask("POST", false);
    body.send_data("{".into(), false).unwrap();

    let refused = within(slow.map_err(io::Error::other)).await.unwrap();
    assert_eq!(refused.status(), 408);
    let (next, _) = ask("GET", true);
    assert_eq!(
        within(next.map_err(io::Error::other)).await.unwrap().status(),
        200
    );
    stand.stop().await;
}

#[actix_web::test]
async fn form_that_arrives_in_pieces_is_taken() {
    let bff = bff().await;
    let mut connection = Connection::open(bff).await.unwrap();
    // No flow id has this length, so the service answers without Kratos.
    let path = format!("/auth/login/{}", "x".repeat(129));
    let begun = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{{");
    connection.write(begun.as_bytes()).await.unwrap();
    rt::time::sleep(Duration::from_millis(100)).await;

    connection.write(b"}").await.unwrap();

    let judged = within(connection.response()).await.unwrap();
    assert_eq!(judged.json()["detail"], "the path has no valid flow id");
}

#[actix_web::test]
async fn form_that_is_too_large_is_told_so() {
    let bff = bff().await;
    let form = json!({ "password": "x".repeat(64 << 10) });

    let refused = Request::post("/auth/login/flow", &form).send(bff).await.unwrap();

    assert_eq!(refused.status(), 413);
    assert_refused(&refused, "the body cannot be taken");
}

/// A return URL that is too long for a query is not sent to Kratos, and the response names the parameter.
#[actix_web::test]
async fn address_to_return_to_that_is_too_long_is_told_so() {
    let bff = bff().await;
    // Each character takes three bytes in the query to Kratos.
    let path = format!("/auth/login?returnTo=/{}", "!".repeat(30_000));

    let refused = Request::get(&path).send(bff).await.unwrap();

    assert_eq!(refused.status(), 400);
    assert_refused(&refused, "`returnTo` is too long");
}

/// Sends a request without its last byte: most of it at once, and the rest in steps of 200 milliseconds. Returns the
/// response before the connection ends.
async fn dribble(to: SocketAddr, request: &Request, late: usize) -> Response {
    let mut connection = Connection::open(to).await.unwrap();
    let bytes = request.bytes(to, true);
    let (_, sent) = bytes.split_last().unwrap();
    let (at_once, one_by_one) = sent.split_at(sent.len().checked_sub(late).unwrap());
    connection.write(at_once).await.unwrap();
    for byte in one_by_one {
        connection.write(&[*byte]).await.unwrap();
        rt::time::sleep(Duration::from_millis(200)).await;
    }
    let response = within(connection.response()).await.unwrap();
    let ended = within(connection.response()).await.unwrap_err();
    assert_ne!(ended.kind(), io::ErrorKind::TimedOut, "the connection stays");
    response
}

/// Opens a connection that speaks HTTP/2 from its first byte (RFC 9113 §3.3).
async fn http2(to: SocketAddr) -> h2::client::SendRequest<bytes::Bytes> {
    let stream = TcpStream::connect(to).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    rt::spawn(connection);
    client.ready().await.unwrap()
}

#[actix_web::test]
async fn service_that_takes_http_2_still_takes_http_1() {
    let stand = Stand::orders_over_http2().await;
    let mut client = http2(stand.address).await;
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
