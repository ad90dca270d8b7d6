use std::{
    collections::HashSet,
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use iam_core::http::{BoxFuture, CallLimits, HttpClient, TransportError};
use serde_json::{Value, json};

/// A permission server behind the port: knows some tuples, remembers what it was asked, can be down.
///
/// It serves a key set too, for tenants that fetch theirs.
#[derive(Debug, Default)]
pub(crate) struct Keto {
    allowed: Mutex<HashSet<String>>,
    asked: Mutex<Vec<String>>,
    request_ids: Mutex<Vec<String>>,
    keys: Mutex<Vec<Value>>,
    down: AtomicBool,
    hanging: AtomicBool,
}

impl Keto {
    /// Allows `namespace:object#relation@subject`.
    pub(crate) fn allow(&self, tuple: &str) {
        self.allowed.lock().unwrap().insert(tuple.to_owned());
    }

    /// Allows `namespace:object#relation@subject` no more.
    pub(crate) fn forbid(&self, tuple: &str) {
        self.allowed.lock().unwrap().remove(tuple);
    }

    /// Stops or starts answering.
    pub(crate) fn down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }

    /// Takes questions and never answers them, or does again.
    pub(crate) fn hang(&self, hanging: bool) {
        self.hanging.store(hanging, SeqCst);
    }

    /// Returns every tuple that was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the request ids that came with the questions.
    pub(crate) fn request_ids(&self) -> Vec<String> {
        self.request_ids.lock().unwrap().clone()
    }

    /// Publishes a key.
    pub(crate) fn publish(&self, key: Value) {
        self.keys.lock().unwrap().push(key);
    }

    fn answer(&self, request: &http::Request<Bytes>) -> Result<Value, TransportError> {
        if self.down.load(SeqCst) {
            return Err(TransportError::Connect);
        }
        if request.uri().path().ends_with("jwks.json") {
            return Ok(json!({ "keys": *self.keys.lock().unwrap() }));
        }
        if let Some(id) = request.headers().get("x-request-id") {
            self.request_ids
                .lock()
                .unwrap()
                .push(id.to_str().unwrap().to_owned());
        }

        if request.method() != http::Method::POST {
            return Ok(Value::Null);
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let allowed = self.allowed.lock().unwrap();
        let mut asked = self.asked.lock().unwrap();
        let results: Vec<_> = body["tuples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tuple| {
                let part = |name: &str| tuple[name].as_str().unwrap_or_default();
                let text = format!(
                    "{}:{}#{}@{}",
                    part("namespace"),
                    part("object"),
                    part("relation"),
                    part("subject_id")
                );
                asked.push(text.clone());
                json!({ "allowed": allowed.contains(&text) })
            })
            .collect();
        Ok(json!({ "results": results }))
    }
}

impl HttpClient for Keto {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        if self.hanging.load(SeqCst) {
            return Box::pin(pending());
        }
        // Keto's statuses for tuples that are written and deleted.
        let status = match request.method().as_str() {
            "PUT" => 201,
            "DELETE" => 204,
            _ => 200,
        };
        let answer = self.answer(&request).map(|body| {
            http::Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Bytes::from(body.to_string()))
                .unwrap()
        });
        Box::pin(async { answer })
    }
}
