use crate::attribute::Attribute;

fn word(path: &str) -> Option<Attribute> {
    Attribute::of(&syn::parse_str(path).unwrap())
}

#[test]
fn an_attribute_is_ours_by_its_bare_name_or_behind_its_crate() {
    for path in [
        "public",
        "iam_actix::public",
        "::iam_actix::public",
        "iam_macros::public",
    ] {
        assert_eq!(word(path), Some(Attribute::Public), "{path}");
    }
}

/// Of another crate's attribute nothing is known: to take it for ours would open a route.
#[test]
fn an_attribute_of_another_path_is_not_ours() {
    for path in [
        "publicly",
        "::public",
        "actix_web::public",
        "crate::public",
        "self::iam_actix::public",
        "iam_actix",
        "iam_actix::publicly",
        "iam_actix::public::handler",
        "iam_actix::public::public",
        "iam_actix::iam_actix::public",
        "iam_macros::public::a::b",
    ] {
        assert_eq!(word(path), None, "{path}");
    }
}
