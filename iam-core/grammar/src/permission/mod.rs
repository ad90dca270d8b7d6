//! The permission that a route requires, and the tuples to check for one request.
//!
//! A [`Permission`] is written once, at a route. For each request it becomes a [`PermissionQuery`]: the tuples to check, each
//! of them once, and how their answers combine. An empty `any` or `all` is an error, and so is a wrong number of answers.

mod query;
mod tuple;

use std::{borrow::Cow, fmt};

pub use self::query::PermissionQuery;
use self::{query::PermissionExpr, tuple::TupleTemplate};
use crate::{
    error::{GrammarError, GrammarErrorKind as Kind, ResolveError},
    tuple::Subject,
};

/// The placeholders that the principal fills, and never the path: the subject of an identity (`user`, `sub`) and the id of a client.
pub const RESERVED_PLACEHOLDERS: [&str; 3] = ["user", "sub", "client_id"];

/// The most tuples of one permission.
pub const MAX_TUPLES: usize = 64;

/// How deep `any` and `all` may nest.
pub const MAX_DEPTH: usize = 8;

/// The permission that a route requires: a tuple with placeholders, or a combination of such tuples.
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
    /// Requires that the default subject has `relation` to the object that the template `object` names.
    ///
    /// The whole text of `object` is the object, including the part in front of a `:`.
    ///
    /// # Errors
    ///
    /// A part that is empty, too long, or contains what it may not. The position counts from the start of that part.
    pub fn new(namespace: &str, relation: &str, object: &str) -> Result<Self, GrammarError> {
        TupleTemplate::new(namespace, relation, object).map(|tuple| Self(Node::Tuple(tuple)))
    }

    /// Reads a tuple with placeholders, as in `CatProfile:{id}#owners@User:{user}`.
    ///
    /// Without `@subject` the subject is the default one. Objects and subject ids may contain placeholders. Namespaces and
    /// relations may not, because a request must not choose the relation that is checked.
    ///
    /// # Errors
    ///
    /// The first mistake in the text, and the byte at which it starts.
    pub fn tuple(text: &str) -> Result<Self, GrammarError> {
        TupleTemplate::parse(text).map(|tuple| Self(Node::Tuple(tuple)))
    }

    /// Requires any of several permissions.
    ///
    /// # Errors
    ///
    /// The first error among the members, no member, more than [`MAX_TUPLES`] tuples, or more than [`MAX_DEPTH`] levels.
    pub fn any(
        permissions: impl IntoIterator<Item = Result<Self, GrammarError>>,
    ) -> Result<Self, GrammarError> {
        members(permissions).map(|members| Self(Node::Any(members)))
    }

    /// Requires all of several permissions.
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

    /// Returns the tuples to check for one request, and how their answers combine.
    ///
    /// A tuple with one of the [`RESERVED_PLACEHOLDERS`] that has no value is about the other kind of principal. It is denied
    /// without a check: an `any` goes on with its other members, and an `all` with such a member is denied as well.
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
    /// The reason of the first value that is absent or unusable, also in a tuple that would not be checked;
    /// [`ResolveError::Subject`] if an id of the principal or the default subject is unusable; [`ResolveError::Inapplicable`] if no
    /// tuple is left that could allow. The permission is not granted in any of these cases.
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

    /// Returns the tuples to check and their combination, or `None` if no answer could allow.
    fn resolve<'v>(
        &self,
        values: &dyn Fn(&str) -> Option<Cow<'v, str>>,
        default_subject: &Subject,
    ) -> Result<Option<PermissionExpr>, ResolveError> {
        let resolve = |member: &Self| member.resolve(values, default_subject);
        // Every member is resolved, so that an unusable value is found in each of them.
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
                // INVARIANT: an `any` without members is no expression.
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
        // Inside the loop, because the iterator may be endless.
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
