use actix_web::{HttpResponse, get};
use iam_actix::{public, transport};

#[public]
#[transport("cookie")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
