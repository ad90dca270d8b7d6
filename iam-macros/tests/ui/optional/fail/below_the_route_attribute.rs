use actix_web::{HttpResponse, get};
use iam_actix::optional;

#[get("/x")]
#[optional]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
