//! What may an identity's traits be? The part of JSON Schema that identity schemas of small projects use.
//!
//! A keyword that is not checked here is a start-up error: a schema that looks strict and is not would teach the
//! wrong thing.

mod rule;

use rule::{Place, Rule};
use serde_json::{Value, json};

use crate::config::{ConfigError, Document};

/// A checked identity schema.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    id: String,
    source: Value,
    traits: Rule,
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

/// Returns an error message of a form, as Kratos writes it.
pub(crate) fn message(id: u32, text: &str, context: Option<Value>) -> Value {
    let mut message = json!({"id": id, "text": text, "type": "error"});
    if let (Some(context), Some(members)) = (context, message.as_object_mut()) {
        members.insert("context".into(), context);
    }
    message
}

/// Returns what a form says about a field that is empty.
pub(crate) fn missing(name: &str) -> Value {
    let text = format!("Property {name} is missing.");
    message(4_000_002, &text, Some(json!({"property": name})))
}

#[cfg(test)]
mod tests;
