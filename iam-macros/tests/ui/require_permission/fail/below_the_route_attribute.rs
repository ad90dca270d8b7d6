use actix_web::{HttpResponse, get};
use iam_actix::require_permission;

#[get("/x")]
#[require_permission("orders:1#view")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
