use actix_web::{HttpResponse, get};
use iam_actix::protected;

#[protected]
#[protected]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
