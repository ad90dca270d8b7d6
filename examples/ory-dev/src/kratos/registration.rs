//! May this person have an account? The submission of a registration form.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, ReqData};
use serde_json::{Map, Value, json};

use super::answer::{Refusal, json, redirect, wants_page};
use super::csrf::CsrfToken;
use super::flow::{Flow, Kind};
use super::identity::{Identity, View};
use super::password;
use super::schema::{Schema, message};
use super::self_service::{
    Admission, Answer, Submitted, admit, error_page, is_page, reject, return_url, session_cookies,
    with_cookies,
};
use super::session::{Devices, Session};
use super::shared::Shared;
use super::store::AddError;
use super::submission::{MAX_FORM, Submission, read_body};

/// Answers the submission of a registration form.
pub(crate) async fn submit(
    shared: Data<Shared>,
    request: HttpRequest,
    token: ReqData<CsrfToken>,
    body: Payload,
) -> Answer {
    let body = read_body(body, MAX_FORM).await?;
    let admission = match admit(Kind::Registration, &shared, &request, &token, &body) {
        Ok(admission) => admission,
        Err(refusal) => return error_page(&shared, refusal, wants_page(request.headers())),
    };
    let Submitted { mut flow, submission } = match admission {
        Admission::Admitted(submitted) => *submitted,
        Admission::Answered(answer) => return Ok(answer),
    };
    let schema = shared
        .default_schema()
        .ok_or_else(|| Refusal::internal("no schema"))?;

    let kept = flow.form.clone();
    flow.form.clear_messages();
    examine(&mut flow, schema, &submission);
    if flow.form.has_complaints() {
        return reject(&shared, &request, &flow);
    }
    // A form without complaints is not stored: what it says next depends on the account.
    flow.form = kept;
    let traits = submission
        .value("traits")
        .cloned()
        .unwrap_or_else(|| Map::new().into());
    let secret = submission.text("password").unwrap_or_default().to_owned();
    let hash = password::hash(secret, shared.config.bcrypt_cost).await?;
    match create(&shared, schema, traits, hash) {
        Ok(identity) => register(&shared, &request, &flow, &identity),
        Err(AddError::Full) => error_page(&shared, AddError::Full.refusal(), is_page(&flow, &request)),
        Err(AddError::Taken) => {
            flow.form.clear_messages();
            flow.form.complain_overall(message(4_000_007, TAKEN, None));
            reject(&shared, &request, &flow)
        }
    }
}

/// Puts on the form what is wrong with the submission.
pub(super) fn examine(flow: &mut Flow, schema: &Schema, submission: &Submission) {
    flow.form.ask_password();
    let nothing = Value::Object(Map::new());
    let traits = submission.value("traits").unwrap_or(&nothing);
    for field in schema.fields() {
        let mut path = field.name.split('.').skip(1);
        if let Some(value) = path.try_fold(traits, |value, name: &str| value.get(name)) {
            flow.form.keep(&field.name, value);
        }
    }
    for violation in schema.violations(traits) {
        flow.form.complain(&violation.path, violation.message);
    }
    if flow.form.has_complaints() {
        return;
    }
    if submission.text("method") != Some("password") {
        let text = "Could not find a strategy to sign you up with. Did you fill out the form correctly?";
        flow.form.complain_overall(message(4_010_003, text, None));
        return;
    }
    let password = submission.text("password").unwrap_or_default();
    if password.is_empty() {
        let context = json!({"property": "password"});
        flow.form.complain(
            "password",
            message(4_000_002, "Property password is missing.", Some(context)),
        );
    } else if let Some(complaint) =
        password::complaint(password, &schema.extract(traits).password_identifiers)
    {
        flow.form.complain("password", complaint);
    }
}

fn create(shared: &Shared, schema: &Schema, traits: Value, hash: String) -> Result<Identity, AddError> {
    let mut identity = Identity::new(schema, traits, shared.now());
    identity.hashed_password = Some(hash);
    if shared.config.verification {
        // The real server writes to each new address at once.
        identity
            .verifiable
            .iter_mut()
            .for_each(|address| "sent".clone_into(&mut address.status));
    }
    shared.store().add_identity(identity.clone())?;
    Ok(identity)
}

fn register(shared: &Shared, request: &HttpRequest, flow: &Flow, identity: &Identity) -> Answer {
    let target = return_url(shared, flow);
    let shown = identity.json(Some(&shared.public_url), View::PUBLIC);
    let mut next = Vec::new();
    let mut body = json!({"identity": shown});
    let mut cookies = Vec::new();
    if shared.config.session_after_registration {
        let (now, lifespan) = (shared.now(), shared.config.session_lifespan);
        let mut session = Session::new(identity.id, now, lifespan, flow.browser)?;
        session.seen_from(request);
        shared.store().add_session(session.clone());
        cookies = session_cookies(shared, &session)?;
        let members = body.as_object_mut();
        if let Some(members) = members {
            members.insert("session".into(), session.json(now, Some(shown), Devices::Shown));
            if !flow.browser {
                members.insert("session_token".into(), session.token.as_str().into());
                next.push(json!({"action": "set_ory_session_token", "ory_session_token": session.token}));
            }
        }
    }
    if is_page(flow, request) {
        return Ok(with_cookies(
            redirect(StatusCode::SEE_OTHER, target.as_str()),
            &cookies,
        ));
    }
    if flow.browser {
        next.push(json!({"action": "redirect_browser_to", "redirect_browser_to": target.as_str()}));
    }
    if let Some(members) = body.as_object_mut() {
        members.insert(
            "continue_with".into(),
            if next.is_empty() { Value::Null } else { next.into() },
        );
    }
    Ok(with_cookies(json(StatusCode::OK, &body), &cookies))
}

const TAKEN: &str = "An account with the same identifier (email, phone, username, ...) exists already.";
