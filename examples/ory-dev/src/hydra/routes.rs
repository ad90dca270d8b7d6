//! The routes of both interfaces, and the headers of all answers.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    middleware::{Next, from_fn},
    web::{self, Data, ServiceConfig},
};
use serde_json::json;

use super::{answer, authorize, clients, discovery, introspect, requests, shared::Shared, token};

/// Adds the routes of the public interface.
pub(crate) fn public(app: &mut ServiceConfig) {
    let scope = web::scope("")
        .wrap(from_fn(frame))
        .route("/oauth2/token", web::post().to(token::issue))
        .route("/oauth2/revoke", web::post().to(token::revoke))
        .route("/oauth2/auth", web::get().to(authorize::authorize))
        .route("/oauth2/fallbacks/error", web::get().to(authorize::error_page))
        .route("/oauth2/sessions/logout", web::get().to(authorize::logout))
        .route("/userinfo", web::get().to(discovery::userinfo))
        .route("/.well-known/jwks.json", web::get().to(discovery::key_set))
        .route(
            "/.well-known/openid-configuration",
            web::get().to(discovery::openid_configuration),
        )
        .configure(common)
        .default_service(web::to(answer::no_such_page));
    app.service(scope);
}

/// Adds the routes of the admin interface.
pub(crate) fn admin(app: &mut ServiceConfig) {
    let requests_scope = web::scope("/admin/oauth2/auth/requests")
        .route("/login", web::get().to(requests::login))
        .route("/login/accept", web::put().to(requests::accept_login))
        .route("/login/reject", web::put().to(requests::reject_login))
        .route("/consent", web::get().to(requests::consent))
        .route("/consent/accept", web::put().to(requests::accept_consent))
        .route("/consent/reject", web::put().to(requests::reject_consent))
        .route("/logout", web::get().to(requests::logout));
    let scope = web::scope("")
        .wrap(from_fn(frame))
        .service(
            web::resource("/admin/clients")
                .route(web::get().to(clients::list))
                .route(web::post().to(clients::create)),
        )
        .service(
            web::resource("/admin/clients/{id}")
                .route(web::get().to(clients::get))
                .route(web::patch().to(clients::patch))
                .route(web::put().to(clients::replace))
                .route(web::delete().to(clients::delete)),
        )
        .route(
            "/admin/clients/{id}/lifespans",
            web::put().to(clients::set_lifespans),
        )
        .route("/admin/oauth2/introspect", web::post().to(introspect::introspect))
        .route("/admin/oauth2/tokens", web::delete().to(clients::delete_tokens))
        .route(
            "/admin/oauth2/auth/sessions/consent",
            web::delete().to(requests::revoke_consents),
        )
        .route(
            "/admin/oauth2/auth/sessions/login",
            web::delete().to(requests::revoke_logins),
        )
        .service(requests_scope)
        .configure(common)
        .default_service(web::to(crate::kratos::no_such_page));
    app.service(scope);
}

fn common(routes: &mut ServiceConfig) {
    for path in ["/health/alive", "/health/ready"] {
        routes.route(path, web::get().to(healthy));
    }
    routes.route("/version", web::get().to(version));
}

async fn healthy() -> HttpResponse {
    answer::json(StatusCode::OK, &json!({"status": "ok"}))
}

async fn version() -> HttpResponse {
    let version = concat!("v26.2.0-ory-dev-", env!("CARGO_PKG_VERSION"));
    answer::json(StatusCode::OK, &json!({ "version": version }))
}

/// Wraps every handler: forbids caching of answers to GET, and simulates outages.
async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let shared = request.app_data::<Data<Shared>>().cloned();
    if let Some(shared) = shared
        && let Some(answer) = shared.config.outage.answer().await
    {
        return Ok(request.into_response(answer));
    }
    let get = request.method() == Method::GET;
    let mut response = next.call(request).await?.map_into_boxed_body();
    if get && !response.headers().contains_key(header::CACHE_CONTROL) {
        let value = HeaderValue::from_static("private, no-cache, no-store, must-revalidate");
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    Ok(response)
}
