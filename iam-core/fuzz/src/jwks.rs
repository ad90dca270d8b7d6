//! Key sets.

use std::collections::HashSet;

use iam_core::jwks::{KeyLimits, KeySet};

/// Every key is either used or reported, and no id names two keys.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    let limits = KeyLimits::default();
    let Ok((keys, problems)) = KeySet::parse(data, limits) else {
        return;
    };

    assert!(
        keys.len().saturating_add(problems.len()) <= limits.max_keys,
        "more keys than allowed"
    );
    let kids: Vec<_> = keys.kids().collect();
    assert_eq!(
        kids.iter().collect::<HashSet<_>>().len(),
        kids.len(),
        "an id names two keys"
    );
}
