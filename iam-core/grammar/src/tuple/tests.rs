//! Tuples as written, as printed, and as refused.

use proptest::prelude::*;

use super::*;

const SUBJECT_SET: &str = "namespace:object#relation@subjectNamespace:subjectObject#subjectRelation";

#[track_caller]
fn parsed(text: &str) -> RelationTuple {
    text.parse().unwrap_or_else(|err| panic!("{text:?}: {err}"))
}

#[track_caller]
fn refused(text: &str) -> (Kind, usize) {
    let err = text.parse::<RelationTuple>().expect_err(text);
    (err.kind(), err.position())
}

fn tuple(namespace: &str, object: &str, relation: &str, subject: Subject) -> RelationTuple {
    RelationTuple::new(namespace, object, relation, subject).unwrap()
}

fn id(id: &str) -> Subject {
    Subject::id(id).unwrap()
}

fn set(namespace: &str, object: &str, relation: &str) -> Subject {
    Subject::set(namespace, object, relation).unwrap()
}

#[test]
fn a_subject_is_an_id_or_a_set_with_or_without_parentheses() {
    let with_id = tuple("namespace", "object", "relation", id("subject"));
    for text in [
        "namespace:object#relation@subject",
        " namespace:object#relation@subject     ",
        "namespace:object#relation@(subject)",
        "namespace : object # relation @ subject",
        "namespace:object#relation@ ( subject ) ",
        "namespace:object#relation@\"subject\"",
    ] {
        assert_eq!(parsed(text), with_id, "{text}");
    }

    let with_set = tuple(
        "namespace",
        "object",
        "relation",
        set("subjectNamespace", "subjectObject", "subjectRelation"),
    );
    assert_eq!(parsed(SUBJECT_SET), with_set);
    assert_eq!(parsed(&format!("  {SUBJECT_SET} ")), with_set);
    assert_eq!(
        parsed("namespace:object#relation@(subjectNamespace:subjectObject#subjectRelation)"),
        with_set
    );
}

#[test]
fn a_set_without_relation_may_end_with_its_mark() {
    let expected = tuple("ns", "o", "r", set("a", "b", ""));

    for text in [
        "ns:o#r@(a:b)",
        "ns:o#r@(a:b#)",
        "ns:o#r@a:b#",
        "ns:o#r@a:b",
        "ns:o#r@a:b# ",
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
    assert_eq!(expected.to_string(), "ns:o#r@a:b");
}

#[test]
fn an_id_and_a_set_of_the_same_letters_are_different_subjects() {
    let as_id = parsed("ns:o#r@\"user:bob\"");
    let as_set = parsed("ns:o#r@user:bob");

    assert_eq!(as_id.subject(), &id("user:bob"));
    assert_eq!(as_set.subject(), &set("user", "bob", ""));
    assert_ne!(as_id, as_set);
    assert_eq!(as_id.to_string(), "ns:o#r@\"user:bob\"");
    assert_eq!(as_set.to_string(), "ns:o#r@user:bob");
}

#[test]
fn parts_may_be_of_any_script_and_as_long_as_ids_are() {
    assert_eq!(
        parsed("名前:猫#所有@利用者"),
        tuple("名前", "猫", "所有", id("利用者"))
    );
    assert_eq!(parsed("ns:a/b?c=1#r@s").object(), "a/b?c=1");
    assert_eq!(parsed("ns:o o#...@s s"), tuple("ns", "o o", "...", id("s s")));

    for digit in 0..100 {
        let part = digit.to_string().repeat(36);
        assert_eq!(
            parsed(&format!("{part}:{part}#{part}@{part}")),
            tuple(&part, &part, &part, id(&part))
        );
        assert_eq!(
            parsed(&format!("{part}:{part}#{part}@{part}:{part}#{part}")),
            tuple(&part, &part, &part, set(&part, &part, &part))
        );
    }
}

#[test]
fn a_tuple_without_a_part_is_no_tuple() {
    use Part::{Namespace, Object, Relation, Subject};

    for (text, kind, position) in [
        ("", Kind::Empty(Namespace), 0),
        ("   ", Kind::Empty(Namespace), 3),
        (":", Kind::Empty(Namespace), 0),
        ("asdfhg", Kind::Expected(':'), 6),
        ("namespace:", Kind::Empty(Object), 10),
        ("namespace:object", Kind::Expected('#'), 16),
        ("namespace:object#", Kind::Empty(Relation), 17),
        ("namespace:object#relation", Kind::Expected('@'), 25),
        ("undefined:undefined#undefined", Kind::Expected('@'), 29),
        ("object#relation", Kind::Expected(':'), 6),
        ("object@subject", Kind::Expected(':'), 6),
        ("object#relation@subject@sdf", Kind::Expected(':'), 6),
        (
            "object#relation@subjectObject#relation@sdf",
            Kind::Expected(':'),
            6,
        ),
        ("object#relation@subjectObject#relation", Kind::Expected(':'), 6),
        (
            "object#relation@namespace:subjectObject#relation",
            Kind::Expected(':'),
            6,
        ),
        ("object#relation@subjectId", Kind::Expected(':'), 6),
        ("ns:o@u", Kind::Expected('#'), 4),
        ("namespace:object#@subjectId", Kind::Empty(Relation), 17),
        ("namespace:#relation@subjectId", Kind::Empty(Object), 10),
        ("namespace: #relation@id", Kind::Empty(Object), 11),
        (":object#relation@subjectId", Kind::Empty(Namespace), 0),
        ("namespace:object#relation@", Kind::Empty(Subject), 26),
        ("namespace:object#relation@ ", Kind::Empty(Subject), 27),
        ("namespace:object#relation@\"\"", Kind::Empty(Subject), 27),
        (
            "namespace:object#relation@:subjectObject#relation",
            Kind::Empty(Subject),
            26,
        ),
        (
            "namespace:object#relation@namespace:#relation",
            Kind::Empty(Object),
            36,
        ),
        ("namespace:object#relation@id:", Kind::Empty(Object), 29),
        ("namespace::object#relation@id", Kind::Empty(Object), 10),
        ("namespace:object#relation@a::b", Kind::Empty(Object), 28),
        ("namespace:object##relation@id", Kind::Empty(Relation), 17),
        ("namespace:object#relation@@id", Kind::Empty(Subject), 26),
    ] {
        assert_eq!(refused(text), (kind, position), "{text:?}");
    }
}

#[test]
fn a_mark_too_many_is_refused_where_it_stands() {
    for (text, kind, position) in [
        (
            "namespace:object#relation@subjectObject#relation",
            Kind::SubjectSet,
            39,
        ),
        ("ns:o#r@s#", Kind::SubjectSet, 8),
        ("ns:o#r#s@t", Kind::Expected('@'), 6),
        ("ns:o#r:s@t", Kind::Expected('@'), 6),
        ("ns:o#r@a:b#c#d", Kind::Trailing, 12),
        ("ns:o#r@a:b#c:d", Kind::Trailing, 12),
    ] {
        assert_eq!(refused(text), (kind, position), "{text:?}");
    }
}

#[test]
fn parentheses_are_one_pair_around_the_subject() {
    for (text, kind, position) in [
        ("namespace:object#relation@(subject", Kind::Parenthesis, 34),
        ("namespace:object#relation@subject)", Kind::Enclosed, 33),
        ("name(space):object#rel@sub", Kind::Expected(':'), 4),
        ("()", Kind::Empty(Part::Namespace), 0),
        ("ns:o#r@()", Kind::Empty(Part::Subject), 8),
        ("ns:o#r@((s))", Kind::Enclosed, 8),
        ("ns:o#r@(s)t", Kind::Trailing, 10),
        ("ns:o#r@(s", Kind::Parenthesis, 9),
        ("ns:o#r@(a:b#c(d))", Kind::Enclosed, 15),
        ("ns:o#r@Ann (ext)", Kind::Enclosed, 15),
        ("ns:o#r@(Ann) b", Kind::Trailing, 12),
        ("(ns:o#r@s)", Kind::Empty(Part::Namespace), 0),
    ] {
        assert_eq!(refused(text), (kind, position), "{text:?}");
    }
}

/// Recorded from Keto v26.2.0.
#[test]
fn a_text_that_keto_reads_was_refused_or_meant_another_object() {
    for (text, expected) in [
        (
            "client:shop#member@ann@example.com",
            tuple("client", "shop", "member", id("ann@example.com")),
        ),
        (
            "docs:1#view@User:ann@example.com",
            tuple("docs", "1", "view", set("User", "ann@example.com", "")),
        ),
        (
            "docs:urn:isbn:0451450523#view@bob",
            tuple("docs", "urn:isbn:0451450523", "view", id("bob")),
        ),
        (
            "docs:\"urn:isbn:0451450523\"#view@bob",
            tuple("docs", "\"urn:isbn:0451450523\"", "view", id("bob")),
        ),
        (
            "docs:1#view@Group:urn:team:7#members",
            tuple("docs", "1", "view", set("Group", "urn:team:7", "members")),
        ),
        (
            "docs:1#owner@did:key:z6MkhaXg",
            tuple("docs", "1", "owner", set("did", "key:z6MkhaXg", "")),
        ),
        (
            "docs:report (final)#view@bob",
            tuple("docs", "report (final)", "view", id("bob")),
        ),
        (
            "docs:1#view@https://app.example/u/7",
            tuple("docs", "1", "view", set("https", "//app.example/u/7", "")),
        ),
        ("docs:a@b#view@c", tuple("docs", "a@b", "view", id("c"))),
        ("docs:5\" disk#view@c", tuple("docs", "5\" disk", "view", id("c"))),
        ("docs:()#view@c", tuple("docs", "()", "view", id("c"))),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
        assert_eq!(parsed(&expected.to_string()), expected, "{text}");
    }
}

#[test]
fn where_the_notation_differs_from_ketos_the_error_tells_what_to_write() {
    for (text, hint) in [
        ("docs:1#view@Ann (ext)", "in quotes"),
        ("docs:1#view@(Ann (ext))", "in quotes"),
        ("docs:1#view@a#b", "`\"a#b\"`"),
        ("docs:1#view@5\" disk", "inside of quotes"),
        ("docs:1@view", "`namespace:object#relation@subject`"),
    ] {
        let message = text.parse::<RelationTuple>().unwrap_err().to_string();
        assert!(message.contains(hint), "{text}: {message}");
    }
}

#[test]
fn quotes_enclose_what_the_notation_cannot_express() {
    for (object, written) in [
        ("a#b", "\"a#b\""),
        ("{id}", "\"{id}\""),
        ("\"", "\"\"\"\""),
        ("\"a:b\"", "\"\"\"a:b\"\"\""),
        ("a#\"b", "\"a#\"\"b\""),
        (":1", "\":1\""),
        ("a:b", "a:b"),
        ("a@b", "a@b"),
    ] {
        let made = tuple("ns", object, "r", set("ns", object, "r"));
        assert_eq!(made.to_string(), format!("ns:{written}#r@ns:{written}#r"));
        assert_eq!(parsed(&made.to_string()), made);
    }
    for (subject, written) in [
        ("user:(1)@x#y", "\"user:(1)@x#y\""),
        ("@ann", "\"@ann\""),
        ("ann@example.com", "\"ann@example.com\""),
        ("Ann (ext)", "\"Ann (ext)\""),
        ("5\" disk", "\"5\"\" disk\""),
        ("{0d2c}", "\"{0d2c}\""),
        ("CORP\\ann", "CORP\\ann"),
    ] {
        let made = tuple("ns", "o", "r", id(subject));
        assert_eq!(made.to_string(), format!("ns:o#r@{written}"));
        assert_eq!(parsed(&made.to_string()), made);
        assert_eq!(parsed(&format!("ns:o#r@( {written} )")), made);
    }
    let made = tuple("ns", "o", "r", set("ns", "a (b)", ""));
    assert_eq!(made.to_string(), "ns:o#r@ns:a (b)#");
    assert_eq!(parsed(&made.to_string()), made);

    for (text, kind, position) in [
        ("\"ns\":o#r@s", Kind::Quote, 0),
        ("ns:o#\"r\"@s", Kind::Quote, 5),
        ("ns:o#r@\"a\":b", Kind::Quote, 7),
        ("ns:o#r@a:b#\"c\"", Kind::Quote, 11),
        ("ns:o#r@\"s", Kind::UnclosedQuote, 7),
        ("ns:o#r@\"s\"t", Kind::Trailing, 10),
        ("ns:o#r@a\"b", Kind::Quote, 8),
        ("ns:o#r@\"\"", Kind::Empty(Part::Subject), 8),
        ("ns:\" a#\"#r@s", Kind::Character(Part::Object), 4),
        ("ns:o#r@\"a \"", Kind::Character(Part::Subject), 9),
    ] {
        assert_eq!(refused(text), (kind, position), "{text:?}");
    }
}

#[test]
fn what_a_reader_does_not_see_is_refused_where_it_stands() {
    for (text, part, position) in [
        ("ns:a\nb#r@s", Part::Object, 4),
        ("ns:o#r@a\u{0}b", Part::Subject, 8),
        ("n\u{FEFF}s:o#r@s", Part::Namespace, 1),
        ("\u{FEFF}ns:o#r@s", Part::Namespace, 0),
        ("ns:o#r\u{7F}@s", Part::Relation, 6),
        ("ns:o\u{FFFD}#r@s", Part::Object, 4),
        ("ns:a\u{A0}b#r@s", Part::Object, 4),
        ("ns:o\u{200B}#r@s", Part::Object, 4),
        ("ns:o\u{202E}#r@s", Part::Object, 4),
        ("ns:o#r@s\u{2060}", Part::Subject, 8),
        ("n\u{AD}s:o#r@s", Part::Namespace, 1),
        ("ns:o#r\u{FE0F}@s", Part::Relation, 6),
        ("ns:a  b#r@s", Part::Object, 5),
        ("n s:o#r@s", Part::Namespace, 1),
        ("ns:o#r r@s", Part::Relation, 6),
        ("ns:{id}#r@s", Part::Object, 3),
        ("ns:o#r@{user}", Part::Subject, 7),
    ] {
        assert_eq!(refused(text), (Kind::Character(part), position), "{text:?}");
    }
}

/// The id of an object ended the object and named another subject.
#[test]
fn an_object_id_cannot_smuggle_in_a_relation_and_a_subject() {
    let evil = "x#owners@User:evil";

    let made = tuple("Toy", evil, "owners", id("1"));
    assert_eq!(made.to_string(), "Toy:\"x#owners@User:evil\"#owners@1");
    assert_ne!(made, parsed("Toy:x#owners@User:evil"));
    assert_eq!(
        refused(&format!("Toy:{evil}#owners@User:1")),
        (Kind::Trailing, 29)
    );
    assert!(RelationTuple::new("Toy:x#owners@User:evil", "1", "owners", id("1")).is_err());
    assert!(RelationTuple::new("Toy", "1", "owners@User:evil", id("1")).is_err());
    // The variants are open, so what is in one is checked again.
    assert!(RelationTuple::new("Toy", "1", "owners", Subject::Id("a\nb".to_owned())).is_err());
    assert!(RelationTuple::new("Toy", "1", "owners", Subject::Id(String::new())).is_err());
}

/// A quotation mark of one part met that of another one, and the text meant a third tuple.
#[test]
fn no_two_tuples_print_the_same() {
    let parts = [
        "a", "\"a", "a\"", "#", "a#r@b", "\"#x@y", "\"\"", "(a)", "a:b", "a)", "{a}",
    ];
    let mut printed = std::collections::BTreeMap::new();
    for object in parts {
        for part in parts {
            for subject in [id(part), set("n", part, ""), set("n", part, "r")] {
                let made = tuple("n", object, "r", subject);
                assert_eq!(parsed(&made.to_string()), made);
                assert_eq!(printed.insert(made.to_string(), made), None);
            }
        }
    }
}

/// An empty or half-given subject turned a set into an id.
#[test]
fn a_subject_set_with_a_part_missing_is_not_an_id() {
    assert_eq!(
        SubjectSet::new("User", "", "").unwrap_err().kind(),
        Kind::Empty(Part::Object)
    );
    assert_eq!(
        SubjectSet::new("", "bob", "").unwrap_err().kind(),
        Kind::Empty(Part::Namespace)
    );
    assert_eq!(Subject::id("").unwrap_err().kind(), Kind::Empty(Part::Subject));
}

#[test]
fn each_part_has_a_bound_and_the_longest_tuple_can_be_read_again() {
    let name = "n".repeat(MAX_NAME_LENGTH);
    let object = "\"".repeat(MAX_OBJECT_LENGTH);
    let longest = tuple(&name, &object, &name, set(&name, &object, &name));
    assert_eq!(parsed(&longest.to_string()), longest);

    let too_long = |part| GrammarError::new(Kind::TooLong(part), MAX_OBJECT_LENGTH);
    assert_eq!(
        RelationTuple::new("n", format!("{object}\""), "r", id("s")),
        Err(too_long(Part::Object))
    );
    assert_eq!(Subject::id(format!("{object}\"")), Err(too_long(Part::Subject)));
    assert!(RelationTuple::new(format!("{name}n"), "o", "r", id("s")).is_err());
    assert!(RelationTuple::new("n", "o", format!("{name}n"), id("s")).is_err());

    let text = format!("n:o#r@{}", " ".repeat(MAX_TUPLE_LENGTH));
    assert_eq!(refused(&text), (Kind::TooLong(Part::Tuple), MAX_TUPLE_LENGTH));
    assert!("s".repeat(MAX_TUPLE_LENGTH + 1).parse::<Subject>().is_err());
}

#[test]
fn a_subject_can_be_read_alone() {
    assert_eq!("bob".parse(), Ok(id("bob")));
    assert_eq!(
        "(Group:staff#members)".parse(),
        Ok(set("Group", "staff", "members"))
    );
    assert_eq!("\"user:bob\"".parse(), Ok(id("user:bob")));
    assert!("".parse::<Subject>().is_err());
    assert_eq!("ann@example.com".parse(), Ok(id("ann@example.com")));
    assert!("bob#".parse::<Subject>().is_err());
}

#[test]
fn messages_tell_the_place_and_repeat_no_text() {
    let err = "secret:object@subject".parse::<RelationTuple>().unwrap_err();

    assert_eq!(
        err.to_string(),
        "expected `#`: a tuple is written `namespace:object#relation@subject` (at byte 13)"
    );
    assert_eq!(
        format!("{err:?}"),
        err.to_string(),
        "readable when `main` returns it"
    );
}

/// Text that is often nearly legal.
fn part() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        6 => proptest::char::range('a', 'z'),
        2 => Just('é'),
        1 => Just(' '),
        2 => proptest::sample::select(vec![':', '#', '@', '(', ')', '"', '{', '}', '\n', '\u{FFFD}', '\u{A0}']),
    ];
    proptest::collection::vec(letter, 0..8).prop_map(String::from_iter)
}

/// Names, objects and ids that are legal, with every mark that they may contain.
fn legal_name() -> &'static str {
    "[a-zé_.*/-]{1,6}"
}

fn legal_object() -> &'static str {
    "[a-zé:#@(){}\"/.]{1,6}( [a-z:#@(){}\"]{1,4})?"
}

fn legal_subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        legal_object().prop_map(|it| id(&it)),
        (legal_name(), legal_object(), legal_name()).prop_map(|(a, b, c)| set(&a, &b, &c)),
        (legal_name(), legal_object()).prop_map(|(a, b)| set(&a, &b, "")),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same_tuple(
        (namespace, object, relation) in (legal_name(), legal_object(), legal_name()),
        subject in legal_subject(),
    ) {
        let made = tuple(&namespace, &object, &relation, subject);

        prop_assert_eq!(made.to_string().parse(), Ok(made.clone()));
        prop_assert_eq!(made.subject().to_string().parse(), Ok(made.subject().clone()));
    }

    #[test]
    fn what_can_be_made_of_any_parts_prints_to_the_same_parts(
        (object, subject) in (part(), part()),
    ) {
        if let Ok(made) = RelationTuple::new("n", object, "r", Subject::Id(subject)) {
            prop_assert_eq!(made.to_string().parse(), Ok(made));
        }
    }

    #[test]
    fn what_is_read_can_be_printed_and_read_again(
        (namespace, object, relation, subject) in (part(), part(), part(), part()),
    ) {
        let text = format!("{namespace}:{object}#{relation}@{subject}");
        if let Ok(tuple) = text.parse::<RelationTuple>() {
            prop_assert_eq!(tuple.to_string().parse(), Ok(tuple));
        }
    }

    #[test]
    fn any_text_is_read_or_refused_inside_the_text(text in "\\PC{0,40}|[a:#@(){}\" ]{0,24}") {
        if let Err(err) = text.parse::<RelationTuple>() {
            prop_assert!(err.position() <= text.len());
        }
    }
}
