//! What does a permission file say, and what does it allow?
//!
//! The Ory Permission Language is the subset of TypeScript in which Keto's namespaces are written. [`parse`] reads it, checks
//! that every name in it is declared, and reports each mistake with its line and column. [`Namespaces::check`] then answers a
//! question over the tuples of a store ([`Relations`]) as Keto v26.2.0 answers it, limits included.
//!
//! ```
//! use iam_opl as opl;
//!
//! let namespaces = opl::parse(
//!     r#"
//!     class user implements Namespace {}
//!     class orders implements Namespace {
//!       related: { owners: user[] }
//!       permits = { view: (ctx: Context): boolean => this.related.owners.includes(ctx.subject) }
//!     }
//!     "#,
//! )
//! .map_err(|errors| errors[0].clone())?;
//!
//! assert!(namespaces.has_relation_or_permit("orders", "view"));
//! assert!(!namespaces.has_relation_or_permit("orders", "edit"));
//! # Ok::<(), opl::OplError>(())
//! ```
//!
//! What this parser refuses although Keto takes it is what no author means: anything but imports and classes at the top level,
//! operands without an operator between them, an operator without its right side, an empty permit, a name declared twice, and
//! literals with control characters or backslashes in them.
//!
//! **`&&` binds no stronger than `||`.** Keto reads both from left to right, unlike TypeScript: `a || b && c` is `(a || b) && c`.
//! This library follows Keto, because it must answer what the server answers; write parentheses.
//! [`Namespaces::mixed_operators`] tells where they are missing.

mod ast;
mod error;
mod evaluate;
mod parse;
mod question;
mod references;
mod token;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use error::{Fault, OplError, Position};
pub use evaluate::Relations;
pub use question::{
    Answer, CheckError, CheckLimits, DEFAULT_DEPTH, DEFAULT_WIDTH, Mode, ObjectRelation, Subject,
};

use ast::Namespace;

/// Reads a permission file.
///
/// # Errors
///
/// Returns the mistakes in the order of the source, at most [`MAX_ERRORS`]: those of the grammar, at most one for each class, and if
/// there are none, those of the names.
pub fn parse(source: &str) -> Result<Namespaces, Vec<OplError>> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the source is larger than {MAX_SOURCE_BYTES} bytes");
        return Err(vec![OplError::syntax(source, 0..0, message)]);
    }

    let parsed = parse::namespaces(source)?;
    references::resolve(source, &parsed.namespaces, &parsed.uses)?;
    let place = |offset: &usize| Position::of(source, *offset);
    Ok(Namespaces {
        mixed: parsed.mixed.iter().map(place).collect(),
        by_name: parsed.namespaces,
    })
}

/// A permission file in which every name is declared.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Namespaces {
    by_name: BTreeMap<String, Namespace>,
    mixed: Vec<Position>,
}

impl Namespaces {
    /// Tells whether a namespace is declared.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.by_name.contains_key(namespace)
    }

    /// Tells whether a namespace is declared and has a relation or a permit of this name.
    pub fn has_relation_or_permit(&self, namespace: &str, relation: &str) -> bool {
        self.by_name
            .get(namespace)
            .is_some_and(|found| found.relations.contains_key(relation))
    }

    /// Returns the names of the namespaces, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Returns the names of a namespace's relations and permits, in alphabetical order; none if it is not declared.
    pub fn relations_and_permits(&self, namespace: &str) -> impl Iterator<Item = &str> {
        self.by_name
            .get(namespace)
            .into_iter()
            .flat_map(|found| found.relations.keys().map(String::as_str))
    }

    /// Returns where a `&&` follows a `||` without parentheses, which Keto reads otherwise than TypeScript does; the first
    /// [`MAX_ERRORS`] of them.
    pub fn mixed_operators(&self) -> &[Position] {
        &self.mixed
    }

    /// Checks that a question about this relation can have an answer.
    ///
    /// A namespace without any relations takes every relation, and the empty relation stands for the object itself: so says Keto.
    ///
    /// # Errors
    ///
    /// Returns [`CheckError::UnknownNamespace`] or [`CheckError::UnknownRelation`].
    pub fn check_relation(&self, namespace: &str, relation: &str) -> Result<(), CheckError> {
        let Some(found) = self.by_name.get(namespace) else {
            return Err(CheckError::UnknownNamespace {
                namespace: namespace.to_owned(),
            });
        };
        if !relation.is_empty() && !found.relations.is_empty() && !found.relations.contains_key(relation) {
            return Err(CheckError::UnknownRelation {
                namespace: namespace.to_owned(),
                relation: relation.to_owned(),
            });
        }

        Ok(())
    }
}

/// The largest permission file that is read.
pub const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// How many mistakes are reported at most.
pub const MAX_ERRORS: usize = 20;

/// How deep parentheses and `!` may nest in one permit; it is Keto's bound.
pub const MAX_NESTING: usize = 10;

/// How many operators may stand in one expression.
pub const MAX_OPERATORS: usize = 100;
