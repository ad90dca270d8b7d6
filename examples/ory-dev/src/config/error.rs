//! Errors of configuration files.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::document::MAX_FILE;

/// Why a configuration file is rejected. The message names the file and, if one option is at fault, the option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An option is unknown, or its value is not supported.
    #[error("`{}`: `{path}`: {problem}", file.display())]
    Option {
        /// The file that holds the option.
        file: PathBuf,
        /// Where in the file, for example `serve.public.port`.
        path: String,
        /// What is wrong with it, and what is supported.
        problem: String,
    },
    /// The text is neither YAML nor JSON, has a duplicate member, or is nested too deeply.
    #[error("`{}`: {problem}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// What the parser said.
        problem: String,
    },
    /// The file cannot be read.
    #[error("`{}`: cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is larger than [`MAX_FILE`].
    #[error("`{}`: larger than {MAX_FILE} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
}

impl ConfigError {
    /// Returns an error about one option of a file. An empty path means the whole file.
    pub(super) fn option(file: &Path, path: String, problem: &str) -> Self {
        let path = if path.is_empty() {
            "the top level".to_owned()
        } else {
            path
        };
        Self::Option {
            file: file.to_owned(),
            path,
            problem: problem.to_owned(),
        }
    }
}
