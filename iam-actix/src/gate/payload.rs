//! What becomes of a body that nobody reads?
//!
//! Actix Web takes the rest of a chunked body off a connection for as long as the caller likes to send one, once whoever
//! could have read it is gone, and no timer runs meanwhile. A refusal drops the request unread, so a caller whom nobody
//! knows could hold any number of connections open. While the payload is there until the answer has been sent, the
//! connection is closed behind the answer instead, as it is for a body of announced length.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    web::Bytes,
};
use futures_util::Stream;

/// The payload of a request over HTTP/1, shared by its reader and its answer. Only the reader polls it.
#[derive(Clone)]
pub(crate) struct SharedPayload(Rc<RefCell<Payload>>);

impl SharedPayload {
    /// Shares the payload of a request that has one. Streams of HTTP/2 end by themselves.
    pub(crate) fn of(request: &mut ServiceRequest) -> Option<Self> {
        let payload = request.take_payload();
        if !matches!(payload, Payload::H1 { .. }) {
            request.set_payload(payload);
            return None;
        }

        let shared = Self(Rc::new(RefCell::new(payload)));
        request.set_payload(Payload::Stream {
            payload: Box::pin(shared.clone()),
        });
        Some(shared)
    }

    /// Keeps the payload until the answer has been sent.
    pub(crate) fn until_sent(self, answer: ServiceResponse) -> ServiceResponse {
        answer.map_body(|_head, body| BoxBody::new(Answer { body, _payload: self }))
    }
}

impl Stream for SharedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// The body of an answer, and what must not go before it.
struct Answer {
    body: BoxBody,
    _payload: SharedPayload,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
