//! What the scenarios share.
//!
//! A scenario starts a stack and services, and walks their promises: it sends requests byte by byte ([`client`]), stands between
//! two servers ([`relay`]), checks answers and audit events ([`Promise`]), and reports what held ([`Report`]).

pub mod client;
pub mod relay;
pub mod ory;
mod address;
mod arguments;
mod audit;
mod promise;
mod report;
mod running;

use std::{io, time::Duration};

use serde_json::Value;
use tokio::time;

pub use self::{
    address::{free_address, silent},
    arguments::{Arguments, Verb},
    audit::Audit,
    promise::Promise,
    report::Report,
    running::RunningService,
};

/// Returns the text at a JSON pointer (RFC 6901).
///
/// # Errors
///
/// When there is no text.
pub fn text(body: &Value, pointer: &str) -> io::Result<String> {
    let found = body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| io::Error::other(format!("no {pointer} in the answer")))
}

/// Waits until `ready` returns true, at most `patience`.
pub async fn eventually<F: Future<Output = bool>>(patience: Duration, mut ready: impl FnMut() -> F) -> bool {
    let rounds = patience
        .as_millis()
        .checked_div(POLL.as_millis())
        .unwrap_or_default();
    for _ in 0..rounds.max(1) {
        if ready().await {
            return true;
        }
        time::sleep(POLL).await;
    }
    false
}

const POLL: Duration = Duration::from_millis(50);
