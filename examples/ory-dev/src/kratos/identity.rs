//! Identities, and their JSON form on both interfaces.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{
    clock::Moment,
    schema::{Extracted, Schema},
    totp,
};

/// One identity.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    pub(crate) schema_id: String,
    pub(crate) active: bool,
    pub(crate) state_changed_at: Moment,
    pub(crate) traits: Value,
    pub(crate) metadata_public: Value,
    pub(crate) metadata_admin: Value,
    pub(crate) password_identifiers: Vec<String>,
    pub(crate) code_identifiers: Vec<String>,
    pub(crate) verifiable: Vec<Address>,
    pub(crate) recovery: Vec<Address>,
    pub(crate) hashed_password: Option<String>,
    /// The secret of the person's authenticator app.
    pub(crate) totp_secret: Option<totp::Secret>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
}

/// One address of an identity.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) id: Uuid,
    pub(crate) value: String,
    pub(crate) verified_at: Option<Moment>,
    pub(crate) status: String,
    pub(crate) created_at: Moment,
}

/// The parts of an identity that an answer shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) credentials: Credentials,
    pub(crate) addresses: bool,
    pub(crate) metadata_admin: MetadataAdmin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Absent,
    /// As after a creation, when Kratos has not yet read the times from its database.
    Fresh,
    Plain,
    WithHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetadataAdmin {
    Absent,
    /// As after a write: shown only if the request contained it.
    IfSet,
    Shown,
}

impl View {
    pub(crate) const PUBLIC: Self = Self {
        credentials: Credentials::Absent,
        addresses: true,
        metadata_admin: MetadataAdmin::Absent,
    };
    pub(crate) const IN_SESSION_LIST: Self = Self {
        addresses: false,
        ..Self::PUBLIC
    };
    pub(crate) const ADMIN: Self = Self {
        credentials: Credentials::Plain,
        addresses: true,
        metadata_admin: MetadataAdmin::Shown,
    };
    pub(crate) const LISTED: Self = Self {
        credentials: Credentials::Absent,
        ..Self::ADMIN
    };
    pub(crate) const CREATED: Self = Self {
        credentials: Credentials::Fresh,
        metadata_admin: MetadataAdmin::IfSet,
        ..Self::ADMIN
    };
    pub(crate) const REPLACED: Self = Self {
        metadata_admin: MetadataAdmin::IfSet,
        ..Self::ADMIN
    };
}

impl Identity {
    pub(crate) fn new(schema: &Schema, traits: Value, now: Moment) -> Self {
        let mut identity = Self {
            id: Uuid::new_v4(),
            schema_id: schema.id().to_owned(),
            active: true,
            state_changed_at: now,
            traits: Value::Null,
            metadata_public: Value::Null,
            metadata_admin: Value::Null,
            password_identifiers: Vec::new(),
            code_identifiers: Vec::new(),
            verifiable: Vec::new(),
            recovery: Vec::new(),
            hashed_password: None,
            totp_secret: None,
            created_at: now,
            updated_at: now,
        };
        identity.set_traits(schema, traits, now);
        identity
    }

    /// Replaces the traits and the data derived from them. Unchanged addresses keep their verification state.
    pub(crate) fn set_traits(&mut self, schema: &Schema, traits: Value, now: Moment) {
        let Extracted {
            password_identifiers,
            code_identifiers,
            verifiable,
            recovery,
        } = schema.extract(&traits);
        schema.id().clone_into(&mut self.schema_id);
        self.password_identifiers = password_identifiers;
        self.code_identifiers = code_identifiers;
        self.verifiable = keep(&self.verifiable, verifiable, now);
        self.recovery = keep(&self.recovery, recovery, now);
        self.traits = traits;
    }

    /// Returns every text that must be unique among identities.
    pub(crate) fn unique(&self) -> impl Iterator<Item = &str> {
        self.password_identifiers
            .iter()
            .chain(&self.code_identifiers)
            .map(String::as_str)
            .chain(
                self.verifiable
                    .iter()
                    .chain(&self.recovery)
                    .map(|address| address.value.as_str()),
            )
    }

    pub(crate) fn json(&self, public_url: Option<&Url>, view: View) -> Value {
        let mut members = Map::new();
        members.insert("id".into(), self.id.to_string().into());
        if view.credentials != Credentials::Absent {
            members.insert("credentials".into(), self.credentials_json(view.credentials));
        }
        members.insert("schema_id".into(), json!(self.schema_id));
        members.insert("schema_url".into(), self.schema_url(public_url).into());
        members.insert("state".into(), self.state().into());
        members.insert("state_changed_at".into(), self.state_changed_at.rfc3339().into());
        members.insert("traits".into(), self.traits.clone());
        if view.addresses {
            let verifiable: Vec<_> = self.verifiable.iter().map(Address::verifiable_json).collect();
            let recovery: Vec<_> = self.recovery.iter().map(Address::recovery_json).collect();
            // Go omits empty lists.
            for (name, list) in [
                ("verifiable_addresses", verifiable),
                ("recovery_addresses", recovery),
            ] {
                if !list.is_empty() {
                    members.insert(name.into(), list.into());
                }
            }
        }
        members.insert("metadata_public".into(), self.metadata_public.clone());
        let shown = match view.metadata_admin {
            MetadataAdmin::Absent => false,
            MetadataAdmin::IfSet => !self.metadata_admin.is_null(),
            MetadataAdmin::Shown => true,
        };
        if shown {
            members.insert("metadata_admin".into(), self.metadata_admin.clone());
        }
        members.insert("created_at".into(), self.created_at.rfc3339_micros().into());
        members.insert("updated_at".into(), self.updated_at.rfc3339_micros().into());
        members.insert("organization_id".into(), Value::Null);
        Value::Object(members)
    }

    pub(crate) fn state(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }

    fn credentials_json(&self, credentials: Credentials) -> Value {
        let at = match credentials {
            Credentials::Fresh => NO_TIME.to_owned(),
            Credentials::Absent | Credentials::Plain | Credentials::WithHash => {
                self.created_at.rfc3339_micros()
            }
        };
        let mut members = Map::new();
        let own = self.totp_secret.iter().map(|_| self.id.to_string()).collect();
        for (kind, identifiers, version) in [
            ("code", &self.code_identifiers, 1),
            ("password", &self.password_identifiers, 0),
            ("totp", &own, 0),
        ] {
            if !identifiers.is_empty() {
                members.insert(
                    kind.into(),
                    json!({"type": kind, "identifiers": identifiers, "version": version, "created_at": at, "updated_at": at}),
                );
            }
        }
        if credentials == Credentials::WithHash
            && let Some(hash) = &self.hashed_password
            && let Some(password) = members.get_mut("password").and_then(Value::as_object_mut)
        {
            password.insert("config".into(), json!({"hashed_password": hash}));
        }
        Value::Object(members)
    }

    fn schema_url(&self, public_url: Option<&Url>) -> String {
        match public_url {
            Some(base) => format!("{base}schemas/{}", URL_SAFE_NO_PAD.encode(&self.schema_id)),
            None => String::new(),
        }
    }
}

impl Address {
    fn verifiable_json(&self) -> Value {
        let mut address = self.recovery_json();
        if let Some(members) = address.as_object_mut() {
            members.insert("verified".into(), self.verified_at.is_some().into());
            members.insert("status".into(), json!(self.status));
            if let Some(at) = self.verified_at {
                members.insert("verified_at".into(), at.rfc3339().into());
            }
        }
        address
    }

    fn recovery_json(&self) -> Value {
        let at = self.created_at.rfc3339_micros();
        json!({"id": self.id.to_string(), "value": self.value, "via": "email", "created_at": at, "updated_at": at})
    }
}

fn keep(known: &[Address], values: Vec<String>, now: Moment) -> Vec<Address> {
    let of = |value: String| match known.iter().find(|address| address.value == value) {
        Some(address) => address.clone(),
        None => Address {
            id: Uuid::new_v4(),
            value,
            verified_at: None,
            status: "pending".to_owned(),
            created_at: now,
        },
    };
    values.into_iter().map(of).collect()
}

/// Go's zero time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
