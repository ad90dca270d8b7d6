use actix_web::HttpResponse;
use iam_actix::require_scope;

#[require_scope("orders:read")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
