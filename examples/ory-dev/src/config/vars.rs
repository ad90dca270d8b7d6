//! The variables `${CONFIG}` and `${STATE}` of configuration files.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folders that replace `${CONFIG}` and `${STATE}` in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vars {
    config: PathBuf,
    state: PathBuf,
}

impl Vars {
    /// Returns the variables for a configuration folder and a folder for the servers' state.
    pub fn new(config: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            config: config.into(),
            state: state.into(),
        }
    }

    /// Returns the folder that replaces `${CONFIG}`.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Returns the folder that replaces `${STATE}`.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Returns `text` with both variables replaced. Other variables, such as `${OTHER}`, are left unchanged.
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
