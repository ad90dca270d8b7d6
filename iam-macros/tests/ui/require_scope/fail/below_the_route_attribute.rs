use actix_web::{HttpResponse, get};
use iam_actix::require_scope;

#[get("/x")]
#[require_scope("orders:read")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
