//! The texts that a Go template prints for a missing value.
//!
//! Oathkeeper renders claims with Go's `text/template`. A template that prints a missing value gives a text that looks like a
//! claim: the same client id, subject or role for every request. Such a token is refused, and the remedy lies in the template.

use memchr::memmem;

use super::TokenFault;

/// Tells whether a text holds what Go prints for a missing value: `<no value>` (`text/template`), `<nil>` (`fmt`'s `%v`), or a
/// verb that does not fit its value, such as `%!s(<nil>)` and `%!d(MISSING)` (`fmt`, "Format errors").
pub(crate) fn is_printed_nothing(text: &str) -> bool {
    text.contains("<no value>") || text.contains("<nil>") || has_format_error(text)
}

/// Tells whether a payload can hold such a text. Go's JSON encoder writes `<` as an escape, so only the words are looked for.
pub(super) fn may_hold_printed_nothing(payload: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"no value", b"nil", b"%!"];

    words.iter().any(|word| memmem::find(payload, word).is_some())
}

/// Go writes `%!`, the verb if there is one, and the value in parentheses.
fn has_format_error(text: &str) -> bool {
    text.split("%!")
        .skip(1)
        .any(|rest| rest.starts_with('(') || rest.chars().nth(1) == Some('('))
}

/// Returns the remedy for the [code](TokenFault::code) of a fault that a claims template causes, and `None` for other
/// codes.
pub fn template_remedy(code: &str) -> Option<&'static str> {
    REMEDIES
        .iter()
        .find(|(fault, _)| fault.code() == code)
        .map(|(_, remedy)| *remedy)
}

const REMEDIES: [(TokenFault, &str); 6] = [
    (
        TokenFault::TemplateInClientId,
        "the gateway's claims template prints a missing value into `client_id`: render it as JSON, {{ .Extra.client_id | toJson }}",
    ),
    (
        TokenFault::TemplateInMetadata,
        "the gateway's claims template prints a missing value into the metadata claim: render it as JSON, {{ … | toJson }}",
    ),
    (
        TokenFault::TemplateInRoles,
        "the gateway's claims template prints a missing value into the roles: render them as JSON, {{ … | toJson }}",
    ),
    (
        TokenFault::TemplateInScope,
        "the gateway's claims template prints a missing value into a scope claim: render it as JSON, {{ .Extra.scope | toJson }}",
    ),
    (
        TokenFault::TemplateInSubject,
        "the gateway prints a missing value into `sub`: correct `subject_from` of the authenticator, or the template that sets the subject",
    ),
    (
        TokenFault::TemplateInTenant,
        "the gateway's claims template prints a missing value into the tenant claim: write the tenant's name into the template",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go 1.2x prints them: `text/template` without a value, `fmt` with nil, and `fmt` with a verb that does not fit.
    #[test]
    fn what_go_prints_for_a_missing_value_is_found_wherever_it_stands() {
        for text in [
            "<no value>",
            "user:<no value>",
            "<no value>@example",
            "<nil>",
            "[<nil>]",
            "a <nil> b",
            "%!s(<nil>)",
            "%!v(MISSING)",
            "%!d(string=x)",
            "%!(EXTRA string=x)",
            "%!(NOVERB)",
            "100%!s(MISSING)",
        ] {
            assert!(is_printed_nothing(text), "{text}");
            assert!(may_hold_printed_nothing(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "no value",
            "nil",
            "null",
            "undefined",
            "%!",
            "100%!",
            "%!ab(c)",
            "50% (of)",
            "<nobody>",
            "vanilla",
        ] {
            assert!(!is_printed_nothing(text), "{text}");
        }
    }

    #[test]
    fn every_fault_of_a_template_has_a_code_and_a_remedy() {
        for (fault, remedy) in REMEDIES {
            assert!(fault.code().starts_with("go_template_in_"));
            assert_eq!(template_remedy(fault.code()), Some(remedy), "{fault:?}");
        }
        assert_eq!(template_remedy("signature"), None);
    }
}
