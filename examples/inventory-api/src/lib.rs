//! inventory-api: what is in stock, and who changed it.
//!
//! ```text
//! GET  /inventory/health          public
//! GET  /inventory                 the stock
//! POST /inventory/adjust          needs the role `warehouse:admin`
//! GET  /inventory/{sku}/ledger    needs the permission `view` on `inventory:{sku}`
//! ```

mod stock;

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use actix_web::{
    App, HttpServer, Responder,
    dev::Server,
    get,
    http::StatusCode,
    post,
    web::{self, Data, Json, JsonConfig, ServiceConfig},
};
use iam_actix::{
    Body, ConfigError, Iam, IamConfig, Identity, Ports, ProblemDetails, public, require_permission,
    require_role,
};
use serde_json::json;

pub use crate::stock::{Adjust, Entry, Stock, StockFull};

#[public]
#[get("/inventory/health")]
async fn health() -> impl Responder {
    Json(json!({ "status": "ok" }))
}

#[get("/inventory")]
async fn list(user: Identity, stock: Data<Stock>) -> impl Responder {
    Json(json!({ "user": user.subject(), "stock": stock.levels() }))
}

#[require_role("warehouse:admin")]
#[post("/inventory/adjust")]
async fn adjust(
    user: Identity,
    Body(Json(change)): Body<Json<Adjust>>,
    stock: Data<Stock>,
) -> Result<Json<Entry>, ProblemDetails> {
    let entry = stock.adjust(user.subject(), change);
    entry.map(Json).map_err(|StockFull| LEDGER_FULL)
}

#[require_permission(namespace = "listings", relation = "view", object = "inventory:{sku}")]
#[get("/inventory/{sku}/ledger")]
async fn ledger(sku: web::Path<String>, stock: Data<Stock>) -> impl Responder {
    Json(json!({ "sku": *sku, "ledger": stock.ledger(&sku) }))
}

/// Adds the routes of the service.
pub fn routes(app: &mut ServiceConfig) {
    app.service(health).service(list).service(adjust).service(ledger);
}

/// Starts the service. It runs while the returned server is awaited.
///
/// # Errors
///
/// When the configuration or what the routes ask for is wrong, naming every problem, or the address cannot be bound.
pub async fn run(config: Config, ports: Ports) -> Result<Server, Box<dyn Error + Send + Sync>> {
    let iam = Iam::builder(config.iam).ports(ports).start().await?;
    let stock = Data::new(Stock::default());

    let gate = iam.clone();
    let app = move || {
        App::new()
            .wrap(gate.middleware())
            .app_data(stock.clone())
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
    Ok(server.bind(config.listen).map_err(listening)?.run())
}

/// What the service is configured with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Identity and access.
    pub iam: IamConfig,
    keep_alive: Duration,
    listen: SocketAddr,
    workers: usize,
}

impl Config {
    /// Reads the identity and access part from a file. The service listens on 127.0.0.1:3002 with four workers.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let iam = IamConfig::from_file(file)?;
        Ok(Self {
            iam,
            keep_alive: KEEP_ALIVE,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3002)),
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

    /// Runs with another number of workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }
}

const LEDGER_FULL: ProblemDetails =
    ProblemDetails::new(StatusCode::INSUFFICIENT_STORAGE).detail("the ledger is full");
/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 << 10;
/// For each worker. Beyond it connections wait to be accepted, which is better than to run out of memory or files.
const MOST_CONNECTIONS: usize = 1_000;
/// How long a client may take over the head of a request.
const REQUEST_HEAD: Duration = Duration::from_secs(5);
/// Longer than a gateway in Go keeps idle connections (90 seconds), so that it never writes on one that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
