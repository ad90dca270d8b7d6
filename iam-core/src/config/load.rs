//! From files, texts and the environment to one tree.

use std::{collections::HashSet, fs, io::Read, path::Path};

use super::{
    error::{ConfigError, Problem},
    tree::{Node, printable},
    validate::unavailable,
};

/// The largest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The largest file with a secret, in bytes.
const MAX_SECRET: u64 = 64 << 10;

const VARIABLE_PREFIX: &str = "IAM__";

/// The deepest path of a variable.
const MAX_SEGMENTS: usize = 8;

/// Returns the name of a file as it may be shown, on one line.
pub(super) fn file_name(path: &Path) -> String {
    let mut shown = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            shown.extend(character.escape_debug());
        } else {
            shown.push(character);
        }
    }
    shown
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
    resolve(&mut tree, &[], &mut problems);
    (tree, problems)
}

fn resolve(node: &mut Node, path: &[&str], problems: &mut Vec<Problem>) {
    let Node::Table(entries) = node else {
        return;
    };

    let (keys, files) = secrets_of(path);
    for key in keys {
        let file_key = format!("{key}_file");
        let Some(at) = entries.iter().position(|(name, _)| *name == file_key) else {
            continue;
        };
        let (_, file) = entries.remove(at);
        let is_given = entries.iter().any(|(name, _)| name == key);

        match secret(&file, files, is_given.then_some(*key)) {
            Ok(Some(content)) => entries.push(((*key).to_owned(), Node::Text(content))),
            Ok(None) => {}
            Err(message) => {
                let above: String = path.iter().map(|key| printable(key) + ".").collect();
                problems.push(Problem::new(above + &file_key, message));
            }
        }
    }
    for (key, node) in entries {
        resolve(node, &[path, &[key]].concat(), problems);
    }
}

/// What becomes of the files of a table's secrets.
#[derive(Clone, Copy)]
enum Files {
    /// They are not opened: the whole table is refused, which says it all.
    PassOver,
    Read,
    /// They are not opened: the key belongs to what is not there.
    Refuse(unavailable::Unavailable),
}

/// Returns the keys of a table whose value may stand in a file of its own, named by `KEY_file`.
fn secrets_of(table: &[&str]) -> (&'static [&'static str], Files) {
    match table {
        ["stores"] => (&["cache_key", "redis"], Files::PassOver),
        ["tenants", _, "hydra"] => (&["admin_token", "client_secret"], Files::PassOver),
        ["tenants", _, "keto"] => (&["token"], Files::Read),
        ["tenants", _, "kratos"] => (&["admin_token"], Files::Refuse(unavailable::ADMIN)),
        ["tenants", _, "ory_network"] => (&["api_key", "workspace_api_key"], Files::PassOver),
        _ => (&[], Files::PassOver),
    }
}

fn secret(file: &Node, files: Files, given: Option<&str>) -> Result<Option<String>, String> {
    let (Node::Text(name) | Node::Variable(name)) = file else {
        return Err("expected the path of a file".to_owned());
    };
    match files {
        Files::PassOver => return Ok(None),
        Files::Read => {}
        Files::Refuse(feature) => return Err(feature.to_string()),
    }
    if let Some(key) = given {
        return Err(format!("given together with `{key}`"));
    }

    let content = text(Path::new(name), MAX_SECRET)?;
    match content.trim_end() {
        "" => Err("the file is empty".to_owned()),
        content => Ok(Some(content.to_owned())),
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
