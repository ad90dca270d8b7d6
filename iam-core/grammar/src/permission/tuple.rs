//! One tuple of a permission.
//!
//! Objects and subject ids are templates; namespaces and relations are fixed where the permission is written.

use std::{borrow::Cow, fmt};

use super::RESERVED_PLACEHOLDERS;
use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part, ResolveError},
    notation::{self, Braces, Piece, SubjectNotation},
    template::{Template, Unfilled},
    tuple::{
        ObjectText, RelationTuple, Subject, SubjectIdText, SubjectSetText, namespace_is_legal,
        relation_is_legal,
    },
};

/// A tuple whose object and subject may contain placeholders. Without a subject it asks for the default subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TupleTemplate {
    namespace: String,
    object: Template,
    relation: String,
    subject: Option<SubjectTemplate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum SubjectTemplate {
    Id(Template),
    Set {
        namespace: String,
        object: Template,
        relation: String,
    },
}

impl TupleTemplate {
    /// Makes a tuple of its parts, which asks for the default subject.
    pub(super) fn new(namespace: &str, relation: &str, object: &str) -> Result<Self, GrammarError> {
        namespace_is_legal(namespace)?;
        relation_is_legal(relation)?;
        let object = Template::parse(object)?;

        Ok(Self {
            namespace: namespace.to_owned(),
            object,
            relation: relation.to_owned(),
            subject: None,
        })
    }

    /// Reads a tuple in Keto's notation.
    pub(super) fn parse(text: &str) -> Result<Self, GrammarError> {
        let notation = notation::tuple(text, Braces::Placeholder)?;

        Ok(Self {
            namespace: fixed(notation.namespace, Part::Namespace, namespace_is_legal)?,
            object: template(&notation.object, Template::parse)?,
            relation: fixed(notation.relation, Part::Relation, relation_is_legal)?,
            subject: notation.subject.map(SubjectTemplate::read).transpose()?,
        })
    }

    /// Returns the names of the placeholders in the order of the text; a name that is used twice comes twice.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.templates().flat_map(Template::placeholders)
    }

    /// Returns the tuple to check, or `None` if it is about the other kind of principal.
    pub(super) fn resolve<'v>(
        &self,
        values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
        default_subject: &Subject,
    ) -> Result<Option<RelationTuple>, ResolveError> {
        let is_inapplicable = self
            .placeholders()
            .any(|name| is_reserved(name) && values(name).is_none());
        // An unusable value of the path is refused here too, so that both kinds of principals get the same answer.
        let stand_in =
            |name: &str| values(name).or_else(|| is_reserved(name).then_some(Cow::Borrowed(STAND_IN)));

        let object = fill(&self.object, &stand_in)?;
        let subject = match &self.subject {
            None => default_subject.clone(),
            Some(subject) => subject.resolve(&stand_in)?,
        };
        // INVARIANT: all other parts were checked before or are made of checked parts.
        let tuple = RelationTuple::new(self.namespace.as_str(), object, self.relation.as_str(), subject)
            .map_err(|_| ResolveError::Subject)?;
        Ok((!is_inapplicable).then_some(tuple))
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let subject = self.subject.as_ref().map(|subject| match subject {
            SubjectTemplate::Id(template) | SubjectTemplate::Set { object: template, .. } => template,
        });
        std::iter::once(&self.object).chain(subject)
    }
}

impl SubjectTemplate {
    fn read(notation: SubjectNotation<'_>) -> Result<Self, GrammarError> {
        Ok(match notation {
            SubjectNotation::Id(id) => Self::Id(template(&id, Template::parse_subject_id)?),
            SubjectNotation::Set {
                namespace,
                object,
                relation,
            } => Self::Set {
                namespace: fixed(namespace, Part::Namespace, namespace_is_legal)?,
                object: template(&object, Template::parse)?,
                relation: relation.map_or_else(
                    || Ok(String::new()),
                    |it| fixed(it, Part::Relation, relation_is_legal),
                )?,
            },
        })
    }

    fn resolve<'v>(&self, values: &dyn Fn(&str) -> Option<Cow<'v, str>>) -> Result<Subject, ResolveError> {
        match self {
            Self::Id(id) => fill(id, values).map(Subject::Id),
            Self::Set {
                namespace,
                object,
                relation,
            } => {
                let object = fill(object, values)?;
                Subject::set(namespace.as_str(), object, relation.as_str()).map_err(|_| ResolveError::Subject)
            }
        }
    }
}

impl fmt::Display for TupleTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = ObjectText(self.object.as_str(), Braces::Placeholder);
        write!(f, "{}:{object}#{}", self.namespace, self.relation)?;
        match &self.subject {
            None => Ok(()),
            Some(SubjectTemplate::Id(id)) => {
                write!(f, "@{}", SubjectIdText(id.as_str(), Braces::Placeholder))
            }
            Some(SubjectTemplate::Set {
                namespace,
                object,
                relation,
            }) => {
                let object = ObjectText(object.as_str(), Braces::Placeholder);
                let set = SubjectSetText {
                    namespace,
                    object,
                    relation,
                };
                write!(f, "@{set}")
            }
        }
    }
}

/// Fills a template. An unusable id of the principal is [`ResolveError::Subject`], whatever is wrong with it.
fn fill<'v>(
    template: &Template,
    values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
) -> Result<String, ResolveError> {
    template.fill(values).map_err(|Unfilled { placeholder, reason }| {
        let is_of_principal = match placeholder {
            Some(name) => is_reserved(name),
            None => template.placeholders().all(is_reserved),
        };
        if is_of_principal {
            ResolveError::Subject
        } else {
            reason
        }
    })
}

fn is_reserved(name: &str) -> bool {
    RESERVED_PLACEHOLDERS.contains(&name)
}

fn fixed(
    piece: Piece<'_>,
    part: Part,
    is_legal: impl Fn(&str) -> Result<(), GrammarError>,
) -> Result<String, GrammarError> {
    if let Some(brace) = piece.text.find(['{', '}']) {
        return Err(GrammarError::new(Kind::Placeholder(part), brace).behind(piece.at));
    }
    is_legal(&piece.text).map_err(|err| err.behind(piece.at))?;

    Ok(piece.text.into_owned())
}

fn template(
    piece: &Piece<'_>,
    parse: impl Fn(&str) -> Result<Template, GrammarError>,
) -> Result<Template, GrammarError> {
    parse(&piece.text).map_err(|err| err.behind(piece.at))
}

/// The value of a reserved placeholder without a value, in a tuple that is not checked.
///
/// INVARIANT: no fixed text of a template contains a brace, so the value cannot contain the separator behind it.
const STAND_IN: &str = "{}";
