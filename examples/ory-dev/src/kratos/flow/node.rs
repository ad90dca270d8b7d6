//! The nodes of login, registration and settings forms.

use serde_json::{Map, Value, json};

use super::{
    super::{
        identity::Identity,
        schema::{Field, Schema},
        totp::{self, QR_CODE},
    },
    Flow, Methods,
};

impl Flow {
    pub(super) fn login_nodes(&self, schema: &Schema) -> Vec<Node> {
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

    pub(super) fn registration_nodes(&self, schema: &Schema) -> Vec<Node> {
        let mut nodes = vec![self.csrf_node()];
        for (index, field) in schema.fields().into_iter().enumerate() {
            nodes.push(self.trait_node(field));
            // Kratos places the password after the first trait.
            if index == 0 && self.form.password_asked {
                nodes.push(Node::input("default", "password", "text"));
            }
        }
        let submit = Node::input("profile", "method", "submit").value("profile".into());
        nodes.push(submit.label(label(1_040_001, "Sign up")));
        nodes
    }

    /// The fields for a second factor; empty for a person without one.
    pub(super) fn second_factor_nodes(&self, person: Option<&Identity>) -> Vec<Node> {
        let mut nodes = vec![self.csrf_node()];
        if person.is_some_and(|person| person.totp_secret.is_some()) {
            nodes.push(
                Node::input("totp", "totp_code", "text")
                    .value("".into())
                    .required()
                    .label(label(1_010_006, "Authentication code")),
            );
            let submit = Node::input("totp", "method", "submit").value("totp".into());
            nodes.push(submit.label(label(1_010_009, "Use Authenticator")));
        }
        nodes
    }

    pub(super) fn settings_nodes(&self, schema: &Schema, person: &Identity, methods: Methods) -> Vec<Node> {
        let save = |group| {
            let submit = Node::input(group, "method", "submit").value(group.into());
            submit.label(label(1_070_003, "Save"))
        };
        let mut nodes = vec![self.csrf_node()];
        for field in schema.fields() {
            let mut path = field.name.split('.').skip(1);
            let value = path
                .try_fold(&person.traits, |value, name| value.get(name))
                .cloned();
            let node = Node {
                group: "profile",
                ..self.trait_node(field)
            };
            nodes.push(match value {
                Some(value) => node.value(value),
                None => node,
            });
        }
        nodes.push(save("profile"));
        nodes.push(
            Node::input("password", "password", "password")
                .required()
                .attribute("autocomplete", "new-password")
                .label(label(1_070_001, "Password")),
        );
        nodes.push(save("password"));
        if methods.lookup_secret {
            let button =
                Node::input("lookup_secret", "lookup_secret_regenerate", "submit").value("true".into());
            nodes.push(button.label(label(1_050_008, "Generate new backup recovery codes")));
        }
        if methods.totp {
            nodes.extend(self.totp_nodes(person));
        }
        nodes
    }

    /// The fields that link or unlink an authenticator app.
    fn totp_nodes(&self, person: &Identity) -> Vec<Node> {
        if person.totp_secret.is_some() {
            let button = Node::input("totp", "totp_unlink", "submit")
                .value("true".into())
                .required();
            return vec![button.label(label(1_050_004, "Unlink TOTP Authenticator App"))];
        }
        let secret = self
            .totp_secret
            .as_ref()
            .map(totp::Secret::base32)
            .unwrap_or_default();
        let shown = json!({"id": 1_050_006, "text": secret, "type": "info", "context": {"secret": secret}});
        let submit = Node::input("totp", "method", "submit").value("totp".into());
        vec![
            Node::shown("totp", "img", "totp_qr")
                .attribute("src", QR_CODE)
                .attribute("width", 256)
                .attribute("height", 256)
                .label(label(1_050_005, "Authenticator app QR code")),
            Node::shown("totp", "text", "totp_secret_key")
                .attribute("text", shown)
                .label(label(
                    1_050_017,
                    "This is your authenticator app secret. Use it if you can not scan the QR code.",
                )),
            Node::input("totp", "totp_code", "text")
                .required()
                .label(label(1_070_006, "Verify code")),
            submit.label(label(1_070_003, "Save")),
        ]
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
pub(super) struct Node {
    kind: &'static str,
    group: &'static str,
    pub(super) name: String,
    attributes: Map<String, Value>,
    meta: Map<String, Value>,
    pub(super) messages: Vec<Value>,
}

impl Node {
    fn input(group: &'static str, name: &str, kind: &str) -> Self {
        let mut attributes = Map::new();
        attributes.insert("name".into(), name.into());
        attributes.insert("type".into(), kind.into());
        attributes.insert("disabled".into(), false.into());
        attributes.insert("node_type".into(), "input".into());
        Self {
            kind: "input",
            group,
            name: name.to_owned(),
            attributes,
            meta: Map::new(),
            messages: Vec::new(),
        }
    }

    /// A node that is displayed and not submitted.
    fn shown(group: &'static str, kind: &'static str, id: &str) -> Self {
        let mut attributes = Map::new();
        attributes.insert("id".into(), id.into());
        attributes.insert("node_type".into(), kind.into());
        Self {
            kind,
            group,
            name: String::new(),
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

    pub(super) fn json(self) -> Value {
        json!({
            "type": self.kind,
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
