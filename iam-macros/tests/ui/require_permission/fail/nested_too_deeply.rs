use actix_web::{HttpResponse, get};
use iam_actix::require_permission;

#[require_permission(any(any(any(any(any(any(any(any(any("orders:{id}#view"))))))))))]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
