//! Who may come through? Access rules, sessions and signed tokens, as Oathkeeper answers.

mod glob;
mod target;
mod value;
mod session;
mod template;
mod key_file;
mod keys;

pub use key_file::{KeyFile, KeyFileError};
