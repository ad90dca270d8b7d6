//! Do the placeholders of a permission fit the path of its route?
//!
//! The path of a route attribute is never known to be complete: a scope around the handler, here or in another file, can add
//! parameters. A placeholder without a parameter of its name is therefore no mistake by itself, and `iam.check` reports it when the
//! application starts. Two mistakes are certain without the rest of the path:
//!
//! - A parameter of the path has the name of a placeholder that the principal fills, as in `/users/{user}`. Such a request is
//!   always refused.
//! - The name of a placeholder differs from a parameter only in case or underscores, as `{orderId}` and `{order_id}`. Similar
//!   names that are different words, such as `{id}` and `{ids}` or `{first}` and `{firsts}`, are left alone: a scope may have the
//!   one and a handler the other.

use iam_grammar::{Permission, Template, permission::RESERVED_PLACEHOLDERS};
use syn::{Error, LitStr, Meta, Result};

use crate::args::{Announcement, PermissionExpr, PolicyCall};

/// Compares the placeholders of all permissions with the paths of the attributes that make up the known part of a route's path.
pub(crate) fn check<'a>(
    announcements: &[Announcement],
    paths: impl IntoIterator<Item = &'a syn::Attribute>,
) -> Result<()> {
    let parameters: Vec<String> = paths
        .into_iter()
        .filter_map(path)
        .flat_map(|path| parameters(&path))
        .collect();

    for announcement in announcements {
        if let PolicyCall::RequirePermission(required) = &announcement.call {
            check_permission(&required.permission, &parameters)?;
        }
    }
    Ok(())
}

fn check_permission(permission: &PermissionExpr, parameters: &[String]) -> Result<()> {
    let (literal, placeholders) = match permission {
        PermissionExpr::All(members) | PermissionExpr::Any(members) => {
            return members
                .iter()
                .try_for_each(|member| check_permission(member, parameters));
        }
        PermissionExpr::Object { object, .. } => (object, of_object(&object.value())),
        PermissionExpr::Tuple(tuple) => (tuple, of_tuple(&tuple.value())),
    };

    for name in placeholders {
        if let Some(mistake) = mistake(&name, parameters) {
            return Err(Error::new(literal.span(), mistake));
        }
    }
    Ok(())
}

fn mistake(name: &str, parameters: &[String]) -> Option<String> {
    let is_parameter = parameters.iter().any(|parameter| parameter == name);
    if RESERVED_PLACEHOLDERS.contains(&name) {
        return is_parameter.then(|| {
            format!(
                "`{{{name}}}` is the caller, and the path has a parameter of the same name: rename the parameter of the path"
            )
        });
    }
    if is_parameter {
        return None;
    }

    let similar = parameters
        .iter()
        .find(|parameter| plain(parameter) == plain(name))?;
    Some(format!(
        "the path has no parameter `{{{name}}}`: did you mean `{{{similar}}}`?"
    ))
}

/// Returns the name without case and underscores.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn of_object(object: &str) -> Vec<String> {
    // The text was checked when the attribute was read.
    Template::parse(object).map_or_else(
        |_| Vec::new(),
        |template| template.placeholders().map(str::to_owned).collect(),
    )
}

fn of_tuple(tuple: &str) -> Vec<String> {
    Permission::tuple(tuple).map_or_else(
        |_| Vec::new(),
        |permission| permission.placeholders().map(str::to_owned).collect(),
    )
}

/// Returns the path of a route or a scope, if it is written as a literal.
fn path(attribute: &syn::Attribute) -> Option<String> {
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    let first = list.tokens.clone().into_iter().next()?;

    syn::parse2::<LitStr>(first.into()).ok().map(|path| path.value())
}

/// Returns the names of the parameters in a pattern of Actix Web: `{name}`, `{name:regex}` and `{name}*`.
fn parameters(pattern: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut name: Option<String> = None;
    for c in pattern.chars() {
        match c {
            '{' => {
                if depth == 0 {
                    name = Some(String::new());
                }
                depth = depth.saturating_add(1);
            }
            '}' | ':' if depth == 1 => {
                names.extend(name.take());
                depth = if c == '}' { 0 } else { depth };
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {
                if let Some(name) = &mut name {
                    name.push(c);
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_pattern_are_found_beside_their_expressions() {
        assert_eq!(parameters(r"/a/{b}/{c:\d{2,3}}/{d_e}*"), ["b", "c", "d_e"]);
        assert_eq!(parameters("/a"), [""; 0]);
        assert_eq!(parameters("/{open"), [""; 0]);
    }

    #[test]
    fn only_a_certain_mistake_is_one() {
        let path = ["order_id".to_owned(), "user".to_owned(), "ids".to_owned()];

        for wrong in ["orderId", "OrderID", "order__id", "user"] {
            assert!(mistake(wrong, &path).is_some(), "{wrong}");
        }
        for right in ["order_id", "order_ids", "id", "ids", "tenant", "sub", "client_id"] {
            assert_eq!(mistake(right, &path), None, "{right}");
        }
    }
}
