use actix_web::{App, HttpResponse, get};
use iam_actix::require_scope;

#[require_scope("orders:read", "https://example.com/export",)]
#[get("/orders")]
async fn orders() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(orders));
}
