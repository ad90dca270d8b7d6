use actix_web::scope;
use iam_actix::require_role;

#[require_role("admin")]
#[scope("/admin")]
pub mod admin {
    use actix_web::{HttpResponse, get, post as send};

    #[get("/x")]
    pub async fn handler() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    #[send("/y")]
    pub async fn other() -> HttpResponse {
        HttpResponse::Ok().finish()
    }
}

fn main() {}
