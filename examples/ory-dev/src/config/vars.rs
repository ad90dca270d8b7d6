//! Where does the configuration lie, and where is the state?

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folders that `${CONFIG}` and `${STATE}` stand for in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vars {
    config: PathBuf,
    state: PathBuf,
}

impl Vars {
    /// Returns the two folders: where the configuration lies, and where servers keep what they write.
    pub fn new(config: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            config: config.into(),
            state: state.into(),
        }
    }

    /// Returns the folder that `${CONFIG}` stands for.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Returns the folder that `${STATE}` stands for.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Returns `text` with both variables replaced. Anything else, `${OTHER}` included, stays as it is.
    pub fn expand(&self, text: &str) -> String {
        text.replace("${CONFIG}", &self.config.to_string_lossy())
            .replace("${STATE}", &self.state.to_string_lossy())
    }

    pub(super) fn expand_all(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if text.contains("${") {
                    *text = self.expand(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.expand_all(item)),
            Value::Object(members) => members.values_mut().for_each(|item| self.expand_all(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
