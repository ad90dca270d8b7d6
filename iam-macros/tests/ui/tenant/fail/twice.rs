use actix_web::{HttpResponse, get};
use iam_actix::tenant;

#[tenant("a")]
#[tenant("b")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
