//! Reads files, texts and environment variables into one tree.

use std::{collections::HashSet, fs, io::Read, path::Path};

use super::{
    error::{ConfigError, Problem},
    read::nearest,
    schema::Schema,
    tree::{Node, printable},
};

/// The largest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The largest file with a secret, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// The prefix of environment variables, in any letter case.
pub(super) const VARIABLE_PREFIX: &str = "IAM__";

/// The prefix of variables that may be misspelt ones of ours.
const NEAR_PREFIX: &str = "IAM_";

/// The deepest path of a variable.
const MAX_SEGMENTS: usize = 8;

/// Returns the printable name of a file, on one line.
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

/// Reads TOML. The parser refuses duplicate keys.
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

/// The result of reading environment variables.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) problems: Vec<Problem>,
    /// The path and the variable of each key that was set.
    pub(super) set: Vec<(String, String)>,
    pub(super) warnings: Vec<Problem>,
}

/// Overrides the keys of `tree` with environment variables.
pub(super) fn environment(
    tree: &mut Node,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Environment {
    let mut ours: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| strip_prefix(name, NEAR_PREFIX).is_some())
        .collect();
    ours.sort();
    let mut found = Environment::default();
    if ours.is_empty() {
        return found;
    }

    let schema = Schema::new();
    let names: Vec<_> = schema.variables(&tenants(tree)).collect();
    let mut seen = HashSet::new();
    for (name, value) in ours {
        let shown = printable(&name);
        let meant = nearest(&name, &names);
        let Some(key) = strip_prefix(&name, VARIABLE_PREFIX) else {
            // Not an error: a cluster sets variables such as `IAM_SERVICE_HOST` for a service named `iam`.
            if let Some(meant) = meant {
                let message = format!("ignored; did you mean `{meant}`?");
                found.warnings.push(Problem::new("", message).of_variable(shown));
            }
            continue;
        };
        if !seen.insert(key.to_ascii_lowercase()) {
            let problem = Problem::new("", "set twice, in different letter case");
            found.problems.push(problem.of_variable(shown));
            continue;
        }

        match variable(tree, &schema, key, value) {
            Ok(path) => found.set.push((path, shown)),
            Err(message) => {
                let message = match meant {
                    Some(meant) if !meant.eq_ignore_ascii_case(&name) => {
                        format!("{message}; did you mean `{meant}`?")
                    }
                    Some(_) | None => message.to_owned(),
                };
                found.problems.push(Problem::new("", message).of_variable(shown));
            }
        }
    }
    found
}

fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Returns the names of the tenants in a tree, or the name that most trees without one mean.
fn tenants(tree: &Node) -> Vec<String> {
    let Node::Table(root) = tree else {
        return Vec::new();
    };
    let written = root.iter().find(|(key, _)| key == "tenants");
    match written {
        Some((_, Node::Table(tenants))) if !tenants.is_empty() => {
            tenants.iter().map(|(name, _)| name.clone()).collect()
        }
        Some(_) | None => vec!["default".to_owned()],
    }
}

/// Sets one key, and returns its path.
fn variable(tree: &mut Node, schema: &Schema, name: &str, value: String) -> Result<String, &'static str> {
    let segments: Vec<_> = name.split("__").collect();
    if MAX_SEGMENTS < segments.len() || segments.iter().any(|segment| segment.is_empty()) {
        return Err("unknown key");
    }

    let mut path = Vec::new();
    let mut place = Some(&*tree);
    for segment in segments {
        let key = key_of(place, segment)?;
        place = place.and_then(|node| node.get(&key));
        path.push(key);
    }
    if !schema.knows(&path) {
        return Err("unknown key");
    }

    let mut node = tree;
    for key in &path {
        node = node.entry(key).ok_or("lies below a key that is not a table")?;
    }
    *node = match value.trim_start().chars().next() {
        // Tables, and lists of tables, are written as in TOML.
        Some('[' | '{') => toml::from_str::<Node>(&format!("value = {value}"))
            .ok()
            .and_then(|mut wrapper| wrapper.entry("value").cloned())
            .ok_or("not a valid TOML value")?,
        _ => Node::Variable(value),
    };
    let shown: Vec<_> = path.iter().map(|key| printable(key)).collect();
    Ok(shown.join("."))
}

fn key_of(node: Option<&Node>, segment: &str) -> Result<String, &'static str> {
    let folded = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let Some(Node::Table(entries)) = node else {
        return Ok(segment.to_ascii_lowercase());
    };

    let mut alike = entries
        .iter()
        .map(|(key, _)| key)
        .filter(|key| folded(key) == folded(segment));
    match (alike.next(), alike.next()) {
        (Some(key), None) => Ok(key.clone()),
        (Some(_), Some(_)) => Err("ambiguous: several keys differ only in letter case or in `-` and `_`"),
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

    for (key, file_key) in secrets_of(path) {
        let Some(at) = entries.iter().position(|(name, _)| name == file_key) else {
            continue;
        };
        let (_, file) = entries.remove(at);
        let is_given = entries.iter().any(|(name, _)| name == key);

        match secret(&file, is_given.then_some(*key)) {
            // A list, with one element on each line.
            Ok(content) if *key == "keys" => {
                let lines = content.lines().map(|line| Node::Text(line.trim().to_owned()));
                entries.push(((*key).to_owned(), Node::List(lines.collect())));
            }
            Ok(content) => entries.push(((*key).to_owned(), Node::Text(content))),
            Err(message) => {
                let above: String = path.iter().map(|key| printable(key) + ".").collect();
                problems.push(Problem::new(above + file_key, message));
            }
        }
    }
    for (key, node) in entries {
        resolve(node, &[path, &[key]].concat(), problems);
    }
}

/// Returns the secrets of a table, each with the key that names a file with its value.
pub(super) fn secrets_of(table: &[&str]) -> &'static [(&'static str, &'static str)] {
    match table {
        ["tenants", _, "hydra"] => &[
            ("admin_token", "admin_token_file"),
            ("client_secret", "client_secret_file"),
        ],
        ["tenants", _, "keto"] => &[("token", "token_file")],
        ["tenants", _, "oathkeeper"] => &[("keys", "keys_file"), ("proof_secret", "proof_secret_file")],
        _ => &[],
    }
}

fn secret(file: &Node, given: Option<&str>) -> Result<String, String> {
    let (Node::Text(name) | Node::Variable(name)) = file else {
        return Err("expected the path of a file".to_owned());
    };
    if let Some(key) = given {
        return Err(format!("given together with `{key}`"));
    }

    let content = text(Path::new(name), MAX_SECRET)?;
    match content.trim_end() {
        "" => Err("the file is empty".to_owned()),
        content => Ok(content.to_owned()),
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
