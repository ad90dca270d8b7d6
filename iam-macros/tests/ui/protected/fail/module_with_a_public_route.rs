use actix_web::scope;
use iam_actix::protected;

#[protected]
#[scope("/account")]
pub mod account {
    use actix_web::{HttpResponse, get};

    use iam_actix::public;

    #[public]
    #[get("/x")]
    pub async fn handler() -> HttpResponse {
        HttpResponse::Ok().finish()
    }
}

fn main() {}
