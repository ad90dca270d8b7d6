use actix_web::{App, HttpResponse, get};
use iam_actix::require_role;

macro_rules! handler {
    ($name:ident, $path:literal, $role:literal) => {
        #[require_role($role)]
        #[get($path)]
        async fn $name() -> HttpResponse {
            HttpResponse::Ok().finish()
        }
    };
}

handler!(read, "/x", "reader");

fn main() {
    drop(App::new().service(read));
}
