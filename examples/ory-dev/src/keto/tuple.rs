//! Stored tuples and their JSON form.

use serde::{Deserialize, Deserializer, Serialize};

use super::{answer::Refusal, body::optional};

/// A relation tuple as Keto stores it. Its parts may be any text, unlike those of the notation's
/// [`RelationTuple`](iam_grammar::RelationTuple), which converts into it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "it has the members of the wire")]
pub struct Tuple {
    /// The namespace.
    pub namespace: String,
    /// The object.
    pub object: String,
    /// The relation.
    pub relation: String,
    /// The subject that has the relation.
    pub subject: Subject,
}

/// The subject of a tuple.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind of subject")]
pub enum Subject {
    /// An opaque id.
    Id(String),
    /// All subjects that have a relation to an object.
    Set(SubjectSet),
}

/// All subjects that have a relation to an object. With an empty relation, the object itself.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "it has the members of the wire")]
pub struct SubjectSet {
    /// The namespace.
    #[serde(default, deserialize_with = "or_empty")]
    pub namespace: String,
    /// The object.
    #[serde(default, deserialize_with = "or_empty")]
    pub object: String,
    /// The relation, or an empty text.
    #[serde(default, deserialize_with = "or_empty")]
    pub relation: String,
}

impl Tuple {
    /// Returns the relation and object of the tuple, without its subject.
    pub(super) fn of(&self) -> iam_opl::ObjectRelation<'_> {
        iam_opl::ObjectRelation {
            namespace: &self.namespace,
            object: &self.object,
            relation: &self.relation,
        }
    }
}

impl Subject {
    pub(super) fn as_opl(&self) -> iam_opl::Subject<'_> {
        match self {
            Self::Id(id) => iam_opl::Subject::Id(id),
            Self::Set(set) => iam_opl::Subject::Set(set.as_opl()),
        }
    }
}

impl SubjectSet {
    pub(super) fn as_opl(&self) -> iam_opl::ObjectRelation<'_> {
        iam_opl::ObjectRelation {
            namespace: &self.namespace,
            object: &self.object,
            relation: &self.relation,
        }
    }
}

impl From<iam_grammar::RelationTuple> for Tuple {
    fn from(tuple: iam_grammar::RelationTuple) -> Self {
        Self {
            namespace: tuple.namespace().to_owned(),
            object: tuple.object().to_owned(),
            relation: tuple.relation().to_owned(),
            subject: match tuple.subject() {
                iam_grammar::Subject::Id(id) => Subject::Id(id.clone()),
                iam_grammar::Subject::Set(set) => Subject::Set(SubjectSet {
                    namespace: set.namespace().to_owned(),
                    object: set.object().to_owned(),
                    relation: set.relation().to_owned(),
                }),
            },
        }
    }
}

/// A tuple in JSON. Absent and null members are empty texts, as in Go.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct WireTuple {
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) namespace: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) object: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) relation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) subject_set: Option<SubjectSet>,
}

impl WireTuple {
    /// Returns the subject. If both the id and a set are present, the id counts.
    pub(super) fn subject(&self) -> Result<Subject, Refusal> {
        match (&self.subject_id, &self.subject_set) {
            (Some(id), _) => Ok(Subject::Id(id.clone())),
            (None, Some(set)) => Ok(Subject::Set(set.clone())),
            (None, None) => Err(Refusal::no_subject()),
        }
    }

    /// Returns the query that lists the tuple, with keys in alphabetical order.
    pub(super) fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("namespace", &self.namespace)
            .append_pair("object", &self.object)
            .append_pair("relation", &self.relation);
        match (&self.subject_id, &self.subject_set) {
            (Some(id), _) => _ = query.append_pair("subject_id", id),
            (None, Some(set)) => {
                query
                    .append_pair("subject_set.namespace", &set.namespace)
                    .append_pair("subject_set.object", &set.object)
                    .append_pair("subject_set.relation", &set.relation);
            }
            (None, None) => {}
        }
        query.finish()
    }
}

impl From<&Tuple> for WireTuple {
    fn from(tuple: &Tuple) -> Self {
        Self {
            namespace: tuple.namespace.clone(),
            object: tuple.object.clone(),
            relation: tuple.relation.clone(),
            ..Self::of_subject(&tuple.subject)
        }
    }
}

impl WireTuple {
    /// Returns a tuple that has only a subject, as in the nodes of an expanded tree.
    pub(super) fn of_subject(subject: &Subject) -> Self {
        match subject {
            Subject::Id(id) => Self {
                subject_id: Some(id.clone()),
                ..Self::default()
            },
            Subject::Set(set) => Self {
                subject_set: Some(set.clone()),
                ..Self::default()
            },
        }
    }
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
