use actix_web::{HttpResponse, get as fetch};
use iam_actix::public;

#[public]
#[fetch("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
