//! The routes of both interfaces, and the headers of all answers.

use actix_web::{
    Error, HttpMessage as _, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::{Next, from_fn},
    web::{self, Data, Payload, ReqData, ServiceConfig},
};
use futures_util::future::ready;
use url::Url;

use super::{
    admin::{identities, sessions},
    answer::{self, Refusal},
    attempt,
    csrf::CsrfToken,
    flow::Kind,
    logout, self_service, settings,
    shared::Shared,
    whoami,
};

/// Adds the routes of the public interface.
pub(crate) fn public(app: &mut ServiceConfig) {
    let scope = web::scope("")
        .wrap(from_fn(frame_public))
        .configure(|routes| flow_routes(routes, Kind::Login))
        .configure(|routes| flow_routes(routes, Kind::Registration))
        .configure(settings_routes)
        .route("/self-service/logout/browser", web::get().to(logout::create))
        .route("/self-service/logout/api", web::delete().to(logout::native))
        .route("/self-service/logout", web::get().to(logout::submit))
        .service(
            // A gateway sends its session check with the method of the original request.
            web::resource("/sessions/whoami").route(web::to(whoami::whoami)),
        )
        .service(
            web::resource("/sessions")
                .route(web::get().to(whoami::list_mine))
                .route(web::delete().to(whoami::revoke_others)),
        )
        .route("/sessions/{id}", web::delete().to(whoami::revoke_mine))
        .route("/schemas", web::get().to(whoami::schemas))
        .route("/schemas/{id}", web::get().to(whoami::schema))
        .configure(common_routes)
        .route("/admin/{tail:.*}", web::to(to_admin))
        .default_service(web::to(answer::no_such_page));
    app.service(scope);
}

/// Adds the routes of the admin interface.
pub(crate) fn admin(app: &mut ServiceConfig) {
    let scope = web::scope("")
        .wrap(from_fn(frame_admin))
        .service(
            web::resource("/admin/identities")
                .route(web::get().to(identities::list))
                .route(web::post().to(identities::create)),
        )
        .service(
            web::resource("/admin/identities/{id}")
                .route(web::get().to(identities::get))
                .route(web::patch().to(identities::patch))
                .route(web::put().to(identities::replace))
                .route(web::delete().to(identities::delete)),
        )
        .service(
            web::resource("/admin/identities/{id}/sessions")
                .route(web::get().to(sessions::of_identity))
                .route(web::delete().to(sessions::delete_of_identity)),
        )
        .route("/admin/sessions", web::get().to(sessions::list))
        .service(
            web::resource("/admin/sessions/{id}")
                .route(web::get().to(sessions::get))
                .route(web::delete().to(sessions::revoke)),
        )
        .route("/admin/sessions/{id}/extend", web::patch().to(sessions::extend))
        .configure(common_routes)
        .route("/schemas", web::to(to_public))
        .route("/schemas/{tail:.*}", web::to(to_public))
        .route("/sessions/whoami", web::to(to_public))
        .route("/self-service/{tail:.*}", web::to(to_public))
        .default_service(web::to(answer::no_such_page));
    app.service(scope);
}

type State = Data<Shared>;

fn flow_routes(routes: &mut ServiceConfig, kind: Kind) {
    let path = format!("/self-service/{}", kind.name());
    routes
        .route(
            &path,
            web::post().to(
                move |shared: State, request: HttpRequest, token: ReqData<CsrfToken>, body: Payload| async move {
                    attempt::submit(kind, &shared, &request, &token, body).await
                },
            ),
        )
        .route(
            &format!("{path}/api"),
            web::get().to(move |shared: State, request: HttpRequest| {
                ready(self_service::start_native(kind, &shared, &request))
            }),
        )
        .route(
            &format!("{path}/browser"),
            web::get().to(
                move |shared: State, request: HttpRequest, token: ReqData<CsrfToken>| {
                    ready(self_service::start_browser(kind, &shared, &request, &token))
                },
            ),
        )
        .route(
            &format!("{path}/flows"),
            web::get().to(
                move |shared: State, request: HttpRequest, token: ReqData<CsrfToken>| {
                    ready(self_service::get(kind, &shared, &request, &token))
                },
            ),
        );
}

fn settings_routes(routes: &mut ServiceConfig) {
    routes
        .route(
            "/self-service/settings",
            web::post().to(
                async |shared: State, request: HttpRequest, token: ReqData<CsrfToken>, body: Payload| {
                    settings::submit(&shared, &request, &token, body).await
                },
            ),
        )
        .route(
            "/self-service/settings/api",
            web::get()
                .to(async |shared: State, request: HttpRequest| settings::start_native(&shared, &request)),
        )
        .route(
            "/self-service/settings/browser",
            web::get().to(
                async |shared: State, request: HttpRequest, token: ReqData<CsrfToken>| {
                    settings::start_browser(&shared, &request, &token)
                },
            ),
        )
        .route(
            "/self-service/settings/flows",
            web::get().to(
                async |shared: State, request: HttpRequest, token: ReqData<CsrfToken>| {
                    settings::get(&shared, &request, &token)
                },
            ),
        );
}

fn common_routes(routes: &mut ServiceConfig) {
    for path in ["/health/alive", "/health/ready"] {
        let resource = web::resource(path);
        routes.service(
            resource
                .route(web::get().to(answer::healthy))
                .route(web::head().to(answer::healthy)),
        );
    }
    routes.route("/version", web::get().to(answer::version));
}

async fn to_admin(shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    elsewhere(&shared.admin_url, &request)
}

async fn to_public(shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    elsewhere(&shared.public_url, &request)
}

fn elsewhere(base: &Url, request: &HttpRequest) -> HttpResponse {
    let mut target = base.clone();
    target.set_path(request.path());
    target.set_query(Some(request.query_string()).filter(|query| !query.is_empty()));
    answer::redirect(StatusCode::TEMPORARY_REDIRECT, target.as_str())
}

/// Wraps every handler of the public interface: caching, `Vary`, and the anti-CSRF cookie.
async fn frame_public(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let shared = request.app_data::<Data<Shared>>().cloned();
    let shared = shared.ok_or_else(|| Refusal::internal("no state"))?;
    let token = CsrfToken::of(request.request(), &shared.csrf_cookie)?;
    request.extensions_mut().insert(token);
    let health = request.path().starts_with("/health/");
    let hands_out = request.method() == Method::GET && !token.presented && hands_out_token(request.path());

    let mut response = frame_admin(request, next).await?;
    if health {
        return Ok(response);
    }
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Cookie"));
    let name = format!("{}=", shared.csrf_cookie);
    let mut set = response.headers().get_all(header::SET_COOKIE);
    let renewed = set.any(|value| value.as_bytes().starts_with(name.as_bytes()));
    if hands_out
        && !renewed
        && let Ok(value) = HeaderValue::from_str(&token.set_cookie(&shared.csrf_cookie))
    {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// Wraps every handler of the admin interface: forbids caching of answers to GET, and simulates outages.
async fn frame_admin(
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
    if get {
        let value = HeaderValue::from_static("private, no-cache, no-store, must-revalidate");
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let name = HeaderName::from_static("x-content-type-options");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("nosniff"));
    }
    Ok(response)
}

/// Returns whether answers of the path set the anti-CSRF cookie. Paths for native applications do not.
fn hands_out_token(path: &str) -> bool {
    let native = path.starts_with("/self-service/") && path.ends_with("/api");
    let elsewhere = ["/sessions", "/health/", "/admin/", "/version"];
    !native && !elsewhere.iter().any(|prefix| path.starts_with(prefix))
}
