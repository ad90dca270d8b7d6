//! orders-api: people read and place their orders.
//!
//! ```text
//! GET  /orders         the caller's own orders
//! POST /orders         places an order; takes each token once
//! GET  /orders/{id}    needs the permission `view` on `orders:{id}`
//! ```

mod book;

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer, Responder,
    dev::Server,
    get,
    http::StatusCode,
    middleware::DefaultHeaders,
    post,
    web::{self, Data, Json, JsonConfig, ServiceConfig},
};
use iam_actix::{
    Body, ConfigError, Iam, IamConfig, Identity, Ports, ProblemDetails, require_permission, single_use,
};
use serde_json::json;

pub use crate::book::{BookFull, Order, OrderBook, Wanted};

#[get("/orders")]
async fn list(user: Identity, book: Data<OrderBook>) -> impl Responder {
    Json(json!({ "user": user.subject(), "orders": book.of(user.subject()) }))
}

#[single_use]
#[post("/orders")]
async fn place(
    user: Identity,
    Body(Json(wanted)): Body<Json<Wanted>>,
    book: Data<OrderBook>,
) -> Result<HttpResponse, ProblemDetails> {
    let order = book
        .place(user.subject(), wanted)
        .map_err(|BookFull| NO_MORE_ORDERS)?;
    Ok(HttpResponse::Created().json(order))
}

#[require_permission(namespace = "orders", relation = "view", object = "orders:{id}")]
#[get("/orders/{id}")]
async fn read(id: web::Path<String>, book: Data<OrderBook>) -> Result<Json<Order>, ProblemDetails> {
    book.find(&id).map(Json).ok_or(NO_SUCH_ORDER)
}

/// Adds the routes of the service.
pub fn routes(app: &mut ServiceConfig) {
    app.service(list).service(place).service(read);
}

/// Starts the service. It runs while the returned server is awaited.
///
/// # Errors
///
/// When the configuration or what the routes ask for is wrong, naming every problem, or the address cannot be bound.
pub async fn run(config: Config, ports: Ports) -> Result<Server, Box<dyn Error + Send + Sync>> {
    let iam = Iam::builder(config.iam).ports(ports).start().await?;
    let book = Data::new(OrderBook::default());
    let workers = Arc::new(AtomicUsize::new(0));

    let gate = iam.clone();
    let app = move || {
        let worker = workers.fetch_add(1, Ordering::Relaxed);
        App::new()
            .wrap(gate.middleware())
            .wrap(DefaultHeaders::new().add(("x-worker", worker)))
            .app_data(book.clone())
            .app_data(JsonConfig::default().limit(LARGEST_BODY))
            .configure(routes)
    };
    iam.check(&app).await?;
    let listening = |err: io::Error| {
        format!(
            "cannot listen on {}: {err}; stop the program that uses the port (`ss -ltnp` names it), or listen on \
             another",
            config.listen
        )
    };
    let server = HttpServer::new(app)
        .workers(config.workers)
        .max_connections(MOST_CONNECTIONS)
        .client_request_timeout(REQUEST_HEAD)
        .keep_alive(config.keep_alive)
        .disable_signals();
    let bound = if config.http2 {
        server.bind_auto_h2c(config.listen)
    } else {
        server.bind(config.listen)
    };
    Ok(bound.map_err(listening)?.run())
}

/// What the service is configured with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Identity and access.
    pub iam: IamConfig,
    keep_alive: Duration,
    listen: SocketAddr,
    http2: bool,
    workers: usize,
}

impl Config {
    /// Reads the identity and access part from a file. The service listens on 127.0.0.1:3001 with four workers.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let iam = IamConfig::from_file(file)?;
        Ok(Self {
            iam,
            keep_alive: KEEP_ALIVE,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3001)),
            http2: false,
            workers: 4,
        })
    }

    /// Keeps an idle connection for another time than 100 seconds.
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
        self
    }

    /// Listens on another address.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Also takes HTTP/2 without TLS (RFC 9113 §3.3), as the proxies of some meshes speak it.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Runs with another number of workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }
}

const NO_MORE_ORDERS: ProblemDetails =
    ProblemDetails::new(StatusCode::INSUFFICIENT_STORAGE).detail("no more orders are taken");
const NO_SUCH_ORDER: ProblemDetails = ProblemDetails::new(StatusCode::NOT_FOUND).detail("no such order");
/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 << 10;
/// For each worker. Beyond it connections wait to be accepted, which is better than to run out of memory or files.
const MOST_CONNECTIONS: usize = 1_000;
/// How long a client may take over the head of a request.
const REQUEST_HEAD: Duration = Duration::from_secs(5);
/// Longer than a gateway in Go keeps idle connections (90 seconds), so that it never writes on one that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
