use actix_web::{HttpResponse, get};
use iam_actix::require_role;

#[require_role(Role::Admin)]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
