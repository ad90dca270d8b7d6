//! OAuth 2 clients, as the admin interface reads and shows them.

use std::time::Duration;

use actix_web::http::StatusCode;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{answer::Refusal, config::TokenStrategy, secret};
use crate::{config::parse_duration, kratos::clock::Moment};

/// One OAuth 2 client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// `None` for a public client.
    secret: Option<String>,
    /// The members of the description, complete with defaults.
    members: Map<String, Value>,
    created_at: Moment,
    updated_at: Moment,
}

/// A client as a body of the admin interface describes it.
#[derive(Debug)]
pub(crate) struct Description {
    id: Option<String>,
    secret: Option<String>,
    members: Map<String, Value>,
    /// The lists that the body omits. The answer to a write shows them as null.
    absent: Vec<&'static str>,
}

/// The client authentication method for the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthMethod {
    Basic,
    None,
    Post,
}

impl Description {
    /// Reads a body. Unknown members are ignored, as Hydra does.
    pub(crate) fn read(body: &Value) -> Result<Self, Refusal> {
        let Some(body) = body.as_object() else {
            let text = "Unable to decode the request body: it must be a JSON object";
            return Err(Refusal::admin(StatusCode::BAD_REQUEST, "Bad Request", text));
        };
        let mut description = Self {
            id: text(body, "client_id")?.map(ToOwned::to_owned),
            secret: text(body, "client_secret")?.map(ToOwned::to_owned),
            members: Map::new(),
            absent: Vec::new(),
        };
        for name in TEXTS {
            let value = text(body, name)?.unwrap_or_default();
            description.members.insert((*name).to_owned(), value.into());
        }
        for (name, is_null_when_absent) in LISTS {
            if let Some(list) = list(body, name)? {
                description.members.insert((*name).to_owned(), list.into());
            } else {
                description.members.insert((*name).to_owned(), json!([]));
                if *is_null_when_absent {
                    description.absent.push(name);
                }
            }
        }
        description.read_rest(body)?;
        description.check()?;
        Ok(description)
    }

    fn read_rest(&mut self, body: &Map<String, Value>) -> Result<(), Refusal> {
        let mut put = |name: &str, value: Value| self.members.insert(name.to_owned(), value);
        if let Some(list) = list(body, "post_logout_redirect_uris")? {
            put("post_logout_redirect_uris", list.into());
        }
        if let Some(strategy) = text(body, "access_token_strategy")?.filter(|text| !text.is_empty()) {
            put("access_token_strategy", strategy.into());
        }
        let or_default = |name, default: &str| {
            Ok::<_, Refusal>(
                text(body, name)?
                    .filter(|text| !text.is_empty())
                    .unwrap_or(default)
                    .to_owned(),
            )
        };
        put(
            "scope",
            or_default("scope", "offline_access offline openid")?.into(),
        );
        put("subject_type", or_default("subject_type", "public")?.into());
        put(
            "token_endpoint_auth_method",
            or_default("token_endpoint_auth_method", "client_secret_basic")?.into(),
        );
        put(
            "userinfo_signed_response_alg",
            or_default("userinfo_signed_response_alg", "none")?.into(),
        );
        for name in ["metadata", "jwks"] {
            let value = body.get(name).filter(|value| value.is_object()).cloned();
            put(name, value.unwrap_or_else(|| json!({})));
        }
        put(
            "skip_consent",
            body.get("skip_consent")
                .and_then(Value::as_bool)
                .unwrap_or(false)
                .into(),
        );
        put(
            "skip_logout_consent",
            body.get("skip_logout_consent").cloned().unwrap_or_default(),
        );
        put("client_secret_expires_at", 0.into());
        for name in LIFESPANS {
            put(
                name,
                body.get(*name)
                    .and_then(Value::as_str)
                    .map_or(Value::Null, Value::from),
            );
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        if self
            .secret
            .as_ref()
            .is_some_and(|secret| !secret.is_empty() && secret.len() < 6)
        {
            return Err(Refusal::bad_metadata(
                "Field client_secret must contain a secret that is at least 6 characters long.",
            ));
        }
        for uri in texts(&self.members, "redirect_uris") {
            let problem = match Url::parse(uri) {
                Ok(url) if url.fragment().is_some() => "Redirect URIs must not contain fragments",
                Ok(_) => continue,
                Err(_) => "Unable to parse redirect URL",
            };
            let text = format!("The value of one or more redirect_uris is invalid. {problem}: {uri}");
            return Err(Refusal::admin(
                StatusCode::BAD_REQUEST,
                "invalid_redirect_uri",
                text,
            ));
        }
        let method = self
            .members
            .get("token_endpoint_auth_method")
            .and_then(Value::as_str);
        if !matches!(
            method,
            Some("client_secret_basic" | "client_secret_post" | "none")
        ) {
            return Err(Refusal::bad_metadata(
                "This stand-in supports the client authentication methods 'client_secret_basic', \
                 'client_secret_post' and 'none'.",
            ));
        }
        if self.members.get("subject_type").and_then(Value::as_str) != Some("public") {
            return Err(Refusal::bad_metadata(
                "This stand-in supports the subject type 'public'.",
            ));
        }
        let strategy = self.members.get("access_token_strategy").and_then(Value::as_str);
        if !matches!(strategy, None | Some("jwt" | "opaque")) {
            return Err(Refusal::bad_metadata(
                "Field access_token_strategy must be 'jwt' or 'opaque'.",
            ));
        }
        check_lifespans(&self.members)
    }

    fn is_public(&self) -> bool {
        self.members
            .get("token_endpoint_auth_method")
            .and_then(Value::as_str)
            == Some("none")
    }
}

impl Client {
    /// Makes a client, with a random id and secret where the description has none.
    pub(crate) fn new(description: &Description, now: Moment) -> Result<Self, Refusal> {
        let id = match description.id.clone().filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => Uuid::new_v4().to_string(),
        };
        let given = description.secret.clone().filter(|secret| !secret.is_empty());
        let secret = match given {
            _ if description.is_public() => None,
            Some(secret) => Some(secret),
            None => Some(secret::client_secret()?),
        };
        Ok(Self {
            id,
            secret,
            members: description.members.clone(),
            created_at: now,
            updated_at: now,
        })
    }

    /// Returns the client with another description. A description without a secret keeps the old secret.
    pub(crate) fn replaced(&self, description: &Description, now: Moment) -> Self {
        let given = description.secret.clone().filter(|secret| !secret.is_empty());
        Self {
            id: self.id.clone(),
            secret: given
                .or_else(|| self.secret.clone())
                .filter(|_| !description.is_public()),
            members: description.members.clone(),
            created_at: self.created_at,
            updated_at: now,
        }
    }

    /// Returns the client with other lifespans. Lifespans that the body omits are removed.
    pub(crate) fn with_lifespans(&self, body: &Value, now: Moment) -> Result<Self, Refusal> {
        let mut changed = self.clone();
        for name in LIFESPANS {
            let value = body.get(*name).cloned().unwrap_or_default();
            changed.members.insert((*name).to_owned(), value);
        }
        check_lifespans(&changed.members)?;
        for name in LIFESPANS {
            if let Some(lifespan) = changed.lifespan(name) {
                changed
                    .members
                    .insert((*name).to_owned(), go_duration(lifespan).into());
            }
        }
        changed.updated_at = now;
        Ok(changed)
    }

    /// Writes the client as an answer to a read shows it.
    pub(crate) fn json(&self) -> Value {
        let mut members = self.members.clone();
        members.insert("client_id".into(), self.id.as_str().into());
        members.insert(
            "created_at".into(),
            self.created_at.whole_seconds().rfc3339().into(),
        );
        members.insert("updated_at".into(), self.updated_at.rfc3339_micros().into());
        Value::Object(members)
    }

    /// Writes the client as an answer to a write with `description` shows it.
    pub(crate) fn written_json(&self, description: &Description) -> Value {
        let mut shown = self.json();
        if let Some(members) = shown.as_object_mut() {
            for name in &description.absent {
                members.insert((*name).to_owned(), Value::Null);
            }
        }
        shown
    }

    /// Writes the client as the answer to its creation shows it. Only this answer contains the secret.
    pub(crate) fn created_json(&self, description: &Description, issuer: &str) -> Result<Value, Refusal> {
        let mut shown = self.written_json(description);
        if let Some(members) = shown.as_object_mut() {
            if let Some(secret) = &self.secret {
                members.insert("client_secret".into(), secret.as_str().into());
            }
            let token = secret::random_token("ory_at_")?;
            members.insert("registration_access_token".into(), token.into());
            let own = if description.id.is_some() {
                format!("/{}", self.id)
            } else {
                String::new()
            };
            let uri = format!("{}/oauth2/register{own}", issuer.trim_end_matches('/'));
            members.insert("registration_client_uri".into(), uri.into());
        }
        Ok(shown)
    }

    /// Compares a secret in constant time.
    pub(crate) fn has_secret(&self, presented: &str) -> bool {
        self.secret
            .as_ref()
            .is_some_and(|own| verify_slices_are_equal(own.as_bytes(), presented.as_bytes()).is_ok())
    }

    pub(crate) fn auth_method(&self) -> AuthMethod {
        match self.member("token_endpoint_auth_method") {
            "client_secret_post" => AuthMethod::Post,
            "none" => AuthMethod::None,
            _ => AuthMethod::Basic,
        }
    }

    pub(crate) fn may_use_grant(&self, grant: &str) -> bool {
        let mut grants = texts(&self.members, "grant_types").peekable();
        // RFC 7591 §2: without `grant_types` the grant is the authorization code.
        if grants.peek().is_none() {
            return grant == "authorization_code";
        }
        grants.any(|own| own == grant)
    }

    pub(crate) fn may_use_response_type(&self, response_type: &str) -> bool {
        let mut types = texts(&self.members, "response_types").peekable();
        if types.peek().is_none() {
            return response_type == "code";
        }
        types.any(|own| own == response_type)
    }

    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.member("scope").split(' ').filter(|scope| !scope.is_empty())
    }

    pub(crate) fn audience(&self) -> impl Iterator<Item = &str> {
        texts(&self.members, "audience")
    }

    pub(crate) fn redirect_uris(&self) -> impl Iterator<Item = &str> {
        texts(&self.members, "redirect_uris")
    }

    pub(crate) fn skips_consent(&self) -> bool {
        self.members
            .get("skip_consent")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    pub(crate) fn access_token_strategy(&self) -> Option<TokenStrategy> {
        match self.member("access_token_strategy") {
            "jwt" => Some(TokenStrategy::Jwt),
            "opaque" => Some(TokenStrategy::Opaque),
            _ => None,
        }
    }

    /// Returns a lifespan that is set for this client.
    pub(crate) fn lifespan(&self, name: &str) -> Option<Duration> {
        parse_duration(self.members.get(name)?.as_str()?)
    }

    fn member(&self, name: &str) -> &str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl AuthMethod {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::None => "none",
            Self::Post => "client_secret_post",
        }
    }
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(name, "a string")),
    }
}

fn list(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let items = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(wrong_type(name, "a list of strings")),
    };
    let texts = items.iter().map(|item| item.as_str().map(ToOwned::to_owned));
    let texts: Option<Vec<String>> = texts.collect();
    texts
        .map(Some)
        .ok_or_else(|| wrong_type(name, "a list of strings"))
}

fn wrong_type(name: &str, wanted: &str) -> Refusal {
    let text = format!("Unable to decode the request body: `{name}` must be {wanted}");
    Refusal::admin(StatusCode::BAD_REQUEST, "Bad Request", text)
}

fn texts<'m>(members: &'m Map<String, Value>, name: &str) -> impl Iterator<Item = &'m str> {
    let items = members.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str)
}

fn check_lifespans(members: &Map<String, Value>) -> Result<(), Refusal> {
    for name in LIFESPANS {
        let value = members.get(*name);
        if value.is_some_and(|value| !value.is_null() && value.as_str().and_then(parse_duration).is_none()) {
            return Err(wrong_type(name, "a duration such as `10m`"));
        }
    }
    Ok(())
}

/// Writes a duration as Go does: `10m0s`.
fn go_duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    if seconds == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!("{millis:03}");
    let fraction = fraction.trim_end_matches('0');
    let rest = if fraction.is_empty() {
        format!("{rest}s")
    } else {
        format!("{rest}.{fraction}s")
    };
    match (hours, minutes) {
        (0, 0) => rest,
        (0, _) => format!("{minutes}m{rest}"),
        (_, _) => format!("{hours}h{minutes}m{rest}"),
    }
}

const TEXTS: &[&str] = &[
    "client_name",
    "client_uri",
    "logo_uri",
    "owner",
    "policy_uri",
    "tos_uri",
];

/// The lists, and whether an answer to a write shows an absent one as null.
const LISTS: &[(&str, bool)] = &[
    ("allowed_cors_origins", false),
    ("audience", false),
    ("contacts", true),
    ("grant_types", true),
    ("redirect_uris", true),
    ("response_types", true),
];

const LIFESPANS: &[&str] = &[
    "authorization_code_grant_access_token_lifespan",
    "authorization_code_grant_id_token_lifespan",
    "authorization_code_grant_refresh_token_lifespan",
    "client_credentials_grant_access_token_lifespan",
    "device_authorization_grant_access_token_lifespan",
    "device_authorization_grant_id_token_lifespan",
    "device_authorization_grant_refresh_token_lifespan",
    "implicit_grant_access_token_lifespan",
    "implicit_grant_id_token_lifespan",
    "jwt_bearer_grant_access_token_lifespan",
    "refresh_token_grant_access_token_lifespan",
    "refresh_token_grant_id_token_lifespan",
    "refresh_token_grant_refresh_token_lifespan",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (millis, expected) in [
            (600_000, "10m0s"),
            (3_600_000, "1h0m0s"),
            (5_400_000, "1h30m0s"),
            (1_500, "1.5s"),
            (250, "250ms"),
            (0, "0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn body_with_a_member_of_the_wrong_type_is_refused() {
        for body in [
            json!([]),
            json!({"client_id": 1}),
            json!({"scope": ["a"]}),
            json!({"audience": "orders-api"}),
            json!({"grant_types": [1]}),
            json!({"client_secret": "12345"}),
            json!({"redirect_uris": ["/callback"]}),
            json!({"redirect_uris": ["https://app.example/callback#x"]}),
            json!({"token_endpoint_auth_method": "private_key_jwt"}),
            json!({"subject_type": "pairwise"}),
            json!({"access_token_strategy": "paseto"}),
            json!({"client_credentials_grant_access_token_lifespan": "ten minutes"}),
        ] {
            assert!(Description::read(&body).is_err(), "{body}");
        }
    }
}
