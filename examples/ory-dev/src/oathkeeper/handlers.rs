//! The handler sections of `oathkeeper.yml`, and their overrides in rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use actix_web::http::{
    Method,
    header::{AUTHORIZATION, COOKIE, HeaderName},
};
use serde_json::Value;

use crate::{
    config::{ConfigError, Options},
    oathkeeper::{
        authn::{Authenticator, Credential, SessionCheck, TokenPlace},
        introspection::{Introspection, ScopeStrategy},
        mutate::{IdToken, Mutator},
        rule::{Authorizer, Rule, headers_of, plain_http_url, texts_of},
        session::JsonPath,
        template::Template,
    },
};

/// The handlers that the configuration enables, with their configuration.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    authenticators: BTreeMap<&'static str, Value>,
    authorizers: BTreeMap<&'static str, Value>,
    mutators: BTreeMap<&'static str, Value>,
}

impl Handlers {
    /// Reads the three sections.
    pub(crate) fn read(root: &mut Options<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut section = root.section("authenticators")?;
        for name in ["jwt", "oauth2_client_credentials"] {
            section.harmless(name, "this stand-in does not have it, and no rule may use it");
        }
        let authenticators = read_section(
            section,
            [
                "anonymous",
                "bearer_token",
                "cookie_session",
                "noop",
                "oauth2_introspection",
                "unauthorized",
            ],
            warnings,
        )?;

        let mut section = root.section("authorizers")?;
        for name in ["keto_engine_acp_ory", "remote", "remote_json"] {
            section.harmless(name, "this stand-in does not have it, and no rule may use it");
        }
        let authorizers = read_section(section, ["allow", "deny"], warnings)?;

        let mut section = root.section("mutators")?;
        for name in ["cookie", "hydrator"] {
            section.harmless(name, "this stand-in does not have it, and no rule may use it");
        }
        let mutators = read_section(section, ["header", "id_token", "noop"], warnings)?;
        Ok(Self {
            authenticators,
            authorizers,
            mutators,
        })
    }

    /// Checks the configuration of handlers that no rule uses. The others were checked with their rules.
    pub(crate) fn check_unused(&self, file: &Path, rules: &[Rule]) -> Result<(), ConfigError> {
        let used: BTreeSet<_> = rules.iter().flat_map(Rule::handlers).collect();
        let unused = |section, handlers: &BTreeMap<&'static str, Value>| {
            let is_unused = |(name, config): &(&&'static str, &Value)| {
                !config.is_null() && !used.contains(&(section, **name))
            };
            handlers
                .iter()
                .filter(is_unused)
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
        };

        for name in unused("authenticators", &self.authenticators) {
            self.authenticator(name, &Value::Null, file, &format!("authenticators.{name}.config"))?;
        }
        for name in unused("authorizers", &self.authorizers) {
            self.authorizer(name, &Value::Null, file, &format!("authorizers.{name}.config"))?;
        }
        for name in unused("mutators", &self.mutators) {
            self.mutator(name, &Value::Null, file, &format!("mutators.{name}.config"))?;
        }
        Ok(())
    }

    /// The configuration of the `id_token` mutator. Its key file is published even when no rule uses it.
    pub(crate) fn id_token_config(&self) -> Option<&Value> {
        self.mutators.get("id_token")
    }

    /// An authenticator of a rule. `place` is its path in the rules file, for errors.
    pub(crate) fn authenticator(
        &self,
        name: &str,
        own: &Value,
        file: &Path,
        place: &str,
    ) -> Result<Authenticator, ConfigError> {
        let config = merged(&self.authenticators, name, own, file, place)?;
        let mut options = Options::of(file, place.to_owned(), Some(&config))?;
        let authenticator = match name {
            "anonymous" => {
                let subject = options.string("subject")?.filter(|subject| !subject.is_empty());
                Authenticator::Anonymous {
                    subject: subject.unwrap_or("anonymous").to_owned(),
                }
            }
            "bearer_token" => {
                let credential = Credential::Token {
                    place: token_place(&mut options)?,
                    prefix: options.string("prefix")?.unwrap_or_default().to_owned(),
                };
                Authenticator::Session(Box::new(session_check(
                    &mut options,
                    credential,
                    "sub",
                    AUTHORIZATION,
                )?))
            }
            "cookie_session" => {
                let only = options.strings("only")?.unwrap_or_default();
                let credential = Credential::Cookie {
                    only: only.into_iter().map(str::to_owned).collect(),
                };
                Authenticator::Session(Box::new(session_check(
                    &mut options,
                    credential,
                    "subject",
                    COOKIE,
                )?))
            }
            "noop" => Authenticator::Noop,
            "oauth2_introspection" => Authenticator::Introspection(Box::new(introspection(&mut options)?)),
            _ => Authenticator::Unauthorized,
        };
        options.finish(&mut Vec::new())?;
        Ok(authenticator)
    }

    /// The authorizer of a rule.
    pub(crate) fn authorizer(
        &self,
        name: &str,
        own: &Value,
        file: &Path,
        place: &str,
    ) -> Result<Authorizer, ConfigError> {
        let config = merged(&self.authorizers, name, own, file, place)?;
        Options::of(file, place.to_owned(), Some(&config))?.finish(&mut Vec::new())?;
        Ok(if name == "allow" {
            Authorizer::Allow
        } else {
            Authorizer::Deny
        })
    }

    /// A mutator of a rule.
    pub(crate) fn mutator(
        &self,
        name: &str,
        own: &Value,
        file: &Path,
        place: &str,
    ) -> Result<Mutator, ConfigError> {
        let config = merged(&self.mutators, name, own, file, place)?;
        let mut options = Options::of(file, place.to_owned(), Some(&config))?;
        let mutator = match name {
            "header" => header_mutator(&mut options)?,
            "id_token" => Mutator::IdToken(Box::new(id_token(&mut options)?)),
            _ => Mutator::Noop,
        };
        options.finish(&mut Vec::new())?;
        Ok(mutator)
    }
}

fn read_section<const N: usize>(
    mut section: Options<'_>,
    names: [&'static str; N],
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, Value>, ConfigError> {
    let mut enabled = BTreeMap::new();
    for name in names {
        let mut options = section.section(name)?;
        if options.boolean("enabled")?.unwrap_or(false) {
            let config = options.value("config").cloned().unwrap_or(Value::Null);
            enabled.insert(name, config);
        } else {
            options.harmless("config", "the handler is not enabled");
        }
        options.finish(warnings)?;
    }
    section.finish(warnings)?;
    Ok(enabled)
}

/// The effective configuration of a handler for a rule: the rule's members override the common ones.
fn merged(
    enabled: &BTreeMap<&'static str, Value>,
    name: &str,
    own: &Value,
    file: &Path,
    place: &str,
) -> Result<Value, ConfigError> {
    let Some(common) = enabled.get(name) else {
        let names: Vec<String> = enabled.keys().map(|name| format!("`{name}`")).collect();
        let problem = format!(
            "`{name}` is not enabled, or not supported by this stand-in; enabled here: {}",
            names.join(", ")
        );
        return Err(Options::of(file, place.to_owned(), None)?.refuse("handler", &problem));
    };
    Ok(merge(common, own))
}

fn merge(common: &Value, own: &Value) -> Value {
    match (common, own) {
        (Value::Object(common), Value::Object(own)) => {
            let mut members = common.clone();
            for (name, value) in own {
                let value = members
                    .get(name)
                    .map_or_else(|| value.clone(), |common| merge(common, value));
                members.insert(name.clone(), value);
            }
            Value::Object(members)
        }
        (common, Value::Null) => common.clone(),
        (_, own) => own.clone(),
    }
}

fn session_check(
    options: &mut Options<'_>,
    credential: Credential,
    default_subject: &str,
    always_forwarded: HeaderName,
) -> Result<SessionCheck, ConfigError> {
    let url = plain_http_url(options, "check_session_url")?;
    let mut forward_headers = vec![always_forwarded];
    for name in options.strings("forward_http_headers")?.unwrap_or_default() {
        let name = HeaderName::try_from(name);
        forward_headers
            .push(name.map_err(|_| options.refuse("forward_http_headers", "must be header names"))?);
    }
    let force_method = match options
        .string("force_method")?
        .filter(|method| !method.is_empty())
    {
        None => None,
        Some(method) => {
            let method = Method::from_bytes(method.as_bytes());
            Some(method.map_err(|_| options.refuse("force_method", "must be an HTTP method"))?)
        }
    };
    Ok(SessionCheck {
        credential,
        url: options.required("check_session_url", url)?,
        preserve_path: options.boolean("preserve_path")?.unwrap_or(false),
        preserve_query: options.boolean("preserve_query")?.unwrap_or(true),
        preserve_host: options.boolean("preserve_host")?.unwrap_or(false),
        force_method,
        forward_headers,
        additional_headers: headers_of(options, "additional_headers")?.into_iter().collect(),
        subject_from: json_path(options, "subject_from", default_subject)?,
        extra_from: json_path(options, "extra_from", "extra")?,
    })
}

fn introspection(options: &mut Options<'_>) -> Result<Introspection, ConfigError> {
    let credential = Credential::Token {
        place: token_place(options)?,
        prefix: options.string("prefix")?.unwrap_or_default().to_owned(),
    };
    let url = plain_http_url(options, "introspection_url")?;
    let scope_strategy = match options.string("scope_strategy")? {
        None | Some("none") => ScopeStrategy::None,
        Some("exact") => ScopeStrategy::Exact,
        Some("hierarchic") => ScopeStrategy::Hierarchic,
        Some("wildcard") => ScopeStrategy::Wildcard,
        Some(_) => {
            let problem = "must be `none`, `exact`, `hierarchic` or `wildcard`";
            return Err(options.refuse("scope_strategy", problem));
        }
    };
    for key in ["cache", "pre_authorization"] {
        let mut section = options.section(key)?;
        if section.boolean("enabled")?.unwrap_or(false) {
            return Err(section.refuse("enabled", "must be `false`: this stand-in asks for each request"));
        }
        section.finish(&mut Vec::new())?;
    }
    let mut texts = |key| -> Result<Vec<String>, ConfigError> {
        let texts = options.strings(key)?.unwrap_or_default();
        Ok(texts.into_iter().map(str::to_owned).collect())
    };
    let required_scope = texts("required_scope")?;
    let target_audience = texts("target_audience")?;
    let trusted_issuers = texts("trusted_issuers")?;
    Ok(Introspection {
        credential,
        url: options.required("introspection_url", url)?,
        scope_strategy,
        required_scope,
        target_audience,
        trusted_issuers,
        headers: headers_of(options, "introspection_request_headers")?
            .into_iter()
            .collect(),
        preserve_host: options.boolean("preserve_host")?.unwrap_or(false),
    })
}

fn json_path(options: &mut Options<'_>, key: &'static str, default: &str) -> Result<JsonPath, ConfigError> {
    let text = options
        .string(key)?
        .filter(|text| !text.is_empty())
        .unwrap_or(default);
    JsonPath::parse(text)
        .ok_or_else(|| options.refuse(key, "must be `@this` or member names with dots between them"))
}

fn token_place(options: &mut Options<'_>) -> Result<TokenPlace, ConfigError> {
    let mut section = options.section("token_from")?;
    let (header, query, cookie) = (
        section.string("header")?,
        section.string("query_parameter")?,
        section.string("cookie")?,
    );
    let place = match (header, query, cookie) {
        (None, None, None) => TokenPlace::Bearer,
        (Some(name), None, None) => match HeaderName::try_from(name) {
            Ok(name) if name == AUTHORIZATION => TokenPlace::Bearer,
            Ok(name) => TokenPlace::Header(name),
            Err(_) => return Err(section.refuse("header", "must be a header name")),
        },
        (None, Some(name), None) => TokenPlace::Query(name.to_owned()),
        (None, None, Some(name)) => TokenPlace::Cookie(name.to_owned()),
        (_, _, _) => return Err(options.refuse("token_from", "must hold one of its options")),
    };
    section.finish(&mut Vec::new())?;
    Ok(place)
}

fn header_mutator(options: &mut Options<'_>) -> Result<Mutator, ConfigError> {
    let mut templates = Vec::new();
    for (name, text) in texts_of(options, "headers")? {
        let Ok(header) = HeaderName::try_from(name.as_str()) else {
            return Err(options.refuse("headers", &format!("`{name}` is not a header name")));
        };
        templates.push((header, template(options, "headers", &text)?));
    }
    Ok(Mutator::Header(templates))
}

fn id_token(options: &mut Options<'_>) -> Result<IdToken, ConfigError> {
    let issuer = options.string("issuer_url")?;
    let key_file = options.file_url("jwks_url")?;
    let claims = options
        .string("claims")?
        .filter(|claims| !claims.is_empty())
        .map(str::to_owned);
    let ttl = options.duration("ttl")?.unwrap_or(DEFAULT_TTL);
    if ttl < Duration::from_secs(1) {
        return Err(options.refuse("ttl", "must be at least `1s`"));
    }
    Ok(IdToken {
        issuer: options.required("issuer_url", issuer)?.to_owned(),
        key_file: options.required("jwks_url", key_file)?,
        ttl,
        claims: claims
            .map(|claims| template(options, "claims", &claims))
            .transpose()?,
    })
}

fn template(options: &Options<'_>, key: &str, text: &str) -> Result<Template, ConfigError> {
    Template::parse(text).map_err(|error| options.refuse(key, &format!("template `{text}`: {error}")))
}

const DEFAULT_TTL: Duration = Duration::from_secs(15 * 60);
