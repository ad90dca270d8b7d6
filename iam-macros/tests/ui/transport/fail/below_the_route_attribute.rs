use actix_web::{HttpResponse, get};
use iam_actix::transport;

#[get("/x")]
#[transport("cookie")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
