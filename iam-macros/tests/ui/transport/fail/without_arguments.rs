use actix_web::{HttpResponse, get};
use iam_actix::transport;

#[transport()]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
