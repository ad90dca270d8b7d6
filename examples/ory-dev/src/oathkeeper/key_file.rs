//! Key rotation by an operator, who edits the gateway's key file.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::KeySize,
    signature::RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The file of a gateway's signing keys: a JSON Web Key set with private members.
///
/// It changes only the file, so it also rotates the keys of a real gateway. The real gateway reads its file again within
/// half a minute, this stand-in within a second. Every change replaces the file atomically: a reader sees the old set or
/// the new one.
///
/// ```no_run
/// use ory_dev::oathkeeper::KeyFile;
///
/// let keys = KeyFile::at("id-token.jwks.json");
/// let kid = keys.append_rsa()?; // signs from the next reading on
/// keys.remove(&kid)?;
/// # Ok::<(), ory_dev::oathkeeper::KeyFileError>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// Names the file without reading it.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file with one new RSA key if it does not exist, and returns whether it created it.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or no key can be generated.
    pub fn ensure(&self) -> Result<bool, KeyFileError> {
        if self.path.exists() {
            return Ok(false);
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|source| self.io(source))?;
        }
        self.write(&[fresh_rsa()?.1])?;
        Ok(true)
    }

    /// Returns all keys with all members, including private ones, in the order of the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not a JSON Web Key set.
    pub fn read(&self) -> Result<Vec<Value>, KeyFileError> {
        let text = self.read_text()?;
        let set: Value = serde_json::from_str(&text).map_err(|error| KeyFileError::Json {
            path: self.path.clone(),
            line: error.line(),
            column: error.column(),
        })?;
        match set.get("keys") {
            Some(Value::Array(keys)) => Ok(keys.clone()),
            Some(_) | None => Err(KeyFileError::Json {
                path: self.path.clone(),
                line: 1,
                column: 1,
            }),
        }
    }

    /// Returns the `kid` of every key, in the order of the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not a JSON Web Key set.
    pub fn kids(&self) -> Result<Vec<String>, KeyFileError> {
        let keys = self.read()?;
        Ok(keys.iter().filter_map(kid_of).map(str::to_owned).collect())
    }

    /// Appends a new 2048-bit RSA key and returns its `kid`. The gateway signs with it as soon as it has read the file
    /// again, before any service knows it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or no key can be generated.
    pub fn append_rsa(&self) -> Result<String, KeyFileError> {
        let mut keys = self.read()?;
        let (kid, key) = fresh_rsa()?;
        keys.push(key);
        self.write(&keys)?;
        Ok(kid)
    }

    /// Prepends a new 2048-bit RSA key and returns its `kid`. The gateway publishes it without signing with it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or no key can be generated.
    pub fn prepend_rsa(&self) -> Result<String, KeyFileError> {
        let mut keys = self.read()?;
        let (kid, key) = fresh_rsa()?;
        keys.insert(0, key);
        self.write(&keys)?;
        Ok(kid)
    }

    /// Moves the keys with this `kid` to the end, so that the gateway signs with them, and returns whether there were any.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn move_to_end(&self, kid: &str) -> Result<bool, KeyFileError> {
        let (moved, mut keys): (Vec<_>, Vec<_>) =
            self.read()?.into_iter().partition(|key| kid_of(key) == Some(kid));
        if moved.is_empty() {
            return Ok(false);
        }
        keys.extend(moved);
        self.write(&keys)?;
        Ok(true)
    }

    /// Removes the keys with this `kid` and returns whether there were any.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn remove(&self, kid: &str) -> Result<bool, KeyFileError> {
        let (removed, kept): (Vec<_>, Vec<_>) =
            self.read()?.into_iter().partition(|key| kid_of(key) == Some(kid));
        if removed.is_empty() {
            return Ok(false);
        }
        self.write(&kept)?;
        Ok(true)
    }

    /// Atomically replaces the file by one with these keys.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, keys: &[Value]) -> Result<(), KeyFileError> {
        let text = serde_json::json!({ "keys": keys }).to_string();
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", Uuid::new_v4().simple()));
        let draft = self.path.with_file_name(name);
        let written = write_private(&draft, text.as_bytes()).and_then(|()| fs::rename(&draft, &self.path));
        written.map_err(|source| {
            // The temporary file holds private keys, so it is removed. The first error is the one to report.
            let _ = fs::remove_file(&draft);
            self.io(source)
        })
    }

    pub(crate) fn read_text(&self) -> Result<String, KeyFileError> {
        let mut text = String::new();
        let mut file = fs::File::open(&self.path)
            .map_err(|source| self.io(source))?
            .take(MAX_FILE);
        file.read_to_string(&mut text).map_err(|source| self.io(source))?;
        if file.limit() == 0 {
            return Err(KeyFileError::TooLarge {
                path: self.path.clone(),
            });
        }
        Ok(text)
    }

    fn io(&self, source: io::Error) -> KeyFileError {
        KeyFileError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// Why a key file is rejected. No message contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The cryptographic library generated no key.
    #[error("no RSA key could be generated")]
    Generate,
    /// The file cannot be read or written.
    #[error("`{}` cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is not a JSON Web Key set (RFC 7517 §5).
    #[error("`{}` is not a JSON Web Key set (line {line}, column {column})", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// One of the keys is invalid.
    #[error("`{}`: key {index} (kid `{kid}`): {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The position of the key, from 0.
        index: usize,
        /// Its `kid`, or an empty text.
        kid: String,
        /// The fault.
        problem: &'static str,
    },
    /// The file has no private key with a `kid`.
    #[error("`{}` has no private key with a `kid` to sign with", path.display())]
    NoSigningKey {
        /// The file.
        path: PathBuf,
    },
    /// The file exceeds the maximum size of a key set.
    #[error("`{}` is larger than {MAX_FILE} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

fn kid_of(key: &Value) -> Option<&str> {
    key.get("kid").and_then(Value::as_str)
}

#[cfg(unix)]
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)
}

#[cfg(not(unix))]
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)
}

/// A new private key as a JSON Web Key (RFC 7518 §6.3.2), with its `kid`.
pub(crate) fn fresh_rsa() -> Result<(String, Value), KeyFileError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyFileError::Generate)?;
    let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyFileError::Generate)?;
    let numbers = rsa_numbers(document.as_ref()).ok_or(KeyFileError::Generate)?;

    let kid = Uuid::new_v4().to_string();
    let mut key = Map::new();
    for (name, text) in [("use", "sig"), ("kty", "RSA"), ("kid", &kid), ("alg", "RS256")] {
        key.insert(name.to_owned(), text.into());
    }
    for (name, number) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"]
        .into_iter()
        .zip(numbers)
    {
        key.insert(name.to_owned(), URL_SAFE_NO_PAD.encode(number).into());
    }
    Ok((kid, Value::Object(key)))
}

/// The eight integers of an RSA private key: `PrivateKeyInfo` (RFC 5208 §5) around `RSAPrivateKey` (RFC 8017 §A.1.2).
fn rsa_numbers(pkcs8: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut info, _) = element(pkcs8, SEQUENCE)?;
    (_, info) = element(info, INTEGER)?;
    (_, info) = element(info, SEQUENCE)?;
    let (inner, _) = element(info, OCTET_STRING)?;
    let (key, _) = element(inner, SEQUENCE)?;
    let (_version, mut rest) = element(key, INTEGER)?;
    let mut numbers = Vec::with_capacity(8);
    for _ in 0..8 {
        let number;
        (number, rest) = element(rest, INTEGER)?;
        // DER prepends a zero to an integer whose highest bit is set; a JWK omits it (RFC 7518 §2).
        numbers.push(
            number
                .strip_prefix(&[0])
                .filter(|trimmed| !trimmed.is_empty())
                .unwrap_or(number),
        );
    }
    Some(numbers)
}

/// The content of the first DER element, and the input after it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = input.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let (digits, after) = rest.split_at_checked(length & 0x7f)?;
        length = 0;
        for digit in digits {
            length = length.checked_mul(256)?.checked_add(usize::from(*digit))?;
        }
        rest = after;
    }
    rest.split_at_checked(length)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;

/// Room for some hundred keys.
const MAX_FILE: u64 = 1 << 20;
