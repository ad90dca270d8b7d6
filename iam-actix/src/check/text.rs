//! Texts that match a regular expression.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

/// Returns different texts that match `regex`, as long as it has no look-around assertions. A path parameter can hold most
/// of them: characters with a meaning in a URL come last.
pub(super) fn texts(regex: &str) -> Vec<String> {
    // Actix Web compiles patterns with the flag `s`.
    let Ok(hir) = ParserBuilder::new()
        .dot_matches_new_line(true)
        .build()
        .parse(regex)
    else {
        return Vec::new();
    };

    let mut texts = Vec::new();
    for variant in 0..VARIANTS {
        let mut text = String::new();
        if write(&hir, variant, &mut text).is_some() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// Appends one text that matches `hir`. Returns nothing when no character fits or the text is too long.
fn write(hir: &Hir, variant: usize, text: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(character(class, variant)?),
        HirKind::Repetition(repetition) => {
            let least = usize::try_from(repetition.min).ok()?;
            let most = repetition
                .max
                .map_or(Some(usize::MAX), |most| usize::try_from(most).ok())?;
            let longer = variant.checked_rem(LENGTHS)?;
            for position in 0..least.max(1).saturating_add(longer).min(most) {
                write(&repetition.sub, variant.saturating_add(position), text)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, variant, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, variant, text))?,
        HirKind::Alternation(choices) => {
            write(choices.get(variant.checked_rem(choices.len())?)?, variant, text)?;
        }
    }

    (text.len() <= LONGEST).then_some(())
}

/// Returns a character of a class: unreserved characters of a URL first, then other ASCII characters, then any.
fn character(class: &Class, variant: usize) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect(),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .map(|range| (char::from(range.start()), char::from(range.end())))
            .collect(),
    };
    let has = |wanted: &char| ranges.iter().any(|(start, end)| start <= wanted && wanted <= end);

    for preferred in [UNRESERVED, OTHER] {
        let fitting: Vec<char> = preferred.chars().filter(has).collect();
        if let Some(position) = variant.checked_rem(fitting.len()) {
            return fitting.get(position).copied();
        }
    }
    ranges.first().map(|(start, _)| *start)
}

/// How many texts are tried.
const VARIANTS: usize = 12;

/// How many lengths of a repetition are tried.
const LENGTHS: usize = 3;

/// The longest text, in bytes.
const LONGEST: usize = 512;

/// RFC 3986 §2.3.
const UNRESERVED: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.~";

/// Further printable ASCII characters. The path separator comes late, and `%` is left out: a path cannot hold one by itself.
const OTHER: &str = "!$&'()*+,;=:@ \"<>[]^`{|}\\/?#";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_length_and_characters_that_the_expression_asks_for() {
        let texts = texts("[A-Z]{2,4}");

        assert!(!texts.is_empty());
        for text in texts {
            assert!((2..=4).contains(&text.len()), "{text}");
            assert!(text.chars().all(|one| one.is_ascii_uppercase()), "{text}");
        }
    }

    #[test]
    fn an_expression_that_nothing_matches_or_that_is_too_long_has_no_text() {
        for regex in ["[a&&b]", "a{1000}", "(", r"(a{20}){30}"] {
            assert_eq!(texts(regex), Vec::<String>::new(), "{regex}");
        }
    }
}
