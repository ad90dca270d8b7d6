//! Self-service flows and their forms.

mod node;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use self::node::Node;
use super::{
    clock::Moment,
    config::{FlowConfig, KratosConfig},
    identity::{Identity, View},
    schema::Schema,
    session::Aal,
    totp,
};

/// One self-service flow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    /// Whether a browser started the flow. Its forms then contain an anti-CSRF token.
    pub(crate) browser: bool,
    pub(crate) issued_at: Moment,
    pub(crate) expires_at: Moment,
    pub(crate) request_url: String,
    pub(crate) return_to: Option<Url>,
    /// The masked token, empty for native flows.
    pub(crate) csrf_token: String,
    /// The identifier of the person who must authenticate again.
    pub(crate) refresh: Option<String>,
    /// The requested assurance level of the login.
    pub(crate) requested_aal: Aal,
    /// The person whose settings change, or who shows a second factor.
    pub(crate) person: Option<Uuid>,
    /// The secret that the form offers for an authenticator app.
    pub(crate) totp_secret: Option<totp::Secret>,
    /// Whether the last change of the settings was saved.
    pub(crate) is_saved: bool,
    pub(crate) form: Form,
}

/// The sections of a settings form, beside traits and password.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Methods {
    pub(crate) lookup_secret: bool,
    pub(crate) totp: bool,
}

/// The context in which a flow is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) public_url: &'a Url,
    pub(crate) schema: &'a Schema,
    pub(crate) person: Option<&'a Identity>,
    pub(crate) methods: Methods,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Login,
    Registration,
    Settings,
}

/// The state that the last submission left in the form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    values: BTreeMap<String, Value>,
    password_asked: bool,
    node_messages: Vec<(String, Value)>,
    messages: Vec<Value>,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Registration => "registration",
            Self::Settings => "settings",
        }
    }

    pub(crate) fn config(self, config: &KratosConfig) -> &FlowConfig {
        match self {
            Self::Login => &config.login,
            Self::Registration => &config.registration,
            Self::Settings => &config.settings.flow,
        }
    }
}

impl Form {
    /// Removes the messages of the last submission.
    pub(crate) fn clear_messages(&mut self) {
        self.node_messages.clear();
        self.messages.clear();
    }

    /// Keeps a submitted value, so that the form is prefilled.
    pub(crate) fn keep(&mut self, name: &str, value: &Value) {
        let size = match value {
            Value::String(text) => text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::Array(_) | Value::Object(_) => return,
        };
        if size <= MAX_VALUE {
            self.values.insert(name.to_owned(), value.clone());
        }
    }

    /// Shows the password field, which the first step of registration omits.
    pub(crate) fn ask_password(&mut self) {
        self.password_asked = true;
    }

    /// Adds a message to a field; if the field does not exist, it is shown for the whole form.
    pub(crate) fn complain(&mut self, field: &str, message: Value) {
        self.node_messages.push((field.to_owned(), message));
    }

    /// Adds a message to the whole form.
    pub(crate) fn complain_overall(&mut self, message: Value) {
        self.messages.push(message);
    }

    pub(crate) fn has_complaints(&self) -> bool {
        !self.node_messages.is_empty() || !self.messages.is_empty()
    }

    fn about(&self, field: &str) -> Vec<&Value> {
        self.node_messages
            .iter()
            .filter(|(name, _)| name == field)
            .map(|(_, message)| message)
            .collect()
    }
}

impl Flow {
    pub(crate) fn new(kind: Kind, now: Moment, lifespan: Duration, request_url: String) -> Self {
        Self {
            id: Uuid::new_v4(),
            kind,
            browser: false,
            issued_at: now,
            expires_at: now.after(lifespan),
            request_url,
            return_to: None,
            csrf_token: String::new(),
            refresh: None,
            requested_aal: Aal::Aal1,
            person: None,
            totp_secret: None,
            is_saved: false,
            form: Form::default(),
        }
    }

    /// Returns a new flow that replaces this expired one.
    pub(crate) fn renew(&self, now: Moment, lifespan: Duration) -> Self {
        let fresh = Self::new(self.kind, now, lifespan, self.request_url.clone());
        Self {
            browser: self.browser,
            return_to: self.return_to.clone(),
            csrf_token: self.csrf_token.clone(),
            refresh: self.refresh.clone(),
            requested_aal: self.requested_aal,
            person: self.person,
            totp_secret: self.totp_secret.clone(),
            ..fresh
        }
    }

    pub(crate) fn has_expired(&self, now: Moment) -> bool {
        self.expires_at <= now
    }

    /// Writes the flow as a client sees it.
    pub(crate) fn json(&self, around: Surroundings<'_>) -> Value {
        let nodes = match (self.kind, around.person) {
            (Kind::Login, person) if self.requested_aal == Aal::Aal2 => self.second_factor_nodes(person),
            (Kind::Login, _) => self.login_nodes(around.schema),
            (Kind::Registration, _) => self.registration_nodes(around.schema),
            (Kind::Settings, Some(person)) => self.settings_nodes(around.schema, person, around.methods),
            (Kind::Settings, None) => Vec::new(),
        };
        let (nodes, orphans) = self.place(nodes);
        let name = self.kind.name();
        let mut ui = json!({
            "action": format!("{}self-service/{name}?flow={}", around.public_url, self.id),
            "method": "POST",
            "nodes": nodes,
        });
        let mut messages: Vec<Value> = self.greeting().into_iter().collect();
        messages.extend(orphans);
        messages.extend(self.form.messages.iter().cloned());
        let mut flow = json!({
            "id": self.id.to_string(),
            "type": if self.browser { "browser" } else { "api" },
            "expires_at": self.expires_at.rfc3339(),
            "issued_at": self.issued_at.rfc3339(),
            "request_url": self.request_url,
            "state": "choose_method",
        });
        if let (Some(flow), Some(ui_members)) = (flow.as_object_mut(), ui.as_object_mut()) {
            if !messages.is_empty() {
                ui_members.insert("messages".into(), messages.into());
            }
            if let Some(url) = &self.return_to {
                flow.insert("return_to".into(), url.as_str().into());
            }
            if self.kind == Kind::Settings {
                let state = if self.is_saved { "success" } else { "show_form" };
                flow.insert("state".into(), state.into());
                let person = around
                    .person
                    .map(|person| person.json(Some(around.public_url), View::PUBLIC));
                flow.insert("identity".into(), person.unwrap_or_default());
            } else {
                flow.insert("organization_id".into(), Value::Null);
            }
            if self.kind == Kind::Login {
                let at = self.issued_at.rfc3339_micros();
                flow.insert("created_at".into(), at.as_str().into());
                flow.insert("updated_at".into(), at.into());
                flow.insert("refresh".into(), self.refresh.is_some().into());
                flow.insert("requested_aal".into(), self.requested_aal.name().into());
            }
            flow.insert("ui".into(), ui);
        }
        flow
    }

    /// The message of a form that has no errors.
    fn greeting(&self) -> Option<Value> {
        if self.is_saved {
            return Some(
                json!({"id": 1_050_001, "text": "Your changes have been saved!", "type": "success"}),
            );
        }
        let (id, text) = match (self.requested_aal, &self.refresh) {
            (_, Some(_)) => (
                1_010_003,
                "Please confirm this action by verifying that it is you.",
            ),
            (Aal::Aal2, None) => (1_010_004, "Please complete the second authentication challenge."),
            (Aal::Aal1, None) => return None,
        };
        (!self.form.has_complaints()).then(|| json!({"id": id, "text": text, "type": "info"}))
    }

    /// Adds the messages to their nodes, and returns the messages that have no node.
    fn place(&self, mut nodes: Vec<Node>) -> (Vec<Value>, Vec<Value>) {
        for node in &mut nodes {
            node.messages = self.form.about(&node.name).into_iter().cloned().collect();
        }
        let placed = |name: &str| nodes.iter().any(|node| node.name == name);
        let orphans = self.form.node_messages.iter().filter(|(name, _)| !placed(name));
        let orphans = orphans.map(|(_, message)| message.clone()).collect();
        (nodes.into_iter().map(Node::json).collect(), orphans)
    }
}

/// The longest value that a form keeps.
const MAX_VALUE: usize = 1024;
