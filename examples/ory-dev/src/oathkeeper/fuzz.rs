//! Fuzz targets for rules, keys, templates, patterns and request paths.

use std::{path::Path, sync::OnceLock};

use serde_json::json;

use super::{
    config::OathkeeperConfig, glob::Glob, handlers::Handlers, keys::parse_keys, mutate::Mutator,
    rule::rules_of, session::Session, target::Target, template::Template,
};
use crate::{
    config::Document,
    fuzz::{assert_known, document, vars},
};

/// Access rules, for the handlers of the shipped configuration.
///
/// # Panics
///
/// When a rule is accepted that has an unknown member, no authenticator or no mutator, or an upstream other than plain
/// http.
pub fn access_rules(data: &[u8]) {
    static HANDLERS: OnceLock<Option<Handlers>> = OnceLock::new();
    let handlers = HANDLERS.get_or_init(handlers).as_ref();
    let (Some(handlers), Some(document)) = (handlers, document(data)) else {
        return;
    };
    let Ok(rules) = rules_of(&document, handlers, &mut Vec::new()) else {
        return;
    };

    let written = document.root().as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(rules.len(), written.len(), "a rule was lost");
    for (rule, written) in rules.iter().zip(written) {
        assert_known(written, RULE);
        assert_known(&written["match"], &["methods", "url"]);
        assert_known(&written["upstream"], &["preserve_host", "strip_path", "url"]);
        assert_known(&written["authorizer"], &["config", "handler"]);
        assert!(
            !rule.authenticators.is_empty() && !rule.mutators.is_empty(),
            "a rule without authenticator or mutator"
        );
        assert!(
            rule.upstream
                .as_ref()
                .is_none_or(|url| url.scheme() == "http" && url.has_host()),
            "a service that cannot be spoken to"
        );
        assert_eq!(
            rule.matches("GET", URL),
            rule.matches("get", URL),
            "the letter case of a method matters"
        );
        for mutator in &rule.mutators {
            if let Mutator::Header(templates) = mutator {
                for (_, template) in templates {
                    let _ = template.render(&session());
                }
            }
        }
    }
}

/// The gateway's configuration.
///
/// # Panics
///
/// When a configuration with an unknown option or an address beyond loopback is accepted.
pub fn oathkeeper_yml(data: &[u8]) {
    let Some(document) = document(data) else { return };
    let Ok(config) = OathkeeperConfig::from_document(&document, &vars()) else {
        return;
    };

    assert_known(document.root(), CONFIGURATION);
    assert_known(&document.root()["serve"], &["api", "prometheus", "proxy"]);
    assert!(
        config.proxy.ip().is_loopback() && config.api.ip().is_loopback(),
        "it would listen beyond this machine"
    );
}

/// The gateway's key file.
///
/// # Panics
///
/// When the public part of a key contains private members, or an accepted set cannot sign.
pub fn gateway_keys(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(keys) = parse_keys(Path::new("keys.json"), text) else {
        return;
    };

    for key in keys.public() {
        let mut members = key.as_object().into_iter().flatten();
        assert!(
            members.all(|(name, _)| !["d", "dp", "dq", "k", "oth", "p", "q", "qi"].contains(&name.as_str())),
            "a private member is published"
        );
    }
    let claims = serde_json::Map::new();
    assert!(keys.sign(&claims).is_some(), "a key that signs nothing");
}

/// Templates of claims and headers.
///
/// # Panics
///
/// Only if the parser panics.
pub fn gateway_template(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(template) = Template::parse(text) {
        let _ = template.render(&session());
    }
}

/// Patterns of rules. The first line is the pattern; the remaining lines are the text to match.
///
/// # Panics
///
/// Only if the parser panics.
pub fn gateway_pattern(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (pattern, url) = text.split_once('\n').unwrap_or((text, URL));
    if let Ok(glob) = Glob::compile(pattern) {
        let _ = glob.matches(url);
        let _ = glob.matches(URL);
    }
}

/// Paths of requests, with a query.
///
/// # Panics
///
/// When the forwarded path differs from the matched path, or leaves the upstream's folder.
pub fn gateway_path(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let Ok(target) = Target::parse(path, Some(query)) else {
        return;
    };
    // A request line contains no other path (RFC 9112 §3.2.1).
    if !path.starts_with('/') {
        return;
    }

    let forwarded = target.forward("", "");
    let (forwarded, _) = forwarded.split_once('?').unwrap_or_default();
    let again = Target::parse(forwarded, None).map(|again| again.path());
    assert_eq!(
        again.as_ref(),
        Ok(&target.path()),
        "another path is forwarded than was matched"
    );
    assert!(
        target
            .path()
            .split('/')
            .all(|segment| segment != ".." && segment != "."),
        "a path that climbs"
    );
}

fn handlers() -> Option<Handlers> {
    let shipped = include_str!("../../config/oathkeeper.yml");
    let document = Document::parse(Path::new("oathkeeper.yml"), shipped, &vars()).ok()?;
    let mut root = document.options().ok()?;
    Handlers::read(&mut root, &mut Vec::new()).ok()
}

fn session() -> Session {
    let extra = json!({"identity": {"id": "a", "metadata_public": {"roles": ["a"]}}});
    Session {
        subject: "a".to_owned(),
        extra: extra.as_object().cloned(),
        ..Session::default()
    }
}

const URL: &str = "http://127.0.0.1:4455/orders/1";

const RULE: &[&str] = &[
    "authenticators",
    "authorizer",
    "description",
    "errors",
    "id",
    "match",
    "mutators",
    "upstream",
    "version",
];

const CONFIGURATION: &[&str] = &[
    "access_rules",
    "authenticators",
    "authorizers",
    "errors",
    "log",
    "mutators",
    "profiling",
    "serve",
    "tracing",
    "version",
];
