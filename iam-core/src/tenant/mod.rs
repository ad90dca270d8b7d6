//! For whom?

mod transport;

pub use transport::{Transport, UnknownTransport};
