use std::{fmt, io};

/// One thing that is wrong with a configuration, and where.
///
/// Prints as `` `tenants.customer.keto.read_url`: not an https URL ``. Holds no value that may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    path: String,
    message: String,
}

impl Problem {
    /// Makes a problem of the key at `path`; an empty path is the configuration as a whole.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// Returns the path of the key, its parts joined by dots.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "`{}`: {}", self.path, self.message)
        }
    }
}

/// A configuration that nothing can be started with: every problem at once.
#[derive(Clone, Eq, PartialEq)]
pub struct ConfigError {
    file: Option<String>,
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { file: None, problems }
    }

    /// Says which file the configuration was read from, if it was read from one.
    pub(super) fn of_file(mut self, file: Option<String>) -> Self {
        self.file = file;
        self
    }

    /// Returns the file that the configuration was read from, as [`IamConfig::from_file`](super::IamConfig::from_file) was
    /// asked for it, but fit to be shown: control characters are escaped, and what is not UTF-8 is replaced.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns all problems: first what cannot be read, then what is wrong with the rest.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration")?;
        if let Some(file) = &self.file {
            write!(f, " in `{file}`")?;
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// As it is displayed: `main` prints its error like this, and its reader wants the list.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// For a `main` that returns [`io::Result`], as the examples of Actix Web do.
impl From<ConfigError> for io::Error {
    fn from(err: ConfigError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_fails_prints_one_line_for_each_problem() {
        let err = ConfigError::new(vec![
            Problem::new("tenants.a.keto.read_url", "not an https URL"),
            Problem::new("audit.queue", "must be at least 1"),
        ]);

        let printed = format!("{:?}", io::Error::from(err));

        assert!(
            printed.contains(
                "invalid configuration\n  `tenants.a.keto.read_url`: not an https URL\n  `audit.queue`: must be at least 1"
            ),
            "{printed}"
        );
    }
}
