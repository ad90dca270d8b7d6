use actix_web::{App, HttpResponse, get, web};
use iam_actix::require_permission;

#[require_permission("Tenant:{tenant}#customers")]
#[get("/orders")]
async fn orders() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(web::scope("/{tenant}").service(orders)));
}
