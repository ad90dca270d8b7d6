use std::rc::Rc;

use super::RequestState;
use crate::route::{chain::Chain, hidden::Announcer};

/// The policies on the way to the route, and the route's pattern. Grows while the request is routed.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    pub(super) chain: Option<Rc<Chain>>,
    pattern: Option<Rc<str>>,
    /// The pattern of a route that announced nothing. A `String`, as Actix Web gives it.
    unannounced: Option<String>,
    phase: Phase,
}

impl Announced {
    /// Returns the pattern that the event names.
    pub(super) fn route(&self) -> Option<&str> {
        self.pattern.as_deref().or(self.unannounced.as_deref())
    }
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
    pub(crate) fn announce(&self, chain: Rc<Chain>, by: &Announcer) {
        let mut announced = self.announced.borrow_mut();
        match announced.phase {
            Phase::Routing | Phase::InsideClosedScope => {
                by.note_in_time();
                self.context.note_announcement();
            }
            Phase::Read => self.shared().hidden_policies().report(chain.policy()),
        }

        announced.chain = Some(chain);
        // A clearance of a route that was called before does not count for this one.
        self.conclude(None);
    }

    /// Announces the full pattern of the route. `None` at a default service.
    pub(crate) fn announce_pattern(&self, pattern: Option<Rc<str>>) {
        self.announced.borrow_mut().pattern = pattern;
    }

    /// Marks the announcements as read by the gate.
    pub(crate) fn read_announcements(&self) {
        let mut announced = self.announced.borrow_mut();
        if announced.phase == Phase::Routing {
            announced.phase = Phase::Read;
        }
    }

    /// Notes the pattern of a route that announced nothing, as Actix Web gives it.
    pub(super) fn note_unannounced_pattern(&self, pattern: String) {
        self.announced.borrow_mut().unannounced = Some(pattern);
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
