use actix_web::{App, HttpResponse, get, web};
use iam_actix::require_permission;

#[require_permission("Tenant:{id}#customers")]
#[get("/batch/{ids}")]
async fn batch() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(web::scope("/{id}").service(batch)));
}
