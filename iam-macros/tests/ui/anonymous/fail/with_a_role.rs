use actix_web::{HttpResponse, get};
use iam_actix::{anonymous, require_role};

#[anonymous]
#[require_role("admin")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
