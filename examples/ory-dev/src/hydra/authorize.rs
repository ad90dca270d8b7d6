//! The authorization endpoint, which sends the browser to login, to consent, and back to the application with a code.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Data,
};
use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{
    answer::{Answer, Refusal},
    client::{AuthMethod, Client},
    flow::{AuthorizationRequest, BrowserSession, Consent, ConsentAnswer, Flow, Login, Stage},
    form::Form,
    secret,
    shared::Shared,
    store::{Code, Grant},
    token::{check_audience, check_scopes},
};
use crate::kratos::{clock::Moment, cookie};

/// Answers `GET /oauth2/auth`.
pub(crate) async fn authorize(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let query = Form::parse(request.query_string().as_bytes());
    let (login, consent) = (query.text("login_verifier"), query.text("consent_verifier"));
    if !login.is_empty() {
        return after_login(&shared, &request, login);
    }
    if !consent.is_empty() {
        return after_consent(&shared, &request, consent);
    }
    start(&shared, &request, query)
}

/// Answers `GET /oauth2/fallbacks/error`: the page for errors that must not be redirected to an application.
pub(crate) async fn error_page(request: HttpRequest) -> HttpResponse {
    let query = Form::parse(request.query_string().as_bytes());
    let text = format!("{}: {}\n", query.text("error"), query.text("error_description"));
    HttpResponse::InternalServerError()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text)
}

/// Answers `GET /oauth2/sessions/logout` of a browser that is not logged in.
pub(crate) async fn logout(shared: Data<Shared>) -> Answer {
    Ok(found(&shared.url("oauth2/fallbacks/logout/callback")))
}

/// Checks an authorization request and redirects the browser to the login application.
fn start(shared: &Shared, request: &HttpRequest, query: Form) -> Answer {
    let client = shared.store().client(query.text("client_id")).map(Arc::clone);
    let Some(client) = client else {
        let hint = "The requested OAuth 2.0 Client does not exist.";
        return to_error_page(shared, &Refusal::invalid_client().hint(hint));
    };
    let Some(redirect_uri) = redirect_uri(&client, query.text("redirect_uri")) else {
        let hint = "The 'redirect_uri' parameter does not match any of the OAuth 2.0 Client's pre-registered redirect \
                    urls.";
        return to_error_page(shared, &Refusal::invalid_request().hint(hint));
    };
    let state = query.text("state").to_owned();
    let challenge = match check(shared, &client, &query) {
        Ok(challenge) => challenge,
        Err(refusal) => return to_client_with_error(&redirect_uri, &state, &refusal),
    };

    let now = shared.now();
    let session = cookie(request, SESSION_COOKIE)
        .filter(|_| query.text("prompt") != "login")
        .and_then(|cookie| shared.store().session(&cookie, now).cloned());
    if session.is_none() && query.text("prompt") == "none" {
        let text = "The Authorization Server requires End-User authentication.";
        let refusal = Refusal::chosen("login_required".into(), text.into());
        return to_client_with_error(&redirect_uri, &state, &refusal);
    }
    let login = Stage::new(secret::opaque()?, secret::opaque()?);
    let csrf_cookie = csrf_cookie(shared, "login", &client.id, &login.csrf);
    let target = with_query(&shared.config.login_url, "login_challenge", &login.challenge);
    let flow = Flow {
        id: Uuid::new_v4(),
        expires_at: now.after(shared.config.lifespans.login_consent_request),
        login,
        consent: Stage::new(String::new(), String::new()),
        consent_request_id: Uuid::new_v4(),
        session_id: session.as_ref().map_or_else(Uuid::new_v4, |session| session.id),
        authenticated_at: session.as_ref().map_or(now, |session| session.authenticated_at),
        remembered: session.map(|session| session.subject),
        is_consent_remembered: false,
        request: AuthorizationRequest {
            client: client.id.clone(),
            redirect_uri: redirect_uri.into(),
            scopes: query.words("scope"),
            audience: query.words("audience"),
            state,
            nonce: Some(query.text("nonce").to_owned()).filter(|nonce| !nonce.is_empty()),
            challenge,
            url: format!("{}?{}", shared.url("oauth2/auth"), request.query_string()),
            query: query.into_pairs(),
        },
    };
    shared.store().add_flow(flow);
    Ok(with_cookies(found(&target), &[csrf_cookie]))
}

/// Checks the parameters whose errors are redirected to the application, and returns the code challenge.
fn check(shared: &Shared, client: &Client, query: &Form) -> Result<Option<String>, Refusal> {
    if query.text("state").len() < MIN_STATE {
        return Err(Refusal::invalid_state().hint(format!(
            "Request parameter 'state' must be at least be {MIN_STATE} characters long to ensure sufficient entropy."
        )));
    }
    let response_type = query.text("response_type");
    if response_type != "code" || !client.may_use_response_type(response_type) {
        let hint = format!("The client is not allowed to request response_type '{response_type}'.");
        return Err(Refusal::unsupported_response_type().hint(hint));
    }
    check_scopes(shared, client, &query.words("scope"))?;
    check_audience(client, &query.words("audience"))?;

    let challenge = query.text("code_challenge");
    let policy = shared.config.pkce;
    if challenge.is_empty() {
        let must = policy.for_all || (policy.for_public_clients && client.auth_method() == AuthMethod::None);
        return if must {
            Err(Refusal::invalid_request().hint("Clients must include a code_challenge when performing the authorize code flow, but it is missing."))
        } else {
            Ok(None)
        };
    }
    if query.text("code_challenge_method") != "S256" {
        let hint = "Clients must use code_challenge_method=S256, plain is not allowed.";
        return Err(Refusal::invalid_request().hint(hint));
    }
    Ok(Some(challenge.to_owned()))
}

/// Continues after the login application has answered.
fn after_login(shared: &Shared, request: &HttpRequest, verifier: &str) -> Answer {
    let now = shared.now();
    let mut store = shared.store();
    let Some(flow) = store.flow_mut(now, |flow| flow.login.verifier.as_deref() == Some(verifier)) else {
        return to_error_page(shared, &unknown_verifier("login"));
    };
    if !has_csrf_cookie(request, "login", &flow.request.client, &flow.login.csrf) {
        let hint = "No CSRF value available in the session cookie.";
        return redirect_with_error(&flow.request, &Refusal::request_forbidden().hint(hint));
    }
    flow.login.take(verifier);
    let login = match flow.login.answer.clone() {
        Some(Ok(login)) => login,
        Some(Err(rejection)) => {
            let refusal = Refusal::chosen(rejection.error, rejection.description);
            return redirect_with_error(&flow.request, &refusal);
        }
        None => return to_error_page(shared, &unknown_verifier("login")),
    };

    if flow.remembered.is_none() {
        flow.authenticated_at = now;
    }
    flow.consent = Stage::new(secret::opaque()?, secret::opaque()?);
    let target = with_query(
        &shared.config.consent_url,
        "consent_challenge",
        &flow.consent.challenge,
    );
    let mut cookies = vec![csrf_cookie(
        shared,
        "consent",
        &flow.request.client,
        &flow.consent.csrf,
    )];
    let flow = flow.clone();
    let is_remembered = store
        .consents
        .iter()
        .any(|consent| consent.covers(&flow.request, &login.subject, now));
    let skips = store
        .client(&flow.request.client)
        .is_some_and(|client| client.skips_consent());
    if let Some(stored) = store.flow_mut(now, |stored| stored.id == flow.id) {
        stored.is_consent_remembered = is_remembered || skips;
    }
    if let (Some(seconds), None) = (login.remember, &flow.remembered) {
        let lifespan = Duration::from_secs(if seconds == 0 { FOREVER } else { seconds });
        let session = BrowserSession {
            id: flow.session_id,
            subject: login.subject.clone(),
            authenticated_at: flow.authenticated_at,
            expires_at: now.after(lifespan),
        };
        let value = secret::opaque()?;
        cookies.insert(0, set_cookie(SESSION_COOKIE, &value, now, lifespan));
        store.add_session(value, session);
    }
    Ok(with_cookies(found(&target), &cookies))
}

/// Continues after the consent application has answered: issues the code.
fn after_consent(shared: &Shared, request: &HttpRequest, verifier: &str) -> Answer {
    let now = shared.now();
    let mut store = shared.store();
    let Some(flow) = store.flow_mut(now, |flow| flow.consent.verifier.as_deref() == Some(verifier)) else {
        return to_error_page(shared, &unknown_verifier("consent"));
    };
    if !has_csrf_cookie(request, "consent", &flow.request.client, &flow.consent.csrf) {
        let hint = "No CSRF value available in the session cookie.";
        return redirect_with_error(&flow.request, &Refusal::request_forbidden().hint(hint));
    }
    flow.consent.take(verifier);
    let flow = flow.clone();
    store.remove_flow(flow.id);
    let (login, consent) = match (flow.login.answer.clone(), flow.consent.answer.clone()) {
        (Some(Ok(login)), Some(Ok(consent))) => (login, consent),
        (Some(Err(rejection)), _) | (_, Some(Err(rejection))) => {
            let refusal = Refusal::chosen(rejection.error, rejection.description);
            return redirect_with_error(&flow.request, &refusal);
        }
        (_, _) => return to_error_page(shared, &unknown_verifier("consent")),
    };

    if let Some(seconds) = consent.remember {
        let lifespan = Duration::from_secs(seconds);
        store.add_consent(Consent {
            subject: login.subject.clone(),
            client: flow.request.client.clone(),
            scopes: consent.scopes.clone(),
            audience: consent.audience.clone(),
            expires_at: (seconds > 0).then(|| now.after(lifespan)),
        });
    }
    let text = shared.mint.token("ory_ac_")?;
    let scope = consent.scopes.join(" ");
    let code = Code {
        grant: Arc::new(grant_of(shared, &flow, &login, consent, now)),
        redirect_uri: flow.request.redirect_uri.clone(),
        challenge: flow.request.challenge.clone(),
        is_challenge_spent: false,
        is_used: false,
        expires_at: now.after(shared.config.lifespans.auth_code),
    };
    store.add_code(text.clone(), code);
    to_client(
        &flow.request.redirect_uri,
        &[("code", &text), ("scope", &scope), ("state", &flow.request.state)],
    )
}

fn grant_of(shared: &Shared, flow: &Flow, login: &Login, consent: ConsentAnswer, now: Moment) -> Grant {
    let mut claims: Map<String, Value> = consent.id_token;
    for (name, value) in [
        ("aud", json!([flow.request.client])),
        ("auth_time", json!(flow.authenticated_at.unix_seconds())),
        ("iat", json!(now.unix_seconds())),
        ("iss", json!(shared.issuer)),
        ("rat", json!(now.unix_seconds())),
        ("sid", json!(flow.session_id.to_string())),
        ("sub", json!(login.subject)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    // Go omits empty values.
    if !login.acr.is_empty() {
        claims.insert("acr".into(), login.acr.as_str().into());
    }
    if !login.amr.is_empty() {
        claims.insert("amr".into(), json!(login.amr));
    }
    if let Some(nonce) = &flow.request.nonce {
        claims.insert("nonce".into(), nonce.as_str().into());
    }
    Grant {
        id: Uuid::new_v4(),
        client: flow.request.client.clone(),
        subject: login.subject.clone(),
        scopes: consent.scopes,
        audience: consent.audience,
        ext: consent.access_token,
        id_claims: Some(claims),
    }
}

fn redirect_uri(client: &Client, asked: &str) -> Option<Url> {
    let mut registered = client.redirect_uris();
    let chosen = if asked.is_empty() {
        let only = registered.next();
        only.filter(|_| registered.next().is_none())
    } else {
        registered.find(|own| *own == asked)
    };
    Url::parse(chosen?).ok()
}

fn unknown_verifier(stage: &str) -> Refusal {
    Refusal::access_denied().hint(format!(
        "The {stage} verifier has already been used, has not been granted, or is invalid."
    ))
}

fn to_error_page(shared: &Shared, refusal: &Refusal) -> Answer {
    to_client(
        &shared.url("oauth2/fallbacks/error"),
        &[
            ("error", refusal.error()),
            ("error_description", refusal.description()),
        ],
    )
}

fn redirect_with_error(request: &AuthorizationRequest, refusal: &Refusal) -> Answer {
    match Url::parse(&request.redirect_uri) {
        Ok(url) => to_client_with_error(&url, &request.state, refusal),
        Err(_) => Err(Refusal::server_error()),
    }
}

fn to_client_with_error(redirect_uri: &Url, state: &str, refusal: &Refusal) -> Answer {
    to_client(
        redirect_uri.as_str(),
        &[
            ("error", refusal.error()),
            ("error_description", refusal.description()),
            ("state", state),
        ],
    )
}

/// Redirects the browser to the application; caches must not keep the answer.
fn to_client(url: &str, pairs: &[(&str, &str)]) -> Answer {
    let mut url = Url::parse(url).map_err(|_| Refusal::server_error())?;
    url.query_pairs_mut().extend_pairs(pairs);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, url.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .finish())
}

fn with_query(url: &Url, name: &str, value: &str) -> String {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair(name, value);
    url.into()
}

fn found(target: &str) -> HttpResponse {
    crate::kratos::redirect(StatusCode::FOUND, target)
}

fn with_cookies(mut answer: HttpResponse, cookies: &[String]) -> HttpResponse {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    answer
}

/// The cookie that binds a login or consent request to the browser that started it.
fn csrf_cookie(shared: &Shared, stage: &str, client: &str, value: &str) -> String {
    let lifespan = shared.config.lifespans.login_consent_request;
    set_cookie(&csrf_cookie_name(stage, client), value, shared.now(), lifespan)
}

fn has_csrf_cookie(request: &HttpRequest, stage: &str, client: &str, expected: &str) -> bool {
    cookie(request, &csrf_cookie_name(stage, client))
        .is_some_and(|value| verify_slices_are_equal(value.as_bytes(), expected.as_bytes()).is_ok())
}

/// Each client has its own cookie, so that a browser can run flows of two applications at the same time.
fn csrf_cookie_name(stage: &str, client: &str) -> String {
    let hash = digest::digest(&digest::SHA256, client.as_bytes());
    let number = hash
        .as_ref()
        .iter()
        .take(4)
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("ory_hydra_{stage}_csrf_dev_{number}")
}

fn set_cookie(name: &str, value: &str, now: Moment, lifespan: Duration) -> String {
    let (expires, seconds) = (now.after(lifespan).http_date(), lifespan.as_secs());
    format!("{name}={value}; Path=/; Expires={expires}; Max-Age={seconds}; HttpOnly; SameSite=Lax")
}

const SESSION_COOKIE: &str = "ory_hydra_session_dev";

const MIN_STATE: usize = 8;

/// One year, for logins that are remembered without an expiry.
const FOREVER: u64 = 365 * 24 * 60 * 60;
