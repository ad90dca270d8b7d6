//! The gate: one middleware around the whole application.
//!
//! ```text
//! request ─▶ request id, copy of the head, request state
//!            call the router: it routes now, and wrappers announce their policies in the request state
//!            no future has been polled yet: read the announcements
//!            authenticate ── refused ─▶ drop the future unpolled, answer on a rebuilt request
//!            poll the future ─▶ wrapper ─▶ extractors, handler ── a refusal as an error ─▶ the same answer
//! response ◀─ request id; one audit event; the payload is kept until the response is sent
//! ```
//!
//! In Actix Web 4 routing is synchronous inside `Service::call`, and a future does nothing until it is polled. So the decision is
//! about the route that the router has chosen, not about a second reading of the path. Sample requests of
//! [`Iam::check`](crate::Iam::check) end here: the gate shows what was announced, and polls nothing.

mod payload;

use std::{fmt, rc::Rc, sync::Arc};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use iam_core::decision::{Reason, Refusal};

use self::payload::SharedPayload;
use crate::{
    check,
    request::{GateContext, Recorder, RequestState, request_id::X_REQUEST_ID},
    state::State,
};

/// The middleware that every request passes. Register it on the application; register CORS, loggers, compression and
/// default headers outside of it, that is, with a later `wrap`.
///
/// Nothing is open unless its route says so: unannotated routes, default services and paths that match nothing answer
/// 401 to callers without a credential.
#[derive(Clone)]
pub struct IamMiddleware {
    shared: Arc<State>,
}

impl IamMiddleware {
    pub(crate) fn new(shared: Arc<State>) -> Self {
        Self { shared }
    }
}

impl fmt::Debug for IamMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamMiddleware").finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for IamMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Gate<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Gate {
            service,
            context: Rc::new(GateContext::of::<S>(&self.shared)),
        }))
    }
}

/// The service that [`IamMiddleware`] makes.
pub struct Gate<S> {
    service: S,
    context: Rc<GateContext>,
}

impl<S> fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for Gate<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        if let Some(outer) = RequestState::of(request.request()) {
            return self.inside(&outer, request);
        }

        let sample = check::sample_of(self.context.state(), request.request());
        self.context.see(request.request());
        let state = RequestState::attach(&self.context, &request);
        let payload = SharedPayload::of(&mut request);
        // The request must not be cloned here: the router panics on a clone that is alive while it routes.
        let inner = self.service.call(request);
        state.read_announcements();

        if let Some(sample) = sample {
            sample.observe(state.chain(), state.pattern());
            drop(inner);
            state.end();
            return Box::pin(ready(Ok(state.refuse(Refusal::new(Reason::MissingCredential)))));
        }

        Box::pin(async move {
            let recorder = Recorder::new(Rc::clone(&state));
            let mut response = match state.admit().await {
                Ok(()) => {
                    let answer = inner.await;
                    recorder.note_answer(&answer);
                    match answer {
                        Ok(response) => response.map_into_boxed_body(),
                        Err(error) => state.answer_error(error)?,
                    }
                }
                Err(refusal) => {
                    // Never polled: neither the handler, nor an extractor, nor the payload was touched.
                    drop(inner);
                    recorder.note_refusal();
                    state.refuse(refusal)
                }
            };

            response
                .headers_mut()
                .insert(X_REQUEST_ID, state.request_id().header());
            drop(recorder);
            Ok(match payload {
                Some(payload) => payload.until_sent(response),
                None => response,
            })
        })
    }
}

impl<S, B> Gate<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    /// Passes a request on that came through a gate further out.
    ///
    /// Two gates of one `Iam` are one gate. Gates of different ones contradict each other: nothing is chosen.
    fn inside(
        &self,
        outer: &Rc<RequestState>,
        request: ServiceRequest,
    ) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>> {
        check::observe_inner_gate(self.context.state(), &request);
        if !outer.is_of(self.context.state()) {
            let (outer, refusal) = (
                Rc::clone(outer),
                Refusal::with_detail(Reason::PolicyConflict, "two_gates"),
            );
            return Box::pin(async move { Ok(outer.refuse(refusal)) });
        }

        let inner = self.service.call(request);
        Box::pin(async move { Ok(inner.await?.map_into_boxed_body()) })
    }
}
