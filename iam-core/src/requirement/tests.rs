use proptest::prelude::*;

use super::*;

fn policy() -> RoutePolicy {
    RoutePolicy::new("file.rs:1", "route")
}

fn access(policies: &[&RoutePolicy]) -> Access {
    EffectivePolicy::merge(policies).unwrap().access()
}

/// R112
#[test]
fn a_route_that_says_nothing_is_protected() {
    assert_eq!(access(&[]), Access::Protected);
    assert_eq!(access(&[&policy()]), Access::Protected);
    assert_eq!(access(&[&policy().tenant("acme")]), Access::Protected);
}

/// D40
#[test]
fn public_does_not_switch_off_a_requirement() {
    let public = policy().public();
    let requirements = [
        policy().require_role(["admin"]),
        policy().require_scope(["write"]),
        policy().require_permission(Permission::new("orders", "view", "orders:{id}")),
        policy().single_use(),
    ];

    for requirement in &requirements {
        assert_eq!(access(&[&public, requirement]), Access::Protected);
        assert_eq!(access(&[requirement, &public]), Access::Protected);
        assert_eq!(access(&[&policy().optional(), requirement]), Access::Protected);
        assert_eq!(access(&[&requirement.clone().public()]), Access::Protected);
        assert_eq!(access(&[&requirement.clone().optional()]), Access::Protected);
    }
}

#[test]
fn the_strictest_access_on_the_way_counts() {
    let (public, optional, protected) = (policy().public(), policy().optional(), policy().protected());

    assert_eq!(access(&[&public, &protected]), Access::Protected);
    assert_eq!(access(&[&protected, &public]), Access::Protected);
    assert_eq!(access(&[&optional, &protected]), Access::Protected);
    assert_eq!(access(&[&public, &optional]), Access::Optional);
    assert_eq!(access(&[&optional, &public]), Access::Optional);
    assert_eq!(access(&[&policy().protected().public()]), Access::Protected);
}

#[test]
fn a_public_scope_opens_what_says_nothing() {
    assert_eq!(access(&[&policy().public()]), Access::Public);
    assert_eq!(access(&[&policy().public(), &policy()]), Access::Public);
    assert_eq!(access(&[&policy().optional(), &policy()]), Access::Optional);
}

/// D38, R112
#[test]
fn a_second_requirement_does_not_replace_the_first() {
    let stacked = policy()
        .require_role(["a", "b"])
        .require_role(["c"])
        .require_scope(["read"])
        .require_scope(["write"])
        .require_permission(Permission::new("orders", "view", "orders:{id}"))
        .require_permission(Permission::new("orders", "edit", "orders:{id}"));

    let merged = EffectivePolicy::merge(&[&stacked]).unwrap();

    assert_eq!(
        merged.requirements(),
        [
            "role:a|b",
            "role:c",
            "scope:read",
            "scope:write",
            "permission:orders:orders:{id}#view",
            "permission:orders:orders:{id}#edit",
        ]
    );
}

/// D39
#[test]
fn a_requirement_of_the_route_does_not_replace_that_of_the_scope() {
    let scope = policy().require_role(["superadmin"]);
    let route = policy().require_role(["user"]).single_use();

    let merged = EffectivePolicy::merge(&[&scope, &route]).unwrap();

    assert_eq!(
        merged.requirements(),
        ["role:superadmin", "role:user", "single_use"]
    );
}

#[test]
fn two_tenants_or_transports_on_one_way_are_no_policy() {
    let acme = policy().tenant("acme");
    let other = policy().tenant("other");

    assert_eq!(
        EffectivePolicy::merge(&[&acme, &other]).unwrap_err(),
        Conflict::Tenants
    );
    assert_eq!(
        EffectivePolicy::merge(&[&acme.clone().tenant("other")]).unwrap_err(),
        Conflict::Tenants
    );
    assert_eq!(
        EffectivePolicy::merge(&[
            &policy().transport(Transport::Oathkeeper),
            &policy().transport(Transport::Cookie)
        ])
        .unwrap_err(),
        Conflict::Transports
    );
    let same = EffectivePolicy::merge(&[&acme, &policy().public(), &policy().tenant("acme")]).unwrap();
    assert_eq!(same.tenant(), Some("acme"));
    assert_eq!(same.access(), Access::Public);
}

#[test]
fn more_permissions_than_one_question_may_hold_are_no_policy() {
    use iam_grammar::permission::{MAX_DEPTH, MAX_TUPLES};

    let many = |name: &str, count: usize| {
        Permission::any((0..count).map(|index| Permission::tuple(&format!("a:{name}-{index}#r"))))
    };
    let deep = (0..MAX_DEPTH).fold(Permission::tuple("a:b#c"), |inner, _| Permission::all([inner]));
    let scope = policy().require_permission(many("x", MAX_TUPLES));
    let small = policy().require_permission(many("y", 1));
    let deep = policy().require_permission(deep);

    for policies in [[&scope, &small], [&small, &deep], [&deep, &scope]] {
        assert_eq!(
            EffectivePolicy::merge(&policies).unwrap_err(),
            Conflict::TooManyPermissions
        );
    }
    for alone in [&scope, &small, &deep] {
        assert!(EffectivePolicy::merge(&[alone]).unwrap().permission().is_some());
    }
    assert_eq!(Conflict::TooManyPermissions.reason(), Reason::InvalidRequirement);
}

#[test]
fn what_cannot_be_asked_refuses_everybody_even_when_public() {
    let broken = [
        policy().require_role(Vec::<String>::new()),
        policy().require_role([""]),
        policy().require_scope(Vec::<String>::new()),
        policy().require_scope(["a b"]),
        policy().require_permission(Permission::new("", "view", "x")),
        policy().tenant("../b"),
    ];

    for broken in &broken {
        let conflict = EffectivePolicy::merge(&[&policy().public(), broken]).unwrap_err();
        assert!(matches!(
            conflict.reason(),
            Reason::InvalidRequirement | Reason::UnknownTenant
        ));
    }
}

#[test]
fn one_fresh_permission_on_the_way_makes_all_of_them_fresh() {
    let plain = || policy().require_permission(Permission::tuple("docs:{id}#view"));
    let fresh = policy().require_fresh_permission(Permission::tuple("vault:{id}#open"));

    let merged = EffectivePolicy::merge(&[&plain(), &plain()]).unwrap();
    assert_eq!(merged.freshness(), Freshness::Cached);

    for policies in [[&plain(), &fresh], [&fresh, &plain()]] {
        let merged = EffectivePolicy::merge(&policies).unwrap();

        assert_eq!(merged.freshness(), Freshness::Fresh);
        assert!(merged.requirements().contains(&"fresh_permissions".to_owned()));
        assert_eq!(merged.permissions().count(), 2);
    }
}

#[test]
fn a_fresh_permission_that_cannot_be_read_refuses_everybody() {
    let broken = policy().require_fresh_permission(Permission::tuple("docs"));

    let conflict = EffectivePolicy::merge(&[&broken]).unwrap_err();
    assert_eq!(conflict, Conflict::InvalidPermission);
}

fn any_policy() -> impl Strategy<Value = RoutePolicy> {
    (
        proptest::option::of(0..3_u8),
        proptest::collection::vec("[a-c]", 0..3),
        proptest::option::of("[a-b]"),
        proptest::option::of("[a-b]"),
        any::<bool>(),
    )
        .prop_map(|(access, roles, scope, tenant, single_use)| {
            let mut made = match access {
                Some(0) => policy().public(),
                Some(1) => policy().optional(),
                Some(_) => policy().protected(),
                None => policy(),
            };
            for role in roles {
                made = made.require_role([role]);
            }
            if let Some(scope) = scope {
                made = made.require_scope([scope]);
            }
            if let Some(tenant) = tenant {
                made = made.tenant(tenant);
            }
            if single_use { made.single_use() } else { made }
        })
}

proptest! {
    #[test]
    fn a_further_policy_never_weakens(policies in proptest::collection::vec(any_policy(), 1..5), further in any_policy()) {
        let fewer: Vec<_> = policies.iter().collect();
        let more: Vec<_> = policies.iter().chain([&further]).collect();
        let said = policies.iter().any(|policy| policy.access.is_some() || policy.has_requirements());

        match (EffectivePolicy::merge(&fewer), EffectivePolicy::merge(&more)) {
            (Err(_), after) => prop_assert!(after.is_err()),
            (Ok(_), Err(_)) => {}
            (Ok(before), Ok(after)) => {
                prop_assert!(before.requirements().iter().all(|one| after.requirements().contains(one)));
                prop_assert!(before.tenant().is_none() || before.tenant() == after.tenant());
                if said {
                    prop_assert!(before.access() <= after.access());
                }
            }
        }
    }

    #[test]
    fn the_order_is_of_no_consequence(policies in proptest::collection::vec(any_policy(), 0..5)) {
        let forward: Vec<_> = policies.iter().collect();
        let backward: Vec<_> = policies.iter().rev().collect();

        match (EffectivePolicy::merge(&forward), EffectivePolicy::merge(&backward)) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(one.access(), other.access());
                prop_assert_eq!(one.tenant(), other.tenant());
                prop_assert_eq!(one.is_single_use(), other.is_single_use());
                let (mut one, mut other) = (one.requirements(), other.requirements());
                one.sort();
                other.sort();
                prop_assert_eq!(one, other);
            }
            (one, other) => prop_assert!(one.is_err() && other.is_err()),
        }
    }
}

/// Nobody fulfils both, so nothing is chosen.
#[test]
fn a_route_for_requests_without_a_principal_contradicts_every_requirement() {
    let anonymous = policy().anonymous();

    assert_eq!(access(&[&anonymous]), Access::Anonymous);
    assert_eq!(access(&[&anonymous, &policy()]), Access::Anonymous);
    assert_eq!(access(&[&policy().public(), &anonymous]), Access::Anonymous);
    assert_eq!(access(&[&anonymous, &policy().optional()]), Access::Anonymous);
    assert_eq!(access(&[&policy().optional().anonymous()]), Access::Anonymous);
    for other in [
        policy().protected(),
        policy().require_role(["admin"]),
        policy().require_aal(AssuranceLevel::Aal1),
        policy().single_use(),
    ] {
        for conflict in [
            EffectivePolicy::merge(&[&anonymous, &other]),
            EffectivePolicy::merge(&[&other, &anonymous]),
            EffectivePolicy::merge(&[&other.clone().anonymous()]),
            EffectivePolicy::merge(&[&policy().anonymous().protected()]),
        ] {
            let conflict = conflict.unwrap_err();
            assert_eq!(conflict, Conflict::AnonymousPrincipal);
            assert_eq!(conflict.reason(), Reason::PolicyConflict);
        }
    }
}

#[test]
fn the_highest_level_and_the_shortest_age_count() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let merged = EffectivePolicy::merge(&[
        &policy()
            .require_aal(AssuranceLevel::Aal2)
            .require_aal(AssuranceLevel::Aal1),
        &policy()
            .require_fresh_session(minutes(15))
            .require_fresh_session(minutes(60)),
        &policy()
            .require_aal(AssuranceLevel::Aal1)
            .require_fresh_session(minutes(30)),
        &policy().public(),
    ])
    .unwrap();

    assert_eq!(
        merged.step_up(),
        StepUp {
            level: Some(AssuranceLevel::Aal2),
            max_age: Some(minutes(15)),
        }
    );
    assert_eq!(merged.access(), Access::Protected);
    assert_eq!(merged.requirements(), ["aal:aal2", "max_age:900s"]);
    assert_eq!(EffectivePolicy::merge(&[]).unwrap().step_up(), StepUp::default());
}

/// The order is part of the list: another order is another list.
#[test]
fn two_different_lists_of_transports_on_one_way_are_no_policy() {
    let list = || policy().transports([Transport::Oauth2, Transport::Cookie]);
    let merged = EffectivePolicy::merge(&[&list(), &policy().public(), &list()]).unwrap();
    assert_eq!(
        merged.transports(),
        Some(&[Transport::Oauth2, Transport::Cookie][..])
    );

    for other in [
        policy().transport(Transport::Oauth2),
        policy().transports([Transport::Cookie, Transport::Oauth2]),
        policy().transports([Transport::Oauth2, Transport::Cookie, Transport::Oathkeeper]),
    ] {
        let conflict = EffectivePolicy::merge(&[&list(), &other]).unwrap_err();
        assert_eq!(conflict, Conflict::Transports);
    }
    let twice = list().transport(Transport::Oauth2);
    assert_eq!(
        EffectivePolicy::merge(&[&twice]).unwrap_err(),
        Conflict::Transports
    );
}

#[test]
fn an_empty_list_of_transports_or_one_with_a_repetition_refuses_everybody() {
    for list in [
        vec![],
        vec![Transport::Cookie, Transport::Oauth2, Transport::Cookie],
    ] {
        let conflict = EffectivePolicy::merge(&[&policy().transports(list)]).unwrap_err();
        assert_eq!(conflict, Conflict::InvalidTransports);
        assert_eq!(conflict.reason(), Reason::PolicyConflict);
    }
}

#[test]
fn an_age_a_level_or_a_transport_that_is_none_refuses_everybody() {
    let conflict = |policy: RoutePolicy| EffectivePolicy::merge(&[&policy]).unwrap_err();

    for age in [
        Duration::ZERO,
        Duration::from_millis(999),
        Duration::from_millis(1500),
    ] {
        assert_eq!(
            conflict(policy().require_fresh_session(age)),
            Conflict::InvalidAge
        );
    }
    assert_eq!(
        conflict(policy().require_aal_named("AAL2")),
        Conflict::InvalidLevel
    );
    assert_eq!(
        conflict(policy().transports_named(["cookie", "pigeon"])),
        Conflict::InvalidTransport
    );
    for transport in Transport::ALL {
        let merged = EffectivePolicy::merge(&[&policy().transports_named([transport.as_str()])]).unwrap();
        assert_eq!(merged.transports(), Some(&[transport][..]));
    }
}

/// The table of `Access::admit`. D28: an optional route knows its callers; a session that is over locks nobody out of the login page.
#[test]
fn who_is_admitted() {
    let refused = |reason: Reason| Err(Refusal::new(reason));
    let everywhere = [Access::Optional, Access::Anonymous, Access::Protected];

    assert_eq!(Access::Public.admit(Ok(None)), Ok(()));
    for access in everywhere {
        // Nothing was looked at, where something has to be.
        assert_eq!(access.admit(Ok(None)), refused(Reason::MissingCredential));
    }
    for reason in Reason::ALL {
        let is_nobody = matches!(reason, Reason::MissingCredential | Reason::SessionInactive);
        for access in everywhere {
            let admitted = access.admit(Err(reason.into())).is_ok();
            assert_eq!(
                admitted,
                is_nobody && access != Access::Protected,
                "{access:?} {reason}"
            );
        }
    }

    let mint = crate::testing::Mint::new("k-1");
    let settings = crate::testing::tenants_of(&mint, &["default"], |_| {});
    let principal = crate::testing::principal_of(
        &mint,
        settings.registry().default_tenant(),
        &serde_json::json!({}),
    );
    let alice = Authenticated::of(principal);
    for (access, expected) in [
        (Access::Public, refused(Reason::MissingCredential)),
        (Access::Optional, Ok(())),
        (Access::Anonymous, refused(Reason::AlreadyAuthenticated)),
        (Access::Protected, Ok(())),
    ] {
        assert_eq!(access.admit(Ok(Some(&alice))), expected, "{access:?}");
    }
}
