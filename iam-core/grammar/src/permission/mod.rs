//! What does a route ask of Keto, and what is asked for one request?
//!
//! A [`Permission`] is written once, at a route. For each request it becomes a [`Question`]: the tuples to check, each
//! of them once, and how their answers combine. Nothing in here can be true of nothing: `any` and `all` of no
//! permission cannot be made, and an answer of the wrong length is no answer.

mod question;

use std::{borrow::Cow, fmt};

use self::question::Asked;
pub use self::question::Question;
use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, Part, ResolveError},
    notation::{self, Piece, SubjectNotation},
    template::Template,
    tuple::{Quoted, RelationTuple, Subject, namespace_is_legal, relation_is_legal},
};

/// The placeholders that are never taken from the path: the subject of an identity (`user`, `sub`) and the id of a client.
pub const RESERVED_PLACEHOLDERS: [&str; 3] = ["user", "sub", "client_id"];

/// The most tuples of one permission.
pub const MAX_TUPLES: usize = 64;

/// How deep `any` and `all` may nest.
pub const MAX_DEPTH: usize = 8;

/// What one route asks: a tuple with placeholders, or a combination of such.
///
/// The constructors of combinations take and give results, so that a whole tree is written without a `?` inside:
///
/// ```
/// use iam_grammar::Permission;
///
/// # fn main() -> Result<(), iam_grammar::GrammarError> {
/// let permission = Permission::any([
///     Permission::new("orders", "view", "orders:{id}"),
///     Permission::all([
///         Permission::tuple("Group:support#members"),
///         Permission::tuple("Tenant:{tenant}#customers@User:{user}"),
///     ]),
/// ])?;
///
/// assert_eq!(permission.placeholders().collect::<Vec<_>>(), ["id", "tenant", "user"]);
/// assert!(Permission::any([]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permission(Node);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Tuple(TupleTemplate),
}

/// A tuple whose object and subject may contain placeholders. Without a subject it asks for the default subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TupleTemplate {
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

impl Permission {
    /// Asks whether the default subject has `relation` to the object that the template `object` names.
    ///
    /// The whole text of `object` is the object, also what stands in front of a `:` in it.
    ///
    /// # Errors
    ///
    /// A part that is empty, too long, or contains what it may not. The position counts from the start of that part.
    pub fn new(namespace: &str, relation: &str, object: &str) -> Result<Self, GrammarError> {
        namespace_is_legal(namespace)?;
        relation_is_legal(relation)?;
        let object = Template::parse(object)?;

        Ok(Self(Node::Tuple(TupleTemplate {
            namespace: namespace.to_owned(),
            object,
            relation: relation.to_owned(),
            subject: None,
        })))
    }

    /// Reads a tuple with placeholders, as in `CatProfile:{id}#owners@User:{user}`.
    ///
    /// Without `@subject` it asks for the default subject. Objects and subject ids may contain placeholders; namespaces
    /// and relations may not: what is asked is the author's choice, of what it is asked may come from the request.
    ///
    /// # Errors
    ///
    /// A text that is no tuple, with the byte at which the trouble starts.
    pub fn tuple(text: &str) -> Result<Self, GrammarError> {
        let notation = notation::tuple(text)?;

        Ok(Self(Node::Tuple(TupleTemplate {
            namespace: fixed(notation.namespace, Part::Namespace, namespace_is_legal)?,
            object: template(notation.object, Template::parse)?,
            relation: fixed(notation.relation, Part::Relation, relation_is_legal)?,
            subject: notation
                .subject
                .map(|subject| SubjectTemplate::read(&subject))
                .transpose()?,
        })))
    }

    /// Asks for any of several permissions.
    ///
    /// # Errors
    ///
    /// The first error among the members, no member, more than [`MAX_TUPLES`] tuples, or more than [`MAX_DEPTH`] levels.
    pub fn any(
        permissions: impl IntoIterator<Item = Result<Self, GrammarError>>,
    ) -> Result<Self, GrammarError> {
        members(permissions).map(|members| Self(Node::Any(members)))
    }

    /// Asks for all of several permissions.
    ///
    /// # Errors
    ///
    /// As for [`Permission::any`].
    pub fn all(
        permissions: impl IntoIterator<Item = Result<Self, GrammarError>>,
    ) -> Result<Self, GrammarError> {
        members(permissions).map(|members| Self(Node::All(members)))
    }

    /// Returns the names of all placeholders, reserved ones included, in the order they were written, each once.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        let mut names = Vec::new();
        self.0.collect_placeholders(&mut names);
        names.into_iter()
    }

    /// Turns the permission into the question for one request.
    ///
    /// A tuple with one of the [`RESERVED_PLACEHOLDERS`] that has no value is about the other kind of principal: it is
    /// denied without being asked. An `any` asks what is left of it, an `all` around such a tuple is denied as well.
    ///
    /// ```
    /// use std::borrow::Cow;
    ///
    /// use iam_grammar::{Permission, ResolveError, Subject};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let of_person = || Permission::tuple("Cat:{id}#owners@User:{user}");
    /// let of_machine = || Permission::tuple("Cat:{id}#owners@App:{client_id}");
    /// // The values of a request that a person sent: there is no `client_id`.
    /// let values = |name: &str| match name {
    ///     "id" => Some(Cow::Borrowed("7")),
    ///     "user" => Some(Cow::Borrowed("bob")),
    ///     _ => None,
    /// };
    /// let caller = Subject::id("user:bob")?;
    ///
    /// let question = Permission::any([of_person(), of_machine()])?.resolve(&values, &caller)?;
    /// assert_eq!(question.tuples().len(), 1);
    /// assert_eq!(question.tuples()[0].to_string(), "Cat:7#owners@User:bob");
    ///
    /// let both = Permission::all([of_person(), of_machine()])?.resolve(&values, &caller);
    /// assert_eq!(both, Err(ResolveError::Inapplicable));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first value that is not there or contains what a value may not, or a default subject that no tuple can have,
    /// also in a tuple that would not be asked; [`ResolveError::Inapplicable`] when nothing is left that could allow.
    /// Nothing may be asked then.
    pub fn resolve<'v>(
        &self,
        values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
        default_subject: &Subject,
    ) -> Result<Question, ResolveError> {
        self.0
            .resolve(values, default_subject)?
            .map(Question::new)
            .ok_or(ResolveError::Inapplicable)
    }
}

impl Node {
    fn tuples(&self) -> usize {
        match self {
            Self::Tuple(_) => 1,
            Self::All(members) | Self::Any(members) => {
                members.iter().map(Self::tuples).fold(0, usize::saturating_add)
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Tuple(_) => 0,
            Self::All(members) | Self::Any(members) => members
                .iter()
                .map(Self::depth)
                .max()
                .unwrap_or(0)
                .saturating_add(1),
        }
    }

    fn collect_placeholders<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::All(members) | Self::Any(members) => {
                for member in members {
                    member.collect_placeholders(names);
                }
            }
            Self::Tuple(tuple) => {
                for name in tuple.templates().flat_map(Template::placeholders) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
    }

    /// Returns what is to be asked, or nothing when no answer could allow.
    fn resolve<'v>(
        &self,
        values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
        default_subject: &Subject,
    ) -> Result<Option<Asked>, ResolveError> {
        let resolve = |member: &Self| member.resolve(values, default_subject);
        // Every member is looked at, so that a value that is none is found wherever it stands.
        let each = |members: &[Self]| -> Result<Vec<Option<Asked>>, ResolveError> {
            members.iter().map(resolve).collect()
        };

        Ok(match self {
            Self::All(members) => each(members)?.into_iter().collect::<Option<_>>().map(Asked::All),
            Self::Any(members) => {
                let left: Vec<_> = each(members)?.into_iter().flatten().collect();
                // INVARIANT: what is left of an `any` is never empty, so nothing is true or false of no tuple.
                (!left.is_empty()).then_some(Asked::Any(left))
            }
            Self::Tuple(tuple) => tuple.resolve(values, default_subject)?.map(Asked::Tuple),
        })
    }
}

impl TupleTemplate {
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let subject = self.subject.as_ref().map(|subject| match subject {
            SubjectTemplate::Id(template) | SubjectTemplate::Set { object: template, .. } => template,
        });
        std::iter::once(&self.object).chain(subject)
    }

    /// Returns the tuple to ask for, or nothing when it is about the other kind of principal.
    fn resolve<'v>(
        &self,
        values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
        default_subject: &Subject,
    ) -> Result<Option<RelationTuple>, ResolveError> {
        let is_inapplicable = self
            .templates()
            .flat_map(Template::placeholders)
            .any(|name| RESERVED_PLACEHOLDERS.contains(&name) && values(name).is_none());
        // A value of the path that is none is refused all the same, so that both kinds of principals are told the same.
        let stand_in = |name: &str| {
            let is_reserved = RESERVED_PLACEHOLDERS.contains(&name);
            values(name).or_else(|| is_reserved.then_some(Cow::Borrowed(STAND_IN)))
        };

        let object = self.object.resolve(&stand_in)?;
        let subject = match &self.subject {
            None => default_subject.clone(),
            Some(subject) => subject.resolve(&stand_in)?,
        };
        // INVARIANT: all other parts were checked before or are made of checked parts.
        let tuple = RelationTuple::new(self.namespace.as_str(), object, self.relation.as_str(), subject)
            .map_err(|_| ResolveError::Subject)?;
        Ok((!is_inapplicable).then_some(tuple))
    }
}

impl SubjectTemplate {
    fn read(notation: &SubjectNotation<'_>) -> Result<Self, GrammarError> {
        Ok(match *notation {
            SubjectNotation::Id(id) => Self::Id(template(id, Template::parse_subject_id)?),
            SubjectNotation::Set {
                namespace,
                object,
                relation,
            } => Self::Set {
                namespace: fixed(namespace, Part::Namespace, namespace_is_legal)?,
                object: template(object, Template::parse)?,
                relation: relation.map_or_else(
                    || Ok(String::new()),
                    |it| fixed(it, Part::Relation, relation_is_legal),
                )?,
            },
        })
    }

    fn resolve<'v>(&self, values: &dyn Fn(&str) -> Option<Cow<'v, str>>) -> Result<Subject, ResolveError> {
        match self {
            Self::Id(id) => id.resolve(values).map(Subject::Id),
            Self::Set {
                namespace,
                object,
                relation,
            } => {
                let object = object.resolve(values)?;
                Subject::set(namespace.as_str(), object, relation.as_str()).map_err(|_| ResolveError::Subject)
            }
        }
    }
}

impl fmt::Display for Permission {
    /// Prints tuples in Keto's notation and combinations as `any(…, …)` and `all(…, …)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, members) = match self {
            Self::All(members) => ("all", members),
            Self::Any(members) => ("any", members),
            Self::Tuple(tuple) => return tuple.fmt(f),
        };

        write!(f, "{word}(")?;
        for (index, member) in members.iter().enumerate() {
            if index != 0 {
                f.write_str(", ")?;
            }
            member.fmt(f)?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for TupleTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}#{}",
            self.namespace,
            Quoted(self.object.as_str()),
            self.relation
        )?;
        match &self.subject {
            None => Ok(()),
            Some(SubjectTemplate::Id(id)) => write!(f, "@{}", Quoted(id.as_str())),
            Some(SubjectTemplate::Set {
                namespace,
                object,
                relation,
            }) => {
                write!(f, "@{namespace}:{}", Quoted(object.as_str()))?;
                if relation.is_empty() {
                    Ok(())
                } else {
                    write!(f, "#{relation}")
                }
            }
        }
    }
}

fn members(
    permissions: impl IntoIterator<Item = Result<Permission, GrammarError>>,
) -> Result<Vec<Node>, GrammarError> {
    let mut members = Vec::new();
    let mut tuples = 0_usize;
    for permission in permissions {
        let Permission(node) = permission?;
        tuples = tuples.saturating_add(node.tuples());
        // Inside the loop, so that an iterator without end ends here.
        if MAX_TUPLES < tuples {
            return Err(GrammarError::new(Kind::TooManyTuples, 0));
        }
        if MAX_DEPTH <= node.depth() {
            return Err(GrammarError::new(Kind::Nesting, 0));
        }
        members.push(node);
    }

    if members.is_empty() {
        return Err(GrammarError::new(Kind::Vacuous, 0));
    }
    Ok(members)
}

fn fixed(
    piece: Piece<'_>,
    part: Part,
    is_legal: impl Fn(&str) -> Result<(), GrammarError>,
) -> Result<String, GrammarError> {
    if let Some(brace) = piece.text.find(['{', '}']) {
        return Err(GrammarError::new(Kind::Placeholder(part), brace).behind(piece.at));
    }
    is_legal(piece.text).map_err(|err| err.behind(piece.at))?;

    Ok(piece.text.to_owned())
}

fn template(
    piece: Piece<'_>,
    parse: impl Fn(&str) -> Result<Template, GrammarError>,
) -> Result<Template, GrammarError> {
    parse(piece.text).map_err(|err| err.behind(piece.at))
}

/// Stands for a reserved placeholder without a value in a tuple that is thrown away.
const STAND_IN: &str = "-";

#[cfg(test)]
mod tests;
