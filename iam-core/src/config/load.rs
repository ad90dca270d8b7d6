//! From files, texts and the environment to one tree.

use std::{collections::HashSet, fs, io::Read, path::Path};

use super::{
    error::{ConfigError, Problem},
    tree::{Node, printable},
};

/// The largest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The largest file with a secret, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// The keys whose value may stand in a file of its own, named by `KEY_file`.
const SECRETS: [&str; 7] = [
    "admin_token",
    "api_key",
    "cache_key",
    "client_secret",
    "redis",
    "token",
    "workspace_api_key",
];

const VARIABLE_PREFIX: &str = "IAM__";

/// The deepest path of a variable.
const MAX_SEGMENTS: usize = 8;

/// Returns the name of a file as it may be shown, on one line.
pub(super) fn file_name(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .flat_map(char::escape_debug)
        .collect()
}

/// Reads a file in the format that its extension names.
pub(super) fn file(path: &Path) -> Result<Node, ConfigError> {
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml,
        Some("yaml" | "yml") => yaml,
        Some("json") => json,
        _ => {
            return Err(Problem::new(
                "",
                "expected a file name that ends in .toml, .yaml, .yml or .json",
            )
            .into());
        }
    };

    parse(&text(path, MAX_FILE).map_err(|message| Problem::new("", message))?)
}

/// Reads TOML, which refuses keys that occur twice by itself.
pub(super) fn toml(text: &str) -> Result<Node, ConfigError> {
    toml::from_str(text).map_err(|err: toml::de::Error| {
        // Not its `Display`, which quotes the line: there may be a secret on it.
        let before = err
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let message = printable_line(err.message());
        Problem::new("", format!("not valid TOML, line {line}: {message}")).into()
    })
}

/// Reads YAML.
pub(super) fn yaml(text: &str) -> Result<Node, ConfigError> {
    serde_norway::from_str(text).map_err(|err| {
        Problem::new(
            "",
            format!("not valid YAML: {}", printable_line(&err.to_string())),
        )
        .into()
    })
}

/// Reads JSON.
pub(super) fn json(text: &str) -> Result<Node, ConfigError> {
    serde_json::from_str(text).map_err(|err| {
        Problem::new(
            "",
            format!("not valid JSON: {}", printable_line(&err.to_string())),
        )
        .into()
    })
}

/// Puts the variables that are meant for us over what was read.
pub(super) fn environment(
    tree: &mut Node,
    variables: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) {
    let mut set = HashSet::new();
    let mut ours: Vec<_> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(VARIABLE_PREFIX)?.to_owned(), value)))
        .collect();
    ours.sort();

    for (name, value) in ours {
        let at = format!("{VARIABLE_PREFIX}{}", printable(&name));
        if !set.insert(name.to_ascii_lowercase()) {
            problems.push(Problem::new(at, "set twice, in different letter case"));
            continue;
        }
        if let Err(message) = variable(tree, &name, value) {
            problems.push(Problem::new(at, message));
        }
    }
}

fn variable(tree: &mut Node, name: &str, value: String) -> Result<(), &'static str> {
    let segments: Vec<_> = name.split("__").collect();
    if MAX_SEGMENTS < segments.len() || segments.iter().any(|segment| segment.is_empty()) {
        return Err("names no key");
    }

    let mut node = tree;
    for segment in segments {
        let key = key_of(node, segment)?;
        node = node.entry(&key).ok_or("lies below a key that is no table")?;
    }
    *node = match value.trim_start().chars().next() {
        // Lists of tables and tables can be written as in TOML.
        Some('[' | '{') => toml::from_str::<Node>(&format!("value = {value}"))
            .ok()
            .and_then(|mut wrapper| wrapper.entry("value").cloned())
            .ok_or("not a valid TOML value")?,
        _ => Node::Variable(value),
    };
    Ok(())
}

fn key_of(node: &Node, segment: &str) -> Result<String, &'static str> {
    let folded = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let Node::Table(entries) = node else {
        return Ok(segment.to_ascii_lowercase());
    };

    let mut alike = entries
        .iter()
        .map(|(key, _)| key)
        .filter(|key| folded(key) == folded(segment));
    match (alike.next(), alike.next()) {
        (Some(key), None) => Ok(key.clone()),
        (Some(_), Some(_)) => Err("stands for several keys"),
        (None, _) => Ok(segment.to_ascii_lowercase()),
    }
}

/// Replaces each `KEY_file` of a secret with the content of the file.
pub(super) fn secrets(mut tree: Node) -> (Node, Vec<Problem>) {
    let mut problems = Vec::new();
    resolve(&mut tree, "", &mut problems);
    (tree, problems)
}

fn resolve(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Node::Table(entries) = node else {
        return;
    };
    let below = |key: &str| {
        if path.is_empty() {
            printable(key)
        } else {
            format!("{path}.{}", printable(key))
        }
    };

    for secret in SECRETS {
        let file_key = format!("{secret}_file");
        let Some(at) = entries.iter().position(|(key, _)| *key == file_key) else {
            continue;
        };
        let (_, file) = entries.remove(at);
        if entries.iter().any(|(key, _)| key == secret) {
            problems.push(Problem::new(
                below(&file_key),
                format!("given together with `{secret}`"),
            ));
            continue;
        }
        let (Node::Text(name) | Node::Variable(name)) = file else {
            problems.push(Problem::new(below(&file_key), "expected the path of a file"));
            continue;
        };
        match text(Path::new(&name), MAX_SECRET) {
            Ok(content) if !content.trim_end().is_empty() => {
                entries.push((secret.to_owned(), Node::Text(content.trim_end().to_owned())));
            }
            Ok(_) => problems.push(Problem::new(below(&file_key), "the file is empty")),
            Err(message) => problems.push(Problem::new(below(&file_key), message)),
        }
    }
    for (key, node) in entries {
        resolve(node, &below(key), problems);
    }
}

fn text(path: &Path, limit: u64) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|err| format!("the file cannot be opened: {err}"))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|err| format!("the file cannot be read: {err}"))?;

    if bytes.len() as u64 > limit {
        return Err(format!("the file is larger than {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())
}

fn printable_line(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
