//! The limits of a service's connections: their number and their idle time.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::rt::time::sleep;
use futures_util::future::{FutureExt as _, join3};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scenario::client::{Connection, Request, within};
use serde_json::json;

use crate::stand::{Stand, bff, bff_with};

#[actix_web::test]
async fn connection_beyond_the_most_that_orders_api_holds_waits_for_another_to_end() {
    let stand = Stand::orders().await;
    assert_most(stand.address, 1_000).await;
    stand.stop().await;
}

#[actix_web::test]
async fn connection_beyond_the_most_that_inventory_api_holds_waits_for_another_to_end() {
    let stand = Stand::inventory().await;
    assert_most(stand.address, 1_000).await;
    stand.stop().await;
}

/// The service has two workers, and each accepts its share of a thousand.
#[actix_web::test]
async fn connection_beyond_the_most_that_auth_bff_holds_waits_for_another_to_end() {
    let (address, handle) = bff_with(|config| config).await;
    assert_most(address, 2_000).await;
    handle.stop(false).await;
}

/// An incomplete body holds no connection, whether its sender is authenticated or not, and whether it was refused or
/// answered.
#[actix_web::test]
async fn chunked_body_that_is_never_finished_ends_its_connection_after_the_answer() {
    let inventory = Stand::inventory().await;
    let known = |roles: &[&str]| format!("authorization: Bearer {}\r\n", inventory.token(roles));

    for (line, credential, status) in [
        ("POST /inventory/adjust", String::new(), 401),
        ("POST /nowhere", String::new(), 401),
        ("POST /inventory/adjust", known(&[]), 403),
        ("POST /nowhere", known(&[]), 404),
        ("GET /inventory/health", String::new(), 200),
        ("POST /inventory/adjust", known(&["warehouse:admin"]), 408),
    ] {
        let mut connection = Connection::open(inventory.address).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nhost: a\r\n{credential}transfer-encoding: chunked\r\n");
        let request = format!("{head}content-type: application/json\r\n\r\n5\r\nab");
        connection.write(request.as_bytes()).await.unwrap();

        let answer = within(connection.response()).await.unwrap();
        assert_eq!(answer.status(), status, "{line}: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{line} {status}");
        let ended = within(connection.response()).await.unwrap_err();
        assert_ne!(
            ended.kind(),
            io::ErrorKind::TimedOut,
            "{line} {status}: the connection stays"
        );
    }
    inventory.stop().await;
}

#[actix_web::test]
async fn chunked_body_that_was_read_leaves_its_connection_open() {
    let inventory = Stand::inventory().await;
    let admin = inventory.token(&["warehouse:admin"]);
    let body = json!({ "sku": "sku-1", "delta": 1 }).to_string();
    let request = format!(
        "POST /inventory/adjust HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {admin}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let mut connection = Connection::open(inventory.address).await.unwrap();

    for _ in 0..2 {
        connection.write(request.as_bytes()).await.unwrap();
        let answer = within(connection.response()).await.unwrap();
        assert_eq!((answer.status(), answer.header("connection")), (200, None));
    }
    inventory.stop().await;
}

/// Asserts that a service answers on so many connections, and on one more only after one of them has ended.
async fn assert_most(to: SocketAddr, most: usize) {
    let_this_process_open_files();
    let mut held = Vec::new();
    for _ in 0..most {
        held.push(served(to).await);
    }

    let mut next = Connection::open(to).await.unwrap();
    ask(&mut next, to).await;
    // Each worker has accepted a connection by then.
    for connection in &mut held {
        serve(connection, to).await;
    }
    let early = next.response().now_or_never();
    assert!(early.is_none(), "{early:?}");
    held.pop();

    assert_eq!(within(next.response()).await.unwrap().status(), 401);
}

/// A gateway that writes on a connection while the service closes it has to answer 502.
#[actix_web::test]
async fn idle_connection_outlives_the_five_seconds_of_actix() {
    let (orders, inventory, bff) = (Stand::orders().await, Stand::inventory().await, bff().await);

    let seen = join3(
        served_again(orders.address),
        served_again(inventory.address),
        served_again(bff),
    );

    assert_eq!(seen.await, (401, 401, 401));
    inventory.stop().await;
    orders.stop().await;
}

/// Leaves a connection idle for more than five seconds, and returns the status of the next response on it.
async fn served_again(to: SocketAddr) -> u16 {
    let mut connection = served(to).await;
    sleep(Duration::from_millis(6_500)).await;
    ask(&mut connection, to).await;
    within(connection.response()).await.unwrap().status()
}

#[actix_web::test]
async fn idle_connection_is_closed_after_the_time_that_the_configuration_says() {
    // Actix Web measures with a clock that it updates every half second. A deadline before that clock's time is never
    // noticed.
    const SHORT: Duration = Duration::from_secs(2);
    let orders = Stand::orders_with(|config| config.keep_alive(SHORT)).await;
    let inventory = Stand::inventory_with(|config| config.keep_alive(SHORT)).await;
    let (bff, handle) = bff_with(|config| config.keep_alive(SHORT)).await;

    let ended = join3(
        end_of_idle(orders.address),
        end_of_idle(inventory.address),
        end_of_idle(bff),
    );

    let closed = io::ErrorKind::UnexpectedEof;
    assert_eq!(ended.await, (closed, closed, closed));
    handle.stop(false).await;
    inventory.stop().await;
    orders.stop().await;
}

/// Leaves a connection idle, and returns how it ends.
async fn end_of_idle(to: SocketAddr) -> io::ErrorKind {
    let mut connection = served(to).await;
    within(connection.response()).await.unwrap_err().kind()
}

/// Opens a connection and completes one request on it.
async fn served(to: SocketAddr) -> Connection {
    let mut connection = Connection::open(to).await.unwrap();
    serve(&mut connection, to).await;
    connection
}

async fn serve(connection: &mut Connection, to: SocketAddr) {
    ask(connection, to).await;
    assert_eq!(within(connection.response()).await.unwrap().status(), 401);
}

async fn ask(connection: &mut Connection, to: SocketAddr) {
    let request = Request::get("/").bytes(to, true);
    connection.write(&request).await.unwrap();
}

/// Raises the limit of open files: both ends of every connection are files of this process, and many systems allow 1,024.
fn let_this_process_open_files() {
    const ENOUGH: u64 = 10_000;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < ENOUGH) {
        let current = Some(limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH)));
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    }
}
