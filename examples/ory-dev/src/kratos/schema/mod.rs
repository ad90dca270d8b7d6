//! The part of JSON Schema that identity schemas of small projects use.
//!
//! An unsupported keyword is an error at start: a schema must not look stricter than it is.

mod rule;

use rule::{Location, Rule};
use serde_json::{Value, json};

use crate::config::{ConfigError, Document};

/// A checked identity schema.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    id: String,
    source: Value,
    traits: Rule,
}

/// One violation of a schema by a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Violation {
    /// The path of the value: `traits.email`.
    pub(crate) path: String,
    /// The message for a form.
    pub(crate) message: Value,
    /// The message for the admin interface.
    pub(crate) reason: String,
}

/// The identifiers and addresses that Kratos extracts from valid traits.
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
        // Members beside `traits` are ignored, as in Kratos.
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

    /// Returns all violations of `traits`.
    pub(crate) fn violations(&self, traits: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        self.traits.check(traits, &Location::traits(), &mut found);
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

    /// Returns the identifier trait, if there is exactly one.
    pub(crate) fn identifier_field(&self) -> Option<Field> {
        let mut names = Vec::new();
        self.traits.identifiers("traits", &mut names);
        match names.as_slice() {
            [name] => self.fields().into_iter().find(|field| field.name == *name),
            [] | [_, ..] => None,
        }
    }
}

/// Returns an error message for a form in Kratos's format.
pub(crate) fn message(id: u32, text: &str, context: Option<Value>) -> Value {
    let mut message = json!({"id": id, "text": text, "type": "error"});
    if let (Some(context), Some(members)) = (context, message.as_object_mut()) {
        members.insert("context".into(), context);
    }
    message
}

/// Returns the form message for an empty field.
pub(crate) fn missing(name: &str) -> Value {
    let text = format!("Property {name} is missing.");
    message(4_000_002, &text, Some(json!({"property": name})))
}

#[cfg(test)]
mod tests;
