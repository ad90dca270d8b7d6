use actix_web::{HttpResponse, get};
use iam_actix::require_fresh_session;

#[require_fresh_session("0s")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
