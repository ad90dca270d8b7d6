use actix_web::{App, HttpResponse, get};
use iam_actix::{optional, transport};

#[optional]
#[transport("oauth2", "cookie-or-bearer", "custom:api-key")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(handler));
}
