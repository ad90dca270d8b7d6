//! Policies of a route and its scopes.

use iam_core::requirement::{EffectivePolicy, RoutePolicy};
use iam_grammar::Permission;

/// Takes each line of the input as one policy, and each byte of it as one property of the policy.
///
/// # Panics
///
/// When a further policy weakened the combined policy.
#[expect(clippy::panic, reason = "a broken promise has to be seen")]
pub fn run(data: &[u8]) {
    let policies: Vec<_> = data.split(|&byte| byte == b'\n').take(6).map(policy).collect();
    let all: Vec<_> = policies.iter().collect();

    let Some((_, fewer)) = all.split_last() else {
        return;
    };
    let (before, after) = match (EffectivePolicy::merge(fewer), EffectivePolicy::merge(&all)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(_), Ok(_)) => panic!("a conflict was healed"),
        (Ok(_) | Err(_), Err(_)) => return,
    };

    let requirements = after.requirements();
    assert!(
        before.requirements().iter().all(|one| requirements.contains(one)),
        "a requirement was lost"
    );
    // Without an earlier requirement, `public` may open the route.
    let was_open = before.access() < iam_core::requirement::Access::Protected;
    assert!(
        !(was_open || before.has_requirements()) || before.access() <= after.access(),
        "the access was widened"
    );
    assert!(
        before.tenant().is_none() || before.tenant() == after.tenant(),
        "the tenant was changed"
    );
}

fn policy(words: &[u8]) -> RoutePolicy {
    words
        .iter()
        .take(16)
        .fold(RoutePolicy::new("fuzz", "route"), |policy, word| match word {
            b'p' => policy.public(),
            b'o' => policy.optional(),
            b'P' => policy.protected(),
            b'r' => policy.require_role(["a", "b"]),
            b'R' => policy.require_role(["c"]),
            b's' => policy.require_scope(["read"]),
            b'1' => policy.single_use(),
            b't' => policy.tenant("acme"),
            b'T' => policy.tenant("other"),
            b'k' => policy.require_permission(Permission::new("orders", "view", "orders:{id}")),
            b'K' => policy.require_permission(Permission::new("", "view", "orders")),
            _ => policy,
        })
}
