use actix_web::scope;
use iam_actix::public;

#[scope("/open")]
#[public]
pub mod open {
    use actix_web::{HttpResponse, get};

    #[get("/x")]
    pub async fn handler() -> HttpResponse {
        HttpResponse::Ok().finish()
    }
}

fn main() {}
