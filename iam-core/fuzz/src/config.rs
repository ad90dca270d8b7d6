//! Configurations in all three formats.

use iam_core::{
    config::{ConfigError, IamConfig},
    jwt::Verifier,
};

/// Reads and validates the input, in the format that it resembles.
///
/// # Panics
///
/// When an accepted configuration cannot verify anything, or a problem cannot be printed on one line.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let read = match text.trim_start().chars().next() {
        Some('{') => IamConfig::from_json(text),
        Some('-') => IamConfig::from_yaml(text),
        _ => IamConfig::from_toml(text),
    };

    match read.and_then(IamConfig::validate) {
        Err(error) => are_printable(&error),
        Ok(settings) => {
            for tenant in settings.registry().iter() {
                let profile = tenant.verifier().map(Verifier::profile);
                // Sessions, access tokens, envelopes and headers have no profile.
                let is_complete = profile.is_none_or(|profile| {
                    !profile.issuer().is_empty()
                        && !profile.audience().is_empty()
                        && !profile.algorithms().is_empty()
                });
                assert!(
                    is_complete && !tenant.transports().is_empty(),
                    "a tenant that verifies nothing"
                );
            }
        }
    }
}

fn are_printable(error: &ConfigError) {
    assert!(!error.problems().is_empty(), "an error without a problem");
    for problem in error.problems() {
        let line = problem.to_string();
        assert!(
            line.len() <= 4096 && !line.chars().any(char::is_control),
            "a problem that is no line"
        );
    }
}
