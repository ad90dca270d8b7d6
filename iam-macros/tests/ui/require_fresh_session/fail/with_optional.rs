use actix_web::{HttpResponse, get};
use iam_actix::{optional, require_fresh_session};

#[require_fresh_session("15m")]
#[optional]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
