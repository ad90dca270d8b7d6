//! Reads configuration files and rejects options that this stand-in does not know.
//!
//! The files are those of the real servers, so they may hold options that this stand-in does not implement. Every option is
//! either used, or declared harmless by the code that reads its section (a warning is printed), or rejected at start with
//! an error that names the file, the path of the option and what is supported. No option is ignored silently.

mod vars;
mod document;
mod strict;
mod options;
mod notation;
mod error;

pub use self::{
    document::{Document, MAX_FILE, read_text},
    error::ConfigError,
    notation::{file_path, parse_duration},
    options::Options,
    vars::Vars,
};

#[cfg(test)]
mod tests;
