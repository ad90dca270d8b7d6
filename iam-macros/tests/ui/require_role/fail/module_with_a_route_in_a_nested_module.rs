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

    pub mod nested {
        use actix_web::{HttpResponse, get};

        #[get("/x")]
        pub async fn handler() -> HttpResponse {
            HttpResponse::Ok().finish()
        }
    }
}

fn main() {}
