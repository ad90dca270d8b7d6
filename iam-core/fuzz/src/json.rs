//! Strict JSON.

use iam_core::json::{self, JsonError, JsonLimits};
use serde_json::Value;

/// A second parser reads every accepted text alike, and rejects every text that is rejected for its content alone.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    let reference = serde_json::from_slice::<Value>(data);
    match json::parse(data, JsonLimits::new(64 * 1024, 16)) {
        Ok(value) => assert_eq!(
            reference.ok(),
            Some(value),
            "accepted, but the reference reads it differently"
        ),
        Err(JsonError::Malformed) => assert!(
            reference.is_err(),
            "refused as malformed, but the reference reads it"
        ),
        Err(_) => {}
    }
}
