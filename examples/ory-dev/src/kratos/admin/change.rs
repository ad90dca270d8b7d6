//! The bodies that create or replace an identity.

use serde_json::{Map, Value};

use super::super::{
    answer::Refusal, clock::Moment, identity::Identity, password, schema::Schema, shared::Shared,
};

/// A checked create or replace body.
#[derive(Debug)]
pub(crate) struct Change {
    pub(super) schema_id: String,
    pub(super) traits: Value,
    pub(super) active: Option<bool>,
    pub(super) metadata_public: Value,
    pub(super) metadata_admin: Value,
    verifiable: Vec<Verifiable>,
    password: Option<NewPassword>,
}

#[derive(Debug)]
enum NewPassword {
    Hashed(String),
    Plain(String),
}

#[derive(Debug)]
struct Verifiable {
    value: String,
    verified: bool,
    status: Option<String>,
}

impl Change {
    /// Reads a body. Unknown members are rejected, as in Kratos.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(body).map_err(|err| malformed(&err.to_string()))?;
        let Value::Object(mut members) = value else {
            return Err(malformed("expected an object"));
        };

        let mut take = |name: &str| members.remove(name).filter(|value| !value.is_null());
        let change = Self {
            schema_id: take("schema_id")
                .map(|value| text(&value, "schema_id"))
                .transpose()?
                .unwrap_or_default(),
            traits: take("traits").unwrap_or_else(|| Map::new().into()),
            active: take("state").map(|value| is_active(&value)).transpose()?,
            metadata_public: take("metadata_public").unwrap_or_default(),
            metadata_admin: take("metadata_admin").unwrap_or_default(),
            verifiable: verifiable(take("verifiable_addresses").as_ref())?,
            password: new_password(take("credentials").as_ref())?,
        };
        // Derived from the traits here, as in Kratos.
        take("recovery_addresses");
        if take("external_id").is_some() || take("organization_id").is_some() {
            return Err(Refusal::not_here(
                "There are no external ids and no organizations here.",
            ));
        }
        match members.keys().next() {
            Some(name) => Err(malformed(&format!("json: unknown field \"{name}\""))),
            None => Ok(change),
        }
    }

    /// Returns the hash of the password that the body sets.
    pub(super) async fn hashed_password(&mut self, shared: &Shared) -> Result<Option<String>, Refusal> {
        match self.password.take() {
            None => Ok(None),
            Some(NewPassword::Hashed(hash)) => Ok(Some(hash)),
            Some(NewPassword::Plain(password)) => password::hash(password, shared.config.bcrypt_cost)
                .await
                .map(Some),
        }
    }

    /// Copies the body's information about addresses to the addresses of the traits.
    pub(super) fn mark_addresses(&self, identity: &mut Identity, now: Moment) {
        for given in &self.verifiable {
            let known = identity
                .verifiable
                .iter_mut()
                .find(|address| address.value == given.value);
            if let Some(address) = known {
                address.verified_at = given.verified.then(|| address.verified_at.unwrap_or(now));
                if let Some(status) = &given.status {
                    status.clone_into(&mut address.status);
                }
            }
        }
    }

    pub(super) fn says_addresses(&mut self, addresses: Option<&Value>) -> Result<(), Refusal> {
        self.verifiable = verifiable(addresses)?;
        Ok(())
    }
}

/// Returns the schema of that name after it has accepted the traits.
pub(super) fn checked_schema<'s>(
    shared: &'s Shared,
    id: &str,
    traits: &Value,
) -> Result<&'s Schema, Refusal> {
    let id = if id.is_empty() {
        shared.config.default_schema.as_str()
    } else {
        id
    };
    let schema = shared.config.schema(id);
    let schema = schema.ok_or_else(|| {
        Refusal::bad_request(format!(
            "Unable to find JSON Schema ID: {}",
            id.chars().take(256).collect::<String>()
        ))
    })?;
    match schema.violations(traits).into_iter().next() {
        Some(violation) => Err(Refusal::bad_request(violation.reason)),
        None => Ok(schema),
    }
}

/// Returns whether a `state` is active.
pub(super) fn is_active(state: &Value) -> Result<bool, Refusal> {
    match state.as_str() {
        Some("active") => Ok(true),
        Some("inactive") => Ok(false),
        Some(_) | None => Err(Refusal::bad_request("identity state is not valid")),
    }
}

pub(super) fn malformed(problem: &str) -> Refusal {
    Refusal::bad_request(problem.chars().take(512).collect::<String>())
}

fn text(value: &Value, name: &str) -> Result<String, Refusal> {
    value
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| malformed(&format!("`{name}` must be a string")))
}

fn verifiable(addresses: Option<&Value>) -> Result<Vec<Verifiable>, Refusal> {
    let Some(addresses) = addresses else {
        return Ok(Vec::new());
    };
    let wrong = || malformed("`verifiable_addresses` must be a list of addresses");
    let items = addresses.as_array().ok_or_else(wrong)?;
    let one = |item: &Value| {
        Some(Verifiable {
            value: item.get("value")?.as_str()?.trim().to_lowercase(),
            verified: item
                .get("verified")
                .is_some_and(|verified| *verified == Value::Bool(true)),
            status: item.get("status").and_then(Value::as_str).map(ToOwned::to_owned),
        })
    };
    items.iter().map(|item| one(item).ok_or_else(wrong)).collect()
}

fn new_password(credentials: Option<&Value>) -> Result<Option<NewPassword>, Refusal> {
    let Some(credentials) = credentials else {
        return Ok(None);
    };
    let members = credentials
        .as_object()
        .ok_or_else(|| malformed("`credentials` must be an object"))?;
    if members.keys().any(|kind| kind != "password") {
        return Err(Refusal::not_here("There are no credentials but passwords here."));
    }
    let config = members
        .get("password")
        .and_then(|password| password.get("config"));
    let given = |name: &str| config.and_then(|config| config.get(name)).and_then(Value::as_str);
    match (given("hashed_password"), given("password")) {
        (Some(hash), _) if password::is_hash(hash) => Ok(Some(NewPassword::Hashed(hash.to_owned()))),
        (Some(_), _) => Err(Refusal::not_here(
            "Only hashes of bcrypt with a cost of at most 16 are read here.",
        )),
        (None, Some(password)) => Ok(Some(NewPassword::Plain(password.to_owned()))),
        (None, None) => Err(malformed("`credentials.password.config` must hold a password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_cannot_be_meant_are_refused() {
        let deep = format!("{{\"traits\":{}}}", "[".repeat(1000));
        for body in [
            "",
            "{",
            "[]",
            "null",
            &deep,
            r#"{"schema_id":1}"#,
            r#"{"state":"asleep"}"#,
            r#"{"state":1}"#,
            r#"{"metadata_pubic":{}}"#,
            r#"{"metadata_pubic":null}"#,
            r#"{"credentials":[]}"#,
            r#"{"credentials":{"oidc":{}}}"#,
            r#"{"credentials":{"password":{"config":{}}}}"#,
            r#"{"credentials":{"password":{"config":{"hashed_password":"$argon2id$x"}}}}"#,
            r#"{"verifiable_addresses":{}}"#,
            r#"{"verifiable_addresses":[{"value":1}]}"#,
            r#"{"external_id":"x"}"#,
        ] {
            assert!(Change::read(body.as_bytes()).is_err(), "{body:.60}");
        }
        assert!(Change::read(b"{\"schema_id\":\"\xff\"}").is_err());
        assert!(Change::read(br#"{"state":null,"external_id":null}"#).is_ok());
    }
}
