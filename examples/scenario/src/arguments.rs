//! The command line of a scenario.

use std::{collections::BTreeMap, path::PathBuf};

/// A parsed command line: `[walk | serve] [--live] [--OPTION PATH]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arguments {
    /// The action.
    pub verb: Verb,
    /// Whether real Ory servers run on their usual ports.
    pub live: bool,
    /// The paths of the options that were given.
    pub paths: BTreeMap<String, PathBuf>,
}

/// The action of the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a program does one of them")]
pub enum Verb {
    /// Start and stay, without walking.
    Serve,
    /// Walk and exit.
    Walk,
    /// Walk, and stay until Ctrl-C.
    WalkAndStay,
}

impl Arguments {
    /// Parses the arguments. `options` are the names of the options that take a path, such as `--config`.
    ///
    /// # Errors
    ///
    /// A sentence about the wrong argument.
    pub fn parse(mut words: impl Iterator<Item = String>, options: &[&str]) -> Result<Self, String> {
        let mut arguments = Self {
            verb: Verb::WalkAndStay,
            live: false,
            paths: BTreeMap::new(),
        };
        let mut verb = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "walk" | "serve" if verb.is_some() => {
                    return Err("one of `walk` and `serve`, once".to_owned());
                }
                "walk" => verb = Some(Verb::Walk),
                "serve" => verb = Some(Verb::Serve),
                "--live" => arguments.live = true,
                option if options.contains(&option) => {
                    let path = words
                        .next()
                        .filter(|path| !path.starts_with("--"))
                        .ok_or_else(|| format!("{word} needs a path"))?;
                    arguments.paths.insert(word, path.into());
                }
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        arguments.verb = verb.unwrap_or(arguments.verb);
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned), &["--config"])
    }

    #[test]
    fn word_that_is_not_known_is_named() {
        for line in [
            "run",
            "walk --lives",
            "--Live",
            "walk serve.toml",
            "-h",
            "--jwks-file",
        ] {
            let wrong = parse(line).unwrap_err();

            let word = line.split_whitespace().last().unwrap();
            assert_eq!(wrong, format!("`{word}` is not known"), "{line}");
        }
    }

    #[test]
    fn option_without_its_path_is_refused() {
        for line in ["--config", "walk --config --live"] {
            assert!(parse(line).unwrap_err().ends_with("needs a path"), "{line}");
        }
    }

    #[test]
    fn two_verbs_are_refused() {
        for line in ["walk serve", "serve walk", "walk walk"] {
            assert!(parse(line).unwrap_err().contains("once"), "{line}");
        }
    }

    #[test]
    fn nothing_said_walks_and_stays() {
        let arguments = parse("").unwrap();

        assert_eq!(arguments.verb, Verb::WalkAndStay);
        assert!(!arguments.live && arguments.paths.is_empty());
    }

    #[test]
    fn options_are_taken_in_any_order() {
        for line in ["walk --live --config conf", "--config conf --live walk"] {
            let arguments = parse(line).unwrap();

            assert_eq!((arguments.verb, arguments.live), (Verb::Walk, true));
            assert_eq!(arguments.paths.get("--config"), Some(&PathBuf::from("conf")));
        }
    }
}
