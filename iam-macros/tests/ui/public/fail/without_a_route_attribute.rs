use actix_web::HttpResponse;
use iam_actix::public;

#[public]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
