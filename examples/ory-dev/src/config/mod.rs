//! Which options do the files set, and does this stand-in know every one of them?
//!
//! The files are those of the real servers, so they may hold options that this stand-in does not have. An option is
//! either used, or named harmless by the code that reads the section (a warning is printed), or a start-up error that
//! names the file, the path of the option and what is supported. It is never passed over in silence.

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
