use std::fmt::Write as _;

use proptest::prelude::*;

use super::{parsed, refusals};
use crate::{Fault, MAX_ERRORS, MAX_SOURCE_BYTES, parse};

const USER: &str = "class user implements Namespace {}\n";

/// Puts one permit into a class that has the relations `a`, `b` and `c`.
fn with_permit(expression: &str) -> String {
    format!(
        "class user implements Namespace {{ related: {{ of: user[] }} }}
         class doc implements Namespace {{
           related: {{ a: user[] b: user[] c: user[] parents: doc[] }}
           permits = {{ p: (ctx: Context): boolean => {expression} }}
         }}"
    )
}

/// Puts one relation of this type into a class.
fn with_type(written: &str) -> String {
    format!(
        "class user implements Namespace {{}}
         class group implements Namespace {{ related: {{ members: user[] }} }}
         class doc implements Namespace {{ related: {{ a: {written} }} }}"
    )
}

#[test]
fn the_file_of_the_stack_is_read() {
    let namespaces = parsed(super::check::STACK);

    assert_eq!(
        namespaces.names().collect::<Vec<_>>(),
        ["client", "group", "listings", "orders", "user"]
    );
    assert_eq!(
        namespaces.relations_and_permits("orders").collect::<Vec<_>>(),
        ["manage", "owners", "view", "viewers"]
    );
    assert!(namespaces.has_namespace("user"));
    assert!(!namespaces.has_namespace("users"));
    assert!(namespaces.has_relation_or_permit("listings", "view"));
    assert!(!namespaces.has_relation_or_permit("user", "view"));
}

#[test]
fn every_form_that_keto_takes_is_read() {
    parsed(
        r#"
        import { Namespace, SubjectSet, Context, } from '@ory/keto-namespace-types';
        /* A block /* that does not nest */
        class User implements Namespace { related: { manager: User[]; } };
        class Group implements Namespace { related: { members: (User | Group)[], }; }
        export class Folder implements Namespace {
          related: {
            parents: Array<File | Folder>
            viewers: Array<SubjectSet<Group, "members">>
            "with.dots": SubjectSet<Group, 'members'>[]
          }
          permits = {
            view: (ctx: Context): boolean => this.related.viewers.includes(ctx.subject),
            'quoted': (ctx) => this.related["with.dots"].includes(ctx.subject), // the end
          };
        }
        class File implements Namespace {
          related: { parents: Folder[] owners: User[] }
          permits = {
            view: (ctx: Context) =>
              (
                this.related.parents.traverse((p) /* here */ =>
                  p.related.viewers.includes(ctx.subject),
                ) && this.related.parents.traverse(p => p.permits.view(ctx))
              ) ||
              !(this.related.owners.includes(ctx.subject) && !this.permits["not"](ctx)),
            not: (ctx: Context): boolean => !this.related.owners.includes(ctx.subject)
          }
        }
        "#,
    );
}

#[test]
fn an_undeclared_type_is_named_with_its_place() {
    let source = format!("{USER}class doc implements Namespace {{\n related: {{ a: nope[] }}\n}}");

    assert_eq!(
        refusals(&source),
        ["line 3, column 16: namespace \"nope\" was not declared"]
    );
    let Err(errors) = parse(&source) else {
        panic!("accepted")
    };
    assert_eq!(errors[0].fault(), Fault::Reference);
    assert_eq!(source.get(errors[0].span()), Some("nope"));
}

#[test]
fn columns_count_characters_and_not_bytes() {
    let refused = refusals("class user implements Namespace {} /* äöü */ §");

    assert_eq!(refused, ["line 1, column 46: unexpected character '§'"]);
}

#[test]
fn every_undeclared_name_is_reported() {
    let refused = refusals(
        r#"class doc implements Namespace {
related: {
a: (one | SubjectSet<two, "x">)[]
b: SubjectSet<doc, "three">[]
}
permits = {
p: (ctx) => this.related.four.includes(ctx.subject) || this.permits.five(ctx)
|| this.related.b.traverse(x => x.permits.six(ctx))
}}"#,
    );

    let about: Vec<&str> = refused
        .iter()
        .filter_map(|text| text.split(": ").nth(1))
        .collect();
    assert_eq!(
        about,
        [
            "namespace \"one\" was not declared",
            "namespace \"two\" was not declared",
            "namespace \"doc\" did not declare relation \"three\"",
            "namespace \"doc\" did not declare relation \"four\"",
            "namespace \"doc\" did not declare relation \"five\"",
        ]
    );
}

#[test]
fn a_traversed_type_must_have_the_relation_also_through_a_subject_set() {
    let refused = refusals(
        r#"class user implements Namespace {}
class group implements Namespace { related: { members: (user | SubjectSet<team, "all">)[] } }
class team implements Namespace { related: { all: team[] } permits = { ok: (ctx) => this.related.all.includes(ctx.subject) } }
class doc implements Namespace {
related: { in: SubjectSet<group, "members">[] }
permits = { p: (ctx) => this.related.in.traverse((g) => g.permits.ok(ctx)) }
}"#,
    );

    assert_eq!(
        refused,
        ["line 6, column 38: relation \"ok\" was not declared in namespace \"user\""]
    );
}

#[test]
fn traversing_a_set_of_itself_cannot_be_checked() {
    let refused = refusals(
        r#"class group implements Namespace {
related: { members: SubjectSet<group, "members">[] }
permits = { p: (ctx) => this.related.members.traverse((g) => g.permits.p(ctx)) }
}"#,
    );

    assert_eq!(
        refused,
        ["line 3, column 38: could not typecheck deeply nested SubjectSet further"]
    );
}

#[test]
fn sets_of_sets_are_checked_as_deep_as_keto_checks_them() {
    let chain = |links: usize| {
        let mut related = String::new();
        for link in 0..links {
            writeln!(
                related,
                "r{link}: SubjectSet<n, \"r{}\">[]",
                link.saturating_add(1)
            )
            .unwrap();
        }
        format!(
            "class n implements Namespace {{ related: {{ {related} r{links}: n[] }}
             permits = {{ p: (ctx) => this.related.r0.traverse((x) => x.permits.p(ctx)) }} }}"
        )
    };

    parsed(&chain(10));
    assert_eq!(refusals(&chain(11)).len(), 1);
}

#[test]
fn a_mistake_in_one_class_does_not_hide_one_in_the_next() {
    let refused = refusals(
        "class a implements Namespace { related: { x: a[ } }
         class b extends Namespace { }
         class c implements Namespace { other }",
    );

    assert_eq!(
        refused,
        [
            "line 1, column 49: expected \"]\", got \"}\"",
            "line 2, column 18: expected \"implements\", got \"extends\"",
            "line 3, column 41: expected 'permits' or 'related', got \"other\"",
        ]
    );
}

#[test]
fn what_is_no_permit_is_refused() {
    let a = "this.related.a.includes(ctx.subject)";
    for expression in [
        "",
        "true",
        "a",
        "this",
        "this.related.a",
        "this.related.a.includes(ctx)",
        "this.related.a.includes(ctx.subject,)",
        "this.related.a.some(x => x.permits.p(ctx))",
        "this.related.a.traverse(x => y.related.of.includes(ctx.subject))",
        "this.related.a.traverse((x: user) => x.related.of.includes(ctx.subject))",
        "this.related.parents.traverse(x => x.permits.p(ctx),)",
        "this.related.parents.traverse(this => this.permits.p(ctx))",
        "this.related[a].includes(ctx.subject)",
        "this.others.a.includes(ctx.subject)",
        "this.permits.p()",
        "\"this\".related.a.includes(ctx.subject)",
        &format!("{a} {a}"),
        &format!("{a} &&"),
        &format!("|| {a}"),
        &format!("{a} | {a}"),
        &format!("!!{a}"),
        &format!("({a}"),
        &format!("{a})"),
        "()",
        &format!("{{ return {a} }}"),
        &format!("{a};"),
    ] {
        refusals(&with_permit(expression));
    }
}

#[test]
fn what_is_no_type_is_refused() {
    for written in [
        "user",
        "user[][]",
        "user | group[]",
        "(user |)[]",
        "()[]",
        "Array<user>[]",
        "Array<user>,",
        "Array<>",
        "SubjectSet<group>[]",
        "SubjectSet<group, members>[]",
        "SubjectSet<\"group\", \"members\">[]",
        "SubjectSet<group, \"\">[]",
        "\"user\"[]",
        "class[]",
    ] {
        refusals(&with_type(written));
    }
}

#[test]
fn what_is_no_file_is_refused() {
    for source in [
        "class",
        "class user",
        "class user implements Namespace",
        "class user implements Namespace {",
        "class user implements Namespace { related: {",
        "class user implements Namespace { permits = { p: (ctx) =>",
        "class this implements Namespace {}",
        "class \"user\" implements Namespace {}",
        "class user implements Namespace {} }",
        "const x = 1",
        "import { Namespace } from '@ory/keto-namespace-types",
        "import",
        "import {",
        "import { A B } from 'x'",
        "import A B from 'x'",
        "import A, from 'x'",
        "import { A }",
        "import { A } from x",
        "import * as a from 'x'",
        "export",
        "export const x = 1",
        "export { A B }",
        "export { A",
        "type",
        "type A = {",
        "type A = { a: string",
        "type A = (]",
        "type A = { class: string }",
        "interface",
        "interface A",
        "interface A extends B class C implements Namespace {}",
        "interface A { a: string",
        "/* open",
        "class user implements Namespace { related: { \"a\\\"b\": user[] } }",
        "class user implements Namespace { related: { \"a\nb\": user[] } }",
        "class user implements Namespace { related: { \"\": user[] } }",
        "class üser implements Namespace {}",
        "{}",
    ] {
        refusals(source);
    }
    parsed("");
    parsed("// nothing");
}

#[test]
fn a_name_declared_twice_is_refused() {
    assert_eq!(
        refusals(&format!("{USER}{USER}")),
        ["line 2, column 7: namespace \"user\" is declared twice"]
    );
    assert_eq!(
        refusals("class u implements Namespace { related: { a: u[] a: u[] } }"),
        ["line 1, column 50: relation \"a\" is declared twice: Keto ignores the second declaration"]
    );
    let both = "class u implements Namespace { related: { a: u[] }
permits = { a: (ctx) => this.related.a.includes(ctx.subject) } }";
    assert_eq!(
        refusals(both),
        [
            "line 2, column 13: \"a\" is declared as a relation and as a permit: Keto looks up the tuples of the relation and \
             never computes the permit"
        ]
    );
    let reversed =
        "class u implements Namespace { permits = { a: (ctx) => this.related.b.includes(ctx.subject) }
related: { b: u[] a: u[] } }";
    assert_eq!(
        refusals(reversed),
        [
            "line 2, column 19: \"a\" is declared as a permit and as a relation: Keto computes the permit and ignores the relation"
        ]
    );
    let permits = "class u implements Namespace { permits = { a: (ctx) => this.permits.a(ctx), a: (ctx) => this.permits.a(ctx) } }";
    assert_eq!(
        refusals(permits),
        ["line 1, column 77: permit \"a\" is declared twice: Keto ignores the second declaration"]
    );
}

/// Files that Keto loads were refused, because of the TypeScript around their classes.
#[test]
fn the_typescript_around_the_classes_was_refused() {
    for around in [
        "import type { Namespace, Context } from \"@ory/permission-namespace-types\";",
        "import type {\n  Namespace,\n  Context,\n} from \"x\"",
        "import { type Namespace, type Context as Ctx } from 'x'",
        "import { Namespace as N, SubjectSet as ctx, } from 'x';",
        "import { default as N, type as T } from 'x'",
        "import {} from 'x'",
        "import Namespace from 'x'",
        "import Namespace, { Context } from 'x'",
        "import type Namespace from 'x'",
        "import type from 'x'",
        "import \"x\"",
        "import 'x';",
        "export {};",
        "export {}",
        "export { A }",
        "export { A, type B, C as D, };",
        "export { A } from 'x'",
        "export type { A } from 'x';",
        "export type A = string;",
        "type A = string",
        "type Owners<T> = Array<T> | SubjectSet<group, \"members\">;",
        "type A = {\n  a: string;\n  b: { c: (x: A) => B[] };\n};",
        "type A =\n  | 'a'\n  | 'b'\n",
        "interface A { a: string; b: { c: A[] } }",
        "export interface A extends B, C { related: D }",
        "interface A<T> {}\ninterface B {}",
        "export",
        "export default",
        "export abstract",
    ] {
        let ends_in_class = around.starts_with("export") && !around.contains(['{', '=']);
        let before = format!("{around}\nclass user implements Namespace {{}}");
        let namespaces = parsed(&before);
        assert_eq!(namespaces.names().collect::<Vec<_>>(), ["user"], "{around}");

        if !ends_in_class {
            let between = format!("{USER}{around}\n{around}\nclass doc implements Namespace {{}}\n{around}");
            assert_eq!(parsed(&between).names().collect::<Vec<_>>(), ["doc", "user"]);
        }
    }
}

#[test]
fn nesting_is_bounded_as_in_keto() {
    let a = "this.related.a.includes(ctx.subject)";
    let nested = |levels: usize| format!("{}{a}{}", "(".repeat(levels), ")".repeat(levels));

    parsed(&with_permit(&nested(9)));

    let refused = refusals(&with_permit(&nested(10)));
    assert!(
        refused[0].ends_with("expression nested too deeply; maximal nesting depth is 10"),
        "{refused:?}"
    );
    refusals(&with_permit(&nested(100_000 / 2)));
}

#[test]
fn only_a_conjunction_behind_a_disjunction_is_read_otherwise_than_in_typescript() {
    let a = "this.permits.p(ctx)";
    let mixed = |expression: &str| parsed(&with_permit(expression)).mixed_operators().len();

    assert_eq!(mixed(&format!("{a} || {a} && {a}")), 1);
    assert_eq!(mixed(&format!("{a} && {a} || {a}")), 0);
    assert_eq!(mixed(&format!("{a} && {a} || {a} && {a}")), 1);
    assert_eq!(mixed(&format!("{a} || ({a} && {a})")), 0);
    assert_eq!(mixed(&format!("({a} || {a}) && {a}")), 0);
}

#[test]
fn operators_are_bounded() {
    let chain = |operators: usize| {
        let mut text = "this.permits.p(ctx)".to_owned();
        for index in 0..operators {
            let operator = if index % 2 == 0 { "&&" } else { "||" };
            write!(text, " {operator} this.permits.p(ctx)").unwrap();
        }
        with_permit(&text)
    };

    parsed(&chain(99));
    parsed(&chain(100));
    assert!(refusals(&chain(101))[0].ends_with("more than 100 operators in one expression"));
    refusals(&chain(5_000));
}

#[test]
fn size_and_number_of_reports_are_bounded() {
    let fits = format!("//{}", " ".repeat(MAX_SOURCE_BYTES - 2));
    parsed(&fits);
    assert_eq!(
        refusals(&format!("{fits} ")),
        ["line 1, column 1: the source is larger than 262144 bytes"]
    );

    assert_eq!(refusals(&"class a { ".repeat(1_000)).len(), MAX_ERRORS);
    let types = "nope | ".repeat(1_000);
    assert_eq!(
        refusals(&with_type(&format!("({types} user)[]"))).len(),
        MAX_ERRORS
    );
}

#[test]
fn checking_types_takes_a_bounded_time() {
    // Every relation is a set of every other one: the paths through them are beyond counting.
    let names: Vec<String> = (0..60).map(|index| format!("r{index}")).collect();
    let all: Vec<String> = names
        .iter()
        .map(|name| format!("SubjectSet<n, \"{name}\">"))
        .collect();
    let mut source = "class n implements Namespace { related: {".to_owned();
    for name in &names {
        writeln!(source, "{name}: ({})[]", all.join(" | ")).unwrap();
    }
    source.push_str("} permits = {");
    for name in &names {
        writeln!(
            source,
            "p{name}: (ctx) => this.related.{name}.traverse(x => x.permits.pr0(ctx)),"
        )
        .unwrap();
    }
    source.push_str("} }");

    refusals(&source);
}

proptest! {
    #[test]
    fn any_text_is_answered_without_a_panic(source in "\\PC{0,200}") {
        let _ = parse(&source);
    }

    #[test]
    fn any_order_of_tokens_is_answered_without_a_panic(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "class", "user", "implements", "Namespace", "{", "}", "related", ":", "permits", "=", "(", ")",
                "ctx", "=>", "this", ".", "includes", "subject", "traverse", "x", "&&", "||", "!", "[", "]", "<",
                ">", "|", "SubjectSet", "Array", "\"a\"", "'", "/*", "*/", "//", "\n", ",", ";", "import", "from", "export", "type",
                "interface", "as", "default", "é",
            ]),
            0..60,
        )
    ) {
        let _ = parse(&tokens.join(" "));
    }
}
