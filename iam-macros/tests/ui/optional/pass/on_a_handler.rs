use actix_web::{App, HttpResponse, get};
use iam_actix::optional;

#[optional]
#[get("/catalogue")]
async fn catalogue() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(catalogue));
}
