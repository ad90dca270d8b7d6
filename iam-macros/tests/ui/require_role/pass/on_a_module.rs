use actix_web::{App, scope};
use iam_actix::require_role;

#[require_role("admin")]
#[scope("/admin")]
mod admin {
    use actix_web::{HttpResponse, get};
    use iam_actix::single_use;

    #[get("/x")]
    pub(crate) async fn read() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    #[single_use]
    #[actix_web::routes]
    #[put("/x")]
    #[delete("/x")]
    pub(crate) async fn write() -> HttpResponse {
        HttpResponse::Ok().finish()
    }
}

fn main() {
    drop(App::new().service(admin::read).service(admin::write));
}
