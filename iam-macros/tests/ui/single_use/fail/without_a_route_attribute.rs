use actix_web::HttpResponse;
use iam_actix::single_use;

#[single_use]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
