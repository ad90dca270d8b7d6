//! Asks and tells the permission server.
//!
//! Checks and lists go to the read port, writes to the write port. Writes name a whole tuple: there is no way to say less,
//! so nothing can delete more than was meant.

mod check;
mod tuples;

use std::sync::Arc;

use iam_grammar::{RelationTuple, Subject};
use serde::Serialize;

pub use tuples::{TupleError, TuplePage, TupleQuery};

use crate::{http::HttpClient, json::JsonLimits, tenant::KetoSettings};

/// A client of one tenant's permission server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PermissionClient {
    settings: Arc<KetoSettings>,
    client: Arc<dyn HttpClient>,
}

impl PermissionClient {
    /// Makes a client that asks through `client`.
    pub fn new(settings: impl Into<Arc<KetoSettings>>, client: Arc<dyn HttpClient>) -> Self {
        Self {
            settings: settings.into(),
            client,
        }
    }

    fn json_limits(&self) -> JsonLimits {
        JsonLimits::new(self.settings.limits().max_body, MAX_DEPTH)
    }
}

/// A tuple as Keto writes it.
#[derive(Serialize)]
struct WireTuple<'a> {
    namespace: &'a str,
    object: &'a str,
    relation: &'a str,
    #[serde(flatten)]
    subject: WireSubject<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WireSubject<'a> {
    SubjectId(&'a str),
    SubjectSet {
        namespace: &'a str,
        object: &'a str,
        relation: &'a str,
    },
}

impl<'a> WireTuple<'a> {
    fn new(tuple: &'a RelationTuple) -> Self {
        Self {
            namespace: tuple.namespace(),
            object: tuple.object(),
            relation: tuple.relation(),
            subject: match tuple.subject() {
                Subject::Id(id) => WireSubject::SubjectId(id),
                Subject::Set(set) => WireSubject::SubjectSet {
                    namespace: set.namespace(),
                    object: set.object(),
                    relation: set.relation(),
                },
            },
        }
    }
}

/// The deepest answer: lists of tuples with subject sets.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests;
