use actix_web::{HttpResponse, get};
use iam_actix::require_scope;

#[require_scope("orders:read orders:write")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
