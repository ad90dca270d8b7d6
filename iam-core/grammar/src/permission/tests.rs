//! Permissions, their tuples, and the combination of answers.

use proptest::prelude::*;

use super::*;
use crate::{error::Part, tuple::RelationTuple};

fn values(name: &str) -> Option<Cow<'static, str>> {
    match name {
        "id" => Some("7".into()),
        "user" | "sub" => Some("bob".into()),
        "evil" => Some("x#owners@User:evil".into()),
        "dots" => Some("a/../b".into()),
        _ => None,
    }
}

fn caller() -> Subject {
    Subject::id("user:bob").unwrap()
}

fn asked(permission: &Permission) -> Vec<String> {
    let question = permission.resolve(&values, &caller()).unwrap();
    question.tuples().iter().map(ToString::to_string).collect()
}

fn tuple(text: &str) -> Permission {
    Permission::tuple(text).unwrap_or_else(|err| panic!("{text}: {err}"))
}

fn kind(permission: Result<Permission, GrammarError>) -> Kind {
    permission.expect_err("should be refused").kind()
}

#[test]
fn a_permission_on_an_object_asks_for_the_caller() {
    let permission = Permission::new("orders", "view", "orders:{id}").unwrap();

    let question = permission.resolve(&values, &caller()).unwrap();

    assert_eq!(question.tuples().len(), 1);
    assert_eq!(question.tuples()[0].namespace(), "orders");
    assert_eq!(question.tuples()[0].object(), "orders:7");
    assert_eq!(question.tuples()[0].relation(), "view");
    assert_eq!(question.tuples()[0].subject(), &caller());
    assert_eq!(permission.to_string(), "orders:orders:{id}#view");
}

#[test]
fn a_tuple_names_its_subject_or_leaves_it_to_the_caller() {
    assert_eq!(
        asked(&tuple("Cat:{id}#owners@User:{user}")),
        ["Cat:7#owners@User:bob"]
    );
    assert_eq!(
        asked(&tuple("Cat:{id}#owners@Group:{id}#members")),
        ["Cat:7#owners@Group:7#members"]
    );
    assert_eq!(
        asked(&tuple("Cat:{id}#owners@(Group:admin#)")),
        ["Cat:7#owners@Group:admin"]
    );
    assert_eq!(asked(&tuple("Cat:{id}#owners@{sub}")), ["Cat:7#owners@bob"]);
    assert_eq!(
        asked(&tuple("Cat:{id}#owners@\"user:{sub}\"")),
        ["Cat:7#owners@\"user:bob\""]
    );
    assert_eq!(asked(&tuple("Cat:{id}#owners")), ["Cat:7#owners@\"user:bob\""]);
}

#[test]
fn what_is_asked_is_never_the_callers_choice() {
    assert_eq!(
        kind(Permission::tuple("{ns}:o#r")),
        Kind::Placeholder(Part::Namespace)
    );
    assert_eq!(
        kind(Permission::tuple("ns:o#{r}")),
        Kind::Placeholder(Part::Relation)
    );
    assert_eq!(
        kind(Permission::tuple("ns:o#r@{ns}:o")),
        Kind::Placeholder(Part::Namespace)
    );
    assert_eq!(
        kind(Permission::tuple("ns:o#r@ns:o#{r}")),
        Kind::Placeholder(Part::Relation)
    );
    assert!(Permission::new("{ns}", "r", "o").is_err());
    assert!(Permission::new("ns", "{r}", "o").is_err());
    assert_eq!(Permission::tuple("ns:o#r@ns:o#{r}").unwrap_err().position(), 12);
}

#[test]
fn a_text_that_is_no_tuple_is_refused_where_the_trouble_starts() {
    let position = |text| Permission::tuple(text).unwrap_err().position();

    assert_eq!(position("ns:o@s"), 4);
    assert_eq!(position("ns:{id#r"), 4);
    assert_eq!(position("ns:o#r@User:{}"), 13);
    assert_eq!(position("ns:o#r@"), 7);
}

/// The parts travel to Keto separately, and the text that is recorded encloses the value in quotes.
#[test]
fn a_value_cannot_become_the_rest_of_a_tuple() {
    assert_eq!(
        asked(&tuple("Toy:{evil}#owners@User:1")),
        ["Toy:\"x#owners@User:evil\"#owners@User:1"]
    );
    assert_eq!(
        asked(&tuple("Toy:1#owners@{evil}")),
        ["Toy:1#owners@\"x#owners@User:evil\""]
    );
    assert_eq!(
        asked(&tuple("Toy:1#owners@User:{evil}#x")),
        ["Toy:1#owners@User:\"x#owners@User:evil\"#x"]
    );
}

#[test]
fn subjects_and_objects_as_people_have_them_are_asked_about_as_they_are() {
    for value in [
        "auth0|5f7c8ec7",
        "ann@example.com",
        "https://app.example/u/7",
        "urn:uuid:0d2c3f4e",
        "did:key:z6Mk",
        "spiffe://td/ns/a",
        "Ann (ext)",
        "(x)",
        "a#b@c",
        "arn:aws:s3:::bucket/key",
        "5\" disk",
        "\"quoted\"",
        "{0d2c3f4e}",
        "CORP\\ann",
    ] {
        let question = tuple("docs:{id}#view@{sub}")
            .resolve(&|_| Some(value.into()), &caller())
            .unwrap_or_else(|err| panic!("{value}: {err}"));

        let asked = &question.tuples()[0];
        assert_eq!(asked.object(), value);
        assert_eq!(asked.subject(), &Subject::Id(value.to_owned()));
        assert_eq!(asked.to_string().parse().as_ref(), Ok(asked), "{value}");
    }
}

/// The fault is neither the caller's path nor a bad credential.
#[test]
fn an_unusable_id_of_the_principal_was_taken_for_a_value_of_the_path() {
    let long = "x".repeat(600);
    for id in ["", " ", "..", "a/../b", "a\nb", "\u{FFFD}", "a\u{200B}", &long] {
        let values = |name: &str| {
            Some(if name == "id" {
                "7".into()
            } else {
                Cow::Borrowed(id)
            })
        };
        for text in [
            "a:{id}#r@{sub}",
            "a:{id}#r@User:{user}",
            "a:{client_id}-{id}#r",
            "a:{sub}#r",
        ] {
            assert_eq!(
                tuple(text).resolve(&values, &caller()),
                Err(ResolveError::Subject),
                "{text} {id:?}"
            );
        }
    }
    let separator = |name: &str| Some(if name == "id" { "7" } else { "a-b" }.into());
    assert_eq!(
        tuple("a:{client_id}-{id}#r").resolve(&separator, &caller()),
        Err(ResolveError::Subject)
    );
    let path = |name: &str| Some(if name == "id" { ".." } else { "bob" }.into());
    assert_eq!(
        tuple("a:{id}#r@{sub}").resolve(&path, &caller()),
        Err(ResolveError::DotSegment)
    );
}

#[test]
fn a_value_that_is_missing_anywhere_leaves_nothing_to_ask() {
    let permission = Permission::any([Permission::tuple("a:b#c"), Permission::tuple("a:{other}#c")]).unwrap();

    assert_eq!(permission.resolve(&values, &caller()), Err(ResolveError::Missing));
}

fn any(texts: &[&str]) -> Permission {
    Permission::any(texts.iter().map(|text| Permission::tuple(text))).unwrap()
}

fn all(texts: &[&str]) -> Permission {
    Permission::all(texts.iter().map(|text| Permission::tuple(text))).unwrap()
}

#[test]
fn one_branch_about_the_other_kind_of_principal_does_not_deny_the_others() {
    let permission = any(&["a:{id}#r@App:{client_id}", "a:{id}#r@User:{user}"]);

    let question = permission.resolve(&values, &caller()).unwrap();

    assert_eq!(asked(&permission), ["a:7#r@User:bob"]);
    assert_eq!(question.answer(&[false]), Some(false));
    assert_eq!(question.answer(&[true]), Some(true));
    assert_eq!(question.answer(&[]), None);
}

#[test]
fn a_permission_about_the_other_kind_of_principal_alone_asks_nothing() {
    let of_client = "a:{id}#r@App:{client_id}";

    for permission in [
        tuple(of_client),
        tuple("a:{client_id}#r"),
        any(&[of_client, "b:c#d@{client_id}"]),
        all(&["a:{id}#r@User:{user}", of_client]),
        all(&[of_client]),
        Permission::any([Ok(all(&["a:b#c", of_client])), Ok(tuple(of_client))]).unwrap(),
        Permission::all([Ok(tuple("a:b#c")), Ok(any(&[of_client]))]).unwrap(),
    ] {
        assert_eq!(
            permission.resolve(&values, &caller()),
            Err(ResolveError::Inapplicable),
            "{permission}"
        );
    }
}

#[test]
fn a_value_that_is_none_is_refused_also_beside_the_other_kind_of_principal() {
    for (text, expected) in [
        ("a:{dots}#r@App:{client_id}", ResolveError::DotSegment),
        ("a:{client_id}-{dots}#r", ResolveError::DotSegment),
        ("a:{client_id}.{dots}#r", ResolveError::DotSegment),
        ("a:{other}#r@App:{client_id}", ResolveError::Missing),
    ] {
        for permission in [
            tuple(text),
            any(&["a:b#c", text]),
            all(&["b:c#d@{client_id}", text]),
        ] {
            assert_eq!(
                permission.resolve(&values, &caller()),
                Err(expected),
                "{permission}"
            );
        }
    }
}

#[test]
fn a_default_subject_that_no_tuple_can_have_leaves_nothing_to_ask() {
    let unchecked = Subject::Id(String::new());

    assert_eq!(
        tuple("a:b#c").resolve(&values, &unchecked),
        Err(ResolveError::Subject)
    );
    assert!(tuple("a:b#c@d").resolve(&values, &unchecked).is_ok());
}

#[test]
fn nothing_is_true_of_no_permission() {
    assert_eq!(kind(Permission::any([])), Kind::Vacuous);
    assert_eq!(kind(Permission::all([])), Kind::Vacuous);
    assert_eq!(
        kind(Permission::all([Permission::tuple("a:b#c"), Permission::any([])])),
        Kind::Vacuous
    );
}

#[test]
fn an_error_inside_a_combination_is_the_error_of_the_combination() {
    let combined = Permission::any([Permission::tuple("a:b#c"), Permission::tuple("a:b@c")]);

    assert_eq!(kind(combined), Kind::Expected('#'));
}

#[test]
fn a_tuple_that_is_needed_twice_is_asked_once() {
    let permission = Permission::any([
        Permission::tuple("a:{id}#c@d"),
        Permission::all([Permission::tuple("a:7#c@d"), Permission::tuple("e:f#g@h")]),
    ])
    .unwrap();

    let question = permission.resolve(&values, &caller()).unwrap();

    assert_eq!(asked(&permission), ["a:7#c@d", "e:f#g@h"]);
    assert_eq!(question.answer(&[true, false]), Some(true));
    assert_eq!(question.answer(&[false, true]), Some(false));
}

#[test]
fn any_needs_one_and_all_need_each() {
    let tuples = || [Permission::tuple("a:b#c"), Permission::tuple("d:e#f")];
    let any = Permission::any(tuples())
        .unwrap()
        .resolve(&values, &caller())
        .unwrap();
    let all = Permission::all(tuples())
        .unwrap()
        .resolve(&values, &caller())
        .unwrap();

    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(any.answer(&[first, second]), Some(first || second));
        assert_eq!(all.answer(&[first, second]), Some(first && second));
    }
}

/// A number of results other than the number of tuples is no answer.
#[test]
fn answers_of_another_number_are_no_answer() {
    let question = tuple("a:b#c").resolve(&values, &caller()).unwrap();

    assert_eq!(question.answer(&[]), None);
    assert_eq!(question.answer(&[true, true]), None);
    assert_eq!(question.answer(&[true]), Some(true));
}

#[test]
fn nesting_and_number_have_bounds() {
    let nest =
        |levels: usize| (0..levels).fold(Permission::tuple("a:b#c"), |inner, _| Permission::all([inner]));
    assert!(nest(MAX_DEPTH).is_ok());
    assert_eq!(kind(nest(MAX_DEPTH + 1)), Kind::Nesting);

    let many =
        |number: usize| Permission::any(std::iter::repeat_with(|| Permission::tuple("a:b#c")).take(number));
    assert!(many(MAX_TUPLES).is_ok());
    assert_eq!(kind(many(MAX_TUPLES + 1)), Kind::TooManyTuples);
    assert_eq!(
        kind(Permission::all([many(MAX_TUPLES), Permission::tuple("a:b#c")])),
        Kind::TooManyTuples
    );
    // The iterator is endless, and reading it must end.
    assert_eq!(
        kind(Permission::any(std::iter::repeat_with(|| Permission::tuple(
            "a:b#c"
        )))),
        Kind::TooManyTuples
    );
}

#[test]
fn placeholders_come_once_in_the_order_they_were_written() {
    let permission = Permission::any([
        Permission::tuple("a:{id}#c@User:{user}"),
        Permission::tuple("a:{id}-{part}#c@{client_id}"),
    ])
    .unwrap();

    assert_eq!(
        permission.placeholders().collect::<Vec<_>>(),
        ["id", "user", "part", "client_id"]
    );
}

#[test]
fn a_combination_prints_as_the_attribute_writes_it() {
    let permission = Permission::any([
        Permission::tuple("a:b#c@(d:{e}#)"),
        Permission::all([
            Permission::tuple("f:g#h@\"i:{j}\""),
            Permission::new("k", "l", "m:n"),
        ]),
    ])
    .unwrap();

    assert_eq!(
        permission.to_string(),
        "any(a:b#c@d:{e}, all(f:g#h@\"i:{j}\", k:m:n#l))"
    );
}

#[derive(Debug, Clone)]
enum Shape {
    All(Vec<Self>),
    Any(Vec<Self>),
    Leaf(usize),
    /// A tuple about the other kind of principal.
    Never,
}

impl Shape {
    fn permission(&self) -> Result<Permission, GrammarError> {
        match self {
            Self::All(members) => Permission::all(members.iter().map(Self::permission)),
            Self::Any(members) => Permission::any(members.iter().map(Self::permission)),
            Self::Leaf(leaf) => Permission::tuple(&format!("n:{leaf}#r@s")),
            Self::Never => Permission::tuple("n:9#r@{client_id}"),
        }
    }

    /// The naive second implementation.
    fn holds(&self, allowed: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::All(members) => members.iter().all(|member| member.holds(allowed)),
            Self::Any(members) => members.iter().any(|member| member.holds(allowed)),
            Self::Leaf(leaf) => allowed(*leaf),
            Self::Never => false,
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![4 => (0_usize..6).prop_map(Shape::Leaf), 1 => Just(Shape::Never)].prop_recursive(
        4,
        24,
        4,
        |inner| {
            let members = proptest::collection::vec(inner, 1..4);
            prop_oneof![members.clone().prop_map(Shape::All), members.prop_map(Shape::Any)]
        },
    )
}

fn answers(question: &PermissionQuery, granted: u8) -> Vec<bool> {
    let leaf = |tuple: &RelationTuple| tuple.object().parse::<u32>().unwrap();
    question
        .tuples()
        .iter()
        .map(|tuple| granted & (1 << leaf(tuple)) != 0)
        .collect()
}

proptest! {
    #[test]
    fn a_question_means_what_its_permission_says(shape in shape(), granted: u8) {
        let permission = shape.permission();
        prop_assume!(permission.is_ok());
        let expected = shape.holds(&|leaf| granted & (1 << leaf) != 0);

        match permission.unwrap().resolve(&values, &caller()) {
            Ok(question) => {
                prop_assert_eq!(question.answer(&answers(&question, granted)), Some(expected));
                prop_assert!(!question.tuples().is_empty());
            }
            Err(err) => {
                prop_assert_eq!(err, ResolveError::Inapplicable);
                prop_assert!(!shape.holds(&|_| true));
            }
        }
    }

    #[test]
    fn fewer_tuples_never_allow_more(shape in shape(), granted: u8, removed: u8) {
        let permission = shape.permission();
        prop_assume!(permission.is_ok());
        let question = permission.unwrap().resolve(&values, &caller());
        prop_assume!(question.is_ok());
        let question = question.unwrap();

        let more = question.answer(&answers(&question, granted)).unwrap();
        let fewer = question.answer(&answers(&question, granted & !removed)).unwrap();
        prop_assert!(more || !fewer);
    }

    #[test]
    fn a_printed_tuple_is_read_as_the_same_permission(text in "[a{}:#@()\" b]{0,24}") {
        if let Ok(permission) = Permission::tuple(&text) {
            prop_assert_eq!(Permission::tuple(&permission.to_string()), Ok(permission));
        }
    }

    #[test]
    fn a_resolved_tuple_keeps_the_parts_of_its_permission(value in "\\PC{0,8}|[a:#@()\"{} ./]{0,5}") {
        let filled = tuple("n:o-{v}#r@s:{v}#t").resolve(&|_| Some(Cow::Borrowed(&value)), &caller());
        if let Ok(question) = filled {
            let asked = &question.tuples()[0];
            prop_assert_eq!(asked.object(), format!("o-{}", &value));
            prop_assert_eq!(asked.subject(), &Subject::set("s", value, "t").unwrap());
            prop_assert_eq!(asked.to_string().parse(), Ok(asked.clone()));
        }
    }
}
