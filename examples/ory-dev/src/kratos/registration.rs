//! Submission of registration forms.

use serde_json::{Map, Value, json};

use super::{
    answer::Refusal,
    attempt::{Attempt, Success},
    flow::Flow,
    identity::{Identity, View},
    password,
    schema::{Schema, message, missing},
    self_service::Answer,
    shared::Shared,
    store::AddError,
    submission::Submission,
};

/// Answers the submission of a registration form.
pub(crate) async fn register(mut attempt: Attempt<'_>) -> Answer {
    let shared = attempt.shared;
    let schema = shared
        .default_schema()
        .ok_or_else(|| Refusal::internal("no schema"))?;

    let kept = attempt.flow.form.clone();
    attempt.flow.form.clear_messages();
    examine(&mut attempt.flow, schema, &attempt.submission);
    if attempt.flow.form.has_complaints() {
        return attempt.reject();
    }
    // A form without errors is not stored: its next message depends on the account.
    attempt.flow.form = kept;
    let traits = attempt
        .submission
        .value("traits")
        .cloned()
        .unwrap_or_else(|| Map::new().into());
    let secret = attempt.submission.text("password").unwrap_or_default().to_owned();
    let hash = password::hash(secret, shared.config.bcrypt_cost).await?;
    match create(shared, schema, traits, hash) {
        Ok(identity) => {
            let success = first_session(&attempt, &identity)?;
            attempt.succeed(success)
        }
        Err(AddError::Full) => attempt.refuse(AddError::Full.refusal()),
        Err(AddError::Taken) => {
            attempt.flow.form.clear_messages();
            attempt
                .flow
                .form
                .complain_overall(message(4_000_007, TAKEN, None));
            attempt.reject()
        }
    }
}

/// Adds the errors of the submission to the form.
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
        flow.form.complain("password", missing("password"));
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
        // The real server notifies each new address at once.
        identity
            .verifiable
            .iter_mut()
            .for_each(|address| "sent".clone_into(&mut address.status));
    }
    shared.store().add_identity(identity.clone())?;
    Ok(identity)
}

/// Answers a registration, and opens the first session if the configuration says so.
fn first_session(attempt: &Attempt<'_>, identity: &Identity) -> Result<Success, Refusal> {
    let shared = attempt.shared;
    let shown = identity.json(Some(&shared.public_url), View::PUBLIC);
    let mut members = Map::new();
    members.insert("identity".into(), shown.clone());
    let mut next = Vec::new();
    let session = if shared.config.session_after_registration {
        let session = attempt.open_session(&mut shared.store(), identity.id)?;
        if !attempt.flow.browser {
            next.push(json!({"action": "set_ory_session_token", "ory_session_token": session.token}));
        }
        Some(session)
    } else {
        None
    };
    Ok(Success {
        identity: shown,
        session,
        members,
        next,
    })
}

const TAKEN: &str = "An account with the same identifier (email, phone, username, ...) exists already.";
