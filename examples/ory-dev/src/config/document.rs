//! Reads one configuration file: YAML or JSON.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{error::ConfigError, options::Options, strict::Strict, vars::Vars};

/// One parsed file. A name that ends in `.json` is parsed as JSON, any other as YAML.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use ory_dev::config::{Document, Vars};
///
/// let vars = Vars::new("/etc/ory", "/var/ory");
/// let document = Document::parse(Path::new("keto.yml"), "namespaces: { location: 'file://${CONFIG}/n.ts' }", &vars)?;
///
/// let mut warnings = Vec::new();
/// let mut root = document.options()?;
/// let mut namespaces = root.section("namespaces")?;
/// assert_eq!(namespaces.file_url("location")?, Some("/etc/ory/n.ts".into()));
/// namespaces.finish(&mut warnings)?;
/// root.finish(&mut warnings)?;
/// # Ok::<(), ory_dev::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    file: PathBuf,
    root: Value,
}

impl Document {
    /// Reads and parses `file`, and expands `${CONFIG}` and `${STATE}` in its strings.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or parsed; duplicate members are an error.
    pub fn read(file: &Path, vars: &Vars) -> Result<Self, ConfigError> {
        Self::parse(file, &read_text(file)?, vars)
    }

    /// Parses `text` as the content of `file`.
    ///
    /// # Errors
    ///
    /// When the text cannot be parsed; duplicate members are an error.
    pub fn parse(file: &Path, text: &str, vars: &Vars) -> Result<Self, ConfigError> {
        let parsed = if file.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str::<Strict>(text).map_err(|err| err.to_string())
        } else {
            serde_norway::from_str::<Strict>(text).map_err(|err| err.to_string())
        };
        let Strict(mut root) = parsed.map_err(|problem| ConfigError::Parse {
            file: file.to_owned(),
            problem,
        })?;

        vars.expand_all(&mut root);
        Ok(Self {
            file: file.to_owned(),
            root,
        })
    }

    /// Returns the file's name, as it was given.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the whole value.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Returns the top level as a mapping.
    ///
    /// # Errors
    ///
    /// When the top level is not a mapping.
    pub fn options(&self) -> Result<Options<'_>, ConfigError> {
        Options::of(&self.file, String::new(), Some(&self.root))
    }

    /// Returns the top level as a list of mappings.
    ///
    /// # Errors
    ///
    /// When the top level is not a list of mappings.
    pub fn list(&self) -> Result<Vec<Options<'_>>, ConfigError> {
        Options::list_of(&self.file, "", &self.root)
    }
}

/// Reads a whole file of at most [`MAX_FILE`] bytes.
///
/// # Errors
///
/// When the file cannot be read, is too large, or is not UTF-8.
pub fn read_text(file: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Read {
            file: file.to_owned(),
            source,
        })?;

    if bytes.len() as u64 > MAX_FILE {
        return Err(ConfigError::TooLarge {
            file: file.to_owned(),
        });
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::Parse {
        file: file.to_owned(),
        problem: "not UTF-8".to_owned(),
    })
}

/// The largest file that is read: real ones have a few kilobytes.
pub const MAX_FILE: u64 = 1024 * 1024;
