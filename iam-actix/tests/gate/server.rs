//! Over real sockets: what the network sees of a refusal, and the runtimes that a service may run under.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use actix_test::TestServer;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt::task, web};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use iam_actix::{Iam, RouteExt as _};
use iam_core::decision::Reason;

use crate::common::{Touched, World, handler};

/// Serves the routes of these tests with `actix-test`.
fn serve(iam: &Iam, touched: &Touched, http2: bool) -> TestServer {
    let (iam, touched) = (iam.clone(), touched.clone());
    let config = actix_test::config().workers(1);
    let config = if http2 { config.h2() } else { config.h1() };

    actix_test::start_with(config, move || {
        App::new()
            .app_data(web::Data::new(touched.clone()))
            .route("/orders", web::post().to(handler))
            .route("/open", web::post().to(handler).public())
            .route("/admin", web::post().to(handler).require_role(["admin"]))
            .route("/stream", web::get().to(streaming))
            .route("/panic", web::get().to(panicking))
            .route("/socket", web::get().to(socket))
            .wrap(iam.middleware())
    })
}

async fn streaming() -> HttpResponse {
    let chunks = stream::iter(["a", "b", "c"])
        .map(|chunk| Ok::<_, actix_web::Error>(Bytes::from_static(chunk.as_bytes())));
    HttpResponse::Ok().streaming(chunks)
}

async fn panicking() -> HttpResponse {
    panic!("on purpose")
}

async fn socket(_: HttpRequest, body: web::Payload) -> HttpResponse {
    HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .streaming(body)
}

/// Sends bytes and returns what comes back until the connection ends or nothing more comes for a while.
fn exchange(address: SocketAddr, sent: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(sent.as_bytes()).unwrap();
    read_head(&mut connection)
}

fn read_head(connection: &mut TcpStream) -> String {
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];

    while !answer.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap_or(0) == 1 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    task::spawn_blocking(work).await.unwrap()
}

/// R099
#[actix_web::test]
async fn a_large_body_is_not_read_for_a_refusal() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let server = serve(&world.iam, &touched, false);
    let address = server.addr();

    let head = blocking(move || {
        exchange(
            address,
            "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000000\r\n\r\nfirst bytes",
        )
    })
    .await;

    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
}

/// R152
#[actix_web::test]
async fn each_request_of_a_connection_is_decided_alone() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let server = serve(&world.iam, &touched, false);
    let address = server.addr();
    let token = world.bearer().1;

    let answers = blocking(move || {
        let mut connection = TcpStream::connect(address).unwrap();
        let good = format!("GET /stream HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\r\n");
        let bad = "GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        connection.write_all(format!("{good}{bad}").as_bytes()).unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        text
    })
    .await;

    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1);
    assert_eq!(answers.matches("HTTP/1.1 401").count(), 1);
    world.event().await;
    world.denied(Reason::MissingCredential).await;
}

/// R088
#[actix_web::test]
async fn conflicting_lengths_are_400_before_the_gate() {
    let world = World::start().await;
    let touched = Touched::default();
    let server = serve(&world.iam, &touched, false);
    let address = server.addr();

    for framing in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: x\r\n",
    ] {
        let sent = format!("POST /orders HTTP/1.1\r\nhost: x\r\n{framing}\r\nhello");
        let head = blocking(move || exchange(address, &sent)).await;
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    }
    touched.nothing();
}

#[actix_web::test]
async fn a_small_body_keeps_the_connection_after_a_refusal() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let server = serve(&world.iam, &touched, false);

    let mut first = server.post("/orders").send_body("small").await.unwrap();
    assert_eq!(first.status(), 401);
    first.body().await.unwrap();
    world.denied(Reason::MissingCredential).await;

    let second = server
        .post("/orders")
        .insert_header(world.bearer())
        .send_body("small")
        .await
        .unwrap();
    assert_eq!(second.status(), 200);
    world.allowed().await;
    assert_eq!(touched.counts(), (1, 1, 1));
}

#[actix_web::test]
async fn streaming_handlers_stream() {
    let mut world = World::start().await;
    let server = serve(&world.iam, &Touched::default(), false);

    let mut response = server
        .get("/stream")
        .insert_header(world.bearer())
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 200);
    assert_eq!(response.body().await.unwrap(), "abc");
    world.allowed().await;
    assert_eq!(server.get("/stream").send().await.unwrap().status(), 401);
    world.denied(Reason::MissingCredential).await;
}

/// R098
#[actix_web::test]
async fn an_upgrade_passes_the_gate_first() {
    let mut world = World::start().await;
    let server = serve(&world.iam, &Touched::default(), false);
    let address = server.addr();
    let token = world.bearer().1;
    let upgrade = "GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    let head = blocking(move || exchange(address, &format!("{upgrade}\r\n"))).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    world.denied(Reason::MissingCredential).await;

    let head = blocking(move || exchange(address, &format!("{upgrade}authorization: {token}\r\n\r\n"))).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    world.allowed().await;
}

/// R138
#[actix_web::test]
async fn a_panic_in_a_handler_is_audited_and_the_next_request_is_served() {
    let mut world = World::start().await;
    let server = serve(&world.iam, &Touched::default(), false);

    assert!(
        server
            .get("/panic")
            .insert_header(world.bearer())
            .send()
            .await
            .is_err()
    );
    world.allowed().await;
    let next = server
        .get("/stream")
        .insert_header(world.bearer())
        .send()
        .await
        .unwrap();
    assert_eq!(next.status(), 200);
    world.allowed().await;
}

/// R152
#[actix_web::test]
async fn http2_is_decided_in_the_same_way() {
    let mut world = World::start().await;
    let touched = Touched::default();
    let server = serve(&world.iam, &touched, true);
    let (mut client, connection) = h2_client(server.addr()).await;
    actix_web::rt::spawn(connection);
    let mut send = async |path: &str, token: Option<String>| {
        let mut request = http_0_2::Request::post(format!("http://localhost{path}"));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let (response, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
        // The stream may be over already: a refusal does not wait for the body.
        let _ = body.send_data(Bytes::from_static(b"body"), true);
        response.await.unwrap()
    };

    let refused = send("/orders", None).await;
    assert_eq!(refused.status().as_u16(), 401);
    assert!(refused.headers().contains_key("www-authenticate"));
    world.denied(Reason::MissingCredential).await;
    touched.nothing();
    assert_eq!(
        send("/admin", Some(world.bearer().1)).await.status().as_u16(),
        403
    );
    world.denied(Reason::RoleDeny).await;
    touched.nothing();
    assert_eq!(
        send("/orders", Some(world.bearer().1)).await.status().as_u16(),
        200
    );
    world.allowed().await;
    assert_eq!(send("/open", None).await.status().as_u16(), 200);
    world.allowed().await;
}

async fn h2_client(
    address: SocketAddr,
) -> (
    h2::client::SendRequest<Bytes>,
    impl Future<Output = Result<(), h2::Error>>,
) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    h2::client::handshake(stream).await.unwrap()
}

async fn in_process(mut world: World) {
    let touched = Touched::default();
    let app = app!(world, touched, .route("/orders", web::get().to(handler)));

    assert_eq!(send!(app, GET "/orders").status(), 401);
    world.denied(Reason::MissingCredential).await;
    assert_eq!(send!(app, GET "/orders", world.bearer()).status(), 200);
    world.allowed().await;
}

#[actix_web::test]
async fn init_service_works_under_actix_web_test() {
    in_process(World::start().await).await;
}

#[tokio::test]
async fn init_service_works_under_tokio_test() {
    in_process(World::start().await).await;
}

/// Several workers share what was built once.
async fn several_workers(mut world: World) {
    let (iam, touched) = (world.iam.clone(), Touched::default());
    let counters = touched.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(counters.clone()))
            .route("/once", web::post().to(handler).single_use())
            .wrap(iam.middleware())
    })
    .workers(4)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    let token = world.bearer().1;

    let attempts = (0..16).map(|_| {
        let sent =
            format!("POST /once HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: 0\r\n\r\n");
        tokio::task::spawn_blocking(move || exchange(address, &sent))
    });
    let heads = futures_util::future::join_all(attempts.collect::<Vec<_>>()).await;

    let heads: Vec<_> = heads.into_iter().map(Result::unwrap).collect();
    let passed = heads
        .iter()
        .filter(|head| head.starts_with("HTTP/1.1 200"))
        .count();
    let refused = heads
        .iter()
        .filter(|head| head.starts_with("HTTP/1.1 401"))
        .count();
    assert_eq!((passed, refused), (1, 15));
    assert_eq!(touched.counts().0, 1);
    for _ in 0..16 {
        world.event().await;
    }
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}

/// D2, R126
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_passes_once_whatever_worker_serves_it_under_tokio_main() {
    several_workers(World::start().await).await;
}

#[test]
fn a_server_works_under_actix_web_main() {
    actix_web::rt::System::new().block_on(async { several_workers(World::start().await).await });
}
