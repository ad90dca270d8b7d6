//! Closes the connection of a request whose body is not read.
//!
//! When the reader of a chunked body is gone, Actix Web drains the rest of it from the connection without a timer, for as
//! long as the caller sends. A refusal drops the request unread, so an unauthenticated caller could hold any number of
//! connections open. If the payload is kept until the response has been sent, Actix Web closes the connection after the
//! response instead, as it does for a body with `Content-Length`.

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

/// The payload of an HTTP/1 request, shared by its reader and its response. Only the reader polls it.
#[derive(Clone)]
pub(crate) struct SharedPayload(Rc<RefCell<Payload>>);

impl SharedPayload {
    /// Shares the payload of a request that has one. HTTP/2 streams end by themselves.
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

    /// Keeps the payload until the response has been sent.
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

/// The body of a response, and the payload that must outlive it.
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
