//! inventory-api: the stock and the ledger of its changes.
//!
//! ```text
//! GET  /inventory/health          public
//! GET  /inventory                 the stock
//! POST /inventory/adjust          needs the role `warehouse:admin`
//! GET  /inventory/{sku}/ledger    needs the permission `view` on `inventory:{sku}`
//! ```

mod stock;

use actix_web::{
    App, Responder, get,
    http::StatusCode,
    post,
    web::{self, Data, Json, JsonConfig, ServiceConfig},
};
use iam_actix::{Body, Identity, Ports, ProblemDetails, public, require_permission, require_role};
use serde_json::json;
pub use service::Config;
use service::{BoxError, Running};

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

/// Starts the service, on port 3002 of 127.0.0.1 unless configured. It serves while the returned value is awaited.
///
/// # Errors
///
/// When the configuration or a policy is wrong, with every problem, or when the address is in use.
pub async fn run(config: Config, ports: Ports) -> Result<Running, BoxError> {
    let stock = Data::new(Stock::default());

    service::serve(config.or_port(3002), ports, |iam| {
        let iam = iam.clone();
        Ok(move || {
            App::new()
                .wrap(iam.middleware())
                .app_data(stock.clone())
                .app_data(JsonConfig::default().limit(LARGEST_BODY))
                .configure(routes)
        })
    })
    .await
}

const LEDGER_FULL: ProblemDetails =
    ProblemDetails::new(StatusCode::INSUFFICIENT_STORAGE).detail("the ledger is full");
/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 << 10;
