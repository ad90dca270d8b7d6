use actix_web::{App, HttpResponse, get};
use iam_actix::{require_scope, transport};

#[transport("cookie-or-bearer")]
#[require_scope("orders:read")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(handler));
}
