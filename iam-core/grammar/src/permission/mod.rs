//! What does a route ask of Keto, and what is asked for one request?
//!
//! A [`Permission`] is written once, at a route. For each request it becomes a [`PermissionQuery`]: the tuples to check, each
//! of them once, and how their answers combine. Nothing in here can be true of nothing: `any` and `all` of no
//! permission cannot be made, and an answer of the wrong length is no answer.

mod query;
mod tuple;

use std::{borrow::Cow, fmt};

pub use self::query::PermissionQuery;
use self::{query::PermissionExpr, tuple::TupleTemplate};
use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, ResolveError},
    tuple::Subject,
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

impl Permission {
    /// Asks whether the default subject has `relation` to the object that the template `object` names.
    ///
    /// The whole text of `object` is the object, also what stands in front of a `:` in it.
    ///
    /// # Errors
    ///
    /// A part that is empty, too long, or contains what it may not. The position counts from the start of that part.
    pub fn new(namespace: &str, relation: &str, object: &str) -> Result<Self, GrammarError> {
        TupleTemplate::new(namespace, relation, object).map(|tuple| Self(Node::Tuple(tuple)))
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
        TupleTemplate::parse(text).map(|tuple| Self(Node::Tuple(tuple)))
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
    ) -> Result<PermissionQuery, ResolveError> {
        self.0
            .resolve(values, default_subject)?
            .map(PermissionQuery::new)
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
                for name in tuple.placeholders() {
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
    ) -> Result<Option<PermissionExpr>, ResolveError> {
        let resolve = |member: &Self| member.resolve(values, default_subject);
        // Every member is looked at, so that a value that is none is found wherever it stands.
        let each = |members: &[Self]| -> Result<Vec<Option<PermissionExpr>>, ResolveError> {
            members.iter().map(resolve).collect()
        };

        Ok(match self {
            Self::All(members) => each(members)?
                .into_iter()
                .collect::<Option<_>>()
                .map(PermissionExpr::All),
            Self::Any(members) => {
                let left: Vec<_> = each(members)?.into_iter().flatten().collect();
                // INVARIANT: what is left of an `any` is never empty, so nothing is true or false of no tuple.
                (!left.is_empty()).then_some(PermissionExpr::Any(left))
            }
            Self::Tuple(tuple) => tuple.resolve(values, default_subject)?.map(PermissionExpr::Tuple),
        })
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

#[cfg(test)]
mod tests;
