//! Access rules: which requests are forwarded to which service.

use std::path::{Path, PathBuf};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::{
    config::{ConfigError, Document, Options, Vars},
    oathkeeper::{authn::Authenticator, glob::Glob, handlers::Handlers, mutate::Mutator},
};

/// One validated access rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The rule as the API shows it.
    pub(crate) shown: Shown,
    pub(crate) glob: Glob,
    pub(crate) authenticators: Vec<Authenticator>,
    pub(crate) authorizer: Authorizer,
    pub(crate) mutators: Vec<Mutator>,
    /// Absent for a rule that is used only by the decision API.
    pub(crate) upstream: Option<Url>,
}

/// The authorizer of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorizer {
    Allow,
    Deny,
}

impl Rule {
    /// Returns whether the rule matches this method, in any letter case, and this URL.
    pub(crate) fn matches(&self, method: &str, url: &str) -> bool {
        self.shown
            .r#match
            .methods
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(method))
            && self.glob.matches(url)
    }

    pub(crate) fn id(&self) -> &str {
        &self.shown.id
    }

    /// Replaces one origin by another in all URLs of the rule.
    pub(crate) fn replace_origin(&mut self, from: &Url, to: &Url) {
        if let Some(url) = &mut self.upstream
            && replace_origin(url, from, to)
        {
            self.shown.upstream.url = url.as_str().trim_end_matches('/').to_owned();
        }
        for authenticator in &mut self.authenticators {
            match authenticator {
                Authenticator::Introspection(introspection) => {
                    replace_origin(&mut introspection.url, from, to);
                }
                Authenticator::Session(check) => {
                    replace_origin(&mut check.url, from, to);
                }
                Authenticator::Anonymous { .. } | Authenticator::Noop | Authenticator::Unauthorized => {}
            }
        }
    }

    /// The handlers that the rule names, each with the section of `oathkeeper.yml` that configures it.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let shown = &self.shown;
        let authenticators = shown.authenticators.iter().map(|shown| ("authenticators", shown));
        let mutators = shown.mutators.iter().map(|shown| ("mutators", shown));
        authenticators
            .chain([("authorizers", &shown.authorizer)])
            .chain(mutators)
            .map(|(section, shown)| (section, shown.handler.as_str()))
    }

    /// The key files that the rule's mutators sign with.
    pub(crate) fn key_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.mutators.iter().filter_map(|mutator| match mutator {
            Mutator::IdToken(id_token) => Some(&id_token.key_file),
            Mutator::Header(_) | Mutator::Noop => None,
        })
    }
}

/// A rule as the real API writes it, with members in the same order.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: String,
    version: String,
    description: String,
    r#match: Match,
    authenticators: Vec<ShownHandler>,
    authorizer: ShownHandler,
    mutators: Vec<ShownHandler>,
    errors: Option<Vec<ShownHandler>>,
    pub(crate) upstream: Upstream,
}

#[derive(Debug, Clone, Serialize)]
struct Match {
    methods: Vec<String>,
    url: String,
}

#[derive(Debug, Clone, Serialize)]
struct ShownHandler {
    handler: String,
    config: Value,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Upstream {
    pub(crate) preserve_host: bool,
    pub(crate) strip_path: String,
    url: String,
}

/// Reads a rules file, JSON or YAML.
pub(crate) fn read_rules(
    file: &Path,
    vars: &Vars,
    handlers: &Handlers,
    warnings: &mut Vec<String>,
) -> Result<Vec<Rule>, ConfigError> {
    rules_of(&Document::read(file, vars)?, handlers, warnings)
}

/// Reads the rules of a parsed file.
pub(crate) fn rules_of(
    document: &Document,
    handlers: &Handlers,
    warnings: &mut Vec<String>,
) -> Result<Vec<Rule>, ConfigError> {
    let file = document.file();
    let mut rules: Vec<Rule> = Vec::new();
    for options in document.list()? {
        let rule = read_rule(options, file, handlers, warnings)?;
        if rules.iter().any(|other| other.id() == rule.id()) {
            warnings.push(format!(
                "`{}`: two rules have the id `{}`",
                file.display(),
                rule.id()
            ));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn read_rule(
    mut options: Options<'_>,
    file: &Path,
    handlers: &Handlers,
    warnings: &mut Vec<String>,
) -> Result<Rule, ConfigError> {
    let id = options.string("id")?;
    let id = options.required("id", id.filter(|id| !id.is_empty()))?.to_owned();
    let version = options.string("version")?.unwrap_or_default().to_owned();
    let description = options.string("description")?.unwrap_or_default().to_owned();
    if options
        .value("errors")
        .is_some_and(|errors| errors.as_array().is_none_or(|list| !list.is_empty()))
    {
        return Err(options.refuse(
            "errors",
            "error handlers of a rule are not supported by this stand-in",
        ));
    }

    let (r#match, glob) = read_match(options.section("match")?, &id, warnings)?;
    let (upstream, upstream_url) = read_upstream(options.section("upstream")?, warnings)?;

    let mut authenticators = Vec::new();
    let mut shown_authenticators = Vec::new();
    for (index, section) in options.list("authenticators")?.into_iter().enumerate() {
        let shown = read_handler(section, warnings)?;
        let place = format!("rule `{id}`: authenticators[{index}]");
        authenticators.push(handlers.authenticator(&shown.handler, &shown.config, file, &place)?);
        shown_authenticators.push(shown);
    }
    if authenticators.is_empty() {
        return Err(options.refuse("authenticators", &format!("rule `{id}` needs at least one")));
    }

    let shown_authorizer = read_handler(options.section("authorizer")?, warnings)?;
    let place = format!("rule `{id}`: authorizer");
    let authorizer =
        handlers.authorizer(&shown_authorizer.handler, &shown_authorizer.config, file, &place)?;

    let mut mutators = Vec::new();
    let mut shown_mutators = Vec::new();
    for (index, section) in options.list("mutators")?.into_iter().enumerate() {
        let shown = read_handler(section, warnings)?;
        let place = format!("rule `{id}`: mutators[{index}]");
        mutators.push(handlers.mutator(&shown.handler, &shown.config, file, &place)?);
        shown_mutators.push(shown);
    }
    if mutators.is_empty() {
        return Err(options.refuse("mutators", &format!("rule `{id}` needs at least one")));
    }
    options.finish(warnings)?;

    let shown = Shown {
        id,
        version,
        description,
        r#match,
        authenticators: shown_authenticators,
        authorizer: shown_authorizer,
        mutators: shown_mutators,
        errors: None,
        upstream,
    };
    Ok(Rule {
        shown,
        glob,
        authenticators,
        authorizer,
        mutators,
        upstream: upstream_url,
    })
}

fn read_match(
    mut section: Options<'_>,
    id: &str,
    warnings: &mut Vec<String>,
) -> Result<(Match, Glob), ConfigError> {
    let url = section.string("url")?;
    let url = section
        .required("url", url.filter(|url| !url.is_empty()))?
        .to_owned();
    let glob =
        Glob::compile(&url).map_err(|error| section.refuse("url", &format!("rule `{id}`: {error}")))?;
    let methods = section
        .strings("methods")?
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect();
    section.finish(warnings)?;
    Ok((Match { methods, url }, glob))
}

fn read_upstream(
    mut section: Options<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Upstream, Option<Url>), ConfigError> {
    let text = section.string("url")?.unwrap_or_default().to_owned();
    let url = if text.is_empty() {
        None
    } else {
        plain_http_url(&mut section, "url")?
    };
    let upstream = Upstream {
        preserve_host: section.boolean("preserve_host")?.unwrap_or(false),
        strip_path: section.string("strip_path")?.unwrap_or_default().to_owned(),
        url: text,
    };
    section.finish(warnings)?;
    Ok((upstream, url))
}

fn read_handler(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<ShownHandler, ConfigError> {
    let handler = options.string("handler")?;
    let handler = options.required("handler", handler)?.to_owned();
    let config = options.value("config").cloned().unwrap_or(Value::Null);
    options.finish(warnings)?;
    Ok(ShownHandler { handler, config })
}

/// An `http` URL. This stand-in does not support TLS to services.
pub(crate) fn plain_http_url(
    options: &mut Options<'_>,
    key: &'static str,
) -> Result<Option<Url>, ConfigError> {
    let url = options.http_url(key)?;
    match url {
        Some(url) if url.scheme() != "http" => {
            Err(options.refuse(key, "only http is supported: this stand-in does not speak TLS"))
        }
        other => Ok(other),
    }
}

/// Replaces the origin of a URL if it is `from`, and returns whether it did.
fn replace_origin(url: &mut Url, from: &Url, to: &Url) -> bool {
    // Setting host and port is infallible for an http URL when they come from another one.
    url.origin() == from.origin() && url.set_host(to.host_str()).is_ok() && url.set_port(to.port()).is_ok()
}

/// Reads a map of header names to values.
pub(crate) fn headers_of(options: &mut Options<'_>, key: &'static str) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in texts_of(options, key)? {
        let name = HeaderName::try_from(name.as_str());
        let value = HeaderValue::try_from(value);
        match (name, value) {
            (Ok(name), Ok(value)) => headers.insert(name, value),
            (_, _) => return Err(options.refuse(key, "must hold header names and values")),
        };
    }
    Ok(headers)
}

/// Reads a map of texts.
pub(crate) fn texts_of(
    options: &mut Options<'_>,
    key: &'static str,
) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(value) = options.value(key) else {
        return Ok(Vec::new());
    };
    let Value::Object(members) = value else {
        return Err(options.refuse(key, "must be a mapping of texts"));
    };
    members
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(options.refuse(key, "must be a mapping of texts"))
            }
        })
        .collect()
}
