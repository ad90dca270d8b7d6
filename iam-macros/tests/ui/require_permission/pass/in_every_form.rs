use actix_web::{App, HttpResponse, delete, get, patch};
use iam_actix::require_permission;

#[require_permission(object = "orders:{id}", namespace = "orders", relation = "view")]
#[get("/orders/{id}")]
async fn view() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[require_permission("CatProfile:{id}#owners@User:{user}")]
#[patch("/cats/{id}")]
async fn edit() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[require_permission(any(
    "CatProfile:{id}#owners@(User:{user})",
    all("Group:admin#members", "Group:staff#members@User:{user}"),
))]
#[delete("/cats/{id}")]
async fn remove() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[require_permission("CatProfile:{id}#owners", fresh)]
#[delete("/cats/{id}/photos")]
async fn clear() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    drop(App::new().service(view).service(edit).service(remove).service(clear));
}
