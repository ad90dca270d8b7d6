use actix_web::{HttpResponse, get};
use iam_actix::require_role;

#[get("/x")]
#[require_role("admin")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
