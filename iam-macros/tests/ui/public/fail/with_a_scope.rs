use actix_web::{HttpResponse, get};
use iam_actix::{public, require_scope};

#[require_scope("orders:read")]
#[public]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
