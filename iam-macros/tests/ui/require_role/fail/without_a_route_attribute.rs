use actix_web::HttpResponse;
use iam_actix::require_role;

#[require_role("admin")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
