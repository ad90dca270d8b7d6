//! Key sets.

use std::collections::HashMap;

use iam_core::{
    jwks::{KeyLimits, KeySet},
    jwt::Algorithm,
};

/// The number of used and reported keys is within the limit, and one id names no more keys than there are algorithms to
/// tell them apart.
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
    let mut named = HashMap::<_, usize>::new();
    for kid in keys.kids() {
        let count = named.entry(kid).or_default();
        *count = count.saturating_add(1);
        // One more than there are algorithms: the same RSA key may be published with `alg` and without it.
        assert!(
            *count <= Algorithm::ALL.len().saturating_add(1),
            "an id names too many keys"
        );
    }
}
