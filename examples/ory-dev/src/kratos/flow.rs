//! Where does a person stand in a form? Self-service flows and the forms that they show.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{
    clock::Moment,
    config::{FlowConfig, KratosConfig},
    schema::{Field, Schema},
};

/// One self-service flow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    /// Whether a browser started it: then its forms carry an anti-CSRF token.
    pub(crate) browser: bool,
    pub(crate) issued_at: Moment,
    pub(crate) expires_at: Moment,
    pub(crate) request_url: String,
    pub(crate) return_to: Option<Url>,
    /// The masked token, empty for native flows.
    pub(crate) csrf_token: String,
    /// The identifier of the person who has to prove again who they are.
    pub(crate) refresh: Option<String>,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Login,
    Registration,
}

/// What the last submission left in the form.
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
        }
    }

    pub(crate) fn config(self, config: &KratosConfig) -> &FlowConfig {
        match self {
            Self::Login => &config.login,
            Self::Registration => &config.registration,
        }
    }
}

impl Form {
    /// Forgets what was wrong with the submission before.
    pub(crate) fn clear_messages(&mut self) {
        self.node_messages.clear();
        self.messages.clear();
    }

    /// Keeps a submitted value, so that it does not have to be typed again.
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

    /// Shows the password field, which the first registration form does not have.
    pub(crate) fn ask_password(&mut self) {
        self.password_asked = true;
    }

    /// Says that something is wrong with a field; with no such field, the whole form says it.
    pub(crate) fn complain(&mut self, field: &str, message: Value) {
        self.node_messages.push((field.to_owned(), message));
    }

    /// Says that something is wrong with the submission as a whole.
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
            form: Form::default(),
        }
    }

    /// Returns a fresh flow in place of this one, which has expired.
    pub(crate) fn renew(&self, now: Moment, lifespan: Duration) -> Self {
        let fresh = Self::new(self.kind, now, lifespan, self.request_url.clone());
        Self {
            browser: self.browser,
            return_to: self.return_to.clone(),
            csrf_token: self.csrf_token.clone(),
            refresh: self.refresh.clone(),
            ..fresh
        }
    }

    pub(crate) fn has_expired(&self, now: Moment) -> bool {
        self.expires_at <= now
    }

    /// Writes the flow as a client sees it.
    pub(crate) fn json(&self, public_url: &Url, schema: &Schema) -> Value {
        let (nodes, orphans) = match self.kind {
            Kind::Login => self.place(self.login_nodes(schema)),
            Kind::Registration => self.place(self.registration_nodes(schema)),
        };
        let mut ui = json!({
            "action": format!("{public_url}self-service/{}?flow={}", self.kind.name(), self.id),
            "method": "POST",
            "nodes": nodes,
        });
        let mut messages: Vec<Value> = Vec::new();
        if self.refresh.is_some() && !self.form.has_complaints() {
            let text = "Please confirm this action by verifying that it is you.";
            messages.push(json!({"id": 1_010_003, "text": text, "type": "info"}));
        }
        messages.extend(orphans);
        messages.extend(self.form.messages.iter().cloned());
        let mut flow = json!({
            "id": self.id.to_string(),
            "organization_id": null,
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
            if self.kind == Kind::Login {
                let at = self.issued_at.rfc3339_micros();
                flow.insert("created_at".into(), at.as_str().into());
                flow.insert("updated_at".into(), at.into());
                flow.insert("refresh".into(), self.refresh.is_some().into());
                flow.insert("requested_aal".into(), "aal1".into());
            }
            flow.insert("ui".into(), ui);
        }
        flow
    }

    /// Puts the messages on their nodes, and returns those that found none.
    fn place(&self, mut nodes: Vec<Node>) -> (Vec<Value>, Vec<Value>) {
        for node in &mut nodes {
            node.messages = self.form.about(&node.name).into_iter().cloned().collect();
        }
        let placed = |name: &str| nodes.iter().any(|node| node.name == name);
        let orphans = self.form.node_messages.iter().filter(|(name, _)| !placed(name));
        let orphans = orphans.map(|(_, message)| message.clone()).collect();
        (nodes.into_iter().map(Node::json).collect(), orphans)
    }

    fn login_nodes(&self, schema: &Schema) -> Vec<Node> {
        let identifier = if let Some(identifier) = &self.refresh {
            Node::input("default", "identifier", "hidden").value(identifier.as_str().into())
        } else {
            let value = self
                .form
                .values
                .get("identifier")
                .cloned()
                .unwrap_or_else(|| "".into());
            let label = match schema.identifier_field() {
                Some(Field {
                    name,
                    title: Some(title),
                    ..
                }) => titled(&name, &title),
                Some(_) | None => label(1_070_004, "ID"),
            };
            Node::input("default", "identifier", "text")
                .value(value)
                .required()
                .label(label)
        };
        let (id, text) = if self.refresh.is_some() {
            (1_010_001, "Sign in")
        } else {
            (1_010_022, "Sign in with password")
        };
        vec![
            self.csrf_node(),
            identifier,
            Node::input("password", "password", "password")
                .required()
                .attribute("autocomplete", "current-password")
                .label(label(1_070_001, "Password")),
            Node::input("password", "method", "submit")
                .value("password".into())
                .label(label(id, text)),
        ]
    }

    fn registration_nodes(&self, schema: &Schema) -> Vec<Node> {
        let mut nodes = vec![self.csrf_node()];
        for (index, field) in schema.fields().into_iter().enumerate() {
            nodes.push(self.trait_node(field));
            // Kratos sorts the password behind the first trait.
            if index == 0 && self.form.password_asked {
                nodes.push(Node::input("default", "password", "text"));
            }
        }
        let submit = Node::input("profile", "method", "submit").value("profile".into());
        nodes.push(submit.label(label(1_040_001, "Sign up")));
        nodes
    }

    fn trait_node(&self, field: Field) -> Node {
        let mut node = Node::input("default", &field.name, field.input);
        if let Some(value) = self.form.values.get(&field.name) {
            node = node.value(value.clone());
        }
        if field.required {
            node = node.required();
        }
        if field.email {
            node = node.attribute("autocomplete", "email");
        }
        match field.title {
            Some(title) => node.label(titled(&field.name, &title)),
            None => node,
        }
    }

    fn csrf_node(&self) -> Node {
        Node::input("default", "csrf_token", "hidden")
            .value(self.csrf_token.as_str().into())
            .required()
    }
}

/// One node of a form.
struct Node {
    group: &'static str,
    name: String,
    attributes: Map<String, Value>,
    meta: Map<String, Value>,
    messages: Vec<Value>,
}

impl Node {
    fn input(group: &'static str, name: &str, kind: &str) -> Self {
        let mut attributes = Map::new();
        attributes.insert("name".into(), name.into());
        attributes.insert("type".into(), kind.into());
        attributes.insert("disabled".into(), false.into());
        attributes.insert("node_type".into(), "input".into());
        Self {
            group,
            name: name.to_owned(),
            attributes,
            meta: Map::new(),
            messages: Vec::new(),
        }
    }

    fn value(self, value: Value) -> Self {
        self.attribute("value", value)
    }

    fn required(self) -> Self {
        self.attribute("required", true)
    }

    fn attribute(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    fn label(mut self, label: Value) -> Self {
        self.meta.insert("label".into(), label);
        self
    }

    fn json(self) -> Value {
        json!({
            "type": "input",
            "group": self.group,
            "attributes": self.attributes,
            "messages": self.messages,
            "meta": self.meta,
        })
    }
}

fn label(id: u32, text: &str) -> Value {
    json!({"id": id, "text": text, "type": "info"})
}

fn titled(name: &str, title: &str) -> Value {
    json!({"id": 1_070_002, "text": title, "type": "info", "context": {"name": name, "title": title}})
}

/// The longest value that a form remembers.
const MAX_VALUE: usize = 1024;
