use actix_web::{HttpResponse, get};
use iam_actix::{optional, single_use};

#[single_use]
#[optional]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
