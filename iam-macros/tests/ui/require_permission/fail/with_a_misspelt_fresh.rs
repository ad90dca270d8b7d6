use actix_web::{HttpResponse, get};
use iam_actix::require_permission;

#[require_permission("orders:{id}#view", fesh)]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
