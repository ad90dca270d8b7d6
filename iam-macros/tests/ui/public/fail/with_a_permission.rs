use actix_web::{HttpResponse, get};
use iam_actix::{public, require_permission};

#[public]
#[require_permission("orders:1#view")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
