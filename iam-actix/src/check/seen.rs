//! The mark of a sample request, and the record of its way.
//!
//! The gate and the wrappers report here. Outside of a check each report costs one look at a thread-local counter.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::{BoxedPayloadStream, Request};
use actix_web::{
    HttpMessage as _, HttpRequest,
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    introspection::IntrospectionTree,
    web::{Bytes, Data},
};
use futures_util::Stream;
use iam_core::requirement::RoutePolicy;

use crate::{
    policy::enforce::Wrapped,
    route::{chain::Chain, params::PathValues},
    state::State,
};

thread_local! {
    /// The number of checks that run on this thread. Requests are examined for a mark only while there is one.
    static CHECKS: Cell<usize> = const { Cell::new(0) };
    /// The wrappers that were built on this thread during a check, in the order in which they were built.
    static BUILT: RefCell<Vec<Built>> = const { RefCell::new(Vec::new()) };
}

/// A wrapper that was built.
#[derive(Clone, Debug)]
pub(super) struct Built {
    pub(super) policy: Rc<RoutePolicy>,
    /// Whether the wrapper authenticates before it calls inward.
    pub(super) is_closed_scope: bool,
}

/// The mark of a sample request.
#[derive(Clone)]
pub(super) struct Sample {
    /// The state whose gate the check looks for.
    state: Arc<State>,
    seen: Rc<RefCell<Seen>>,
    /// Whether the payload of the sample still exists.
    payload: Rc<Cell<bool>>,
}

/// What was seen of one sample.
#[derive(Default)]
pub(super) struct Seen {
    /// The gates on the way, the outermost first; `true` for those of the checked state.
    pub(super) gates: Vec<bool>,
    pub(super) tree: Option<IntrospectionTree>,
    pub(super) chain: Option<Rc<Chain>>,
    /// The pattern of the chosen route, if the route announces a policy.
    pub(super) route: Option<Rc<str>>,
    pub(super) params: BTreeSet<String>,
    /// Whether something inside the gate answered before any future was polled.
    pub(super) is_answered_at_once: bool,
}

impl Seen {
    /// Tells whether the sample reached the gate of the checked state.
    pub(super) fn has_reached_gate(&self) -> bool {
        self.gates.contains(&true)
    }
}

impl Sample {
    /// Marks a request as a sample.
    pub(super) fn mark(state: &Arc<State>, request: Request) -> (Self, Request) {
        let sample = Self {
            state: Arc::clone(state),
            seen: Rc::default(),
            payload: Rc::new(Cell::new(true)),
        };
        request.extensions_mut().insert(sample.clone());

        let payload = SamplePayload(Rc::clone(&sample.payload));
        let (request, _empty) = request.replace_payload(Payload::Stream {
            payload: Box::pin(payload) as BoxedPayloadStream,
        });
        (sample, request)
    }

    /// Tells whether the sample has reached the gate of the checked state.
    pub(super) fn has_reached_gate(&self) -> bool {
        self.seen.borrow().has_reached_gate()
    }

    /// Returns what was seen of the sample.
    pub(super) fn into_seen(self) -> Seen {
        self.seen.take()
    }

    fn note_gate(&self, state: &Arc<State>) {
        self.seen.borrow_mut().gates.push(Arc::ptr_eq(&self.state, state));
    }
}

/// An empty payload that tells when it is dropped. A request that waits in a future keeps its payload; one that was made
/// into a response has none any more.
struct SamplePayload(Rc<Cell<bool>>);

impl Stream for SamplePayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

impl Drop for SamplePayload {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Records that a wrapper was built.
pub(crate) fn register(policy: &Rc<RoutePolicy>, wrapped: Wrapped) {
    if CHECKS.get() != 0 {
        BUILT.with_borrow_mut(|built| {
            built.push(Built {
                policy: Rc::clone(policy),
                is_closed_scope: wrapped == Wrapped::ClosedScope,
            });
        });
    }
}

/// Returns the sample that a request is, before the outermost gate routes it.
pub(crate) fn sample_of(state: &Arc<State>, request: &HttpRequest) -> Option<GateSample> {
    let sample = mark_of(request)?;

    sample.note_gate(state);
    sample.seen.borrow_mut().tree = request
        .app_data::<Data<IntrospectionTree>>()
        .map(|tree| IntrospectionTree::clone(tree));
    Some(GateSample(sample))
}

/// Records that a request has come to a gate inside another one.
pub(crate) fn observe_inner_gate(state: &Arc<State>, request: &ServiceRequest) {
    if let Some(sample) = mark_of(request.request()) {
        sample.note_gate(state);
    }
}

/// Records the parameters that a wrapper can resolve placeholders from. The innermost wrapper comes last.
pub(crate) fn observe_params(request: &HttpRequest, params: &PathValues) {
    if let Some(sample) = mark_of(request) {
        sample.seen.borrow_mut().params = params.names().map(str::to_owned).collect();
    }
}

/// A sample request at the gate.
pub(crate) struct GateSample(Sample);

impl GateSample {
    /// Records the announced policies and the pattern of the chosen route. Call this while the inner future exists.
    pub(crate) fn observe(&self, chain: Option<Rc<Chain>>, route: Option<Rc<str>>) {
        let mut seen = self.0.seen.borrow_mut();
        seen.chain = chain;
        seen.route = route;
        seen.is_answered_at_once = !self.0.payload.get();
    }
}

fn mark_of(request: &HttpRequest) -> Option<Sample> {
    if CHECKS.get() == 0 {
        return None;
    }
    request.extensions().get::<Sample>().cloned()
}

/// Counts the checks of this thread. A check that is dropped or panics is counted off too.
pub(super) struct Running;

impl Running {
    pub(super) fn start() -> Self {
        CHECKS.set(CHECKS.get().saturating_add(1));
        Self
    }

    /// Takes the wrappers that were built since the last call.
    pub(super) fn take_built() -> Vec<Built> {
        BUILT.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CHECKS.set(CHECKS.get().saturating_sub(1));
        if CHECKS.get() == 0 {
            BUILT.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise every wrapper that is built later would be kept, and every request examined.
    #[test]
    fn whatever_ends_a_check_leaves_nothing_behind() {
        let build = || {
            let policy = Rc::new(RoutePolicy::new("here", "public").public());
            register(&policy, Wrapped::Route);
        };
        let left = || (CHECKS.get(), BUILT.with_borrow(Vec::len));
        let outer = Running::start();
        build();

        drop(Running::start());
        assert_eq!(left(), (1, 1));
        drop(outer);
        assert_eq!(left(), (0, 0));

        build();
        assert_eq!(left(), (0, 0));
    }
}
