use actix_web::{HttpResponse, get};
use iam_actix::{public, single_use};

#[single_use]
#[public]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
