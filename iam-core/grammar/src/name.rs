//! The names of roles, scopes, namespaces, relations and tenants.
//!
//! # Characters that are refused everywhere
//!
//! Some characters are refused in every name, in every part of a tuple and in every value of a placeholder. Two names that differ
//! in such a character look the same in a list of grants or in a log, so that one could be taken for the other:
//!
//! - control characters (`Cc` of Unicode), and the line and paragraph separators U+2028 and U+2029,
//! - the default ignorable characters of Unicode, which most fonts do not show: zero-width spaces and joiners (U+200B to U+200D,
//!   U+2060), marks, embeddings, overrides and isolates that change the direction of writing (U+061C, U+200E, U+200F, U+202A to
//!   U+202E, U+2066 to U+2069), the soft hyphen, the byte order mark, fillers, variation selectors, tags, and the code points
//!   reserved for further ones,
//! - the marks of interlinear annotations, U+FFF9 to U+FFFB,
//! - white space other than the plain space, and the empty Braille pattern U+2800, which looks like it,
//! - U+FFFD, which replaces bytes that were not UTF-8.
//!
//! Ids that need joiners or variation selectors, as some words of Persian and Hindi and some emoji do, are therefore refused. Every
//! other character is allowed where the kind of name allows it. Similar letters of two scripts are different letters.

use std::fmt;

use thiserror::Error;

/// The longest role, scope, namespace or relation, in bytes.
pub const MAX_NAME_LENGTH: usize = 128;

/// The longest tenant name, in bytes.
pub const MAX_TENANT_LENGTH: usize = 64;

/// The marks of the tuple and template notations. Namespaces and relations contain none of them.
pub(crate) const RESERVED: [char; 8] = [':', '#', '@', '(', ')', '"', '{', '}'];

/// Tells why a text is not a name of the required kind.
///
/// `Display` continues a sentence about the name: "this role is empty". `Debug` prints a sentence of its own.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
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
        /// The bound.
        max: usize,
    },
}

impl fmt::Debug for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name {self}")
    }
}

/// Checks the name of a role.
///
/// A role is 1 to 128 bytes of any script. It may contain single spaces between other characters, but none of the
/// [characters that are refused everywhere](self#characters-that-are-refused-everywhere), and neither `,` nor `"` nor `\`: a role
/// with a comma is most likely a list in one pair of quotes.
///
/// # Errors
///
/// [`NameError`] tells what is wrong.
pub fn check_role(name: &str) -> Result<(), NameError> {
    check(name, MAX_NAME_LENGTH, |c| {
        deception(c).is_none() && !matches!(c, ',' | '"' | '\\')
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

/// Checks the name of a Keto namespace: 1 to 128 bytes of any script, without spaces, the
/// [characters that are refused everywhere](self#characters-that-are-refused-everywhere) and the marks of the tuple notation
/// (`:` `#` `@` `(` `)` `"` `{` `}`).
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

/// Refuses a space at either end and two spaces in a row, which print and forms change without a trace.
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

/// The reason why a character is refused everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deception {
    /// It looks like a plain space.
    Blank,
    /// It replaces bytes that were not UTF-8.
    Undecodable,
    /// It is invisible, or changes the direction or the lines of the text around it.
    Unseen,
}

/// Returns the reason why a character is refused everywhere, if it is. No other function decides about characters.
pub(crate) fn deception(c: char) -> Option<Deception> {
    match c {
        ' '..='~' => None,
        '\u{FFFD}' => Some(Deception::Undecodable),
        _ if is_unseen(c) => Some(Deception::Unseen),
        _ if c.is_whitespace() || c == '\u{2800}' => Some(Deception::Blank),
        _ => None,
    }
}

/// Tells whether a character is invisible, or changes the direction or the lines of the text around it: control characters, line and
/// paragraph separators, marks of annotations, and `Default_Ignorable_Code_Point` of Unicode's character database.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

fn is_name_character(c: char) -> bool {
    deception(c).is_none() && c != ' ' && !RESERVED.contains(&c)
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
    fn control_characters_and_invisible_ones_are_refused_in_every_name() {
        for bad in [
            "a\nb",
            "a\0b",
            "a\u{FEFF}b",
            "a\u{FFFD}b",
            "a\u{2028}b",
            "a\u{A0}b",
            "a\tb",
            "a\u{200B}b",
            "a\u{2060}b",
            "a\u{202E}b",
            "a\u{2066}b",
            "a\u{AD}b",
            "a\u{E0041}b",
            "a\u{2800}b",
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
    fn each_range_of_invisible_characters_ends_where_it_should() {
        for (first, last) in [
            ('\0', '\u{1F}'),
            ('\u{7F}', '\u{9F}'),
            ('\u{AD}', '\u{AD}'),
            ('\u{34F}', '\u{34F}'),
            ('\u{61C}', '\u{61C}'),
            ('\u{115F}', '\u{1160}'),
            ('\u{17B4}', '\u{17B5}'),
            ('\u{180B}', '\u{180F}'),
            ('\u{200B}', '\u{200F}'),
            ('\u{2028}', '\u{202E}'),
            ('\u{2060}', '\u{206F}'),
            ('\u{3164}', '\u{3164}'),
            ('\u{FE00}', '\u{FE0F}'),
            ('\u{FEFF}', '\u{FEFF}'),
            ('\u{FFA0}', '\u{FFA0}'),
            ('\u{FFF0}', '\u{FFFB}'),
            ('\u{1BCA0}', '\u{1BCA3}'),
            ('\u{1D173}', '\u{1D17A}'),
            ('\u{E0000}', '\u{E0FFF}'),
        ] {
            for c in first..=last {
                assert_eq!(deception(c), Some(Deception::Unseen), "{c:?}");
            }
            let before = char::from_u32((first as u32).wrapping_sub(1));
            let behind = char::from_u32(last as u32 + 1);
            for c in [before, behind].into_iter().flatten() {
                assert_ne!(deception(c), Some(Deception::Unseen), "{c:?}");
            }
        }
        for c in [
            '\u{A0}', '\u{1680}', '\u{2000}', '\u{200A}', '\u{202F}', '\u{205F}', '\u{2800}', '\u{3000}',
        ] {
            assert_eq!(deception(c), Some(Deception::Blank), "{c:?}");
        }
        assert_eq!(deception('\u{FFFD}'), Some(Deception::Undecodable));
    }

    #[test]
    fn letters_marks_and_signs_of_every_script_are_seen() {
        for c in " ~éßñøжع\u{64B}ह\u{94D}ก\u{E48}猫倉名前한\u{301}€…–™\u{2801}🐈".chars()
        {
            assert_eq!(deception(c), None, "{c:?}");
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
    fn a_mark_of_the_tuple_notation_is_refused_in_namespaces_and_relations() {
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
    fn an_error_that_main_returns_is_a_sentence() {
        assert_eq!(format!("{:?}", check_role("").unwrap_err()), "the name is empty");
    }

    #[test]
    fn a_tenant_starts_with_a_letter_or_digit() {
        assert_eq!(check_tenant("acme-2.eu_west"), Ok(()));
        assert_eq!(check_tenant("-acme"), Err(NameError::Character { position: 0 }));
        assert_eq!(check_tenant("ac/me"), Err(NameError::Character { position: 2 }));
    }
}
