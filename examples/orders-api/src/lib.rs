//! orders-api: people read and place their orders.
//!
//! ```text
//! GET  /orders         the caller's own orders
//! POST /orders         places an order; takes each token once; `quantity` defaults to 1
//! GET  /orders/{id}    needs the permission `view` on `orders:{id}`
//! ```

mod book;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web::{
    App, HttpResponse, Responder, get,
    http::StatusCode,
    middleware::DefaultHeaders,
    post,
    web::{self, Data, Json, JsonConfig, ServiceConfig},
};
use iam_actix::{Body, Identity, Ports, ProblemDetails, require_permission, single_use};
use serde_json::json;
pub use service::Config;
use service::{BoxError, Running};

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

/// Starts the service, on port 3001 of 127.0.0.1 unless configured. It serves while the returned value is awaited.
///
/// # Errors
///
/// When the configuration or a policy is wrong, with every problem, or when the address is in use.
pub async fn run(config: Config, ports: Ports) -> Result<Running, BoxError> {
    let book = Data::new(OrderBook::default());
    let workers = Arc::new(AtomicUsize::new(0));

    service::serve(config.or_port(3001), ports, |iam| {
        let iam = iam.clone();
        Ok(move || {
            let worker = workers.fetch_add(1, Ordering::Relaxed);
            App::new()
                .wrap(iam.middleware())
                .wrap(DefaultHeaders::new().add(("x-worker", worker)))
                .app_data(book.clone())
                .app_data(JsonConfig::default().limit(LARGEST_BODY))
                .configure(routes)
        })
    })
    .await
}

const NO_MORE_ORDERS: ProblemDetails =
    ProblemDetails::new(StatusCode::INSUFFICIENT_STORAGE).detail("the order book is full");
const NO_SUCH_ORDER: ProblemDetails = ProblemDetails::new(StatusCode::NOT_FOUND).detail("no such order");
/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 << 10;
