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
    origin: Origin,
    policy: Rc<RoutePolicy>,
}

/// What a policy has its name from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The handler or the module that the attributes are on.
    Handler,
    /// The method of an extension trait that made the policy.
    Method,
}

impl Announcer {
    /// Makes the announcer of a wrapper that is being built.
    pub(crate) fn new(policy: &Rc<RoutePolicy>, origin: Origin) -> Rc<Self> {
        let announcer = Rc::new(Self {
            is_in_time: Cell::new(false),
            origin,
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
        policy.access() != Access::Protected || policy.tenant().is_some() || policy.transports().is_some()
    })
}

/// The hidden policies that are already reported. Bounded by the size of the code: every entry is a place in it.
#[derive(Debug, Default)]
pub(crate) struct HiddenPolicies {
    proven: Mutex<HashSet<&'static str>>,
    suspected: Mutex<HashSet<&'static str>>,
}

impl HiddenPolicies {
    /// Reports, once for each place in the code, that a policy was not announced before the gate decided.
    pub(crate) fn report(&self, policy: &RoutePolicy) {
        if is_new(&self.proven, policy) {
            tracing::warn!(
                declared_at = policy.declared_at(),
                name = policy.name(),
                "a middleware hides a policy from the gate, so requests are treated as protected by the default tenant: {}",
                REMEDY
            );
        }
    }

    /// Reports the policy of a route that was refused and had announced nothing. `handler` is the name of the route's handler, where
    /// no other route has that name.
    pub(crate) fn report_for_handler(&self, handler: &str) {
        for announcer in never_in_time().filter(|announcer| announcer.policy.name() == handler) {
            self.report(&announcer.policy);
        }
    }

    /// Reports the policies from extension traits that may be hidden from a route that was refused and had announced nothing. They
    /// have no handler's name, so this is a possibility.
    pub(crate) fn suspect(&self, pattern: &str) {
        for announcer in never_in_time().filter(|announcer| announcer.origin == Origin::Method) {
            let policy = &announcer.policy;
            if is_new(&self.suspected, policy) {
                tracing::warn!(
                    declared_at = policy.declared_at(),
                    name = policy.name(),
                    pattern,
                    "a request was refused, and neither its route nor any other has announced a policy so far. If this policy belongs \
                     to the route, it is hidden: {}",
                    REMEDY
                );
            }
        }
    }
}

/// Returns the announcers of this worker that were never in time.
fn never_in_time() -> impl Iterator<Item = Rc<Announcer>> {
    let built: Vec<_> = BUILT.with_borrow(|built| built.iter().filter_map(Weak::upgrade).collect());
    built.into_iter().filter(|announcer| !announcer.is_in_time.get())
}

fn is_new(reported: &Mutex<HashSet<&'static str>>, policy: &RoutePolicy) -> bool {
    reported
        .lock()
        .is_ok_and(|mut reported| reported.insert(policy.declared_at()))
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

        assert_eq!(hidden.proven.lock().unwrap().len(), 2);
    }

    #[test]
    fn only_policies_that_were_never_announced_in_time_are_suspected() {
        let hidden = HiddenPolicies::default();
        let announcer =
            |at, name, origin| Announcer::new(&Rc::new(RoutePolicy::new(at, name).public()), origin);
        let (own, other, known) = (
            announcer("h.rs:1", "open", Origin::Handler),
            announcer("h.rs:2", "other", Origin::Handler),
            announcer("h.rs:3", "open", Origin::Handler),
        );
        let built = announcer("h.rs:4", "public", Origin::Method);
        let requirement = Rc::new(RoutePolicy::new("h.rs:5", "open").require_role(["admin"]));
        let _requirement = Announcer::new(&requirement, Origin::Handler);
        known.note_in_time();

        hidden.report_for_handler("open");
        assert_eq!(*hidden.proven.lock().unwrap(), HashSet::from(["h.rs:1"]));

        hidden.suspect("/open");
        assert_eq!(*hidden.suspected.lock().unwrap(), HashSet::from(["h.rs:4"]));
        // A suspicion does not silence the proof.
        hidden.report(&built.policy);
        assert!(hidden.proven.lock().unwrap().contains("h.rs:4"));
        drop((own, other, known, built));
    }
}
