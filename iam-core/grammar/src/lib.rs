//! The grammar of relation tuples, object templates, permissions and names.
//!
//! The grammar is a package of its own so that the attribute macros apply the checks of the core at compile time without building
//! its cryptography. The package has no IO.
//!
//! - [`tuple`](mod@tuple): one relation tuple in Keto's notation: `Toy:1#owners@User:bob#`.
//! - [`template`]: text with placeholders that a request fills: `orders:{id}`.
//! - [`permission`]: the permission that a route requires, and the tuples to check for one request.
//! - [`name`]: roles, scopes, namespaces, relations and tenants.
//! - [`error`]: why a text or a value is refused, and where the mistake is.
//!
//! ```
//! use iam_grammar::{Permission, Subject};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let permission = Permission::tuple("CatProfile:{id}#owners@User:{user}")?;
//! let values = |name: &str| match name {
//!     "id" => Some("7".into()),
//!     "user" => Some("bob".into()),
//!     _ => None,
//! };
//!
//! let question = permission.resolve(&values, &Subject::id("user:bob")?)?;
//!
//! assert_eq!(question.tuples()[0].to_string(), "CatProfile:7#owners@User:bob");
//! assert_eq!(question.answer(&[true]), Some(true));
//! # Ok(())
//! # }
//! ```

pub mod tuple;
pub mod template;
pub mod permission;
pub mod name;
pub mod error;
mod notation;

pub use crate::{
    error::{GrammarError, GrammarErrorKind, Part, ResolveError},
    name::{NameError, check_namespace, check_relation, check_role, check_scope, check_tenant},
    permission::{Permission, PermissionQuery, RESERVED_PLACEHOLDERS},
    template::{Template, check_value},
    tuple::{RelationTuple, Subject, SubjectSet},
};
