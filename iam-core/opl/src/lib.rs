//! The Ory Permission Language: a parser for permission files, and checks over the tuples of any store.
//!
//! The Ory Permission Language is the subset of TypeScript in which the namespaces of Ory Keto are written. [`parse`] reads a file,
//! checks that every name in it is declared, and reports each mistake with its line and column. [`Namespaces::check`] decides
//! whether a subject has a relation to an object, over the tuples of a store ([`Relations`]). It decides as Keto v26.2.0 does,
//! limits included. The crate has no IO and depends on no other crate of this workspace.
//!
//! ```
//! let namespaces = iam_opl::parse(
//!     r#"
//!     import { Namespace, Context } from "@ory/keto-namespace-types"
//!
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
//! # Ok::<(), iam_opl::OplError>(())
//! ```
//!
//! # Differences from Keto
//!
//! Imports, exports, types and interfaces around the classes are skipped. The parser refuses some texts that Keto accepts, because
//! they are mistakes: other statements at the top level, operands without an operator between them, an operator without its right
//! side, an empty permit, a name that is declared twice, and literals with control characters or backslashes in them.
//!
//! # Operators
//!
//! **`&&` binds no stronger than `||`.** Keto reads both from left to right, unlike TypeScript: `a || b && c` is `(a || b) && c`.
//! This crate follows Keto, because it has to decide as the server does. [`Namespaces::mixed_operators`] returns the places where
//! parentheses are missing.

mod ast;
mod check;
mod error;
mod evaluate;
mod parse;
mod references;
mod token;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use check::{
    Answer, CheckError, CheckLimits, DEFAULT_DEPTH, DEFAULT_WIDTH, Mode, ObjectRelation, Subject,
};
pub use error::{Fault, OplError, Position};
pub use evaluate::Relations;

use ast::Namespace;

/// Reads a permission file.
///
/// # Errors
///
/// Returns the mistakes in the order of the source, at most [`MAX_ERRORS`]: the mistakes in the grammar, at most one for each class,
/// and if there are none, the undeclared names.
pub fn parse(source: &str) -> Result<Namespaces, Vec<OplError>> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the source is larger than {MAX_SOURCE_BYTES} bytes");
        return Err(vec![OplError::syntax(source, 0..0, message)]);
    }

    let parsed = parse::namespaces(source)?;
    references::resolve(source, &parsed.namespaces, &parsed.uses)?;
    let position = |offset: &usize| Position::of(source, *offset);
    Ok(Namespaces {
        mixed: parsed.mixed.iter().map(position).collect(),
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

    /// Returns the first [`MAX_ERRORS`] positions at which a `&&` follows a `||` without parentheses. Keto and TypeScript read such an
    /// expression differently.
    pub fn mixed_operators(&self) -> &[Position] {
        &self.mixed
    }

    /// Checks that the relation exists, so that a check of it can have an answer.
    ///
    /// As in Keto, a namespace without any relations has every relation, and the empty relation is the object itself.
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

/// The most mistakes that are reported.
pub const MAX_ERRORS: usize = 20;

/// How deep parentheses and `!` may nest in one permit. This is Keto's bound.
pub const MAX_NESTING: usize = 10;

/// The most operators of one expression.
pub const MAX_OPERATORS: usize = 100;
