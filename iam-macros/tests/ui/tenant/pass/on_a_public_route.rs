use actix_web::{App, HttpResponse, get};
use iam_actix::{public, tenant};

#[tenant("customer")]
#[public]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(handler));
}
