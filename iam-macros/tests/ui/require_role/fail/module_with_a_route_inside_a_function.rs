use actix_web::scope;
use iam_actix::require_role;

#[require_role("admin")]
#[scope("/admin")]
pub mod admin {
    use actix_web::{HttpResponse, get};

    #[get("/x")]
    pub async fn handler() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    pub fn configure(config: &mut actix_web::web::ServiceConfig) {
        #[get("/hidden")]
        async fn hidden() -> HttpResponse {
            HttpResponse::Ok().finish()
        }
        config.service(hidden);
    }
}

fn main() {}
