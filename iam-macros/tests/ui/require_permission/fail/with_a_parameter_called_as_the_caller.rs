use actix_web::{HttpResponse, get};
use iam_actix::require_permission;

#[require_permission(any("User:{user}#friends", "Group:admin#members"))]
#[get("/users/{user}")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
