use super::{errors, expanded, squeezed, wraps};
use crate::attribute::Attribute;

const HANDLER: &str = "#[get(\"/x\")] async fn h() -> String { x }";

#[track_caller]
fn error_of(word: Attribute, arguments: &str, item: &str) -> String {
    let expansion = expanded(word, arguments, item);
    let errors = errors(&expansion);
    assert_eq!(errors.len(), 1, "{expansion}");
    assert!(
        wraps(&expansion).iter().all(|wrap| !wrap.contains("iam_actix")),
        "{expansion}"
    );
    errors[0].clone()
}

#[track_caller]
fn permission_error(arguments: &str) -> String {
    error_of(Attribute::RequirePermission, arguments, HANDLER)
}

#[test]
fn on_error_the_item_stays_without_our_attributes() {
    let item = format!("#[require_role(\"a\")] /// Words.\n #[single_use] {HANDLER}");

    let printed = squeezed(&expanded(Attribute::Public, "1", &item).to_string());

    assert!(
        printed.contains("#[get(\"/x\")]asyncfnh()->String{x}::core::compile_error!"),
        "{printed}"
    );
    assert!(
        !printed.contains("#[require_role") && !printed.contains("#[single_use"),
        "{printed}"
    );
}

#[test]
fn mistakes_of_several_attributes_are_reported_together() {
    let item = format!("#[require_role()] #[require_scope(\"a b\")] {HANDLER}");

    let errors = errors(&expanded(Attribute::Public, "1", &item));

    assert_eq!(errors.len(), 3, "{errors:?}");
}

#[test]
fn attributes_without_arguments_take_none() {
    for attribute in [
        Attribute::Public,
        Attribute::Optional,
        Attribute::Protected,
        Attribute::SingleUse,
    ] {
        let error = error_of(attribute, "\"x\"", HANDLER);
        assert!(error.contains("takes no arguments: write `#["), "{error}");
    }
}

#[test]
fn without_a_route_attribute_the_builder_form_is_named() {
    let error = error_of(Attribute::Public, "", "async fn health() -> String { x }");
    assert!(error.contains("`web::get().to(health).public()`"), "{error}");
    assert!(error.contains("above the route attribute"), "{error}");

    let error = error_of(
        Attribute::RequireRole,
        "\"a\"",
        "async fn adjust() -> String { x }",
    );
    assert!(
        error.contains("`web::get().to(adjust).require_role(…)`"),
        "{error}"
    );
}

#[test]
fn below_the_route_attribute_it_has_no_effect() {
    let item = "#[get(\"/x\")] #[require_role(\"a\")] async fn h() -> String { x }";
    assert!(error_of(Attribute::SingleUse, "", item).contains("move it above"));

    let item = "#[routes] #[require_role(\"a\")] #[get(\"/x\")] async fn h() -> String { x }";
    assert!(error_of(Attribute::SingleUse, "", item).contains("move it above"));
}

/// D40: opening a route switched the checks of its roles and permissions off without a word.
#[test]
fn public_with_a_requirement_is_refused_in_either_order() {
    for requirement in [
        "require_role(\"a\")",
        "require_scope(\"a\")",
        "require_permission(\"a:b#c\")",
        "single_use",
        "protected",
    ] {
        let error = error_of(Attribute::Public, "", &format!("#[{requirement}] {HANDLER}"));
        assert!(
            error.starts_with("`#[public]` opens the route to everybody"),
            "{error}"
        );
        let error = error_of(Attribute::Optional, "", &format!("#[{requirement}] {HANDLER}"));
        assert!(
            error.starts_with("`#[optional]` lets callers without a credential in"),
            "{error}"
        );
    }

    let error = error_of(Attribute::RequireRole, "\"a\"", &format!("#[public] {HANDLER}"));
    assert!(
        error.contains("`#[require_role]` does not: remove one of them"),
        "{error}"
    );
    let error = error_of(Attribute::SingleUse, "", &format!("#[optional] {HANDLER}"));
    assert!(
        error.contains("`#[single_use]` does not: remove one of them"),
        "{error}"
    );
}

#[test]
fn public_with_optional_is_refused_in_either_order() {
    assert!(
        error_of(Attribute::Public, "", &format!("#[optional] {HANDLER}")).contains("remove one of them")
    );
    assert!(
        error_of(Attribute::Optional, "", &format!("#[public] {HANDLER}")).contains("remove one of them")
    );
}

#[test]
fn a_word_that_says_everything_is_said_once() {
    assert!(error_of(Attribute::Public, "", &format!("#[public] {HANDLER}")).contains("given twice"));
    assert!(error_of(Attribute::SingleUse, "", &format!("#[single_use] {HANDLER}")).contains("given twice"));
}

#[test]
fn a_requirement_of_nothing_is_refused() {
    assert!(error_of(Attribute::RequireRole, "", HANDLER).contains("needs at least one role"));
    assert!(error_of(Attribute::RequireScope, "", HANDLER).contains("needs at least one scope"));
    assert!(permission_error("").contains("accepts `namespace"));
    assert!(permission_error("any()").contains("at least one permission"));
    assert!(permission_error("all(\"a:b#c\", any())").contains("at least one permission"));
    let error = error_of(Attribute::Public, "", &format!("#[require_role] {HANDLER}"));
    assert!(error.contains("needs at least one role"), "{error}");
}

#[test]
fn a_role_or_scope_is_text_of_its_grammar_and_listed_once() {
    assert!(error_of(Attribute::RequireRole, "ADMIN", HANDLER).contains("accepts roles in quotes"));
    assert!(error_of(Attribute::RequireRole, "\"a\" \"b\"", HANDLER).contains("expected `,`"));
    assert!(error_of(Attribute::RequireRole, "\"\"", HANDLER).contains("this role is empty"));
    assert!(error_of(Attribute::RequireRole, "\"a,b\"", HANDLER).contains("in quotes of its own"));
    assert!(error_of(Attribute::RequireRole, "\"a\", \"a\"", HANDLER).contains("listed twice"));
    assert!(error_of(Attribute::RequireScope, "\"a b\"", HANDLER).contains("in quotes of its own"));
    assert!(error_of(Attribute::RequireScope, "\"ä\"", HANDLER).contains("not allowed (at byte 0)"));
}

#[test]
fn a_permission_is_written_in_one_of_its_forms() {
    assert!(permission_error("42").contains("accepts `namespace"));
    assert!(permission_error("\"a:b#c\", \"d:e#f\"").contains("takes one tuple: write `any(…)`"));
    assert!(permission_error("none(\"a:b#c\")").contains("unknown combination `none`"));
    assert!(permission_error("any").contains("unknown argument `any`"));
    assert!(permission_error("any(namespace = \"a\")").contains("unknown combination `namespace`"));
    assert!(permission_error("namespace = \"a\", relation = \"b\"").contains("lacks `object"));
    let named = "namespace = \"n\", relation = \"r\", object = \"o\"";
    assert!(permission_error(&format!("{named}, fresh, fresh")).contains("`fresh` is given twice"));
    assert!(permission_error(&format!("fresh = true, {named}")).contains("`fresh` takes no value"));
    assert!(permission_error("\"n:o#r\", fresh, fresh").contains("`fresh` is given twice"));
    assert!(permission_error("\"n:o#r\", fesh").contains("unknown argument `fesh`"));
    assert!(permission_error("any(\"n:o#r\", fresh)").contains("unknown combination `fresh`"));
    assert!(permission_error("fresh").contains("lacks `namespace"));
    assert!(
        permission_error("name = \"a\"")
            .contains("accepted are `namespace`, `relation`, `object` and `fresh`")
    );
    assert!(permission_error("object = \"a\", object = \"b\"").contains("`object` is given twice"));
    assert!(permission_error("object = id").contains("write `object = \"…\"`"));
    assert!(permission_error("object \"a\"").contains("write `object = \"…\"`"));
}

#[test]
fn a_permission_is_read_by_the_grammar_of_the_core() {
    assert!(permission_error("\"a:b@c\"").contains("expected `#`"));
    assert!(permission_error("any(\"a:b#c\", \"a::b#c\")").contains("an empty object (at byte 2)"));
    assert!(permission_error("\"{ns}:b#c\"").contains("a namespace cannot contain a placeholder"));
    assert!(permission_error("\"a:{id#c\"").contains("invalid relation tuple"));

    let named = |namespace, relation, object| {
        permission_error(&format!(
            "namespace = \"{namespace}\", relation = \"{relation}\", object = \"{object}\""
        ))
    };
    assert!(named("a:b", "r", "o").contains("this namespace contains a character"));
    assert!(named("n", "", "o").contains("this relation is empty"));
    assert!(named("n", "r", "{{id}}").contains("invalid object template"));
    assert!(named("n", "r", "o#r").contains("invalid object template"));
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| format!("{}\"a:b#c\"{}", "any(".repeat(depth), ")".repeat(depth));

    assert_eq!(
        errors(&expanded(Attribute::RequirePermission, &nested(8), HANDLER)),
        Vec::<String>::new()
    );
    assert!(permission_error(&nested(9)).contains("nested too deeply"));
    assert!(permission_error(&nested(40)).contains("nested too deeply"));
}

/// The grammar of the core has the same bound, but sees a permission only when all in it is read: the stack would be the
/// compiler's.
#[test]
fn what_is_nested_too_deeply_is_not_read() {
    let nested = |depth: usize| format!("{}\"no tuple\"{}", "any(".repeat(depth), ")".repeat(depth));

    assert!(permission_error(&nested(9)).contains("invalid relation tuple"));
    assert!(permission_error(&nested(10)).contains("nested too deeply"));
}

#[test]
fn a_placeholder_that_the_route_lacks_is_not_a_compile_error() {
    let expansion = expanded(Attribute::RequirePermission, "\"a:{of_the_scope}#c\"", HANDLER);

    assert_eq!(errors(&expansion), Vec::<String>::new());
}

#[test]
fn what_is_no_handler_is_refused() {
    for item in [
        "struct S;",
        "impl S { fn f() {} }",
        "const X: u8 = 1;",
        "pub enum E {}",
        "trait T {}",
    ] {
        let error = error_of(Attribute::Public, "", item);
        assert!(
            error.contains("belongs above the route attribute of an `async fn`"),
            "{item}: {error}"
        );
    }

    let error = error_of(Attribute::Public, "", "#[get(\"/x\")] fn h() -> String { x }");
    assert!(error.contains("write `async fn h`"), "{error}");
}

#[test]
fn a_module_needs_its_scope_attribute_and_a_route() {
    let error = error_of(
        Attribute::Public,
        "",
        "mod m { #[get(\"/x\")] async fn h() -> String { x } }",
    );
    assert!(error.contains("above `#[scope(\"/prefix\")]`"), "{error}");

    let error = error_of(
        Attribute::Public,
        "",
        "#[scope(\"/p\")] mod m { async fn h() -> String { x } }",
    );
    assert!(error.contains("covers no route"), "{error}");
}

#[test]
fn a_route_that_the_scope_does_not_reach_is_refused() {
    let covered = "#[get(\"/a\")] async fn a() -> String { x }";
    for uncovered in [
        "#[actix_web::get(\"/b\")] async fn b() -> String { x }",
        "mod inner { #[get(\"/b\")] async fn b() -> String { x } }",
        "#[cfg_attr(feature = \"x\", get(\"/b\"))] async fn b() -> String { x }",
        "fn config() { #[get(\"/b\")] async fn b() -> String { x } }",
        "#[get(\"/c\")] async fn c() -> String { #[post(\"/b\")] async fn b() -> String { x } }",
        "routes! { #[get(\"/b\")] async fn b() -> String { x } }",
        "#[fetch(\"/b\")] async fn b() -> String { x }",
        "impl S { #[get(\"/b\")] async fn b() -> String { x } }",
    ] {
        let error = error_of(
            Attribute::RequireRole,
            "\"a\"",
            &format!("#[scope(\"/p\")] mod m {{ {covered} {uncovered} }}"),
        );
        assert!(
            error.contains("`#[scope]` does not reach this route"),
            "{uncovered}: {error}"
        );
    }
}

#[test]
fn a_route_cannot_open_itself_in_a_module_with_a_requirement() {
    for word in ["public", "optional", "iam_actix::public"] {
        let item =
            format!("#[scope(\"/p\")] mod m {{ #[{word}] #[get(\"/a\")] async fn a() -> String {{ x }} }}");

        let error = error_of(Attribute::RequireRole, "\"a\"", &item);
        assert!(
            error.contains("has no effect in a module with `#[require_role]`"),
            "{error}"
        );
        assert_eq!(
            errors(&expanded(Attribute::Public, "", &item)),
            Vec::<String>::new()
        );
    }
}

/// A placeholder that no parameter fills was found at the first start of the application only.
#[test]
fn a_certainly_wrong_placeholder_is_refused_and_an_uncertain_one_is_not() {
    let with = |path: &str, tuple: &str| {
        let item = format!("#[get(\"{path}\")] async fn h() -> String {{ x }}");
        errors(&expanded(Attribute::RequirePermission, tuple, &item))
    };

    let error = with("/orders/{order_id:[0-9]{2}}", "\"orders:{orderId}#view\"");
    assert_eq!(
        error,
        ["the path has no parameter `{orderId}`: did you mean `{order_id}`?"]
    );
    let error = with("/users/{user}", "all(\"a:b#c\", \"users:{user}#view\")");
    assert!(error[0].contains("rename the parameter of the path"), "{error:?}");
    for (path, tuple) in [
        ("/x", "\"a:{sku}#c\""),
        ("/x/{id}", "\"a:{sku}#c\""),
        ("/x/{ids}", "\"a:{id}#c\""),
        ("/x/{id}", "\"a:{id}#c@{user}\""),
        ("/users/{user}", "\"a:b#c\""),
    ] {
        assert_eq!(with(path, tuple), Vec::<String>::new(), "{path} {tuple}");
    }

    let module = "#[scope(\"/{order_id}\")] mod m { #[get(\"/{id}\")] async fn h() -> String { x } }";
    let error = errors(&expanded(
        Attribute::RequirePermission,
        "\"orders:{orderId}#view\"",
        module,
    ));
    assert_eq!(error.len(), 1, "{error:?}");
}
