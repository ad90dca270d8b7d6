use actix_web::{HttpResponse, get};
use iam_actix::public;

#[public]
#[get("/x")]
fn handler() -> std::future::Ready<HttpResponse> {
    std::future::ready(HttpResponse::Ok().finish())
}

fn main() {
    let _ = handler;
}
