use actix_web::{HttpResponse, get};
use iam_actix::require_role;

#[require_role("admin,editor")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
