use actix_web::{HttpResponse, get};
use iam_actix::protected;

#[get("/x")]
#[protected]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
