use actix_web::{HttpResponse, get};
use iam_actix::require_permission;

#[require_permission(namespace = "orders", relation = "view", object = "orders:{id}", fresh, fresh)]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
