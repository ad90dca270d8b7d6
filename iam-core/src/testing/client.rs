use std::{
    collections::VecDeque,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};

use crate::http::{BoxFuture, CallLimits, HttpClient, TransportError};

/// An upstream with scripted answers in a fixed order, which records its requests. Clones share the script.
///
/// Without a scripted answer, requests fail with a connection error.
#[derive(Clone, Debug, Default)]
pub struct ScriptedClient(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Result<Response<Bytes>, TransportError>>,
    requests: Vec<Request<Bytes>>,
}

impl ScriptedClient {
    /// Returns an upstream without scripted answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one further request with `response`.
    pub fn answer(&self, response: Response<Bytes>) {
        self.with(|script| script.answers.push_back(Ok(response)));
    }

    /// Answers one further request with a status and a body that is declared as JSON.
    pub fn answer_with(&self, status: http::StatusCode, body: impl Into<Bytes>) {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        self.answer(response);
    }

    /// Fails one further request with `error`.
    pub fn fail(&self, error: TransportError) {
        self.with(|script| script.answers.push_back(Err(error)));
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.with(|script| script.requests.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpClient for ScriptedClient {
    fn send(
        &self,
        request: Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<Response<Bytes>, TransportError>> {
        let answer = self.with(|script| {
            script.requests.push(request);
            script.answers.pop_front()
        });
        Box::pin(ready(answer.unwrap_or(Err(TransportError::Connect))))
    }
}
