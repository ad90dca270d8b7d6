//! The command line.

use scenario::{Arguments, Verb};

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
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let Arguments {
            verb,
            live,
            mut paths,
            ..
        } = Arguments::parse(words, &[CONFIG, KEY_FILE])?;
        let key_file = paths.remove(KEY_FILE);
        if key_file.is_some() && !live {
            return Err(
                "--jwks-file belongs to --live: the embedded stack has a key file of its own".to_owned(),
            );
        }
        Ok(Self {
            verb,
            options: Options {
                config: paths.remove(CONFIG),
                key_file,
                live,
                relay: verb != Verb::Serve,
                ..Options::default()
            },
        })
    }
}

const CONFIG: &str = "--config";
const KEY_FILE: &str = "--jwks-file";

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
    use std::path::PathBuf;

    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
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
