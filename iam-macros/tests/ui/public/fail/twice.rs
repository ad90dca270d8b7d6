use actix_web::{HttpResponse, get};
use iam_actix::public;

#[public]
#[iam_actix::public]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
