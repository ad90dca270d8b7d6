//! session-api: browsers by cookie, applications by session token, machines by access token; no gateway in front.
//!
//! ```text
//! GET    /health           public
//! GET    /feed             {"user": null}, or the subject of the caller's session
//! GET    /welcome          only without a session
//! GET    /me               the caller's session
//! GET    /notes            the caller's notes
//! POST   /notes            writes a note
//! GET    /reports/{id}     needs the permission `view` on `reports:{id}`
//! DELETE /account          deletes the identity; needs a second factor and a login of the last 15 minutes
//! POST   /logout           revokes the caller's session
//! GET    /jobs             access tokens with the scope `jobs:read`
//! POST   /jobs             access tokens with the scope `jobs:write`
//! ```

mod notes;
pub mod world;
mod walk;

use actix_web::{
    App, HttpResponse, Responder, delete, get,
    http::StatusCode,
    post,
    web::{self, Data, Json, JsonConfig, ServiceConfig},
};
use iam_actix::{
    AdminError, Body, Iam, Identity, Ports, Principal, ProblemDetails, RequestId, Session, TenantServices,
    anonymous, optional, principal, public, require_aal, require_fresh_session, require_permission,
    require_scope, transport,
};
use serde::Deserialize;
use serde_json::{Value, json};
pub use service::Config;
use service::{BoxError, Running};

pub use crate::{
    notes::{NewNote, Note, Notes, NotesFull},
    walk::walk,
};

#[public]
#[get("/health")]
async fn health() -> impl Responder {
    Json(json!({ "status": "ok" }))
}

#[optional]
#[get("/feed")]
async fn feed(user: Option<Identity>) -> impl Responder {
    Json(json!({ "user": user.as_deref().map(|user| user.subject().to_owned()) }))
}

#[anonymous]
#[get("/welcome")]
async fn welcome() -> impl Responder {
    Json(json!({ "message": "welcome" }))
}

/// What the identity's schema says about people.
#[derive(Clone, Debug, Deserialize)]
struct Traits {
    email: Option<String>,
}

#[get("/me")]
async fn me(session: Session) -> impl Responder {
    let methods = session.authentication_methods().iter();
    let methods: Vec<_> = methods.map(|method| method.method.clone()).collect();
    let email = session.traits::<Traits>().ok().and_then(|traits| traits.email);
    Json(json!({
        "subject": session.identity_id(),
        "email": email,
        "aal": session.aal().as_str(),
        "session": session.id(),
        "methods": methods,
    }))
}

#[get("/notes")]
async fn list_notes(user: Identity, notes: Data<Notes>) -> impl Responder {
    Json(json!({ "user": user.subject(), "notes": notes.of(user.subject()) }))
}

#[post("/notes")]
async fn write_note(
    user: Identity,
    Body(Json(note)): Body<Json<NewNote>>,
    notes: Data<Notes>,
) -> Result<HttpResponse, ProblemDetails> {
    let note = notes
        .write(user.subject(), note)
        .map_err(|NotesFull| NO_MORE_NOTES)?;
    Ok(HttpResponse::Created().json(note))
}

#[require_permission(namespace = "reports", relation = "view", object = "{id}")]
#[get("/reports/{id}")]
async fn report(id: web::Path<String>) -> impl Responder {
    Json(json!({ "id": *id }))
}

#[require_aal("aal2")]
#[require_fresh_session("15m")]
#[delete("/account")]
async fn delete_account(
    user: Identity,
    id: RequestId,
    notes: Data<Notes>,
    tenant: Data<TenantServices>,
) -> Result<HttpResponse, ProblemDetails> {
    let identities = tenant.identities().ok_or(UNAVAILABLE)?;
    match identities.delete(user.subject(), id.as_str()).await {
        // Somebody else deleted it first.
        Ok(()) | Err(AdminError::NotFound) => {}
        Err(_) => return Err(UNAVAILABLE),
    }
    notes.forget(user.subject());
    Ok(HttpResponse::NoContent().finish())
}

#[post("/logout")]
async fn log_out(
    session: Session,
    id: RequestId,
    tenant: Data<TenantServices>,
) -> Result<HttpResponse, ProblemDetails> {
    let sessions = tenant.sessions().ok_or(UNAVAILABLE)?;
    sessions
        .revoke(session.id(), id.as_str())
        .await
        .map_err(|_| UNAVAILABLE)?;
    Ok(HttpResponse::NoContent().finish())
}

#[transport("oauth2")]
#[require_scope("jobs:read")]
#[get("/jobs")]
async fn jobs(caller: Principal) -> impl Responder {
    Json(callers(&caller))
}

/// The body of a request that starts a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewJob {
    name: String,
}

#[transport("oauth2")]
#[require_scope("jobs:write")]
#[post("/jobs")]
async fn start_job(caller: Principal, Body(Json(job)): Body<Json<NewJob>>) -> impl Responder {
    let mut answer = callers(&caller);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("name".to_owned(), job.name.into());
    }
    HttpResponse::Created().json(answer)
}

/// Tells a machine from a person who acts through a client.
fn callers(caller: &Principal) -> Value {
    match &**caller {
        principal::Principal::Client(client) => json!({ "client": client.client_id(), "user": null }),
        principal::Principal::Identity(user) => {
            json!({ "client": user.acting_client(), "user": user.subject() })
        }
    }
}

/// Adds the routes of the service.
pub fn routes(app: &mut ServiceConfig) {
    app.service(health)
        .service(feed)
        .service(welcome)
        .service(me)
        .service(list_notes)
        .service(write_note)
        .service(report)
        .service(delete_account)
        .service(log_out)
        .service(jobs)
        .service(start_job);
}

/// Starts the service, on port 3003 of 127.0.0.1 unless configured. It serves while the returned value is awaited.
///
/// # Errors
///
/// When the configuration or a policy is wrong, with every problem, or when the address is in use.
pub async fn run(config: Config, ports: Ports) -> Result<Running, BoxError> {
    let notes = Data::new(Notes::default());

    service::serve(config.or_port(3003), ports, |iam: &Iam| {
        let tenant = Data::new(iam.default_tenant());
        let iam = iam.clone();
        Ok(move || {
            App::new()
                .wrap(iam.middleware())
                .app_data(notes.clone())
                .app_data(tenant.clone())
                .app_data(JsonConfig::default().limit(LARGEST_BODY))
                .configure(routes)
        })
    })
    .await
}

const NO_MORE_NOTES: ProblemDetails =
    ProblemDetails::new(StatusCode::INSUFFICIENT_STORAGE).detail("there is no room for another note");
/// Kratos did not confirm what it was asked for. The caller may try again.
const UNAVAILABLE: ProblemDetails = ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE);
/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 << 10;
