//! Creation and display of login and registration flows.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::{
    answer::{Refusal, accepts_json, json, query, redirect},
    csrf::{self, CsrfToken},
    flow::{Flow, Kind, Surroundings},
    identity::Identity,
    schema::Schema,
    second_factor::{first_factor_required, requested_aal},
    session::{Aal, Presented},
    shared::Shared,
};

/// Starts a native flow.
pub(crate) fn start_native(kind: Kind, shared: &Shared, request: &HttpRequest) -> Answer {
    let mut flow = new_flow(kind, shared, request)?;
    join_session(&mut flow, shared, request)?;
    Ok(show_new(shared, flow))
}

/// Starts a browser flow: a redirect to the form's page, or JSON for a script.
pub(crate) fn start_browser(kind: Kind, shared: &Shared, request: &HttpRequest, token: &CsrfToken) -> Answer {
    let page = !accepts_json(request.headers());
    let mut flow = new_flow(kind, shared, request)?;
    flow.browser = true;
    flow.csrf_token = token.mask()?;
    if let Err(refusal) = join_session(&mut flow, shared, request) {
        // A person who is logged in does not need the login page.
        return if page {
            Ok(redirect(
                StatusCode::SEE_OTHER,
                return_url(shared, &flow).as_str(),
            ))
        } else {
            Err(refusal)
        };
    }
    if page {
        let target = page_of(shared, &flow);
        shared.store().add_flow(flow);
        return Ok(redirect(StatusCode::SEE_OTHER, &target));
    }
    Ok(show_new(shared, flow))
}

/// Shows a flow again. A browser flow is shown only to the browser that started it.
pub(crate) fn get(kind: Kind, shared: &Shared, request: &HttpRequest, token: &CsrfToken) -> Answer {
    let id = query(request, "id").and_then(|id| Uuid::try_parse(&id).ok());
    let flow = id.and_then(|id| shared.store().flow(id).cloned());
    let flow = flow
        .filter(|flow| flow.kind == kind)
        .ok_or_else(Refusal::not_found)?;

    if flow.browser && !token.matches(&flow.csrf_token) {
        return Err(csrf::violation(request, &shared.csrf_cookie, false));
    }
    if flow.has_expired(shared.now()) {
        return Err(gone(shared, &flow));
    }
    show(shared, &flow, StatusCode::OK)
}

/// Returns the error for an expired flow, with the URL that starts a new one.
pub(super) fn gone(shared: &Shared, flow: &Flow) -> Refusal {
    let (start, name) = (
        format!("{}self-service/{}", shared.public_url, flow.kind.name()),
        flow.kind.name(),
    );
    let details = if flow.browser {
        json!({"redirect_to": format!("{start}/browser")})
    } else {
        json!({"api": format!("{start}/api")})
    };
    let reason = format!(
        "The {name} flow has expired. Call the {name} flow init API endpoint to initialize a new {name} flow."
    );
    let text =
        "The requested resource is no longer available because it has expired or is otherwise invalid.";
    let gone = Refusal::new(StatusCode::GONE, text).id(EXPIRED).reason(reason);
    gone.details(details)
}

/// Returns the URL of the redirect at the end of the flow.
pub(crate) fn return_url(shared: &Shared, flow: &Flow) -> Url {
    flow.return_to
        .clone()
        .unwrap_or_else(|| shared.config.default_return_url.clone())
}

/// Returns the URL in `return_to` if the configuration allows it.
pub(crate) fn return_to(shared: &Shared, request: &HttpRequest) -> Result<Option<Url>, Refusal> {
    let Some(text) = query(request, "return_to").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let refuse = |reason: String| Refusal::bad_request(reason).id("self_service_flow_return_to_forbidden");
    let forbidden = || refuse(format!("Requested return_to URL \"{text}\" is not allowed."));
    let url = shared
        .config
        .default_return_url
        .join(&text)
        .map_err(|_| forbidden())?;
    // The flow keeps the URL for minutes.
    if url.as_str().len() > MAX_RETURN_TO {
        let reason = format!("Requested return_to URL is longer than {MAX_RETURN_TO} bytes.");
        return Err(refuse(reason));
    }
    let allowed = |allowed: &Url| {
        url.scheme() == allowed.scheme()
            && url.host() == allowed.host()
            && url.port_or_known_default() == allowed.port_or_known_default()
            && url.path().starts_with(allowed.path())
    };
    // People mistake a name before `@` for the host.
    if url.username().is_empty()
        && url.password().is_none()
        && shared.config.allowed_return_urls.iter().any(allowed)
    {
        Ok(Some(url))
    } else {
        Err(forbidden())
    }
}

pub(crate) type Answer = Result<HttpResponse, Refusal>;

pub(super) fn new_flow(kind: Kind, shared: &Shared, request: &HttpRequest) -> Result<Flow, Refusal> {
    let return_to = return_to(shared, request)?;
    let mut url = shared.public_url.clone();
    url.set_path(request.path());
    // A flow is kept for minutes, so the length of its query is limited.
    url.set_query(Some(request.query_string()).filter(|query| !query.is_empty() && query.len() <= MAX_QUERY));
    let flow = Flow::new(
        kind,
        shared.now(),
        kind.config(&shared.config).lifespan,
        url.into(),
    );
    Ok(Flow { return_to, ..flow })
}

/// Connects a new flow with the session of the caller: `refresh` asks for the password again, and `aal` for the second
/// factor. Rejects the request if the session already has the requested level.
fn join_session(flow: &mut Flow, shared: &Shared, request: &HttpRequest) -> Result<(), Refusal> {
    let wanted = match flow.kind {
        Kind::Login => requested_aal(&query(request, "aal").unwrap_or_default())?,
        Kind::Registration | Kind::Settings => Aal::Aal1,
    };
    let presented = Presented::by(request, &shared.cookie_keys);
    let store = shared.store();
    let Some((session, person)) = presented.find(&store, shared.now()) else {
        return if wanted == Aal::Aal1 {
            Ok(())
        } else {
            Err(first_factor_required())
        };
    };
    flow.requested_aal = wanted;
    flow.person = Some(person.id);
    let refresh =
        flow.kind == Kind::Login && query(request, "refresh").is_some_and(|refresh| refresh == "true");
    if refresh {
        flow.refresh = Some(identifier_of(person));
        Ok(())
    } else if session.aal() < wanted {
        Ok(())
    } else {
        Err(already_logged_in(flow.kind))
    }
}

fn identifier_of(identity: &Identity) -> String {
    identity.password_identifiers.first().cloned().unwrap_or_default()
}

pub(super) fn already_logged_in(kind: Kind) -> Refusal {
    let reason = match kind {
        Kind::Login => {
            "A valid session was detected and thus login is not possible. Did you forget to set `?refresh=true`?"
        }
        Kind::Registration | Kind::Settings => {
            "A valid session was detected and thus registration is not possible."
        }
    };
    Refusal::new(StatusCode::BAD_REQUEST, "you are already logged in")
        .id("session_already_available")
        .reason(reason)
}

fn show_new(shared: &Shared, flow: Flow) -> HttpResponse {
    let answer = show(shared, &flow, StatusCode::OK);
    shared.store().add_flow(flow);
    answer.unwrap_or_else(|refusal| actix_web::ResponseError::error_response(&refusal))
}

/// Answers with a flow. The store must not be locked.
pub(super) fn show(shared: &Shared, flow: &Flow, status: StatusCode) -> Answer {
    let schema: &Schema = shared
        .default_schema()
        .ok_or_else(|| Refusal::internal("no schema"))?;
    let person = flow
        .person
        .and_then(|id| shared.store().identity(id).map(Arc::clone));
    let around = Surroundings {
        public_url: &shared.public_url,
        schema,
        person: person.as_deref(),
        methods: shared.config.settings.methods,
    };
    Ok(json(status, &flow.json(around)))
}

pub(super) fn page_of(shared: &Shared, flow: &Flow) -> String {
    let mut url = flow.kind.config(&shared.config).ui_url.clone();
    url.query_pairs_mut().append_pair("flow", &flow.id.to_string());
    url.into()
}

pub(super) const EXPIRED: &str = "self_service_flow_expired";
const MAX_QUERY: usize = 2048;
/// Kratos limits it only by the length of the request line.
const MAX_RETURN_TO: usize = 2048;
