use actix_web::{App, HttpResponse, get};
use iam_actix::{require_role, single_use};

#[cfg_attr(all(), require_role("admin"))]
#[single_use]
#[cfg_attr(all(), get("/x"))]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(handler));
}
