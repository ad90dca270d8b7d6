//! The wrapper that announces and enforces a policy.
//!
//! [`Enforce`] wraps a route, a resource or a scope. It announces its policy while the request is routed. Routing is synchronous
//! and ends before any future is polled, so the gate knows the policies of the chosen route in time. When the gate has admitted
//! the request and polls the future, the innermost wrapper enforces its own policy and those of all wrappers around it. Then the
//! extractors and the handler run.

use std::{cell::RefCell, fmt, future::Future, rc::Rc};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use iam_core::requirement::RoutePolicy;

use crate::{
    answer::error::{Error as Refused, Shown, response},
    check,
    request::RequestState,
    route::{
        chain::Chain,
        hidden::Announcer,
        params::{self, PathValues},
    },
};

/// The wrapper that enforces the policy of one route, resource or scope.
///
/// The attributes and the extension traits make it, so that applications need not.
#[derive(Debug)]
pub struct Enforce {
    policy: Rc<RoutePolicy>,
    wrapped: Wrapped,
}

/// What a wrapper is around.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrapped {
    /// A scope: further patterns are matched inside.
    Scope,
    /// A scope that calls inward only after the gate has admitted the request.
    ClosedScope,
    /// A resource or a route: the pattern is complete.
    Route,
}

impl Enforce {
    /// Makes the wrapper of a route or resource.
    #[must_use]
    pub fn new(policy: RoutePolicy) -> Self {
        Self::around(Wrapped::Route, policy)
    }

    pub(crate) fn around(wrapped: Wrapped, policy: RoutePolicy) -> Self {
        Self {
            policy: Rc::new(policy),
            wrapped,
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Enforce
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = EnforceService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        check::register(&self.policy, self.wrapped);

        ready(Ok(EnforceService {
            announcer: Announcer::new(&self.policy, super::origin_of(&self.policy)),
            service: Rc::new(service),
            policy: Rc::clone(&self.policy),
            wrapped: self.wrapped,
            chain: RefCell::default(),
            pattern: RefCell::default(),
        }))
    }
}

/// The service that [`Enforce`] makes.
pub struct EnforceService<S> {
    announcer: Rc<Announcer>,
    service: Rc<S>,
    policy: Rc<RoutePolicy>,
    wrapped: Wrapped,
    /// The chain of the last request. It is the same for all requests, unless one service is called from two places.
    chain: RefCell<Option<Rc<Chain>>>,
    /// The full pattern of the route, known with the first request.
    pattern: RefCell<Option<Rc<str>>>,
}

impl<S> fmt::Debug for EnforceService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnforceService")
            .field("policy", &self.policy)
            .field("wrapped", &self.wrapped)
            .finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for EnforceService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Some(state) = RequestState::of(request.request()) else {
            return Box::pin(ready(Ok(self.without_gate(request))));
        };

        let chain = self.chain_after(state.chain().as_ref());
        state.announce(Rc::clone(&chain), &self.announcer);
        if self.wrapped == Wrapped::Route {
            state.announce_pattern(self.pattern(&request));
        }
        // A clone of the request would outlive this call and make the router panic: only values are kept.
        let params = if chain.placeholders().is_empty() && chain.reserved().is_empty() {
            PathValues::default()
        } else {
            PathValues::of(request.request())
        };
        check::observe_params(request.request(), &params);

        if self.wrapped == Wrapped::ClosedScope {
            let service = Rc::clone(&self.service);
            state.enter_closed_scope();
            // INVARIANT: this future is polled only after the gate has admitted the request.
            return Box::pin(async move {
                if let Err(refusal) = state.check_local(&chain).await {
                    return Ok(state.refuse(refusal));
                }
                let inner = service.call(request);
                finish(&state, &chain, &params, inner).await
            });
        }

        let inner = self.service.call(request);
        Box::pin(async move { finish(&state, &chain, &params, inner).await })
    }
}

impl<S> EnforceService<S> {
    fn chain_after(&self, parent: Option<&Rc<Chain>>) -> Rc<Chain> {
        let mut kept = self.chain.borrow_mut();

        match &*kept {
            Some(chain) if chain.continues(parent) => Rc::clone(chain),
            Some(_) | None => {
                let chain = Rc::new(Chain::new(parent.cloned(), Rc::clone(&self.policy)));
                *kept = Some(Rc::clone(&chain));
                chain
            }
        }
    }

    fn pattern(&self, request: &ServiceRequest) -> Option<Rc<str>> {
        if params::is_at_default_service(request.request()) {
            return None;
        }
        let mut kept = self.pattern.borrow_mut();

        if kept.is_none() {
            *kept = params::pattern_of(request.request()).map(Rc::from);
        }
        kept.clone()
    }

    /// Refuses a request that did not pass a gate, or has left it: no decision was made about it.
    fn without_gate(&self, request: ServiceRequest) -> ServiceResponse<BoxBody> {
        let error = Refused::without_gate();

        tracing::error!(
            declared_at = self.policy.declared_at(),
            name = self.policy.name(),
            "a route with a policy was reached outside of the gate: register `iam.middleware()` on the application"
        );
        request.into_response(response(error.refusal(), Shown::default()))
    }
}

/// Enforces the policies, then runs the inner service.
async fn finish<B>(
    state: &Rc<RequestState>,
    chain: &Rc<Chain>,
    params: &PathValues,
    inner: impl Future<Output = Result<ServiceResponse<B>, Error>>,
) -> Result<ServiceResponse<BoxBody>, Error>
where
    B: MessageBody + 'static,
{
    // The innermost wrapper knows all path parameters, so it enforces the whole chain.
    if state.is_innermost(chain)
        && let Err(refusal) = state.clear(chain, params).await
    {
        drop(inner);
        return Ok(state.refuse(refusal));
    }

    let result = inner.await;
    // A middleware further in may have answered instead of the innermost wrapper. Then nothing was enforced so far.
    if !state.is_concluded()
        && let Err(refusal) = state.clear(chain, params).await
    {
        return Ok(state.refuse(refusal));
    }
    Ok(result?.map_into_boxed_body())
}
