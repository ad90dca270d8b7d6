//! Valid and invalid values of placeholders.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::tuple::Subject;

fn resolved(template: &str, value: &str) -> Result<String, ResolveError> {
    Template::parse(template)
        .unwrap()
        .resolve(&|_| Some(value.into()))
}

#[track_caller]
fn refused(template: &str) -> (Kind, usize) {
    let err = Template::parse(template).expect_err(template);
    (err.kind(), err.position())
}

#[test]
fn placeholders_are_filled_where_they_stand() {
    let template = Template::parse("*{a}-{b.c}-{a}*:{_d1}").unwrap();

    assert_eq!(
        template.placeholders().collect::<Vec<_>>(),
        ["a", "b.c", "a", "_d1"]
    );
    let values = |name: &str| match name {
        "a" => Some("aaa".into()),
        "b.c" => Some("1.5".into()),
        "_d1" => Some("true".into()),
        _ => None,
    };
    assert_eq!(template.resolve(&values).unwrap(), "*aaa-1.5-aaa*:true");
    assert_eq!(template.to_string(), "*{a}-{b.c}-{a}*:{_d1}");
}

#[test]
fn a_template_without_placeholders_is_its_text() {
    assert_eq!(
        Template::parse("orders:all").unwrap().resolve(&|_| None).unwrap(),
        "orders:all"
    );
}

#[test]
fn a_missing_value_is_an_error_and_not_a_word() {
    let template = Template::parse("orders:{id}").unwrap();

    assert_eq!(template.resolve(&|_| None), Err(ResolveError::Missing));
}

#[test]
fn each_kind_of_bad_value_has_its_own_error() {
    for empty in ["", " ", "   ", "\u{A0}", " \u{2800} "] {
        assert_eq!(resolved("{id}", empty), Err(ResolveError::Empty), "{empty:?}");
    }
    for blank in [" a", "a ", "a  b", "a\u{A0}b", "a\u{2800}b"] {
        assert_eq!(resolved("{id}", blank), Err(ResolveError::Blank), "{blank:?}");
    }
    for control in [
        "a\0b",
        "\n",
        "a\r",
        "\u{7F}",
        "\u{85}",
        "a\u{2028}",
        "\u{2029}",
        "\u{FEFF}a",
        "\t",
        "a\u{200B}",
        "a\u{200D}b",
        "a\u{2060}b",
        "\u{202E}a",
        "a\u{2069}",
        "a\u{FE0F}",
        "a\u{E0061}",
    ] {
        assert_eq!(
            resolved("{id}", control),
            Err(ResolveError::Control),
            "{control:?}"
        );
    }
    assert_eq!(resolved("{id}", "a\u{FFFD}b"), Err(ResolveError::Undecodable));
}

/// Keto was asked about `inventory:..`, and the handler loaded something else.
#[test]
fn a_dot_segment_is_not_an_object() {
    for dots in [
        ".", "..", "a/../b", "../a", "a/..", "./a", "a/.", "/..", "../", "a/./b",
    ] {
        for template in ["{id}", "inventory:{id}", "x/{id}/y"] {
            assert_eq!(
                resolved(template, dots),
                Err(ResolveError::DotSegment),
                "{template} {dots}"
            );
        }
    }
    for value in [
        "...", "a..b", ".a", "a.", "v1.2", "..a/b", "a/b", "/", "%2e%2e", "..\\a",
    ] {
        assert_eq!(resolved("{id}", value).unwrap(), value);
    }
}

#[test]
fn a_value_cannot_complete_a_dot_segment_of_the_fixed_text() {
    assert_eq!(resolved("{id}.", "a/"), Err(ResolveError::DotSegment));
    assert_eq!(resolved(".{id}", "/a"), Err(ResolveError::DotSegment));
    assert_eq!(resolved("{id}.", "a").unwrap(), "a.");
    assert_eq!(resolved("../{id}", "a").unwrap(), "../a", "the author's choice");
}

/// A value that a template takes is an object, and the other way round.
#[test]
fn values_and_objects_refuse_the_same_characters() {
    let alone = Template::parse("{id}").unwrap();
    for c in ('\0'..='\u{1FFFF}').chain('\u{E0000}'..='\u{E1000}') {
        let value = format!("a{c}b");
        let is_value = alone.resolve(&|_| Some(value.as_str().into())).is_ok();
        let is_object = Subject::set("n", value.as_str(), "").is_ok();
        let is_subject = Subject::id(value.as_str()).is_ok();

        assert_eq!((is_value, is_value), (is_object, is_subject), "{c:?}");
    }
}

#[test]
fn ordinary_ids_are_taken_as_they_are() {
    for value in [
        "7",
        "0197a9c2-7e40-7d0b-9d2e-000000000000",
        "a/b",
        "a b",
        "SKU-1.2_3~4",
        "100%",
        "猫",
        "a%2Fb",
        "a+b",
        "café",
        "ann@example.com",
        "urn:isbn:0451450523",
        "arn:aws:s3:::bucket/key",
        "report (final).pdf",
        "#7",
        "5\" disk",
        "{0d2c3f4e}",
        "x#owners@User:evil",
    ] {
        assert_eq!(resolved("orders:{id}", value).unwrap(), format!("orders:{value}"));
    }
}

#[test]
fn values_and_texts_have_bounds() {
    let longest = "v".repeat(MAX_VALUE_LENGTH);

    assert!(resolved("{id}", &longest).is_ok());
    assert_eq!(
        resolved("{id}", &format!("{longest}v")),
        Err(ResolveError::TooLong)
    );
    assert!(resolved("{a}-{a}", longest.strip_prefix('v').unwrap()).is_ok());
    assert_eq!(resolved("{a}-{a}", &longest), Err(ResolveError::TooLong));
}

#[test]
fn a_text_that_is_no_template_is_refused_where_the_trouble_starts() {
    let long = "x".repeat(MAX_PLACEHOLDER_LENGTH + 1);
    for (text, kind, position) in [
        ("", Kind::Empty(Part::Object), 0),
        ("orders:{id", Kind::Brace, 8),
        ("orders:id}", Kind::Brace, 9),
        ("{{id}}", Kind::Brace, 1),
        ("{id}}", Kind::Brace, 4),
        ("a{}", Kind::Empty(Part::Placeholder), 2),
        ("{1d}", Kind::Character(Part::Placeholder), 1),
        ("{.d}", Kind::Character(Part::Placeholder), 1),
        ("{i d}", Kind::Character(Part::Placeholder), 2),
        ("{id:\\d+}", Kind::Character(Part::Placeholder), 3),
        ("{ïd}", Kind::Character(Part::Placeholder), 1),
        ("orders#{id}", Kind::ObjectWithRelation, 6),
        ("orders:{id}#view", Kind::ObjectWithRelation, 11),
        ("a\nb", Kind::Character(Part::Object), 1),
        (" a", Kind::Character(Part::Object), 0),
        ("{id} ", Kind::Character(Part::Object), 4),
        (
            &format!("{{{long}}}"),
            Kind::TooLong(Part::Placeholder),
            1 + MAX_PLACEHOLDER_LENGTH,
        ),
        (
            &"x".repeat(MAX_OBJECT_LENGTH + 1),
            Kind::TooLong(Part::Object),
            MAX_OBJECT_LENGTH,
        ),
        (
            &"-{a}".repeat(MAX_PLACEHOLDERS + 1),
            Kind::TooLong(Part::Template),
            4 * MAX_PLACEHOLDERS + 1,
        ),
        ("orders:{a}{b}", Kind::Adjacent, 10),
        ("{a}-{b}{b}-{a}", Kind::Adjacent, 7),
    ] {
        assert_eq!(refused(text), (kind, position), "{text:?}");
    }
    assert!(Template::parse(&"-{a}".repeat(MAX_PLACEHOLDERS)).is_ok());
}

#[test]
fn a_subject_id_may_be_an_email_address() {
    let template = Template::parse_subject_id("{name}@example.com").unwrap();

    assert_eq!(
        template.resolve(&|_| Some("bob".into())).unwrap(),
        "bob@example.com"
    );
    assert!(Template::parse("{name}@example.com").is_ok());
    assert!(Template::parse_subject_id("{name}#x").is_ok());
    assert!(Template::parse_subject_id("\"{name}").is_err());
}

/// Keto would be asked about another object than the handler loads.
#[test]
fn no_value_reaches_into_the_next_one() {
    let resolve = |template: &str, shop: &str, id: &str| {
        let value = |name: &str| if name == "shop" { shop } else { id }.to_owned();
        let values = |name: &str| Some(value(name).into());
        Template::parse(template).unwrap().resolve(&values)
    };

    assert_eq!(resolve("{shop}/{id}", "a", "b/c").unwrap(), "a/b/c");
    assert_eq!(resolve("{shop}/{id}", "a/b", "c"), Err(ResolveError::Ambiguous));
    assert_eq!(resolve("{shop}--{id}", "a-", "b"), Err(ResolveError::Ambiguous));
    assert_eq!(resolve("{shop}--{id}", "a-b", "-c").unwrap(), "a-b---c");
    assert_eq!(resolve("x/{shop}/", "a/b", "").unwrap(), "x/a/b/");
}

#[test]
fn no_two_sets_of_values_make_one_text() {
    let letters = ["a", "b", "-"];
    let pairs = letters.map(|first| letters.map(|second| [first, second].concat()));
    let texts: Vec<String> = letters
        .map(str::to_owned)
        .into_iter()
        .chain(pairs.concat())
        .chain(
            pairs
                .concat()
                .iter()
                .flat_map(|pair| letters.map(|letter| format!("{pair}{letter}"))),
        )
        .collect();

    for separator in ["-", "--", "ab", "aba", "a-a"] {
        let template = Template::parse(&format!("{{x}}{separator}{{y}}{separator}")).unwrap();
        let mut seen = HashMap::new();
        for (x, y) in texts.iter().flat_map(|x| texts.iter().map(move |y| (x, y))) {
            let values = |name: &str| Some(if name == "x" { x } else { y }.into());
            if let Ok(text) = template.resolve(&values) {
                assert_eq!(seen.insert(text, (x, y)), None, "{separator} {x} {y}");
            }
        }
        assert!(texts.len() < seen.len(), "{separator}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_and_printed_or_refused_inside_the_text(text in "\\PC{0,30}|[a{}:. ]{0,16}") {
        match Template::parse(&text) {
            Ok(template) => prop_assert_eq!(template.to_string(), text),
            Err(err) => prop_assert!(err.position() <= text.len()),
        }
    }

    #[test]
    fn a_value_is_part_of_the_text_as_it_is(value in "\\PC{0,12}|[a:#@()\"{} ./]{0,6}") {
        if let Ok(text) = resolved("a:{id}", &value) {
            prop_assert_eq!(text.strip_prefix("a:"), Some(value.as_str()));
        }
    }
}
