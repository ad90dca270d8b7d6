use actix_web::{HttpResponse, get};
use iam_actix::{public, require_role};

#[public]
#[require_role("admin")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
