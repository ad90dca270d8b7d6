use actix_web::{HttpResponse, routes};
use iam_actix::require_role;

#[routes]
#[require_role("admin")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
