//! Is this text a role, scope, namespace, relation or tenant name?

use thiserror::Error;

/// The longest role, scope, namespace or relation, in bytes.
pub const MAX_NAME_LENGTH: usize = 128;

/// The longest tenant name, in bytes.
pub const MAX_TENANT_LENGTH: usize = 64;

/// Characters that separate the parts of a tuple or a template and are therefore in none of its names.
pub(crate) const RESERVED: [char; 8] = [':', '#', '@', '(', ')', '"', '{', '}'];

/// Tells why a text is not a name of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// A character that this kind of name may not contain.
    #[error("contains a character that is not allowed (at byte {position})")]
    Character {
        /// The byte at which the character stands, counted from 0.
        position: usize,
    },
    /// No character at all.
    #[error("is empty")]
    Empty,
    /// More bytes than allowed.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The bound that was passed.
        max: usize,
    },
}

/// Checks the name of a role.
///
/// A role is 1 to 128 bytes of any script. It may contain single spaces between other characters, but no other
/// white space, no control characters, and neither `,` nor `"` nor `\`: a comma inside one role is a list that was
/// put into one pair of quotes.
///
/// # Errors
///
/// [`NameError`] tells what is wrong.
pub fn check_role(name: &str) -> Result<(), NameError> {
    check(name, MAX_NAME_LENGTH, |c| {
        !is_invisible(c) && !matches!(c, ',' | '"' | '\\')
    })?;

    check_spaces(name)
}

/// Checks a scope as RFC 6749 §3.3 defines `scope-token`: 1 to 128 visible ASCII characters except `"` and `\`.
///
/// # Errors
///
/// [`NameError`] tells what is wrong.
pub fn check_scope(name: &str) -> Result<(), NameError> {
    // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    check(
        name,
        MAX_NAME_LENGTH,
        |c| matches!(c, '\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E'),
    )
}

/// Checks the name of a Keto namespace: 1 to 128 bytes of any script, without white space, control characters and the
/// characters that separate the parts of a tuple (`:` `#` `@` `(` `)` `"` `{` `}`).
///
/// # Errors
///
/// [`NameError`] tells what is wrong.
pub fn check_namespace(name: &str) -> Result<(), NameError> {
    check(name, MAX_NAME_LENGTH, is_name_character)
}

/// Checks the name of a Keto relation or permission, by the rules of [`check_namespace`].
///
/// # Errors
///
/// [`NameError`] tells what is wrong.
pub fn check_relation(name: &str) -> Result<(), NameError> {
    check(name, MAX_NAME_LENGTH, is_name_character)
}

/// Checks the name of a tenant: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, the first of them a letter or digit.
///
/// # Errors
///
/// [`NameError`] tells what is wrong.
pub fn check_tenant(name: &str) -> Result<(), NameError> {
    check(name, MAX_TENANT_LENGTH, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
    })?;

    if name.starts_with(|c: char| !c.is_ascii_alphanumeric()) {
        return Err(NameError::Character { position: 0 });
    }
    Ok(())
}

/// Finds white space at either end or two spaces in a row: they are lost or added in print without anybody noticing.
pub(crate) fn check_spaces(name: &str) -> Result<(), NameError> {
    let mut previous = ' ';
    for (position, c) in name.char_indices() {
        if c == ' ' && previous == ' ' {
            return Err(NameError::Character { position });
        }
        previous = c;
    }

    if previous == ' ' {
        return Err(NameError::Character {
            position: name.len().saturating_sub(1),
        });
    }
    Ok(())
}

/// Tells whether a reader may not see the character as what it is: control characters, separators other than the plain
/// space, the byte order mark, and the replacement for undecodable bytes.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control() || (c.is_whitespace() && c != ' ') || matches!(c, '\u{FEFF}' | '\u{FFFD}')
}

fn is_name_character(c: char) -> bool {
    !is_invisible(c) && c != ' ' && !RESERVED.contains(&c)
}

fn check(name: &str, max: usize, allowed: impl Fn(char) -> bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if max < name.len() {
        return Err(NameError::TooLong { max });
    }

    match name.char_indices().find(|(_, c)| !allowed(*c)) {
        Some((position, _)) => Err(NameError::Character { position }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_is_refused_by_every_check() {
        for check in [
            check_role,
            check_scope,
            check_namespace,
            check_relation,
            check_tenant,
        ] {
            assert_eq!(check(""), Err(NameError::Empty));
        }
    }

    #[test]
    fn a_name_at_its_bound_passes_and_one_byte_more_does_not() {
        for check in [check_role, check_scope, check_namespace, check_relation] {
            assert_eq!(check(&"a".repeat(MAX_NAME_LENGTH)), Ok(()));
            assert_eq!(
                check(&"a".repeat(MAX_NAME_LENGTH + 1)),
                Err(NameError::TooLong { max: MAX_NAME_LENGTH })
            );
        }
        assert_eq!(check_tenant(&"a".repeat(MAX_TENANT_LENGTH)), Ok(()));
        assert_eq!(
            check_tenant(&"a".repeat(MAX_TENANT_LENGTH + 1)),
            Err(NameError::TooLong {
                max: MAX_TENANT_LENGTH
            })
        );
    }

    #[test]
    fn control_characters_and_look_alikes_of_nothing_are_in_no_name() {
        for bad in [
            "a\nb",
            "a\0b",
            "a\u{FEFF}b",
            "a\u{FFFD}b",
            "a\u{2028}b",
            "a\u{A0}b",
            "a\tb",
        ] {
            for check in [
                check_role,
                check_scope,
                check_namespace,
                check_relation,
                check_tenant,
            ] {
                assert_eq!(check(bad), Err(NameError::Character { position: 1 }), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_role_may_be_two_words_but_not_a_list() {
        assert_eq!(check_role("warehouse:admin"), Ok(()));
        assert_eq!(check_role("Fleet Manager"), Ok(()));
        assert_eq!(check_role("倉庫"), Ok(()));
        assert_eq!(
            check_role("admin,editor"),
            Err(NameError::Character { position: 5 })
        );
        assert_eq!(check_role(" admin"), Err(NameError::Character { position: 0 }));
        assert_eq!(check_role("admin "), Err(NameError::Character { position: 5 }));
        assert_eq!(check_role("a  b"), Err(NameError::Character { position: 2 }));
        assert_eq!(check_role(" "), Err(NameError::Character { position: 0 }));
    }

    #[test]
    fn a_scope_is_a_scope_token_of_rfc_6749() {
        for code in 0_u8..=0xFF {
            let c = char::from(code);
            let expected = matches!(code, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            assert_eq!(check_scope(&c.to_string()).is_ok(), expected, "{code:#x}");
        }
        assert!(check_scope("read write").is_err());
    }

    #[test]
    fn what_separates_the_parts_of_a_tuple_is_in_no_namespace_and_no_relation() {
        for reserved in RESERVED {
            let name = format!("a{reserved}b");
            assert_eq!(check_namespace(&name), Err(NameError::Character { position: 1 }));
            assert_eq!(check_relation(&name), Err(NameError::Character { position: 1 }));
        }
        assert!(check_namespace("a b").is_err());
        assert_eq!(check_namespace("名前"), Ok(()));
        assert_eq!(check_relation("..."), Ok(()));
    }

    #[test]
    fn a_tenant_starts_with_a_letter_or_digit() {
        assert_eq!(check_tenant("acme-2.eu_west"), Ok(()));
        assert_eq!(check_tenant("-acme"), Err(NameError::Character { position: 0 }));
        assert_eq!(check_tenant("ac/me"), Err(NameError::Character { position: 2 }));
    }
}
