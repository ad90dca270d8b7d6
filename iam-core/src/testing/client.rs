use std::{
    collections::VecDeque,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};

use crate::http::{BoxFuture, CallLimits, HttpClient, TransportError};

/// An upstream that answers what it was told to, in that order, and remembers what it was asked. Clones are the same one.
///
/// What it was not told to answer is no connection.
#[derive(Clone, Debug, Default)]
pub struct ScriptedClient(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Result<Response<Bytes>, TransportError>>,
    requests: Vec<Request<Bytes>>,
}

impl ScriptedClient {
    /// Returns an upstream that nobody told anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one further request with `response`.
    pub fn answer(&self, response: Response<Bytes>) {
        self.with(|script| script.answers.push_back(Ok(response)));
    }

    /// Answers one further request with a status and a body.
    pub fn answer_with(&self, status: http::StatusCode, body: impl Into<Bytes>) {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        self.answer(response);
    }

    /// Gives one further request no answer.
    pub fn fail(&self, error: TransportError) {
        self.with(|script| script.answers.push_back(Err(error)));
    }

    /// Returns what was asked so far.
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
