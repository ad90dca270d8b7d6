//! Login and consent requests at the admin interface.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal, json},
    flow::{ConsentAnswer, Flow, Login, Rejection},
    form::{Form, read_json},
    secret,
    shared::Shared,
    store::Store,
};

/// Answers `GET /admin/oauth2/auth/requests/login`.
pub(crate) async fn login(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let challenge = challenge_in(&request, "login_challenge");
    let mut store = shared.store();
    let flow = login_flow(&shared, &mut store, &challenge)?.clone();
    let mut body = shown(&store, &flow, &flow.login.challenge);
    body.insert("skip".into(), flow.remembered.is_some().into());
    body.insert(
        "subject".into(),
        flow.remembered.as_deref().unwrap_or_default().into(),
    );
    body.insert("session_id".into(), flow.session_id.to_string().into());
    Ok(json(StatusCode::OK, &Value::Object(body)))
}

/// Answers `PUT /admin/oauth2/auth/requests/login/accept`.
pub(crate) async fn accept_login(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let body = read_json(body).await?;
    let challenge = challenge_in(&request, "login_challenge");
    let mut store = shared.store();
    let flow = login_flow(&shared, &mut store, &challenge)?;
    let subject = text(&body, "subject");
    if subject.is_empty() {
        return Err(Refusal::invalid_request().hint("Field 'subject' must not be empty."));
    }
    if flow
        .remembered
        .as_deref()
        .is_some_and(|remembered| remembered != subject)
    {
        return Err(Refusal::invalid_request()
            .hint("Field 'subject' does not match subject from previous authentication."));
    }
    let login = Login {
        subject: subject.to_owned(),
        remember: remember(&body),
        acr: text(&body, "acr").to_owned(),
        amr: texts(&body, "amr"),
        context: body.get("context").cloned().unwrap_or_default(),
    };
    let verifier = secret::opaque()?;
    flow.login.answer = Some(Ok(login));
    flow.login.verifier = Some(verifier.clone());
    Ok(go_on(&shared, flow, "login_verifier", &verifier))
}

/// Answers `PUT /admin/oauth2/auth/requests/login/reject`.
pub(crate) async fn reject_login(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let body = read_json(body).await?;
    let challenge = challenge_in(&request, "login_challenge");
    let mut store = shared.store();
    let flow = login_flow(&shared, &mut store, &challenge)?;
    let verifier = secret::opaque()?;
    flow.login.answer = Some(Err(rejection(&body)));
    flow.login.verifier = Some(verifier.clone());
    Ok(go_on(&shared, flow, "login_verifier", &verifier))
}

/// Answers `GET /admin/oauth2/auth/requests/consent`.
pub(crate) async fn consent(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let challenge = challenge_in(&request, "consent_challenge");
    let mut store = shared.store();
    let flow = consent_flow(&shared, &mut store, &challenge)?.clone();
    let mut body = shown(&store, &flow, &flow.consent.challenge);
    let login = flow.login.answer.as_ref().and_then(|answer| answer.as_ref().ok());
    for (name, value) in [
        (
            "consent_request_id",
            json!(flow.consent_request_id.simple().to_string()),
        ),
        ("skip", json!(flow.is_consent_remembered)),
        ("subject", json!(login.map_or("", |login| login.subject.as_str()))),
        ("login_challenge", json!(flow.id.simple().to_string())),
        ("login_session_id", json!(flow.session_id.to_string())),
        ("acr", json!(login.map_or("", |login| login.acr.as_str()))),
        ("amr", json!(login.map_or(&[][..], |login| login.amr.as_slice()))),
        (
            "context",
            login.map_or(Value::Null, |login| login.context.clone()),
        ),
    ] {
        body.insert(name.to_owned(), value);
    }
    Ok(json(StatusCode::OK, &Value::Object(body)))
}

/// Answers `PUT /admin/oauth2/auth/requests/consent/accept`. Only scopes and audiences that the client requested are
/// granted.
pub(crate) async fn accept_consent(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let body = read_json(body).await?;
    let challenge = challenge_in(&request, "consent_challenge");
    let mut store = shared.store();
    let flow = consent_flow(&shared, &mut store, &challenge)?;
    let session = |name: &str| {
        let claims = body
            .get("session")
            .and_then(|session| session.get(name))
            .and_then(Value::as_object);
        claims.cloned().unwrap_or_default()
    };
    let asked = |granted: Vec<String>, asked: &[String]| -> Vec<String> {
        granted.into_iter().filter(|item| asked.contains(item)).collect()
    };
    let answer = ConsentAnswer {
        scopes: asked(texts(&body, "grant_scope"), &flow.request.scopes),
        audience: asked(
            texts(&body, "grant_access_token_audience"),
            &flow.request.audience,
        ),
        access_token: session("access_token"),
        id_token: session("id_token"),
        remember: remember(&body),
    };
    let verifier = secret::opaque()?;
    flow.consent.answer = Some(Ok(answer));
    flow.consent.verifier = Some(verifier.clone());
    Ok(go_on(&shared, flow, "consent_verifier", &verifier))
}

/// Answers `PUT /admin/oauth2/auth/requests/consent/reject`.
pub(crate) async fn reject_consent(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let body = read_json(body).await?;
    let challenge = challenge_in(&request, "consent_challenge");
    let mut store = shared.store();
    let flow = consent_flow(&shared, &mut store, &challenge)?;
    let verifier = secret::opaque()?;
    flow.consent.answer = Some(Err(rejection(&body)));
    flow.consent.verifier = Some(verifier.clone());
    Ok(go_on(&shared, flow, "consent_verifier", &verifier))
}

/// Answers `GET /admin/oauth2/auth/requests/logout`. This stand-in has no logout requests.
pub(crate) async fn logout() -> Answer {
    Err(Refusal::no_such_resource())
}

/// Answers `DELETE /admin/oauth2/auth/sessions/consent`: removes the consents of a subject and the tokens issued for them.
pub(crate) async fn revoke_consents(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let query = Form::parse(request.query_string().as_bytes());
    let subject = subject_in(&query)?;
    let (client, all) = (query.text("client"), query.text("all") == "true");
    if client.is_empty() && !all {
        return Err(Refusal::invalid_request().hint(
            "Query parameter both 'client' and 'all' is not defined but one of them should have been.",
        ));
    }
    let client = Some(client).filter(|client| !client.is_empty());
    shared.store().revoke_consents(subject, client);
    Ok(HttpResponse::NoContent().finish())
}

/// Answers `DELETE /admin/oauth2/auth/sessions/login`: removes the remembered logins of a subject.
pub(crate) async fn revoke_logins(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let query = Form::parse(request.query_string().as_bytes());
    shared.store().remove_sessions_of(subject_in(&query)?);
    Ok(HttpResponse::NoContent().finish())
}

fn subject_in(query: &Form) -> Result<&str, Refusal> {
    match query.text("subject") {
        "" => {
            Err(Refusal::invalid_request()
                .hint("Query parameter 'subject' is not defined but should have been."))
        }
        subject => Ok(subject),
    }
}

fn challenge_in(request: &HttpRequest, name: &str) -> String {
    Form::parse(request.query_string().as_bytes())
        .text(name)
        .to_owned()
}

/// Finds the flow whose login request is unanswered.
fn login_flow<'s>(shared: &Shared, store: &'s mut Store, challenge: &str) -> Result<&'s mut Flow, Refusal> {
    let flow = store.flow_mut(shared.now(), |flow| flow.login.challenge == challenge);
    let flow = flow.ok_or_else(Refusal::no_such_request)?;
    if flow.consent.challenge.is_empty() {
        Ok(flow)
    } else {
        let text = "The login request was already used and can no longer be changed.";
        Err(Refusal::admin(StatusCode::CONFLICT, "Conflict", text))
    }
}

/// Finds the flow whose consent request is unanswered.
fn consent_flow<'s>(shared: &Shared, store: &'s mut Store, challenge: &str) -> Result<&'s mut Flow, Refusal> {
    let is_it = |flow: &Flow| !challenge.is_empty() && flow.consent.challenge == challenge;
    store
        .flow_mut(shared.now(), is_it)
        .ok_or_else(Refusal::no_such_request)
}

/// The members that login and consent requests have in common.
fn shown(store: &Store, flow: &Flow, challenge: &str) -> Map<String, Value> {
    let client = store.client(&flow.request.client).map(|client| client.json());
    let mut members = Map::new();
    for (name, value) in [
        ("challenge", json!(challenge)),
        ("client", client.unwrap_or_default()),
        ("oidc_context", json!({})),
        ("request_url", json!(flow.request.url)),
        ("requested_access_token_audience", json!(flow.request.audience)),
        ("requested_scope", json!(flow.request.scopes)),
    ] {
        members.insert(name.to_owned(), value);
    }
    members
}

/// Returns the URL to which the application redirects the browser.
fn go_on(shared: &Shared, flow: &Flow, name: &str, verifier: &str) -> HttpResponse {
    let mut pairs = flow.request.query.clone();
    pairs.push((name.to_owned(), verifier.to_owned()));
    pairs.sort_by(|(one, _), (two, _)| one.cmp(two));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let target = format!("{}?{query}", shared.url("oauth2/auth"));
    json(StatusCode::OK, &json!({ "redirect_to": target }))
}

fn rejection(body: &Value) -> Rejection {
    let error = Some(text(body, "error")).filter(|error| !error.is_empty());
    Rejection {
        error: error.unwrap_or("access_denied").to_owned(),
        description: text(body, "error_description").to_owned(),
    }
}

fn remember(body: &Value) -> Option<u64> {
    let wanted = body.get("remember").and_then(Value::as_bool).unwrap_or(false);
    wanted.then(|| body.get("remember_for").and_then(Value::as_u64).unwrap_or(0))
}

fn text<'b>(body: &'b Value, name: &str) -> &'b str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts(body: &Value, name: &str) -> Vec<String> {
    let items = body.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}
