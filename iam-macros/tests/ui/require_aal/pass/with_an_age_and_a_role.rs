use actix_web::{App, HttpResponse, get};
use iam_actix::{require_aal, require_fresh_session, require_role};

#[require_aal("aal2")]
#[require_fresh_session("15m")]
#[require_role("admin")]
#[get("/x")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(handler));
}
