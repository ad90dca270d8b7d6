//! No option is ignored silently: each test adds one member to a mapping of a shipped file.

#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ory_dev::{StackConfig, StackError, shipped_configuration};
use serde_json::{Value, json};

/// A copy of the shipped files with one changed file.
struct Folder(PathBuf);

impl Folder {
    fn copied() -> Self {
        let path = std::env::temp_dir().join(format!("ory-dev-options-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        for entry in fs::read_dir(shipped_configuration()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
        }
        Self(path)
    }

    fn read_with(&self, file: &str, content: &Value) -> Result<StackConfig, StackError> {
        // JSON is valid YAML.
        fs::write(self.0.join(file), content.to_string()).unwrap();
        StackConfig::read(&self.0, &self.0.join("state"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn shipped(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(&shipped_configuration()).join(file)).unwrap();
    serde_norway::from_str(&text).unwrap()
}

/// The JSON pointers of all mappings in a value.
fn mappings(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(pointer.to_owned());
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                mappings(value, &format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                mappings(item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns whether a warning names the option, or a section that contains it.
fn is_warned_of(config: &StackConfig, file: &str, pointer: &str) -> bool {
    let mut path = String::new();
    let mut sections = Vec::new();
    for segment in pointer.split('/').skip(1) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&segment.replace("~1", "/").replace("~0", "~"));
        sections.push(path.clone());
    }
    config.warnings().any(|warning| {
        warning.contains(file)
            && sections
                .iter()
                .any(|section| warning.contains(&format!("`{section}`")))
    })
}

#[test]
fn no_option_is_passed_over_in_silence_wherever_it_stands() {
    let folder = Folder::copied();
    for (file, at_least) in [
        ("kratos.yml", 30),
        ("keto.yml", 6),
        ("hydra.yml", 8),
        ("oathkeeper.yml", 25),
        ("identity.schema.json", 10),
        ("access-rules.json", 20),
    ] {
        let mut shipped = shipped(file);
        if file == "access-rules.json" {
            // The shipped rules use the common configuration of their handlers.
            shipped[1]["authenticators"][1]["config"] = json!({"token_from": {"header": "X-Token"}});
            shipped[1]["mutators"][0]["config"] = json!({"ttl": "1s"});
        }
        let mut places = Vec::new();
        mappings(&shipped, "", &mut places);
        assert!(places.len() >= at_least, "{file}: {}", places.len());

        for place in places {
            let mut changed = shipped.clone();
            let mapping = changed.pointer_mut(&place).unwrap();
            mapping["colour"] = json!({"shade": 1});

            match folder.read_with(file, &changed) {
                Ok(config) => assert!(
                    is_warned_of(&config, file, &format!("{place}/colour")),
                    "{file}: {place}/colour is passed over in silence"
                ),
                Err(error) => {
                    let error = error.to_string();
                    // The configuration of a handler is checked where a rule uses it.
                    let is_named = error.contains(file)
                        || file == "oathkeeper.yml" && error.contains("access-rules.json");
                    // The members of `headers` are header names, so there the value is invalid instead.
                    let option = if place.ends_with("/headers") {
                        "headers"
                    } else {
                        "colour"
                    };
                    assert!(is_named && error.contains(option), "{file}: {place}: {error}");
                }
            }
        }
        folder.read_with(file, &shipped).unwrap();
    }
}

#[test]
fn a_listener_that_others_could_reach_is_refused_wherever_it_stands() {
    let folder = Folder::copied();
    for (file, listeners) in [
        ("kratos.yml", &["public", "admin"][..]),
        ("keto.yml", &["read", "write", "opl"]),
        ("hydra.yml", &["public", "admin"]),
        ("oathkeeper.yml", &["proxy", "api"]),
    ] {
        let shipped = shipped(file);
        for listener in listeners {
            for host in [
                "0.0.0.0",
                "::",
                "192.168.0.1",
                "::ffff:127.0.0.1",
                "example.com",
                "127.1",
                " ",
            ] {
                let mut changed = shipped.clone();
                changed["serve"][listener]["host"] = host.into();

                let error = folder.read_with(file, &changed).unwrap_err().to_string();

                let place = format!("`serve.{listener}.host`");
                assert!(error.contains(file) && error.contains(&place), "{host}: {error}");
                assert!(error.contains("only loopback addresses"), "{host}: {error}");
            }
        }
        folder.read_with(file, &shipped).unwrap();
    }
}
