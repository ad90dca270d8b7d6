use std::collections::BTreeSet;

use proptest::prelude::*;

use super::parsed;
use crate::{Answer, CheckError, CheckLimits, Mode, ObjectRelation, Relations, Subject};

pub(super) const STACK: &str = r#"
import { Namespace, SubjectSet, Context } from "@ory/keto-namespace-types"
class user implements Namespace {}
class client implements Namespace {}
class group implements Namespace { related: { members: (user | group)[] } }
class orders implements Namespace {
  related: {
    owners: (user | SubjectSet<group, "members">)[]
    viewers: (user | SubjectSet<group, "members">)[]
  }
  permits = {
    view: (ctx: Context): boolean => this.related.viewers.includes(ctx.subject) || this.permits.manage(ctx),
    manage: (ctx: Context): boolean => this.related.owners.includes(ctx.subject),
  }
}
class listings implements Namespace { related: { view: (user | SubjectSet<group, "members">)[] } }
"#;

const DOCS: &str = r"
class user implements Namespace {}
class folder implements Namespace {
  related: { parents: folder[] viewers: user[] }
  permits = {
    view: (ctx) => this.related.viewers.includes(ctx.subject) || this.related.parents.traverse((p) => p.permits.view(ctx))
  }
}
class doc implements Namespace {
  related: { a: user[] b: user[] c: user[] banned: user[] parents: folder[] }
  permits = {
    view: (ctx) => this.related.parents.traverse((p) => p.permits.view(ctx)),
    seen: (ctx) => this.related.parents.traverse((p) => p.related.viewers.includes(ctx.subject)),
    both: (ctx) => this.related.a.includes(ctx.subject) && this.related.b.includes(ctx.subject),
    mixed: (ctx) => this.related.a.includes(ctx.subject) || this.related.b.includes(ctx.subject) && this.related.c.includes(ctx.subject),
    grouped: (ctx) => this.related.a.includes(ctx.subject) || (this.related.b.includes(ctx.subject) && this.related.c.includes(ctx.subject)),
    guarded: (ctx) => this.related.a.includes(ctx.subject) && !this.related.banned.includes(ctx.subject),
    neither: (ctx) => !(this.related.a.includes(ctx.subject) || this.related.b.includes(ctx.subject)),
    through_c: (ctx) => this.related.c.includes(ctx.subject),
    a_and_c: (ctx) => this.related.a.includes(ctx.subject) && this.permits.through_c(ctx),
    ring: (ctx) => !this.permits.gnir(ctx),
    gnir: (ctx) => !this.permits.ring(ctx),
    round: (ctx) => this.permits.dnuor(ctx),
    dnuor: (ctx) => this.permits.round(ctx),
  }
}
";

/// Tuples as text: `ns:object#relation@id` or `ns:object#relation@(ns:object#relation)`.
struct Tuples(Vec<&'static str>);

fn split(text: &str) -> ObjectRelation<'_> {
    let (namespace, rest) = text.split_once(':').unwrap();
    let (object, relation) = rest.split_once('#').unwrap();
    ObjectRelation {
        namespace,
        object,
        relation,
    }
}

fn tuple(text: &'static str) -> (ObjectRelation<'static>, Subject<'static>) {
    let (of, subject) = text.split_once('@').unwrap();
    let set = subject
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'));
    (
        split(of),
        set.map_or(Subject::Id(subject), |inner| Subject::Set(split(inner))),
    )
}

impl Relations for Tuples {
    fn contains(&self, of: ObjectRelation<'_>, subject: Subject<'_>) -> bool {
        self.0.iter().any(|text| tuple(text) == (of, subject))
    }

    fn subject_sets(&self, of: ObjectRelation<'_>) -> Vec<ObjectRelation<'_>> {
        let subjects = self
            .0
            .iter()
            .map(|text| tuple(text))
            .filter(|(stored, _)| *stored == of);
        subjects
            .filter_map(|(_, subject)| match subject {
                Subject::Id(_) => None,
                Subject::Set(set) => Some(set),
            })
            .collect()
    }
}

fn ask(
    source: &str,
    tuples: &[&'static str],
    question: &'static str,
    limits: CheckLimits,
) -> Result<Answer, CheckError> {
    let (of, subject) = tuple(question);
    parsed(source).check(&Tuples(tuples.to_vec()), of, subject, limits)
}

fn answer(source: &str, tuples: &[&'static str], question: &'static str) -> Answer {
    ask(source, tuples, question, CheckLimits::default()).unwrap()
}

#[test]
fn nothing_is_allowed_without_a_tuple() {
    for question in [
        "orders:1#view@alice",
        "orders:1#owners@alice",
        "group:g#members@alice",
        "orders:1#@alice",
    ] {
        assert_eq!(answer(STACK, &[], question), Answer::Deny, "{question}");
    }
}

#[test]
fn a_tuple_grants_its_relation_and_the_permits_over_it() {
    let tuples = ["orders:1#owners@alice"];

    for question in [
        "orders:1#owners@alice",
        "orders:1#manage@alice",
        "orders:1#view@alice",
    ] {
        assert_eq!(answer(STACK, &tuples, question), Answer::Allow, "{question}");
    }
    for question in [
        "orders:1#viewers@alice",
        "orders:2#view@alice",
        "orders:1#view@bob",
        "listings:1#view@alice",
    ] {
        assert_ne!(answer(STACK, &tuples, question), Answer::Allow, "{question}");
    }
}

#[test]
fn an_id_and_a_set_of_the_same_text_are_different_subjects() {
    let tuples = ["orders:1#owners@(user:bob#)", "orders:2#owners@user:bob"];

    assert_eq!(answer(STACK, &tuples, "orders:1#view@(user:bob#)"), Answer::Allow);
    assert!(!answer(STACK, &tuples, "orders:1#view@user:bob").is_allow());
    assert_eq!(answer(STACK, &tuples, "orders:2#view@user:bob"), Answer::Allow);
    assert!(!answer(STACK, &tuples, "orders:2#view@(user:bob#)").is_allow());
}

#[test]
fn a_group_grants_to_its_members_and_not_to_itself_alone() {
    let tuples = [
        "orders:1#viewers@(group:staff#members)",
        "group:staff#members@carol",
        "group:staff#members@(group:night#members)",
        "group:night#members@dave",
    ];

    for question in [
        "orders:1#view@carol",
        "orders:1#view@dave",
        "orders:1#view@(group:staff#members)",
    ] {
        assert_eq!(answer(STACK, &tuples, question), Answer::Allow, "{question}");
    }
    assert!(!answer(STACK, &tuples, "orders:1#view@erin").is_allow());
    assert!(!answer(STACK, &tuples, "orders:1#view@group:staff#members").is_allow());
}

#[test]
fn depth_counts_hops_as_keto_does() {
    let tuples = [
        "group:access#members@(group:owner#members)",
        "group:owner#members@(group:admin#members)",
        "group:admin#members@user",
    ];
    let at = |depth| {
        ask(
            STACK,
            &tuples,
            "group:access#members@user",
            CheckLimits::default().depth(depth),
        )
        .unwrap()
    };

    assert_eq!(at(0), Answer::Exhausted);
    assert_eq!(at(1), Answer::Exhausted);
    assert_eq!(at(2), Answer::Exhausted);
    assert_eq!(at(3), Answer::Allow);
    assert_eq!(at(5), Answer::Allow);
}

#[test]
fn depth_one_denies_what_a_group_grants() {
    let tuples = [
        "orders:1#viewers@(group:staff#members)",
        "group:staff#members@carol",
        "orders:1#viewers@alice",
    ];
    let one = CheckLimits::default().depth(1);

    assert_eq!(
        ask(STACK, &tuples, "orders:1#view@carol", one),
        Ok(Answer::Exhausted)
    );
    // A permit's own relations are looked up in one go, so their tuples count at any depth; a relation's own do not.
    assert_eq!(ask(STACK, &tuples, "orders:1#view@alice", one), Ok(Answer::Allow));
    assert_eq!(
        ask(STACK, &tuples, "orders:1#viewers@alice", one),
        Ok(Answer::Exhausted)
    );
}

#[test]
fn an_operand_of_a_conjunction_that_could_not_be_looked_at_denies() {
    let tuples = ["doc:1#a@alice", "doc:1#c@alice", "doc:1#c@bob"];
    let at = |depth, question| ask(DOCS, &tuples, question, CheckLimits::default().depth(depth)).unwrap();

    // The left side of an operator is an expression of its own and costs one.
    assert_eq!(at(1, "doc:1#a_and_c@alice"), Answer::Exhausted);
    assert_eq!(at(1, "doc:1#a_and_c@bob"), Answer::Exhausted);
    assert_eq!(at(2, "doc:1#a_and_c@alice"), Answer::Allow);
    assert!(!at(5, "doc:1#a_and_c@bob").is_allow());
}

#[test]
fn each_traversal_costs_one() {
    let tuples = ["doc:1#parents@(folder:in#)", "folder:in#viewers@alice"];
    let at = |depth| {
        ask(
            DOCS,
            &tuples,
            "doc:1#seen@alice",
            CheckLimits::default().depth(depth),
        )
        .unwrap()
    };

    assert_eq!(at(2), Answer::Exhausted);
    assert_eq!(at(3), Answer::Allow);
}

#[test]
fn groups_in_a_circle_come_to_an_end() {
    let tuples = [
        "group:a#members@(group:b#members)",
        "group:b#members@(group:a#members)",
        "group:b#members@dave",
    ];
    let deep = CheckLimits::default().depth(1_000_000);

    assert_eq!(
        ask(STACK, &tuples, "group:a#members@dave", deep),
        Ok(Answer::Allow)
    );
    assert_eq!(
        ask(STACK, &tuples, "group:a#members@erin", deep),
        Ok(Answer::Deny)
    );
}

#[test]
fn permits_in_a_circle_come_to_an_end() {
    assert_eq!(
        ask(DOCS, &[], "doc:1#round@alice", CheckLimits::default()),
        Ok(Answer::Exhausted)
    );
    // Steps within one object cost no depth in an intersection or below a `!`, so these are ended by their number.
    let deep = CheckLimits::default().depth(1_000_000);
    assert_eq!(
        ask(DOCS, &[], "doc:1#round@alice", deep),
        Err(CheckError::TooManySteps)
    );
    assert_eq!(
        ask(DOCS, &[], "doc:1#ring@alice", CheckLimits::default()),
        Err(CheckError::TooManySteps)
    );
}

#[test]
fn a_long_chain_of_groups_ends_with_an_error_and_not_with_the_stack() {
    let names: Vec<String> = (0..2_000).map(|index| format!("g{index}")).collect();
    let tuples = names
        .windows(2)
        .map(|pair| &*format!("group:{}#members@(group:{}#members)", pair[0], pair[1]).leak());
    let store = Tuples(tuples.collect());
    let of = ObjectRelation {
        namespace: "group",
        object: "g0",
        relation: "members",
    };

    let answer = parsed(STACK).check(
        &store,
        of,
        Subject::Id("x"),
        CheckLimits::default().depth(u32::MAX),
    );

    assert_eq!(answer, Err(CheckError::TooManySteps));
}

/// Every group has all groups as members.
struct Everything(Vec<String>);

impl Relations for Everything {
    fn contains(&self, _: ObjectRelation<'_>, _: Subject<'_>) -> bool {
        false
    }

    fn subject_sets(&self, of: ObjectRelation<'_>) -> Vec<ObjectRelation<'_>> {
        if of.namespace != "folder" || of.relation != "parents" {
            return Vec::new();
        }
        self.0
            .iter()
            .map(|object| ObjectRelation {
                namespace: "folder",
                object,
                relation: "",
            })
            .collect()
    }
}

#[test]
fn the_work_of_one_check_is_bounded() {
    let store = Everything((0..200).map(|index| index.to_string()).collect());
    let of = ObjectRelation {
        namespace: "folder",
        object: "1",
        relation: "view",
    };

    let answer = parsed(DOCS).check(&store, of, Subject::Id("x"), CheckLimits::default().depth(20));

    assert_eq!(answer, Err(CheckError::TooManySteps));
}

#[test]
fn more_subject_sets_than_the_width_are_cut_off() {
    let tuples = [
        "group:a#members@(group:1#members)",
        "group:a#members@(group:2#members)",
        "group:a#members@(group:3#members)",
        "group:3#members@(group:4#members)",
        "group:4#members@dave",
    ];
    let at = |width| {
        ask(
            STACK,
            &tuples,
            "group:a#members@dave",
            CheckLimits::default().width(width),
        )
        .unwrap()
    };

    assert_eq!(at(3), Answer::Allow);
    assert_eq!(at(2), Answer::Exhausted);
    assert_eq!(at(0), Answer::Exhausted);

    // If there are too many, one less than the width is followed.
    let through_second = ["group:2#members@(group:4#members)", "group:4#members@dave"];
    let tuples = [&tuples[..3], &through_second].concat();
    let two = CheckLimits::default().width(2);
    assert_eq!(
        ask(STACK, &tuples, "group:a#members@dave", two),
        Ok(Answer::Exhausted)
    );
}

#[test]
fn parents_pass_their_permits_down() {
    let tuples = [
        "doc:1#parents@(folder:in#)",
        "folder:in#parents@(folder:out#)",
        "folder:out#viewers@alice",
        "doc:2#parents@folder:in",
    ];

    assert_eq!(answer(DOCS, &tuples, "doc:1#view@alice"), Answer::Allow);
    assert!(!answer(DOCS, &tuples, "doc:1#view@bob").is_allow());
    assert!(
        !answer(DOCS, &tuples, "doc:1#seen@alice").is_allow(),
        "only the folder itself is asked"
    );
    assert!(
        !answer(DOCS, &tuples, "doc:2#view@alice").is_allow(),
        "an id is not an object"
    );
}

#[test]
fn operators_combine_what_they_stand_between() {
    let tuples = [
        "doc:1#a@ab",
        "doc:1#b@ab",
        "doc:1#a@a",
        "doc:1#b@bc",
        "doc:1#c@bc",
        "doc:1#b@b",
        "doc:1#banned@ab",
    ];
    let allowed = |permit: &str| {
        let who = ["ab", "a", "bc", "b", "nobody"];
        let asked = who.iter().filter(|subject| {
            let question = format!("doc:1#{permit}@{subject}").leak();
            answer(DOCS, &tuples, question).is_allow()
        });
        asked.copied().collect::<BTreeSet<_>>()
    };

    assert_eq!(allowed("both"), BTreeSet::from(["ab"]));
    assert_eq!(allowed("guarded"), BTreeSet::from(["a"]));
    assert_eq!(allowed("neither"), BTreeSet::from(["nobody"]));
    assert_eq!(allowed("grouped"), BTreeSet::from(["ab", "a", "bc"]));
    // Keto reads from left to right: (a || b) && c.
    assert_eq!(allowed("mixed"), BTreeSet::from(["bc"]));
}

#[test]
fn an_undeclared_name_is_an_error_and_no_answer() {
    let tuples = ["orders:1#viewers@(group:staff#nope)", "orders:1#nope@alice"];

    assert_eq!(
        ask(STACK, &tuples, "nope:1#view@alice", CheckLimits::default()),
        Err(CheckError::UnknownNamespace {
            namespace: "nope".to_owned()
        })
    );
    let of_orders = CheckError::UnknownRelation {
        namespace: "orders".to_owned(),
        relation: "nope".to_owned(),
    };
    assert_eq!(
        ask(STACK, &tuples, "orders:1#nope@alice", CheckLimits::default()),
        Err(of_orders)
    );
    let of_group = CheckError::UnknownRelation {
        namespace: "group".to_owned(),
        relation: "nope".to_owned(),
    };
    assert_eq!(
        ask(STACK, &tuples, "orders:1#view@bob", CheckLimits::default()),
        Err(of_group)
    );
}

#[test]
fn a_namespace_without_relations_takes_every_relation() {
    assert_eq!(
        answer(STACK, &["user:1#friend@alice"], "user:1#friend@alice"),
        Answer::Allow
    );
    assert_eq!(answer(STACK, &[], "user:1#friend@alice"), Answer::Deny);
}

#[test]
fn strict_mode_follows_only_what_is_declared() {
    let tuples = [
        "orders:1#view@alice",
        "orders:1#viewers@(group:staff#members)",
        "group:staff#members@carol",
        "group:staff#members@(group:night#members)",
        "group:night#members@dave",
    ];
    let strictly = |question| {
        ask(
            STACK,
            &tuples,
            question,
            CheckLimits::default().mode(Mode::Strict),
        )
        .unwrap()
    };

    assert_eq!(
        answer(STACK, &tuples, "orders:1#view@alice"),
        Answer::Allow,
        "lenient: a tuple for a permit counts"
    );
    assert_eq!(strictly("orders:1#view@alice"), Answer::Deny);
    assert_eq!(strictly("orders:1#view@carol"), Answer::Allow);
    assert_eq!(answer(STACK, &tuples, "orders:1#view@dave"), Answer::Allow);
    assert_eq!(
        strictly("orders:1#view@dave"),
        Answer::Deny,
        "`members` declares no SubjectSet"
    );
}

/// A file without `&&` and `!`: what it allows is what can be reached, so a second implementation is a few lines.
const REACH: &str = "
class user implements Namespace {}
class group implements Namespace { related: { members: (user | group)[] } }
class folder implements Namespace {
  related: { parents: folder[] viewers: user[] }
  permits = {
    view: (ctx) => this.related.viewers.includes(ctx.subject) || this.related.parents.traverse((p) => p.permits.view(ctx))
  }
}";

const NODES: &[&str] = &[
    "group:a#members",
    "group:b#members",
    "group:c#members",
    "folder:a#viewers",
    "folder:b#viewers",
    "folder:c#viewers",
];

/// What grants `of` in one step, by the tuples and by the file.
fn granting(tuples: &[&'static str], of: &str) -> Vec<String> {
    let written = tuples
        .iter()
        .filter_map(|text| text.strip_prefix(of)?.strip_prefix("@("));
    let mut found: Vec<String> = written
        .filter_map(|set| Some(set.strip_suffix(')')?.to_owned()))
        .collect();
    if let Some(folder) = of.strip_suffix("#view") {
        found.push(format!("{folder}#viewers"));
        let parents = format!("{folder}#parents@(");
        let up = tuples
            .iter()
            .filter_map(|text| text.strip_prefix(parents.as_str())?.strip_suffix("#)"));
        found.extend(up.map(|parent| format!("{parent}#view")));
    }
    found
}

fn reaches(tuples: &[&'static str], from: &str, subject: &str) -> bool {
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut next = vec![from.to_owned()];
    while let Some(of) = next.pop() {
        if tuples.iter().any(|text| *text == format!("{of}@{subject}")) {
            return true;
        }
        next.extend(
            granting(tuples, &of)
                .into_iter()
                .filter(|step| seen.insert(step.clone())),
        );
    }
    false
}

fn any_tuple() -> impl Strategy<Value = &'static str> {
    let nodes = || prop::sample::select(NODES);
    // Folders lie in later ones only: circles of parents are ended by the depth alone, after a number of steps that grows
    // exponentially with it. Groups may form circles.
    let folders = prop::sample::select(vec![("a", "b"), ("a", "c"), ("b", "c")]);
    let text = prop_oneof![
        (nodes(), prop::sample::select(vec!["x", "y"])).prop_map(|(of, id)| format!("{of}@{id}")),
        (nodes(), nodes()).prop_map(|(of, set)| format!("{of}@({set})")),
        folders.prop_map(|(child, parent)| format!("folder:{child}#parents@(folder:{parent}#)")),
    ];
    text.prop_map(|text| &*text.leak())
}

fn any_question() -> impl Strategy<Value = &'static str> {
    prop::sample::select([NODES, &["folder:a#view", "folder:b#view"]].concat())
}

proptest! {
    #[test]
    fn a_deep_check_allows_what_can_be_reached_and_nothing_else(
        tuples in prop::collection::vec(any_tuple(), 0..12),
        of in any_question(),
    ) {
        // Three folders, then the six relations once each.
        let limits = CheckLimits::default().depth(14);
        let answer = ask(REACH, &tuples, format!("{of}@x").leak(), limits).unwrap();
        prop_assert_eq!(answer.is_allow(), reaches(&tuples, of, "x"), "{:?}", answer);
        prop_assert_ne!(answer, Answer::Exhausted);
    }

    #[test]
    fn a_check_at_any_depth_and_width_allows_only_what_can_be_reached(
        tuples in prop::collection::vec(any_tuple(), 0..12),
        of in any_question(),
        depth in 0_u32..8,
        width in 0_u32..4,
    ) {
        let limits = CheckLimits::default().depth(depth).width(width);
        let answer = ask(REACH, &tuples, format!("{of}@x").leak(), limits).unwrap();
        prop_assert!(!answer.is_allow() || reaches(&tuples, of, "x"));
        prop_assert!(answer != Answer::Deny || !reaches(&tuples, of, "x"), "a cut way is reported");
    }
}
