use actix_web::{App, HttpResponse, post};
use iam_actix::{require_permission, require_role, require_scope, single_use};

#[require_role("clerk", "admin")]
#[single_use]
#[require_permission("orders:eu:{id}#pay")]
#[require_scope("orders:write")]
#[require_role("accountant")]
#[post("/orders/{id}/payment")]
async fn pay() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[single_use]
#[require_scope("orders:write")]
#[require_role("accountant")]
#[post("/orders/{id}/refund")]
async fn refund() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(pay).service(refund));
}
