use actix_web::{HttpResponse, get};
use iam_actix::single_use;

#[single_use]
#[single_use]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
