use actix_web::{HttpResponse, get};
use iam_actix::public;

#[get("/x")]
#[public]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
