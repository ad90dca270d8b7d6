use actix_web::{HttpResponse, get};
use iam_actix::require_permission;

#[require_permission(namespace = "orders", relation = "view", object = "orders:{orderId}")]
#[get("/orders/{order_id}")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
