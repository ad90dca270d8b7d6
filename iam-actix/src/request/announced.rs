use std::rc::Rc;

use super::RequestState;
use crate::policy::chain::Chain;

/// The policies on the way to the route, and the route's pattern. Grows while the request is routed.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    pub(super) chain: Option<Rc<Chain>>,
    pub(super) pattern: Option<Rc<str>>,
    phase: Phase,
}

/// Whether an announcement is in time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// The request is being routed.
    #[default]
    Routing,
    /// The gate has read the announcements: a further one is late.
    Read,
    /// A scope calls inward only after the admission: what is announced inside it is not late.
    InsideClosedScope,
}

impl RequestState {
    /// Announces a policy. It replaces the chain that it continues.
    pub(crate) fn announce(&self, chain: Rc<Chain>) {
        let mut announced = self.announced.borrow_mut();
        if announced.phase == Phase::Read {
            self.shared().hidden_policies().report(chain.policy());
        }

        announced.chain = Some(chain);
        // A clearance of a route that was called before does not count for this one.
        *self.clearance.borrow_mut() = None;
    }

    /// Announces the full pattern of the route. `None` at a default service.
    pub(crate) fn announce_pattern(&self, pattern: Option<Rc<str>>) {
        self.announced.borrow_mut().pattern = pattern;
    }

    /// Marks the announcements as read by the gate.
    pub(crate) fn read_announcements(&self) {
        self.announced.borrow_mut().phase = Phase::Read;
    }

    /// Marks further announcements as made inside a closed scope.
    pub(crate) fn enter_closed_scope(&self) {
        self.announced.borrow_mut().phase = Phase::InsideClosedScope;
    }

    /// Returns the announced policies, the innermost last.
    pub(crate) fn chain(&self) -> Option<Rc<Chain>> {
        self.announced.borrow().chain.clone()
    }

    /// Returns the full pattern of the chosen route, if it was announced.
    pub(crate) fn pattern(&self) -> Option<Rc<str>> {
        self.announced.borrow().pattern.clone()
    }

    /// Tells whether no policy was announced further in.
    pub(crate) fn is_innermost(&self, chain: &Rc<Chain>) -> bool {
        let announced = self.announced.borrow();
        let innermost = announced.chain.as_ref();

        innermost.is_some_and(|innermost| Rc::ptr_eq(innermost, chain))
    }
}
