use actix_web::{HttpResponse, get};
use iam_actix::{public, require_aal};

#[public]
#[require_aal("aal2")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = handler;
}
