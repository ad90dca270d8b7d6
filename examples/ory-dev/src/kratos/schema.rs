//! What may an identity's traits be? The part of JSON Schema that identity schemas of small projects use.
//!
//! A keyword that is not checked here is a start-up error: a schema that looks strict and is not would teach the
//! wrong thing.

use serde_json::{Map, Value, json};

use crate::config::{ConfigError, Document, Options};

/// A checked identity schema.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    id: String,
    source: Value,
    traits: Rule,
}

/// What one value must be, and what it means to Kratos.
#[derive(Clone, Debug, Default)]
struct Rule {
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

/// One thing that is wrong with a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Violation {
    /// The path of the value: `traits.email`.
    pub(crate) path: String,
    /// What a form shows.
    pub(crate) message: Value,
    /// What the admin interface says.
    pub(crate) reason: String,
}

/// What Kratos reads out of valid traits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extracted {
    pub(crate) password_identifiers: Vec<String>,
    pub(crate) code_identifiers: Vec<String>,
    pub(crate) verifiable: Vec<String>,
    pub(crate) recovery: Vec<String>,
}

/// One field of a registration form.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) input: &'static str,
    pub(crate) title: Option<String>,
    pub(crate) required: bool,
    pub(crate) email: bool,
}

impl Schema {
    pub(crate) fn read(
        id: &str,
        document: &Document,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let mut root = document.options()?;
        for key in ["$id", "$schema", "title", "description", "$comment"] {
            root.value(key);
        }
        if root.string("type")? != Some("object") {
            return Err(root.refuse("type", "must be `object`"));
        }
        // What stands beside the traits is not a trait: Kratos ignores it too.
        root.harmless("required", "only `properties.traits` is checked");
        root.harmless("additionalProperties", "only `properties.traits` is checked");
        let mut properties = root.section("properties")?;
        let section = properties.section("traits")?;
        if !section.is_present() {
            return Err(properties.refuse("traits", "is required"));
        }
        let traits = Rule::read(section, warnings, 0)?;
        properties.finish(warnings)?;
        root.finish(warnings)?;
        Ok(Self {
            id: id.to_owned(),
            source: document.root().clone(),
            traits,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the schema as it was written.
    pub(crate) fn source(&self) -> &Value {
        &self.source
    }

    /// Returns everything that is wrong with `traits`.
    pub(crate) fn violations(&self, traits: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        self.traits.check(traits, &Place::traits(), &mut found);
        found
    }

    /// Returns the identifiers and addresses in valid traits.
    pub(crate) fn extract(&self, traits: &Value) -> Extracted {
        let mut extracted = Extracted::default();
        self.traits.extract(traits, &mut extracted);
        extracted
    }

    /// Returns the fields of the registration form.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.traits.fields("traits", false, &mut fields);
        fields
    }

    /// Returns the only trait that identifies a person, if there is exactly one.
    pub(crate) fn identifier_field(&self) -> Option<Field> {
        let mut names = Vec::new();
        self.traits.identifiers("traits", &mut names);
        match names.as_slice() {
            [name] => self.fields().into_iter().find(|field| field.name == *name),
            [] | [_, ..] => None,
        }
    }
}

impl Rule {
    fn read(mut options: Options<'_>, warnings: &mut Vec<String>, depth: usize) -> Result<Self, ConfigError> {
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
            minimum: options.value("minimum").and_then(Value::as_f64),
            maximum: options.value("maximum").and_then(Value::as_f64),
            min_items: options.number("minItems", 0..=u64::MAX)?,
            max_items: options.number("maxItems", 0..=u64::MAX)?,
            allowed: options.value("enum").and_then(Value::as_array).cloned(),
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

    fn check(&self, value: &Value, place: &Place, found: &mut Vec<Violation>) {
        if let Some(kind) = self.kind
            && !kind.fits(value)
        {
            found.push(place.wrong_type(kind, value));
            return;
        }
        if let Some(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            found.push(place.generic("enum", &format!("value must be one of {}", json!(allowed))));
        }
        match value {
            Value::String(text) => self.check_text(text, place, found),
            Value::Number(number) => self.check_number(number.as_f64().unwrap_or(f64::NAN), place, found),
            Value::Array(items) => self.check_items(items, place, found),
            Value::Object(members) => self.check_members(members, place, found),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_text(&self, text: &str, place: &Place, found: &mut Vec<Violation>) {
        let length = text.chars().count() as u64;
        if let Some(limit) = self.min_length.filter(|limit| length < *limit) {
            let text = format!("length must be >= {limit}, but got {length}");
            let context = json!({"min_length": limit, "actual_length": length});
            found.push(place.violation("minLength", 4_000_003, &text, &context));
        }
        if let Some(limit) = self.max_length.filter(|limit| length > *limit) {
            let text = format!("length must be <= {limit}, but got {length}");
            let context = json!({"max_length": limit, "actual_length": length});
            found.push(place.violation("maxLength", 4_000_017, &text, &context));
        }
        if self.email && !is_email(text) {
            let context = json!({"value": text});
            let mut violation = place.violation("format", 4_000_040, "Enter a valid email address", &context);
            violation.reason = place.reason("format", &format!("{} is not valid \"email\"", json!(text)));
            found.push(violation);
        }
    }

    fn check_number(&self, number: f64, place: &Place, found: &mut Vec<Violation>) {
        if let Some(limit) = self.minimum.filter(|limit| number < *limit) {
            let text = format!("must be >= {limit} but found {number}");
            let context = json!({"minimum": limit, "actual": number});
            found.push(place.violation("minimum", 4_000_018, &text, &context));
        }
        if let Some(limit) = self.maximum.filter(|limit| number > *limit) {
            let text = format!("must be <= {limit} but found {number}");
            let context = json!({"maximum": limit, "actual": number});
            found.push(place.violation("maximum", 4_000_020, &text, &context));
        }
    }

    fn check_items(&self, items: &[Value], place: &Place, found: &mut Vec<Violation>) {
        let count = items.len() as u64;
        if let Some(limit) = self.min_items.filter(|limit| count < *limit) {
            let text = format!("minimum {limit} items allowed, but found {count} items");
            let context = json!({"min_items": limit, "actual_items": count});
            found.push(place.violation("minItems", 4_000_024, &text, &context));
        }
        if let Some(limit) = self.max_items.filter(|limit| count > *limit) {
            let text = format!("maximum {limit} items allowed, but found {count} items");
            let context = json!({"max_items": limit, "actual_items": count});
            found.push(place.violation("maxItems", 4_000_023, &text, &context));
        }
        if let Some(rule) = &self.items {
            for (index, item) in items.iter().enumerate() {
                rule.check(item, &place.item(index), found);
            }
        }
    }

    fn check_members(&self, members: &Map<String, Value>, place: &Place, found: &mut Vec<Violation>) {
        for name in self.required.iter().filter(|name| !members.contains_key(*name)) {
            let text = format!("Property {name} is missing.");
            found.push(Violation {
                path: place.member(name).path,
                message: message(4_000_002, &text, Some(json!({"property": name}))),
                reason: place.reason("required", &format!("missing properties: {}", json!(name))),
            });
        }
        for (name, value) in members {
            match self.properties.iter().find(|(known, _)| known == name) {
                Some((_, rule)) => rule.check(value, &place.member(name), found),
                None if self.closed => {
                    let text = format!("additionalProperties {} not allowed", json!(name));
                    found.push(place.generic("additionalProperties", &text));
                }
                None => {}
            }
        }
    }

    fn extract(&self, value: &Value, extracted: &mut Extracted) {
        match value {
            Value::String(text) => {
                // Kratos compares addresses and identifiers without regard to case.
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

    fn fields(&self, path: &str, required: bool, fields: &mut Vec<Field>) {
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

    fn identifiers(&self, path: &str, names: &mut Vec<String>) {
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
        // Second factors are not part of this stand-in: what names the account there does not matter.
        credentials.value("totp");
        credentials.value("webauthn");
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

/// Where a value stands: in the traits, and in the schema.
struct Place {
    path: String,
    instance: String,
    schema: String,
}

impl Place {
    fn traits() -> Self {
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

/// Returns an error message of a form, as Kratos writes it.
pub(crate) fn message(id: u32, text: &str, context: Option<Value>) -> Value {
    let mut message = json!({"id": id, "text": text, "type": "error"});
    if let (Some(context), Some(members)) = (context, message.as_object_mut()) {
        members.insert("context".into(), context);
    }
    message
}

/// The check of Kratos's JSON Schema library: a local part, one `@`, and a host name.
fn is_email(text: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Vars;

    fn read(text: &str) -> Result<Schema, ConfigError> {
        let document = Document::parse(Path::new("schema.json"), text, &Vars::new("/c", "/s"))?;
        Schema::read("default", &document, &mut Vec::new())
    }

    fn shipped() -> Schema {
        read(include_str!("../../config/identity.schema.json")).unwrap()
    }

    fn with_traits(traits: &str) -> Result<Schema, ConfigError> {
        read(&format!(
            r#"{{"type":"object","properties":{{"traits":{traits}}}}}"#
        ))
    }

    fn ids(violations: &[Violation]) -> Vec<(&str, u64)> {
        violations
            .iter()
            .map(|v| (v.path.as_str(), v.message["id"].as_u64().unwrap()))
            .collect()
    }

    #[test]
    fn traits_that_the_schema_refuses_are_reported_with_their_paths() {
        let schema = shipped();

        for (traits, expected) in [
            (json!({}), vec![("traits.email", 4_000_002)]),
            (
                json!({"email": "x"}),
                vec![("traits.email", 4_000_003), ("traits.email", 4_000_040)],
            ),
            (json!({"email": 1}), vec![("traits.email", 4_000_026)]),
            (
                json!({"email": "a@b.c", "name": "x".repeat(201)}),
                vec![("traits.name", 4_000_017)],
            ),
            (
                json!({"email": "a@b.c", "admin": true}),
                vec![("traits", 4_000_001)],
            ),
            (json!("text"), vec![("traits", 4_000_026)]),
            (json!(null), vec![("traits", 4_000_026)]),
            (json!({"email": "a@b.c", "name": "x".repeat(200)}), vec![]),
        ] {
            assert_eq!(ids(&schema.violations(&traits)), expected, "{traits}");
        }
    }

    #[test]
    fn every_keyword_is_checked() {
        let schema = with_traits(
            r#"{"type":"object","properties":{
                "age":{"type":"integer","minimum":18,"maximum":99},
                "size":{"type":"string","enum":["s","m"]},
                "tags":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"string"}},
                "ok":{"type":"boolean"}}}"#,
        )
        .unwrap();

        for (traits, expected) in [
            (json!({"age": 17}), vec![("traits.age", 4_000_018)]),
            (json!({"age": 100}), vec![("traits.age", 4_000_020)]),
            (json!({"age": 20.5}), vec![("traits.age", 4_000_026)]),
            (json!({"size": "l"}), vec![("traits.size", 4_000_001)]),
            (json!({"tags": []}), vec![("traits.tags", 4_000_024)]),
            (json!({"tags": ["a", "b", "c"]}), vec![("traits.tags", 4_000_023)]),
            (json!({"tags": [1]}), vec![("traits.tags.0", 4_000_026)]),
            (json!({"ok": "yes"}), vec![("traits.ok", 4_000_026)]),
            (
                json!({"age": 18, "size": "m", "tags": ["a"], "ok": true, "other": 1}),
                vec![],
            ),
        ] {
            assert_eq!(ids(&schema.violations(&traits)), expected, "{traits}");
        }
    }

    #[test]
    fn keyword_that_is_not_checked_is_a_start_up_error() {
        for traits in [
            r#"{"type":"object","patternProperties":{}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^x$"}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}}}"#,
            r#"{"type":"object","properties":{"a":{"type":["string","null"]}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"text"}}}"#,
            r#"{"anyOf":[]}"#,
        ] {
            let err = with_traits(traits).unwrap_err().to_string();
            assert!(err.contains("properties.traits"), "{err}");
        }
        assert!(read(r#"{"type":"object"}"#).is_err());
        assert!(read("[]").is_err());
    }

    #[test]
    fn identifiers_and_addresses_are_read_without_regard_to_case() {
        let extracted = shipped().extract(&json!({"email": " Alice@Example.com "}));

        let address = vec!["alice@example.com".to_owned()];
        assert_eq!(
            extracted,
            Extracted {
                password_identifiers: address.clone(),
                code_identifiers: address.clone(),
                verifiable: address.clone(),
                recovery: address,
            }
        );
    }

    #[test]
    fn only_addresses_pass_as_email() {
        for (text, expected) in [
            ("a@b.c", true),
            ("a.b+c@example-x.com", true),
            ("a@localhost", true),
            ("a@", false),
            ("@b", false),
            ("a b@c.d", false),
            ("a@b@c.d", false),
            ("a@-b.c", false),
            ("a@b..c", false),
            ("a\n@b.c", false),
            ("not an address", false),
            ("", false),
        ] {
            assert_eq!(is_email(text), expected, "{text:?}");
        }
        assert!(!is_email(&format!("{}@b.c", "a".repeat(65))));
    }
}
