use actix_web::{App, HttpResponse, get};
use iam_actix::{anonymous, tenant, transport};

#[tenant("customer")]
#[anonymous]
#[transport("cookie")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(handler));
}
