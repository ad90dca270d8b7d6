use actix_web::{HttpResponse, get};
use iam_actix::{optional, require_role};

#[optional]
#[require_role("admin")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
