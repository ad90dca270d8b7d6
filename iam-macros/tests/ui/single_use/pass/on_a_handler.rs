use actix_web::{App, HttpResponse, post};
use iam_actix::single_use;

#[single_use]
#[post("/orders")]
async fn order() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(order));
}
