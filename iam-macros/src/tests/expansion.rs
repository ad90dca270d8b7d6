use super::{errors, expanded, squeezed, wraps};
use crate::attribute::Attribute;

/// The wrapper around a chain of calls on a handler called `h`.
fn enforce(calls: &str) -> String {
    squeezed(&format!(
        "::iam_actix::__private::Enforce::new(::iam_actix::__private::RoutePolicy::new(\
         ::core::concat!(::core::file!(), \":\", ::core::line!()), \"h\") {calls})"
    ))
}

#[track_caller]
fn wrap_of(word: Attribute, arguments: &str, item: &str) -> String {
    let expansion = expanded(word, arguments, item);
    assert_eq!(errors(&expansion), Vec::<String>::new());
    let wraps = wraps(&expansion);
    assert_eq!(wraps.len(), 1, "{expansion}");
    squeezed(&wraps[0])
}

#[test]
fn the_whole_expansion_is_what_one_could_write_by_hand() {
    let expansion = expanded(
        Attribute::Public,
        "",
        "#[get(\"/x\")] pub async fn h(a: u8) -> String { a + 1 }",
    );

    let wrap = "::iam_actix :: __private :: Enforce :: new (:: iam_actix :: __private :: RoutePolicy :: new \
                (:: core :: concat ! (:: core :: file ! () , \\\":\\\" , :: core :: line ! ()) , \\\"h\\\") . public ())";
    assert_eq!(
        squeezed(&expansion.to_string()),
        squeezed(&format!(
            "#[get(\"/x\", wrap = \"{wrap}\")] pub async fn h(a: u8) -> String {{ a + 1 }}"
        ))
    );
}

#[test]
fn each_attribute_becomes_one_call() {
    let item = "#[get(\"/x\")] async fn h() -> String { String::new() }";

    assert_eq!(wrap_of(Attribute::Public, "", item), enforce(".public()"));
    assert_eq!(wrap_of(Attribute::Optional, "", item), enforce(".optional()"));
    assert_eq!(wrap_of(Attribute::Protected, "", item), enforce(".protected()"));
    assert_eq!(wrap_of(Attribute::SingleUse, "", item), enforce(".single_use()"));
    assert_eq!(
        wrap_of(Attribute::RequireRole, "\"a\", \"b\",", item),
        enforce(".require_role([\"a\", \"b\"])")
    );
    assert_eq!(
        wrap_of(Attribute::RequireScope, "\"a:b\"", item),
        enforce(".require_scope([\"a:b\"])")
    );
}

#[test]
fn each_form_of_a_permission_can_be_fresh() {
    let item = "#[get(\"/x\")] async fn h() -> String { String::new() }";
    let tuple = "::iam_actix::__private::Permission::tuple(\"n:o#r\")";
    let object = "::iam_actix::__private::Permission::new(\"n\", \"r\", \"o\")";
    let any = format!("::iam_actix::__private::Permission::any([{tuple}])");

    for (arguments, permission) in [
        ("\"n:o#r\", fresh", tuple),
        ("\"n:o#r\", fresh,", tuple),
        ("any(\"n:o#r\"), fresh", &any),
        (
            "namespace = \"n\", relation = \"r\", object = \"o\", fresh",
            object,
        ),
        (
            "namespace = \"n\", fresh, relation = \"r\", object = \"o\"",
            object,
        ),
        (
            "fresh, namespace = \"n\", relation = \"r\", object = \"o\",",
            object,
        ),
    ] {
        assert_eq!(
            wrap_of(Attribute::RequirePermission, arguments, item),
            enforce(&format!(".require_fresh_permission({permission})")),
            "{arguments}"
        );
    }
}

#[test]
fn each_form_of_a_permission_becomes_the_constructor_of_the_same_name() {
    let item = "#[get(\"/x\")] async fn h() -> String { String::new() }";

    assert_eq!(
        wrap_of(
            Attribute::RequirePermission,
            "object = \"orders:{id}\", namespace = \"orders\", relation = \"view\"",
            item
        ),
        enforce(
            ".require_permission(::iam_actix::__private::Permission::new(\"orders\", \"view\", \"orders:{id}\"))"
        )
    );
    assert_eq!(
        wrap_of(
            Attribute::RequirePermission,
            "\"Cat:{id}#owners@User:{user}\",",
            item
        ),
        enforce(
            ".require_permission(::iam_actix::__private::Permission::tuple(\"Cat:{id}#owners@User:{user}\"))"
        )
    );
    assert_eq!(
        wrap_of(
            Attribute::RequirePermission,
            "any(\"a:b#c\", all(\"d:e#f@g\", \"h:i#j\",))",
            item
        ),
        enforce(
            ".require_permission(::iam_actix::__private::Permission::any([\
             ::iam_actix::__private::Permission::tuple(\"a:b#c\"), \
             ::iam_actix::__private::Permission::all([\
             ::iam_actix::__private::Permission::tuple(\"d:e#f@g\"), \
             ::iam_actix::__private::Permission::tuple(\"h:i#j\")])]))"
        )
    );
}

#[test]
fn a_quoted_part_of_a_tuple_survives_the_text_inside_a_text() {
    let item = "#[get(\"/x\")] async fn h() -> String { String::new() }";

    let literal = r#""orders:{id}#view@\"user:{sub}\"""#;
    let wrap = wrap_of(Attribute::RequirePermission, literal, item);

    let expression: syn::Expr = syn::parse_str(&wrap).unwrap();
    let printed = quote::quote!(#expression).to_string();
    assert!(printed.contains(literal), "{printed}");
}

/// D38: a second requirement replaced the first.
#[test]
fn a_second_requirement_never_replaces_the_first() {
    let stacked = "#[require_role(\"b\")] #[doc = \"x\"] #[require_permission(\"n:o#r\")] #[single_use] \
                   #[iam_actix::require_scope(\"s\")] #[::iam_actix::require_role(\"c\")] \
                   #[get(\"/x\")] async fn h() -> String { String::new() }";

    assert_eq!(
        wrap_of(Attribute::RequireRole, "\"a\"", stacked),
        enforce(
            ".require_role([\"a\"]).require_role([\"b\"])\
             .require_permission(::iam_actix::__private::Permission::tuple(\"n:o#r\"))\
             .single_use().require_scope([\"s\"]).require_role([\"c\"])"
        )
    );
}

#[test]
fn consumed_attributes_leave_the_item_and_are_named_so_that_their_imports_are_used() {
    let item = "#[single_use] #[iam_actix::require_role(\"a\")] #[get(\"/x\")] async fn h() -> String { x }";

    let printed = squeezed(&expanded(Attribute::RequireScope, "\"s\"", item).to_string());

    assert!(
        printed.starts_with("const_:()={#[allow(unused_imports)]usesingle_useas_;};#[get("),
        "{printed}"
    );
    assert!(!printed.contains("#[single_use]"), "{printed}");
    assert!(!printed.contains("#[iam_actix"), "{printed}");
}

#[test]
fn attributes_of_others_stay_where_they_are() {
    let item = "/// Words.\n #[cfg(feature = \"x\")] #[other::public] #[my::deep::optional] \
                #[get(\"/x\")] #[instrument] async fn h() -> String { x }";

    let printed = squeezed(&expanded(Attribute::Public, "", item).to_string());

    assert!(
        printed.starts_with("#[doc=r\"Words.\"]#[cfg(feature=\"x\")]")
            || printed.starts_with("#[doc=\"Words.\"]#[cfg("),
        "{printed}"
    );
    assert!(
        printed.contains("#[other::public]#[my::deep::optional]#[get("),
        "{printed}"
    );
    assert!(printed.contains("#[instrument]asyncfnh()"), "{printed}");
}

#[test]
fn every_route_attribute_is_recognised_bare_and_behind_a_path() {
    for name in [
        "get", "post", "put", "delete", "head", "connect", "options", "trace", "patch", "query", "route",
    ] {
        for prefix in ["", "actix_web::", "::actix_web::", "web::renamed::"] {
            let item = format!("#[{prefix}{name}(\"/x\")] async fn h() -> String {{ x }}");
            assert_eq!(
                wrap_of(Attribute::Public, "", &item),
                enforce(".public()"),
                "{prefix}{name}"
            );
        }
    }
}

#[test]
fn under_routes_every_route_gets_the_wrapper() {
    let item = "#[routes] #[get(\"/a\")] #[post(\"/b\", name = \"n\")] async fn h() -> String { x }";

    let expansion = expanded(Attribute::SingleUse, "", item);

    assert_eq!(errors(&expansion), Vec::<String>::new());
    assert_eq!(
        wraps(&expansion)
            .iter()
            .map(|it| squeezed(it))
            .collect::<Vec<_>>(),
        [enforce(".single_use()"), enforce(".single_use()")]
    );
}

#[test]
fn the_wrapper_comes_last_so_that_it_is_the_outermost() {
    for comma in ["", ","] {
        let item = format!(
            "#[route(\"/x\", method = \"GET\", guard = \"g\", wrap = \"mine()\", name = \"n\"{comma})] \
             async fn h() -> String {{ x }}"
        );

        let expansion = expanded(Attribute::Public, "", &item);

        let printed = squeezed(&expansion.to_string());
        let expected =
            "#[route(\"/x\",method=\"GET\",guard=\"g\",wrap=\"mine()\",name=\"n\",wrap=\"::iam_actix";
        assert!(printed.starts_with(expected), "{printed}");
        assert_eq!(wraps(&expansion).len(), 2);
    }
}

#[test]
fn a_raw_name_is_reported_without_its_mark() {
    let wrap = wrap_of(
        Attribute::Public,
        "",
        "#[get(\"/x\")] async fn r#move() -> String { x }",
    );

    assert!(wrap.contains("\"move\""), "{wrap}");
}

#[test]
fn a_module_covers_each_bare_route_of_its_own_functions() {
    let item = "#[actix_web::scope(\"/p\")] pub mod h { use x::y; \
                #[get(\"/a\")] pub async fn a() -> String { x } \
                #[require_role(\"b\")] #[routes] #[put(\"/b\")] #[post(\"/c\", guard = \"g\")] pub async fn b() -> String { x } \
                fn helper() {} struct S; }";

    let expansion = expanded(Attribute::RequireRole, "\"a\"", item);

    assert_eq!(errors(&expansion), Vec::<String>::new());
    let wraps = wraps(&expansion);
    assert_eq!(wraps.len(), 3);
    assert!(
        wraps
            .iter()
            .all(|wrap| squeezed(wrap) == enforce(".require_role([\"a\"])"))
    );
    // The function's own attribute expands later and appends its own wrapper behind.
    assert!(squeezed(&expansion.to_string()).contains("#[require_role(\"b\")]#[routes]#[put("));
}
