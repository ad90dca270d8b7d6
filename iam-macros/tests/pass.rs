//! What compiles without a word: each file stands beside the mistakes that it avoids.

#![deny(warnings)]

macro_rules! compiles {
    ($($name:ident = $file:literal;)*) => {$(
        mod $name {
            include!($file);

            #[test]
            fn is_registered() {
                main();
            }
        }
    )*};
}

compiles! {
    anonymous_with_a_tenant_and_a_transport = "ui/anonymous/pass/with_a_tenant_and_a_transport.rs";
    optional_on_a_handler = "ui/optional/pass/on_a_handler.rs";
    protected_on_a_handler = "ui/protected/pass/on_a_handler.rs";
    protected_on_a_module = "ui/protected/pass/on_a_module.rs";
    public_on_a_handler = "ui/public/pass/on_a_handler.rs";
    public_under_a_new_name = "ui/public/pass/under_a_new_name.rs";
    require_aal_with_an_age_and_a_role = "ui/require_aal/pass/with_an_age_and_a_role.rs";
    require_permission_in_every_form = "ui/require_permission/pass/in_every_form.rs";
    require_permission_with_a_placeholder_of_the_scope_above = "ui/require_permission/pass/with_a_placeholder_of_the_scope_above.rs";
    require_permission_with_similar_names_of_different_words = "ui/require_permission/pass/with_similar_names_of_different_words.rs";
    require_role_from_a_macro_by_example = "ui/require_role/pass/from_a_macro_by_example.rs";
    require_role_on_a_module = "ui/require_role/pass/on_a_module.rs";
    require_role_stacked_with_others_in_any_order = "ui/require_role/pass/stacked_with_others_in_any_order.rs";
    require_role_under_a_condition = "ui/require_role/pass/under_a_condition.rs";
    require_scope_on_a_handler = "ui/require_scope/pass/on_a_handler.rs";
    single_use_on_a_handler = "ui/single_use/pass/on_a_handler.rs";
    tenant_on_a_public_route = "ui/tenant/pass/on_a_public_route.rs";
    transport_of_an_ordered_list = "ui/transport/pass/an_ordered_list.rs";
    transport_beside_a_requirement = "ui/transport/pass/beside_a_requirement.rs";
}
