use bytes::Bytes;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use iam_grammar::{RelationTuple, Subject};
use serde_json::{Map, Value};

use super::{PermissionClient, WireTuple};
use crate::{
    audit::EventName,
    json,
    service::{CallError, call},
};

impl PermissionClient {
    /// Writes a tuple. Writing it again stores it twice; one delete removes both.
    ///
    /// # Errors
    ///
    /// [`TupleError`]; nothing is written then, unless the answer was lost on its way.
    pub async fn create(&self, tuple: &RelationTuple, request_id: &str) -> Result<(), TupleError> {
        let entry = self.entry(EventName::AuthzPermissionGrant, tuple, request_id);
        entry.close(self.put(tuple, request_id).await)
    }

    /// Deletes a tuple. Deleting an absent tuple succeeds.
    ///
    /// # Errors
    ///
    /// [`TupleError`]; nothing is deleted then, unless the answer was lost on its way.
    pub async fn delete(&self, tuple: &RelationTuple, request_id: &str) -> Result<(), TupleError> {
        let entry = self.entry(EventName::AuthzPermissionRevoke, tuple, request_id);
        entry.close(self.remove(tuple, request_id).await)
    }

    /// Lists one page of the matching tuples. The read port answers, because the write port has no lists.
    ///
    /// # Errors
    ///
    /// [`TupleError`] when there is no answer, or a tuple in it is invalid.
    pub async fn list(&self, query: &TupleQuery, request_id: &str) -> Result<TuplePage, TupleError> {
        let url = format!("{}/relation-tuples", self.settings.read_url());
        let url = call::with_query(&url, &query.pairs());

        let request = call::request(Method::GET, url, self.settings.token(), request_id);
        let response = call::send(&*self.client, request, Bytes::new(), self.settings.limits()).await?;
        if response.status() == StatusCode::NOT_FOUND
            && json::parse(response.body(), self.json_limits()).is_ok()
        {
            return Err(TupleError::UnknownNamespace);
        }
        call::expect(&response, StatusCode::OK)?;

        let answer =
            json::parse_object(response.body(), self.json_limits()).map_err(|_| CallError::Unreadable)?;
        Ok(page(&answer).ok_or(CallError::Unreadable)?)
    }

    async fn put(&self, tuple: &RelationTuple, request_id: &str) -> Result<(), TupleError> {
        let url = format!("{}/admin/relation-tuples", self.write_url()?);
        let body = serde_json::to_vec(&WireTuple::new(tuple)).map_err(|_| CallError::Request)?;

        let request = call::request(Method::PUT, url, self.settings.token(), request_id)
            .header(CONTENT_TYPE, "application/json");
        let response = call::send(&*self.client, request, Bytes::from(body), self.settings.limits()).await?;
        if response.status() == StatusCode::NOT_FOUND
            && json::parse(response.body(), self.json_limits()).is_ok()
        {
            return Err(TupleError::UnknownNamespace);
        }
        Ok(call::expect(&response, StatusCode::CREATED)?)
    }

    async fn remove(&self, tuple: &RelationTuple, request_id: &str) -> Result<(), TupleError> {
        let mut query = TupleQuery::namespace(tuple.namespace());
        query.object = Some(tuple.object().to_owned());
        query.relation = Some(tuple.relation().to_owned());
        query.subject = Some(tuple.subject().clone());
        let url = format!("{}/admin/relation-tuples", self.write_url()?);

        let url = call::with_query(&url, &query.pairs());
        let request = call::request(Method::DELETE, url, self.settings.token(), request_id);
        let response = call::send(&*self.client, request, Bytes::new(), self.settings.limits()).await?;
        Ok(call::expect(&response, StatusCode::NO_CONTENT)?)
    }

    fn write_url(&self) -> Result<&str, TupleError> {
        self.settings.write_url().ok_or(TupleError::NoWritePort)
    }
}

fn page(answer: &Map<String, Value>) -> Option<TuplePage> {
    let tuples = answer.get("relation_tuples")?.as_array()?;
    let next = match answer.get("next_page_token") {
        None | Some(Value::Null) => None,
        Some(token) => Some(token.as_str()?).filter(|token| !token.is_empty()),
    };

    Some(TuplePage {
        tuples: tuples.iter().map(tuple).collect::<Option<_>>()?,
        next: next.map(str::to_owned),
    })
}

fn tuple(value: &Value) -> Option<RelationTuple> {
    let members = value.as_object()?;
    let text = |name: &str| members.get(name)?.as_str();
    // Keto stores a tuple that was written with both subject forms as the id, and lists it as such.
    let subject = match (members.get("subject_id"), members.get("subject_set")) {
        (Some(id), None) => Subject::id(id.as_str()?).ok()?,
        (None, Some(set)) => {
            let text = |name: &str| set.as_object()?.get(name)?.as_str();
            Subject::set(text("namespace")?, text("object")?, text("relation")?).ok()?
        }
        (Some(_), Some(_)) | (None, None) => return None,
    };

    RelationTuple::new(text("namespace")?, text("object")?, text("relation")?, subject).ok()
}

/// Selects the tuples to list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TupleQuery {
    /// The namespace.
    pub namespace: Option<String>,
    /// The object.
    pub object: Option<String>,
    /// The relation.
    pub relation: Option<String>,
    /// The subject, in exactly this form.
    pub subject: Option<Subject>,
    /// The largest number of tuples on a page.
    pub page_size: Option<u32>,
    /// The token of the page, from the previous one.
    pub page_token: Option<String>,
}

impl TupleQuery {
    /// Selects all tuples of a namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self {
            namespace: Some(namespace.into()),
            ..Self::default()
        }
    }

    /// Selects one object.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Selects one relation.
    #[must_use]
    pub fn relation(mut self, relation: impl Into<String>) -> Self {
        self.relation = Some(relation.into());
        self
    }

    /// Selects one subject.
    #[must_use]
    pub fn subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Limits the number of tuples of a page.
    #[must_use]
    pub const fn page_size(mut self, page_size: u32) -> Self {
        self.page_size = Some(page_size);
        self
    }

    /// Selects the page of this token.
    #[must_use]
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.page_token = Some(page_token.into());
        self
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let part = |name, value: &Option<String>| value.clone().map(|value| (name, value));
        let subject = match &self.subject {
            None => Vec::new(),
            Some(Subject::Id(id)) => vec![("subject_id", id.clone())],
            Some(Subject::Set(set)) => vec![
                ("subject_set.namespace", set.namespace().to_owned()),
                ("subject_set.object", set.object().to_owned()),
                ("subject_set.relation", set.relation().to_owned()),
            ],
        };

        part("namespace", &self.namespace)
            .into_iter()
            .chain(part("object", &self.object))
            .chain(part("relation", &self.relation))
            .chain(subject)
            .chain(self.page_size.map(|size| ("page_size", size.to_string())))
            .chain(part("page_token", &self.page_token))
            .collect()
    }
}

/// One page of tuples.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TuplePage {
    /// The tuples.
    pub tuples: Vec<RelationTuple>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
}

/// Why an operation on tuples failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TupleError {
    /// The permission server gave no answer.
    #[error("no answer of the permission server")]
    Call(#[from] CallError),
    /// The tenant has no `keto.write_url`.
    #[error("the tenant has no `keto.write_url`")]
    NoWritePort,
    /// The permission server does not know the namespace.
    #[error("the permission server does not know the namespace")]
    UnknownNamespace,
}
