use actix_web::{App, HttpResponse, get};
use iam_actix::{public as open, require_role};

// Two wrappers: the requirement wins when the application runs.
#[require_role("admin")]
#[open]
#[get("/health")]
async fn health() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(health));
}
