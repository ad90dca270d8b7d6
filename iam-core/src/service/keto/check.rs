use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use iam_grammar::RelationTuple;
use serde::Serialize;
use serde_json::Value;

use super::{PermissionClient, WireTuple};
use crate::{
    decision::{Reason, Refusal},
    json::{self, JsonLimits},
    service::{CallError, call},
};

impl PermissionClient {
    /// Checks whether each of the tuples holds, in concurrent batches.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidRequirement`] when Keto does not know a namespace or a relation; [`Reason::PermissionUnavailable`]
    /// when it does not answer every tuple for another cause. Partial answers are never returned.
    pub async fn check(&self, tuples: &[RelationTuple], request_id: &str) -> Result<Vec<bool>, Refusal> {
        let batches = tuples.chunks(self.settings.batch_size().max(1));
        let answers = join_all(batches.map(|batch| self.batch(batch, request_id))).await;

        let mut allowed = Vec::with_capacity(tuples.len());
        for answer in answers {
            allowed.extend(answer?);
        }
        Ok(allowed)
    }

    async fn batch(&self, tuples: &[RelationTuple], request_id: &str) -> Result<Vec<bool>, Refusal> {
        let url = format!("{}/relation-tuples/batch/check", self.settings.read_url());
        let body = Batch {
            tuples: tuples.iter().map(WireTuple::new).collect(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| unavailable(CallError::Request))?;

        let request = call::request(Method::POST, url, self.settings.token(), request_id)
            .header(http::header::CONTENT_TYPE, "application/json");
        let response = call::send(&*self.client, request, Bytes::from(body), self.settings.limits())
            .await
            .map_err(unavailable)?;
        call::expect(&response, StatusCode::OK).map_err(unavailable)?;
        if !call::is_json(response.headers()) {
            return Err(unavailable(CallError::Unreadable));
        }

        decode_batch(response.body(), self.json_limits(), tuples.len())
    }
}

/// Decodes the response to a batch: one result per tuple, each with a boolean `allowed`.
pub(super) fn decode_batch(body: &[u8], limits: JsonLimits, asked: usize) -> Result<Vec<bool>, Refusal> {
    let unreadable = || unavailable(CallError::Unreadable);
    let answer = json::parse_object(body, limits).map_err(|_| unreadable())?;
    let results = answer
        .get("results")
        .and_then(Value::as_array)
        .ok_or_else(unreadable)?;
    if results.len() != asked {
        return Err(Refusal::with_detail(
            Reason::PermissionUnavailable,
            "wrong_number_of_results",
        ));
    }

    results.iter().map(result).collect()
}

fn result(result: &Value) -> Result<bool, Refusal> {
    let unreadable = unavailable(CallError::Unreadable);
    let members = result.as_object().ok_or(unreadable)?;

    // A result with an error is not an answer, also beside `allowed`.
    match members.get("error") {
        None => members.get("allowed").and_then(Value::as_bool).ok_or(unreadable),
        Some(Value::String(text)) if text == UNKNOWN_NAMESPACE => Err(Refusal::with_detail(
            Reason::InvalidRequirement,
            "unknown_namespace",
        )),
        Some(Value::String(text)) if text == UNKNOWN_RELATION => Err(Refusal::with_detail(
            Reason::InvalidRequirement,
            "unknown_relation",
        )),
        Some(_) => Err(Refusal::with_detail(
            Reason::PermissionUnavailable,
            "result_with_error",
        )),
    }
}

fn unavailable(error: CallError) -> Refusal {
    Refusal::with_detail(Reason::PermissionUnavailable, error.code())
}

#[derive(Serialize)]
struct Batch<'a> {
    tuples: Vec<WireTuple<'a>>,
}

/// The text of Keto for an unknown namespace, and for nothing else in a batch.
const UNKNOWN_NAMESPACE: &str = "The requested resource could not be found";

/// The text of Keto for a relation that its namespace does not have. Keto uses it for malformed requests too, which this client
/// does not send.
const UNKNOWN_RELATION: &str = "The request was malformed or contained invalid parameters";
