use actix_web::{App, HttpResponse, get, post};
use iam_actix::{protected, require_role, single_use};

#[protected]
#[get("/me")]
async fn me() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[single_use]
#[protected]
#[require_role("admin")]
#[post("/orders")]
async fn order() -> HttpResponse {
    HttpResponse::Created().finish()
}

fn main() {
    drop(App::new().service(me).service(order));
}
