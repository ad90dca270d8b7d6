use actix_web::{App, scope};
use iam_actix::protected;

#[protected]
#[scope("/account")]
mod account {
    use actix_web::{HttpResponse, get, put};
    use iam_actix::require_role;

    #[get("/x")]
    pub(crate) async fn read() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    #[require_role("admin")]
    #[put("/x")]
    pub(crate) async fn write() -> HttpResponse {
        HttpResponse::Ok().finish()
    }
}

fn main() {
    drop(App::new().service(account::read).service(account::write));
}
