//! Policies that a middleware inside the gate hides.
//!
//! A middleware that answers asynchronously before it calls inward hides the routes behind it: their policies are announced after
//! the gate has decided, or, where the gate refused, never. The gate then treats the request as protected, and the log says
//! once which policy is hidden, where it was declared, and what to do.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::{Rc, Weak},
    sync::Mutex,
};

use iam_core::requirement::{Access, EffectivePolicy, RoutePolicy};

thread_local! {
    /// The wrappers of this worker whose policies the gate has to know in time.
    static BUILT: RefCell<Vec<Weak<Announcer>>> = const { RefCell::new(Vec::new()) };
}

/// The policy of one wrapper, and whether it was ever announced before the gate decided.
#[derive(Debug)]
pub(crate) struct Announcer {
    is_in_time: Cell<bool>,
    policy: Rc<RoutePolicy>,
}

impl Announcer {
    /// Makes the announcer of a wrapper that is being built.
    pub(crate) fn new(policy: &Rc<RoutePolicy>) -> Rc<Self> {
        let announcer = Rc::new(Self {
            is_in_time: Cell::new(false),
            policy: Rc::clone(policy),
        });

        if changes_the_target(policy) {
            BUILT.with_borrow_mut(|built| {
                built.retain(|other| other.strong_count() > 0);
                built.push(Rc::downgrade(&announcer));
            });
        }
        announcer
    }

    /// Notes that the policy was announced before the gate decided.
    pub(crate) fn note_in_time(&self) {
        self.is_in_time.set(true);
    }
}

/// Tells whether the gate decides otherwise when it does not know of the policy.
fn changes_the_target(policy: &RoutePolicy) -> bool {
    EffectivePolicy::merge(&[policy]).is_ok_and(|policy| {
        policy.access() != Access::Protected || policy.tenant().is_some() || policy.transport().is_some()
    })
}

/// The hidden policies that are already reported. Bounded by the size of the code: every entry is a place in it.
#[derive(Debug, Default)]
pub(crate) struct HiddenPolicies {
    reported: Mutex<HashSet<&'static str>>,
}

impl HiddenPolicies {
    /// Reports, once for each place in the code, that a policy was not announced before the gate decided.
    pub(crate) fn report(&self, policy: &RoutePolicy) {
        if self.is_new(policy) {
            tracing::warn!(
                declared_at = policy.declared_at(),
                name = policy.name(),
                "a middleware hides a policy from the gate, so requests are treated as protected by the default tenant: {}",
                REMEDY
            );
        }
    }

    /// Reports the policies that may belong to a route which was refused and had announced nothing. `resource` is the name that
    /// Actix Web gives to a handler with a route attribute.
    ///
    /// A policy from an attribute has its handler's name, so it is found exactly. One from an extension trait has none: it is
    /// reported as a possibility when it was never announced in time.
    pub(crate) fn report_for_route(&self, pattern: &str, resource: Option<&str>) {
        let never_in_time: Vec<_> = BUILT.with_borrow(|built| {
            let announcers = built.iter().filter_map(Weak::upgrade);
            announcers
                .filter(|announcer| !announcer.is_in_time.get())
                .collect()
        });

        for announcer in never_in_time {
            let policy = &announcer.policy;
            if resource == Some(policy.name()) {
                self.report(policy);
            } else if super::is_builder_word(policy.name()) && self.is_new(policy) {
                tracing::warn!(
                    declared_at = policy.declared_at(),
                    name = policy.name(),
                    pattern,
                    "a request was refused and its route announced no policy, while this policy was never announced in time. \
                     If it belongs to this route, it is hidden: {}",
                    REMEDY
                );
            }
        }
    }

    fn is_new(&self, policy: &RoutePolicy) -> bool {
        self.reported
            .lock()
            .is_ok_and(|mut reported| reported.insert(policy.declared_at()))
    }
}

const REMEDY: &str = "a middleware inside the gate (`from_fn`, a session middleware, a `Condition` around one) answers before it \
    calls inward; register it outside the gate, or give the enclosing scope the policy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_policy_is_reported_once_for_each_place() {
        let hidden = HiddenPolicies::default();

        hidden.report(&RoutePolicy::new("a.rs:1", "one"));
        hidden.report(&RoutePolicy::new("a.rs:1", "one"));
        hidden.report(&RoutePolicy::new("a.rs:2", "two"));

        assert_eq!(hidden.reported.lock().unwrap().len(), 2);
    }

    #[test]
    fn only_policies_that_were_never_announced_in_time_are_suspected() {
        let hidden = HiddenPolicies::default();
        let announcer = |at, name| Announcer::new(&Rc::new(RoutePolicy::new(at, name).public()));
        let (own, other, known) = (
            announcer("h.rs:1", "open"),
            announcer("h.rs:2", "other"),
            announcer("h.rs:3", "open"),
        );
        let built = announcer("h.rs:4", "public");
        let requirement = Rc::new(RoutePolicy::new("h.rs:5", "open").require_role(["admin"]));
        let _requirement = Announcer::new(&requirement);
        known.note_in_time();

        hidden.report_for_route("/open", Some("open"));

        let reported = hidden.reported.lock().unwrap();
        assert_eq!(*reported, HashSet::from(["h.rs:1", "h.rs:4"]));
        drop((own, other, known, built));
    }
}
