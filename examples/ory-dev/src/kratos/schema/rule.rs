//! The rule for one value: the keywords of a schema, and the check of a value.

use serde_json::{Map, Value, json};

use super::{Extracted, Field, Violation, message, missing};
use crate::config::{ConfigError, Options};

/// The constraints on one value, and its use by Kratos.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    kind: Option<Kind>,
    title: Option<String>,
    email: bool,
    min_length: Option<u64>,
    max_length: Option<u64>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    allowed: Option<Vec<Value>>,
    properties: Vec<(String, Self)>,
    required: Vec<String>,
    closed: bool,
    items: Option<Box<Self>>,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

/// The `ory.sh/kratos` extension of a trait.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own in the extension"
)]
struct Meaning {
    password: bool,
    code: bool,
    verification: bool,
    recovery: bool,
}

/// Reads a numeric bound.
fn bound(options: &mut Options<'_>, key: &'static str) -> Result<Option<f64>, ConfigError> {
    match options.value(key) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(options.refuse(key, "must be a number")),
        },
    }
}

impl Rule {
    pub(super) fn read(
        mut options: Options<'_>,
        warnings: &mut Vec<String>,
        depth: usize,
    ) -> Result<Self, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(options.refuse("properties", "nested too deeply"));
        }
        let kind = match options.string("type")? {
            None => None,
            Some("array") => Some(Kind::Array),
            Some("boolean") => Some(Kind::Boolean),
            Some("integer") => Some(Kind::Integer),
            Some("number") => Some(Kind::Number),
            Some("object") => Some(Kind::Object),
            Some("string") => Some(Kind::String),
            Some(_) => {
                let supported = "must be `array`, `boolean`, `integer`, `number`, `object` or `string`";
                return Err(options.refuse("type", supported));
            }
        };
        let email = match options.string("format")? {
            None => false,
            Some("email") => true,
            Some(_) => return Err(options.refuse("format", "only `email` is supported here")),
        };
        for key in ["description", "$comment", "examples"] {
            options.value(key);
        }
        let mut rule = Self {
            kind,
            email,
            title: options.string("title")?.map(ToOwned::to_owned),
            min_length: options.number("minLength", 0..=u64::MAX)?,
            max_length: options.number("maxLength", 0..=u64::MAX)?,
            minimum: bound(&mut options, "minimum")?,
            maximum: bound(&mut options, "maximum")?,
            min_items: options.number("minItems", 0..=u64::MAX)?,
            max_items: options.number("maxItems", 0..=u64::MAX)?,
            allowed: match options.value("enum") {
                None => None,
                Some(Value::Array(values)) => Some(values.clone()),
                Some(_) => return Err(options.refuse("enum", "must be a list of values")),
            },
            required: options
                .strings("required")?
                .unwrap_or_default()
                .into_iter()
                .map(ToOwned::to_owned)
                .collect(),
            closed: options.boolean("additionalProperties")? == Some(false),
            ..Self::default()
        };
        for (name, section) in options.named("properties")? {
            rule.properties.push((
                name.to_owned(),
                Self::read(section, warnings, depth.saturating_add(1))?,
            ));
        }
        let items = options.section("items")?;
        if items.is_present() {
            rule.items = Some(Box::new(Self::read(items, warnings, depth.saturating_add(1))?));
        }
        rule.meaning = Meaning::read(options.section("ory.sh/kratos")?, warnings)?;
        options.finish(warnings)?;
        Ok(rule)
    }

    pub(super) fn check(&self, value: &Value, location: &Location, found: &mut Vec<Violation>) {
        if let Some(kind) = self.kind
            && !kind.fits(value)
        {
            found.push(location.wrong_type(kind, value));
            return;
        }
        if let Some(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            found.push(location.generic("enum", &format!("value must be one of {}", json!(allowed))));
        }
        match value {
            Value::String(text) => self.check_text(text, location, found),
            Value::Number(number) => self.check_number(number.as_f64().unwrap_or(f64::NAN), location, found),
            Value::Array(items) => self.check_items(items, location, found),
            Value::Object(members) => self.check_members(members, location, found),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_text(&self, text: &str, location: &Location, found: &mut Vec<Violation>) {
        let length = text.chars().count() as u64;
        if let Some(limit) = self.min_length.filter(|limit| length < *limit) {
            let text = format!("length must be >= {limit}, but got {length}");
            let context = json!({"min_length": limit, "actual_length": length});
            found.push(location.violation("minLength", 4_000_003, &text, &context));
        }
        if let Some(limit) = self.max_length.filter(|limit| length > *limit) {
            let text = format!("length must be <= {limit}, but got {length}");
            let context = json!({"max_length": limit, "actual_length": length});
            found.push(location.violation("maxLength", 4_000_017, &text, &context));
        }
        if self.email && !is_email(text) {
            let context = json!({"value": text});
            let mut violation =
                location.violation("format", 4_000_040, "Enter a valid email address", &context);
            violation.reason = location.reason("format", &format!("{} is not valid \"email\"", json!(text)));
            found.push(violation);
        }
    }

    fn check_number(&self, number: f64, location: &Location, found: &mut Vec<Violation>) {
        if let Some(limit) = self.minimum.filter(|limit| number < *limit) {
            let text = format!("must be >= {limit} but found {number}");
            let context = json!({"minimum": limit, "actual": number});
            found.push(location.violation("minimum", 4_000_018, &text, &context));
        }
        if let Some(limit) = self.maximum.filter(|limit| number > *limit) {
            let text = format!("must be <= {limit} but found {number}");
            let context = json!({"maximum": limit, "actual": number});
            found.push(location.violation("maximum", 4_000_020, &text, &context));
        }
    }

    fn check_items(&self, items: &[Value], location: &Location, found: &mut Vec<Violation>) {
        let count = items.len() as u64;
        if let Some(limit) = self.min_items.filter(|limit| count < *limit) {
            let text = format!("minimum {limit} items allowed, but found {count} items");
            let context = json!({"min_items": limit, "actual_items": count});
            found.push(location.violation("minItems", 4_000_024, &text, &context));
        }
        if let Some(limit) = self.max_items.filter(|limit| count > *limit) {
            let text = format!("maximum {limit} items allowed, but found {count} items");
            let context = json!({"max_items": limit, "actual_items": count});
            found.push(location.violation("maxItems", 4_000_023, &text, &context));
        }
        if let Some(rule) = &self.items {
            for (index, item) in items.iter().enumerate() {
                rule.check(item, &location.item(index), found);
            }
        }
    }

    fn check_members(&self, members: &Map<String, Value>, location: &Location, found: &mut Vec<Violation>) {
        for name in self.required.iter().filter(|name| !members.contains_key(*name)) {
            found.push(Violation {
                path: location.member(name).path,
                message: missing(name),
                reason: location.reason("required", &format!("missing properties: {}", json!(name))),
            });
        }
        for (name, value) in members {
            match self.properties.iter().find(|(known, _)| known == name) {
                Some((_, rule)) => rule.check(value, &location.member(name), found),
                None if self.closed => {
                    let text = format!("additionalProperties {} not allowed", json!(name));
                    found.push(location.generic("additionalProperties", &text));
                }
                None => {}
            }
        }
    }

    pub(super) fn extract(&self, value: &Value, extracted: &mut Extracted) {
        match value {
            Value::String(text) => {
                // Kratos compares addresses and identifiers case-insensitively.
                let text = text.trim().to_lowercase();
                if text.is_empty() {
                    return;
                }
                let Extracted {
                    password_identifiers,
                    code_identifiers,
                    verifiable,
                    recovery,
                } = extracted;
                for (wanted, list) in [
                    (self.meaning.password, password_identifiers),
                    (self.meaning.code, code_identifiers),
                    (self.meaning.verification, verifiable),
                    (self.meaning.recovery, recovery),
                ] {
                    if wanted && !list.contains(&text) {
                        list.push(text.clone());
                    }
                }
            }
            Value::Array(items) => {
                if let Some(rule) = &self.items {
                    for item in items {
                        rule.extract(item, extracted);
                    }
                }
            }
            Value::Object(members) => {
                for (name, rule) in &self.properties {
                    if let Some(value) = members.get(name) {
                        rule.extract(value, extracted);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    pub(super) fn fields(&self, path: &str, required: bool, fields: &mut Vec<Field>) {
        let input = match self.kind {
            Some(Kind::Object) => {
                for (name, rule) in &self.properties {
                    rule.fields(&format!("{path}.{name}"), self.required.contains(name), fields);
                }
                return;
            }
            Some(Kind::Boolean) => "checkbox",
            Some(Kind::Integer | Kind::Number) => "number",
            Some(Kind::String) if self.email => "email",
            Some(Kind::Array | Kind::String) | None => "text",
        };
        let (name, title) = (path.to_owned(), self.title.clone());
        fields.push(Field {
            name,
            input,
            title,
            required,
            email: self.email,
        });
    }

    pub(super) fn identifiers(&self, path: &str, names: &mut Vec<String>) {
        if self.meaning.password {
            names.push(path.to_owned());
        }
        for (name, rule) in &self.properties {
            rule.identifiers(&format!("{path}.{name}"), names);
        }
    }
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::String => value.is_string(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }
}

impl Meaning {
    fn read(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut credentials = options.section("credentials")?;
        let mut password = credentials.section("password")?;
        let mut code = credentials.section("code")?;
        let mut verification = options.section("verification")?;
        let mut recovery = options.section("recovery")?;

        let meaning = Self {
            password: password.boolean("identifier")? == Some(true),
            code: code.boolean("identifier")? == Some(true),
            verification: via_email(&mut verification)?,
            recovery: via_email(&mut recovery)?,
        };
        via_email(&mut code)?;
        for method in ["totp", "webauthn"] {
            credentials.harmless(method, "passwords are the only way to log in here");
        }
        for section in [password, code, verification, recovery, credentials, options] {
            section.finish(warnings)?;
        }
        Ok(meaning)
    }
}

fn via_email(options: &mut Options<'_>) -> Result<bool, ConfigError> {
    match options.string("via")? {
        None => Ok(false),
        Some("email") => Ok(true),
        Some(_) => Err(options.refuse("via", "only `email` is supported here")),
    }
}

/// The location of a value in the traits and in the schema.
pub(super) struct Location {
    path: String,
    instance: String,
    schema: String,
}

impl Location {
    pub(super) fn traits() -> Self {
        Self {
            path: "traits".into(),
            instance: "#/traits".into(),
            schema: "#/properties/traits".into(),
        }
    }

    fn member(&self, name: &str) -> Self {
        Self {
            path: format!("{}.{name}", self.path),
            instance: format!("{}/{name}", self.instance),
            schema: format!("{}/properties/{name}", self.schema),
        }
    }

    fn item(&self, index: usize) -> Self {
        Self {
            path: format!("{}.{index}", self.path),
            instance: format!("{}/{index}", self.instance),
            schema: format!("{}/items", self.schema),
        }
    }

    fn reason(&self, keyword: &str, text: &str) -> String {
        format!("I[{}] S[{}/{keyword}] {text}", self.instance, self.schema)
    }

    fn violation(&self, keyword: &str, id: u32, text: &str, context: &Value) -> Violation {
        Violation {
            path: self.path.clone(),
            message: message(id, text, Some(context.clone())),
            reason: self.reason(keyword, text),
        }
    }

    fn generic(&self, keyword: &str, text: &str) -> Violation {
        self.violation(keyword, 4_000_001, text, &json!({"reason": text}))
    }

    fn wrong_type(&self, expected: Kind, value: &Value) -> Violation {
        let actual = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let text = format!("expected {}, but got {actual}", expected.name());
        let context = json!({"allowed_types": [expected.name()], "actual_type": actual});
        self.violation("type", 4_000_026, &text, &context)
    }
}

/// The check of Kratos's JSON Schema library: a local part, one `@`, and a host name.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>()[],;:\\\"".contains(c);
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.chars().all(plain)
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

const MAX_DEPTH: usize = 8;
