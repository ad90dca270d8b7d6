use std::{fmt, io};

/// One problem of a configuration, with the path of its key.
///
/// Prints as `` `tenants.customer.keto.read_url`: not an https URL ``, or with the name of the environment variable that holds
/// the value: `` `IAM__TENANTS__CUSTOMER__KETO__READ_URL`: not an https URL ``. Holds no value that may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    path: String,
    message: String,
    variable: Option<String>,
}

impl Problem {
    /// Makes a problem of the key at `path`. An empty path stands for the whole configuration.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            variable: None,
        }
    }

    /// Names the environment variable that set the key.
    pub(super) fn of_variable(mut self, name: impl Into<String>) -> Self {
        self.variable = Some(name.into());
        self
    }

    /// Returns the path of the key, its parts joined by dots.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the environment variable that holds the value, if one does.
    pub fn variable(&self) -> Option<&str> {
        self.variable.as_deref()
    }

    /// Returns what is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable.as_deref().unwrap_or(&self.path) {
            "" => f.write_str(&self.message),
            name => write!(f, "`{name}`: {}", self.message),
        }
    }
}

/// Every problem of an invalid configuration.
#[derive(Clone, Eq, PartialEq)]
pub struct ConfigError {
    file: Option<String>,
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { file: None, problems }
    }

    /// Names the file that the configuration was read from.
    pub(super) fn of_file(mut self, file: Option<String>) -> Self {
        self.file = file;
        self
    }

    /// Names the environment variable in each problem of a key that it sets.
    pub(super) fn of_variables(mut self, variables: &[(String, String)]) -> Self {
        for problem in &mut self.problems {
            let set = variables.iter().find(|(path, _)| {
                let below = problem.path.strip_prefix(path.as_str());
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            });
            if let Some((_, name)) = set {
                problem.variable.get_or_insert_with(|| name.clone());
            }
        }
        self
    }

    /// Returns the name of the file given to [`IamConfig::from_file`](super::IamConfig::from_file), with control characters
    /// escaped and invalid UTF-8 replaced.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns all problems: unreadable keys and values first.
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
        let is_of_file = |problem: &Problem| problem.variable.is_none();
        if let Some(file) = &self.file
            && self.problems.iter().any(is_of_file)
        {
            write!(f, " in `{file}`")?;
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// Same as `Display`: a `main` that returns the error prints its `Debug`.
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
