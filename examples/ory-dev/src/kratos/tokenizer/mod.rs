//! JWTs about a session, signed by Kratos: `whoami?tokenize_as=NAME`.

mod mapper;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{answer::Refusal, clock::Moment, shared::Shared};
use crate::{
    config::{ConfigError, Options, file_path, read_text},
    oathkeeper::{KeyFile, parse_keys},
};
pub(super) use mapper::Mapper;

/// One template of `session.whoami.tokenizer.templates`.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    name: String,
    ttl: Duration,
    keys: KeySource,
    mapper: Option<Mapper>,
}

/// The source of the signing key.
#[derive(Clone)]
enum KeySource {
    /// A file that is read for each token. If it does not exist, it is created with one new key.
    File(PathBuf),
    /// The text of a key set in the configuration.
    Text(String),
}

impl fmt::Debug for KeySource {
    /// Omits the text, which contains private keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}

impl Template {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reads the section `session.whoami.tokenizer`.
    pub(crate) fn read_all(
        mut tokenizer: Options<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Self>, ConfigError> {
        let mut templates = Vec::new();
        for (name, options) in tokenizer.named("templates")? {
            templates.push(Self::read(name, options, warnings)?);
        }
        tokenizer.finish(warnings)?;
        Ok(templates)
    }

    pub(crate) fn read(
        name: &str,
        mut options: Options<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let ttl = options.duration("ttl")?.unwrap_or(DEFAULT_TTL);
        let keys = options.string("jwks_url")?;
        let keys = match source(options.required("jwks_url", keys)?) {
            Some(Source::File(path)) => KeySource::File(path),
            Some(Source::Text(text)) if first_key(&text).is_some() => KeySource::Text(text),
            Some(Source::Text(_)) | None => {
                let problem = "must be a `file://` URL, or a `base64://` URL of a key set with a private key";
                return Err(options.refuse("jwks_url", problem));
            }
        };
        let text = match options.string("claims_mapper_url")?.map(source) {
            None => None,
            Some(Some(Source::Text(text))) => Some(text),
            Some(Some(Source::File(path))) => match read_text(&path) {
                Ok(text) => Some(text),
                Err(_) => return Err(options.refuse("claims_mapper_url", "the file cannot be read")),
            },
            Some(None) => {
                return Err(options.refuse("claims_mapper_url", "must be a `file://` or `base64://` URL"));
            }
        };
        let mapper = text.map(|text| Mapper::parse(&text)).transpose();
        let mapper = mapper.map_err(|problem| options.refuse("claims_mapper_url", &problem.to_string()))?;
        if !matches!(options.string("subject_source")?, None | Some("id")) {
            return Err(options.refuse("subject_source", "only `id` is supported"));
        }
        options.finish(warnings)?;
        Ok(Self {
            name: name.to_owned(),
            ttl,
            keys,
            mapper,
        })
    }
}

/// Signs a token about a session, given in its JSON form.
pub(crate) fn tokenize(shared: &Shared, name: &str, session: &Value, now: Moment) -> Result<String, Refusal> {
    let template = shared
        .config
        .tokenizer
        .iter()
        .find(|template| template.name == name);
    let template = template
        .ok_or_else(|| Refusal::bad_request(format!("Unable to find tokenizer template \"{name}\".")))?;

    let at = |path: &str| session.pointer(path).cloned().unwrap_or_default();
    let mut claims = Map::new();
    for (name, value) in [
        ("exp", json!(now.after(template.ttl).unix_seconds())),
        ("iat", json!(now.unix_seconds())),
        ("iss", json!(shared.public_url.as_str())),
        ("jti", json!(Uuid::new_v4().to_string())),
        ("nbf", json!(now.unix_seconds())),
        ("sid", at("/id")),
        ("sub", at("/identity/id")),
    ] {
        claims.insert(name.to_owned(), value);
    }
    if let Some(mapper) = &template.mapper {
        let mapped = mapper.evaluate(session, &Value::Object(claims.clone()));
        let mapped = mapped.map_err(|err| {
            tracing::warn!(%err, "the claims mapper of a tokenizer template failed");
            Refusal::bad_request("Unable to execute tokenizer JsonNet.")
        })?;
        let Some(Value::Object(mapped)) = mapped.get("claims") else {
            return Err(Refusal::bad_request(
                "Expected tokenizer JsonNet to return a claims object but it did not.",
            ));
        };
        claims.extend(mapped.clone());
        // The mapper cannot change the subject.
        claims.insert("sid".to_owned(), at("/id"));
        claims.insert("sub".to_owned(), at("/identity/id"));
    }
    template
        .keys
        .sign(&claims)
        .ok_or_else(|| Refusal::internal("the signing key of the template cannot be used"))
}

impl KeySource {
    fn sign(&self, claims: &Map<String, Value>) -> Option<String> {
        let text = match self {
            Self::File(path) => {
                let file = KeyFile::at(path);
                file.ensure().ok()?;
                file.read_text().ok()?
            }
            Self::Text(text) => text.clone(),
        };
        parse_keys(Path::new("tokenizer"), &first_key(&text)?)
            .ok()?
            .sign(claims)
    }
}

/// Returns a key set with only the first private key of `text`, which Kratos signs with.
fn first_key(text: &str) -> Option<String> {
    let set: Value = serde_json::from_str(text).ok()?;
    let key = set.get("keys")?.get(0)?;
    let only = json!({ "keys": [key] }).to_string();
    parse_keys(Path::new("tokenizer"), &only).ok()?;
    Some(only)
}

enum Source {
    File(PathBuf),
    Text(String),
}

fn source(url: &str) -> Option<Source> {
    match url.strip_prefix("base64://") {
        Some(text) => Some(Source::Text(String::from_utf8(STANDARD.decode(text).ok()?).ok()?)),
        None => file_path(url).map(Source::File),
    }
}

const DEFAULT_TTL: Duration = Duration::from_secs(60);
