//! What people, operators and clients do with Ory's servers, over raw HTTP.
//!
//! Every method is an error when the server's answer lacks what the next request needs.

mod hydra;
mod kratos;

use std::{io, net::SocketAddr};

use serde_json::{Value, json};

pub use self::{
    hydra::{Hydra, OauthClient},
    kratos::{Kratos, Person},
};
use crate::client::{Request, Response};

/// Writes the tuple that lets a subject id have a relation to an object, at Keto's write port.
///
/// # Errors
///
/// When Keto does not write it.
pub async fn grant(
    keto_write: SocketAddr,
    [namespace, object, relation, subject_id]: [&str; 4],
) -> io::Result<()> {
    let tuple =
        json!({ "namespace": namespace, "object": object, "relation": relation, "subject_id": subject_id });
    let answer = Request::new("PUT", "/admin/relation-tuples")
        .json(&tuple)
        .send(keto_write)
        .await?;
    expect(&answer, 201).map(|_| ())
}

/// Returns the body of an answer that has the expected status.
fn expect(answer: &Response, status: u16) -> io::Result<Value> {
    if answer.status() == status {
        return Ok(answer.json());
    }
    Err(io::Error::other(format!(
        "{} instead of {status}: {}",
        answer.status(),
        answer.text()
    )))
}

/// The password of all persons in the scenarios.
pub const PASSWORD: &str = "Corr3ct-Horse-Battery";
