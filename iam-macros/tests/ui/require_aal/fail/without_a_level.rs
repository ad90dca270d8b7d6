use actix_web::{HttpResponse, get};
use iam_actix::require_aal;

#[require_aal]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
