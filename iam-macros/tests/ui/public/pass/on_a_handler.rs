use actix_web::{App, HttpResponse, get};
use iam_actix::public;

/// Tells that the service is up.
#[public]
#[get("/health", name = "health")]
async fn health() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[iam_actix::public]
#[actix_web::post("/health")]
async fn ping() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(health).service(ping));
}
