//! Which options do the files set, and does this stand-in know every one of them?
//!
//! The files are those of the real servers, so they may hold options that this stand-in does not have. An option is
//! either used, or named harmless by the code that reads the section (a warning is printed), or a start-up error that
//! names the file, the path of the option and what is supported. It is never passed over in silence.

mod strict;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use self::strict::Strict;

/// The largest file that is read: real ones have a few kilobytes.
pub const MAX_FILE: u64 = 1024 * 1024;

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

    fn expand_all(&self, value: &mut Value) {
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

/// Why a configuration cannot be used. The message names the file and, where there is one, the option.
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

/// One parsed file. YAML and JSON are told apart by the name: `.json` is JSON, anything else YAML.
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

    /// Returns the top level, when it is a mapping.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn options(&self) -> Result<Options<'_>, ConfigError> {
        Options::of(&self.file, String::new(), Some(&self.root))
    }

    /// Returns the top level, when it is a list of mappings.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn list(&self) -> Result<Vec<Options<'_>>, ConfigError> {
        list_of(&self.file, "", &self.root)
    }
}

/// One mapping of a file. Each accessor marks its key as known; [`Options::finish`] refuses the keys that nobody
/// asked for. An absent mapping behaves like an empty one, and `null` like an absent value.
#[derive(Debug)]
#[must_use = "call `finish`, so that unknown options are refused"]
pub struct Options<'a> {
    file: &'a Path,
    path: String,
    members: Option<&'a Map<String, Value>>,
    known: BTreeSet<&'static str>,
    harmless: Vec<(&'static str, &'static str)>,
}

impl<'a> Options<'a> {
    pub(crate) fn of(file: &'a Path, path: String, value: Option<&'a Value>) -> Result<Self, ConfigError> {
        let members = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(members)) => Some(members),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(error_at(file, path, "must be a mapping"));
            }
        };
        Ok(Self {
            file,
            path,
            members,
            known: BTreeSet::new(),
            harmless: Vec::new(),
        })
    }

    /// Returns the value of `key`, whatever it is.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.members
            .and_then(|members| members.get(key))
            .filter(|value| !value.is_null())
    }

    /// Returns the mapping under `key`.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn section(&mut self, key: &'static str) -> Result<Self, ConfigError> {
        let value = self.value(key);
        Self::of(self.file, self.path_of(key), value)
    }

    /// Returns the mappings in the list under `key`; none when it is absent.
    ///
    /// # Errors
    ///
    /// When it is not a list of mappings.
    pub fn list(&mut self, key: &'static str) -> Result<Vec<Self>, ConfigError> {
        match self.value(key) {
            Some(value) => list_of(self.file, &self.path_of(key), value),
            None => Ok(Vec::new()),
        }
    }

    /// Returns every mapping under `key` together with its name, for sections whose keys are names.
    ///
    /// # Errors
    ///
    /// When it is not a mapping of mappings.
    pub fn named(&mut self, key: &'static str) -> Result<Vec<(&'a str, Self)>, ConfigError> {
        let path = self.path_of(key);
        let section = self.section(key)?;
        let Some(members) = section.members else {
            return Ok(Vec::new());
        };
        members
            .iter()
            .map(|(name, value)| {
                Ok((
                    name.as_str(),
                    Self::of(self.file, format!("{path}.{name}"), Some(value))?,
                ))
            })
            .collect()
    }

    /// Returns the string under `key`.
    ///
    /// # Errors
    ///
    /// When it is not a string.
    pub fn string(&mut self, key: &'static str) -> Result<Option<&'a str>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(key, "must be a string")),
        }
    }

    /// Returns the strings in the list under `key`; a single string counts as a list of one.
    ///
    /// # Errors
    ///
    /// When an item is not a string.
    pub fn strings(&mut self, key: &'static str) -> Result<Option<Vec<&'a str>>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .ok_or_else(|| self.refuse(key, "must be a list of strings"))
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(self.refuse(key, "must be a list of strings")),
        }
    }

    /// Returns the boolean under `key`.
    ///
    /// # Errors
    ///
    /// When it is not a boolean.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.refuse(key, "must be `true` or `false`")),
        }
    }

    /// Returns the whole number under `key`, when it lies in `range`.
    ///
    /// # Errors
    ///
    /// When it is not a whole number, or lies outside.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refuse(
                key,
                &format!("must be a whole number from {} to {}", range.start(), range.end()),
            )),
        }
    }

    /// Returns the duration under `key`, in Go's notation (`10m`, `1h30m`, `500ms`).
    ///
    /// # Errors
    ///
    /// When it is not a duration.
    pub fn duration(&mut self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        match parse_duration(text) {
            Some(duration) => Ok(Some(duration)),
            None => Err(self.refuse(key, "must be a duration such as `10m`, `1h30m` or `500ms`")),
        }
    }

    /// Returns the absolute `http` or `https` URL under `key`.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn http_url(&mut self, key: &'static str) -> Result<Option<Url>, ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(url)),
            Ok(_) | Err(_) => Err(self.refuse(key, "must be an absolute http or https URL")),
        }
    }

    /// Returns the path that the `file://` URL under `key` names.
    ///
    /// # Errors
    ///
    /// When it is not such a URL: no other scheme is supported.
    pub fn file_url(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        match file_path(text) {
            Some(path) => Ok(Some(path)),
            None => Err(self.refuse(key, "must be a `file://` URL with an absolute path")),
        }
    }

    /// Returns the address that `host` and `port` of this mapping name. The host defaults to 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the host is not a loopback address, or the port not a port.
    pub fn address(&mut self, default_port: u16) -> Result<SocketAddr, ConfigError> {
        let host = match self.string("host")? {
            None | Some("" | "localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(text) => match text.parse::<IpAddr>() {
                Ok(address) if address.is_loopback() => address,
                Ok(_) | Err(_) => {
                    return Err(self.refuse("host", "only loopback addresses are served, such as 127.0.0.1"));
                }
            },
        };
        let port = match self.number("port", 0..=u64::from(u16::MAX))? {
            Some(number) => u16::try_from(number).unwrap_or(default_port),
            None => default_port,
        };
        Ok(SocketAddr::new(host, port))
    }

    /// Declares `key` known and without effect here; when it is set, [`Options::finish`] warns and says `why`.
    pub fn harmless(&mut self, key: &'static str, why: &'static str) {
        self.harmless.push((key, why));
    }

    /// Returns whether the file has this mapping at all.
    pub fn is_present(&self) -> bool {
        self.members.is_some()
    }

    /// Returns an error about `key` of this mapping.
    pub fn refuse(&self, key: &str, problem: &str) -> ConfigError {
        error_at(self.file, self.path_of(key), problem)
    }

    /// Returns the value of `option`, or an error that says that `key` is needed.
    ///
    /// # Errors
    ///
    /// When `option` is `None`.
    pub fn required<T>(&self, key: &str, option: Option<T>) -> Result<T, ConfigError> {
        option.ok_or_else(|| self.refuse(key, "is required"))
    }

    /// Ends the reading of this mapping: adds a warning for each harmless key that is set.
    ///
    /// # Errors
    ///
    /// When a key is set that nobody asked for.
    pub fn finish(self, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let Some(members) = self.members else {
            return Ok(());
        };
        for (key, _) in members {
            if self.known.contains(key.as_str()) {
                continue;
            }
            let Some((_, why)) = self.harmless.iter().find(|(harmless, _)| harmless == key) else {
                let supported: Vec<_> = self.known.iter().map(|known| format!("`{known}`")).collect();
                let problem = format!(
                    "not supported by this stand-in; supported here: {}",
                    supported.join(", ")
                );
                return Err(error_at(self.file, self.path_of(key), &problem));
            };
            warnings.push(format!(
                "`{}`: `{}` has no effect here: {why}",
                self.file.display(),
                self.path_of(key)
            ));
        }
        Ok(())
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// Parses Go's notation of a duration: decimal numbers with units from `h` to `ms`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let part = match unit {
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = tail;
    }
    Some(total)
}

/// Returns the path that a `file://` URL names.
pub fn file_path(url: &str) -> Option<PathBuf> {
    let url = Url::parse(url).ok()?;
    if url.scheme() != "file" {
        return None;
    }
    url.to_file_path().ok()
}

fn list_of<'a>(file: &'a Path, path: &str, value: &'a Value) -> Result<Vec<Options<'a>>, ConfigError> {
    let Value::Array(items) = value else {
        return Err(error_at(file, path.to_owned(), "must be a list"));
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| Options::of(file, format!("{path}[{index}]"), Some(item)))
        .collect()
}

fn error_at(file: &Path, path: String, problem: &str) -> ConfigError {
    let path = if path.is_empty() {
        "the top level".to_owned()
    } else {
        path
    };
    ConfigError::Option {
        file: file.to_owned(),
        path,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests;
