use actix_web::{HttpResponse, get};
use iam_actix::tenant;

#[tenant("two words")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
