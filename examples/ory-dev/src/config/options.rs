//! Reads the options of a mapping and rejects unknown ones.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value};
use url::Url;

use super::{
    error::ConfigError,
    notation::{file_path, parse_duration},
};

/// One mapping of a file. Each accessor marks its key as known; [`Options::finish`] rejects all other keys. An absent
/// mapping behaves like an empty one, and `null` like an absent value.
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
                return Err(ConfigError::option(file, path, "must be a mapping"));
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

    pub(super) fn list_of(file: &'a Path, path: &str, value: &'a Value) -> Result<Vec<Self>, ConfigError> {
        let Value::Array(items) = value else {
            return Err(ConfigError::option(file, path.to_owned(), "must be a list"));
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| Self::of(file, format!("{path}[{index}]"), Some(item)))
            .collect()
    }

    /// Returns the value of `key`, of any type.
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
    /// When the value is not a mapping.
    pub fn section(&mut self, key: &'static str) -> Result<Self, ConfigError> {
        let value = self.value(key);
        Self::of(self.file, self.path_of(key), value)
    }

    /// Returns the mappings in the list under `key`; an absent list is empty.
    ///
    /// # Errors
    ///
    /// When the value is not a list of mappings.
    pub fn list(&mut self, key: &'static str) -> Result<Vec<Self>, ConfigError> {
        match self.value(key) {
            Some(value) => Self::list_of(self.file, &self.path_of(key), value),
            None => Ok(Vec::new()),
        }
    }

    /// Returns every mapping under `key` together with its name, for sections whose keys are names.
    ///
    /// # Errors
    ///
    /// When the value is not a mapping of mappings.
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
    /// When the value is not a string.
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
    /// When the value is not a boolean.
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
    /// When the value is not a whole number, or is outside `range`.
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
    /// When the value is not a duration.
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
    /// When the value is not such a URL.
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
    /// When the value is not a `file://` URL: no other scheme is supported.
    pub fn file_url(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        self.path_in(key, text).map(Some)
    }

    /// Returns the paths that the `file://` URLs in the list under `key` name; an absent list is empty.
    ///
    /// # Errors
    ///
    /// When an item is not a `file://` URL.
    pub fn file_urls(&mut self, key: &'static str) -> Result<Vec<PathBuf>, ConfigError> {
        let texts = self.strings(key)?.unwrap_or_default();
        texts.into_iter().map(|text| self.path_in(key, text)).collect()
    }

    /// Reads the `version` of the file, and warns when it differs from the version that this stand-in imitates.
    ///
    /// # Errors
    ///
    /// When the version is not a string.
    pub fn version(&mut self, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        if self
            .string("version")?
            .is_some_and(|version| !version.starts_with("v26."))
        {
            warnings.push(format!("`{}`: answers are those of v26.2.0", self.file.display()));
        }
        Ok(())
    }

    /// Returns the address that `host` and `port` of this mapping name. The host defaults to 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the host is not a loopback address, or the port is not a valid port.
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

    /// Declares `key` known and without effect. If the file sets the key, [`Options::finish`] adds a warning with `why`.
    pub fn harmless(&mut self, key: &'static str, why: &'static str) {
        self.harmless.push((key, why));
    }

    /// Returns whether the file has this mapping.
    pub fn is_present(&self) -> bool {
        self.members.is_some()
    }

    /// Returns an error about `key` of this mapping.
    pub fn refuse(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError::option(self.file, self.path_of(key), problem)
    }

    /// Returns the value of `option`, or an error that `key` is required.
    ///
    /// # Errors
    ///
    /// When `option` is `None`.
    pub fn required<T>(&self, key: &str, option: Option<T>) -> Result<T, ConfigError> {
        option.ok_or_else(|| self.refuse(key, "is required"))
    }

    /// Ends the reading of this mapping, and adds a warning for each harmless key that is set.
    ///
    /// # Errors
    ///
    /// When a key is set that no accessor read.
    pub fn finish(self, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let Some(members) = self.members else {
            return Ok(());
        };
        for (key, _) in members {
            if let Some((_, why)) = self.harmless.iter().find(|(harmless, _)| harmless == key) {
                warnings.push(format!(
                    "`{}`: `{}` has no effect here: {why}",
                    self.file.display(),
                    self.path_of(key)
                ));
            } else if !self.known.contains(key.as_str()) {
                let supported: Vec<_> = self.known.iter().map(|known| format!("`{known}`")).collect();
                let problem = format!(
                    "not supported by this stand-in; supported here: {}",
                    supported.join(", ")
                );
                return Err(ConfigError::option(self.file, self.path_of(key), &problem));
            }
        }
        Ok(())
    }

    fn path_in(&self, key: &str, text: &str) -> Result<PathBuf, ConfigError> {
        file_path(text).ok_or_else(|| self.refuse(key, "must be a `file://` URL with an absolute path"))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}
