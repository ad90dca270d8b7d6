//! The command line.

use std::path::PathBuf;

use crate::world::Options;

/// A parsed command line.
#[derive(Clone, Debug)]
pub struct Command {
    /// The action.
    pub verb: Verb,
    /// The options of the world.
    pub options: Options,
}

impl Command {
    /// Parses the arguments.
    ///
    /// # Errors
    ///
    /// A sentence about the wrong argument.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut command = Self {
            verb: Verb::WalkAndStay,
            options: Options::default(),
        };
        let mut verb = None;
        while let Some(word) = words.next() {
            let mut path = || {
                words
                    .next()
                    .filter(|path| !path.starts_with("--"))
                    .map(PathBuf::from)
                    .ok_or_else(|| format!("{word} needs a path"))
            };
            match word.as_str() {
                "walk" | "serve" if verb.is_some() => {
                    return Err("one of `walk` and `serve`, once".to_owned());
                }
                "walk" => verb = Some(Verb::Walk),
                "serve" => verb = Some(Verb::Serve),
                "--live" => command.options.live = true,
                "--config" => command.options.config = Some(path()?),
                "--jwks-file" => command.options.key_file = Some(path()?),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        command.verb = verb.unwrap_or(command.verb);
        command.options.relay = command.verb != Verb::Serve;
        if command.options.key_file.is_some() && !command.options.live {
            return Err(
                "--jwks-file belongs to --live: the embedded stack has a key file of its own".to_owned(),
            );
        }
        Ok(command)
    }
}

/// The action of the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an application, whose types only its own tests use"
)]
pub enum Verb {
    /// Start and stay, without walking.
    Serve,
    /// Walk and exit.
    Walk,
    /// Walk, and stay until Ctrl-C.
    WalkAndStay,
}

/// The text that follows the error about a wrong argument.
pub const USAGE: &str = "\
usage: zero-trust [walk | serve] [--live [--jwks-file PATH]] [--config DIR]

  (nothing)    start the embedded Ory stack and the services, walk the promises, stay until Ctrl-C
  walk         walk and exit: 0 if every promise held, else 1
  serve        start and stay, without walking
  --live       start only the services; real Ory servers run on the usual ports
  --jwks-file  the gateway's key file, for the rotation step
  --config     the folder with auth-bff.toml, orders-api.toml and inventory-api.toml";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn word_that_is_not_known_is_named() {
        for line in ["run", "walk --lives", "--Live", "walk serve.toml", "-h"] {
            let wrong = parse(line).unwrap_err();

            let word = line.split_whitespace().last().unwrap();
            assert_eq!(wrong, format!("`{word}` is not known"), "{line}");
        }
    }

    #[test]
    fn option_without_its_path_is_refused() {
        for line in ["--config", "walk --config --live", "walk --live --jwks-file"] {
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
    fn key_file_of_the_embedded_stack_cannot_be_chosen() {
        assert!(
            parse("walk --jwks-file keys.json")
                .unwrap_err()
                .contains("--live")
        );
    }

    #[test]
    fn nothing_said_walks_and_stays() {
        let command = parse("").unwrap();

        assert_eq!(command.verb, Verb::WalkAndStay);
        assert!(!command.options.live && command.options.relay);
        assert!(command.options.config.is_none() && command.options.key_file.is_none());
    }

    #[test]
    fn walk_puts_the_relay_in_front_and_serve_does_not() {
        let (walk, serve) = (parse("walk").unwrap(), parse("serve").unwrap());

        assert_eq!((walk.verb, walk.options.relay), (Verb::Walk, true));
        assert_eq!((serve.verb, serve.options.relay), (Verb::Serve, false));
    }

    #[test]
    fn options_are_taken_in_any_order() {
        for line in [
            "walk --live --jwks-file keys.json --config conf",
            "--config conf --jwks-file keys.json --live walk",
        ] {
            let command = parse(line).unwrap();

            assert_eq!(command.verb, Verb::Walk);
            assert!(command.options.live);
            assert_eq!(command.options.config, Some(PathBuf::from("conf")));
            assert_eq!(command.options.key_file, Some(PathBuf::from("keys.json")));
        }
    }
}
