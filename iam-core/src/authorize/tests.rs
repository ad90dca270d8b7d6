use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    config::{Settings, SubjectForm, TenantConfig},
    principal::{AssuranceLevel, Evidence, Session},
    requirement::RoutePolicy,
    testing::{Mint, NOW, principal_of, sessions_with, tenants_of},
};

struct World {
    mint: Mint,
    settings: Settings,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl Fn(&mut TenantConfig)) -> Self {
        let mint = Mint::new("k-1");
        let settings = tenants_of(&mint, &["default", "acme"], change);
        Self { mint, settings }
    }

    fn tenant(&self) -> &std::sync::Arc<Tenant> {
        self.settings.registry().get("default").unwrap()
    }

    fn principal(&self, claims: &Value) -> Principal {
        principal_of(&self.mint, self.tenant(), claims)
    }

    fn decide(&self, claims: &Value, policy: &RoutePolicy, id: &str) -> Result<Vec<String>, Refusal> {
        let policy = EffectivePolicy::merge(&[policy]).unwrap();
        let principal = self.principal(claims);
        let params = |name: &str| (name == "id").then(|| Cow::Owned(id.to_owned()));
        Ok(
            match authorize(
                &principal,
                &policy,
                self.tenant(),
                &params,
                Timestamp::from_secs(NOW),
            )? {
                Verdict::Allow => Vec::new(),
                Verdict::Ask(question) => question.tuples().iter().map(ToString::to_string).collect(),
            },
        )
    }
}

fn policy() -> RoutePolicy {
    RoutePolicy::new("file.rs:1", "route")
}

fn view() -> RoutePolicy {
    policy().require_permission(Permission::new("orders", "view", "orders:{id}"))
}

fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Reason {
    result.unwrap_err().reason
}

/// D43, R116
#[test]
fn a_principal_of_another_tenant_is_refused_before_anything_else() {
    let world = World::new();
    let acme = world.settings.registry().get("acme").unwrap();
    let principal = principal_of(
        &world.mint,
        acme,
        &json!({"tenant": "acme", "metadataPublic": {"roles": ["a"]}}),
    );
    let none = |_: &str| None;

    for policy in [
        policy(),
        policy().require_role(["a"]),
        policy().require_role(["b"]),
        view(),
    ] {
        let policy = EffectivePolicy::merge(&[&policy]).unwrap();
        assert_eq!(
            reason(authorize(
                &principal,
                &policy,
                world.tenant(),
                &none,
                Timestamp::from_secs(NOW)
            )),
            Reason::TenantMismatch
        );
    }
    assert_eq!(
        reason(tuple(&principal, world.tenant(), ("orders", "view"), "o-1")),
        Reason::TenantMismatch
    );
}

#[test]
fn any_role_of_a_list_and_every_list_must_be_there() {
    let world = World::new();
    let with = |roles: &[&str]| json!({"metadataPublic": {"roles": roles}});
    let route = policy().require_role(["a", "b"]).require_role(["c"]);

    for roles in [
        &[] as &[&str],
        &["a"],
        &["c"],
        &["a", "b"],
        &["A", "c"],
        &["a|b", "c"],
    ] {
        assert_eq!(
            reason(world.decide(&with(roles), &route, "1")),
            Reason::RoleDeny,
            "{roles:?}"
        );
    }
    for roles in [&["a", "c"], &["c", "b"]] {
        assert!(world.decide(&with(roles), &route, "1").is_ok(), "{roles:?}");
    }
}

/// R062
#[test]
fn every_scope_must_be_there_and_scopes_are_no_roles() {
    let world = World::new();
    let route = policy().require_scope(["read", "write"]);

    for claims in [
        json!({}),
        json!({"scope": "read"}),
        json!({"scope": "read  writes"}),
        json!({"scope": "READ WRITE"}),
        json!({"metadataPublic": {"roles": ["read", "write"]}}),
    ] {
        assert_eq!(
            reason(world.decide(&claims, &route, "1")),
            Reason::ScopeDeny,
            "{claims}"
        );
    }
    assert!(
        world
            .decide(&json!({"scope": " write  read "}), &route, "1")
            .is_ok()
    );
    assert_eq!(
        reason(world.decide(&json!({"scope": "admin"}), &policy().require_role(["admin"]), "1")),
        Reason::RoleDeny
    );
}

#[test]
fn the_cheapest_refusal_comes_first() {
    let world = World::new();
    let route = view().require_scope(["read"]).require_role(["a"]);
    let roles = json!({"metadataPublic": {"roles": ["a"]}});
    let both = json!({"metadataPublic": {"roles": ["a"]}, "scope": "read"});

    assert_eq!(reason(world.decide(&json!({}), &route, "..")), Reason::RoleDeny);
    assert_eq!(reason(world.decide(&roles, &route, "..")), Reason::ScopeDeny);
    assert_eq!(reason(world.decide(&both, &route, "..")), Reason::InvalidObject);
    assert_eq!(
        world.decide(&both, &route, "1").unwrap(),
        ["orders:orders:1#view@\"user:alice\""]
    );
}

/// R018, R170
#[test]
fn a_parameter_that_cannot_name_an_object_is_never_asked_about() {
    let world = World::new();

    for id in [
        "",
        " ",
        ".",
        "..",
        "a/../b",
        "a\r\nb",
        "\0",
        "a\u{200b}",
        "\u{fffd}",
        " a",
        &"x".repeat(600),
    ] {
        assert_eq!(
            reason(world.decide(&json!({}), &view(), id)),
            Reason::InvalidObject,
            "{id:?}"
        );
    }
    let missing = policy().require_permission(Permission::new("orders", "view", "{sku}"));
    assert_eq!(
        reason(world.decide(&json!({}), &missing, "1")),
        Reason::InvalidRequirement
    );
}

/// R018, R170
#[test]
fn a_subject_or_an_object_as_people_have_them_was_refused() {
    let world = World::new();
    let route = policy().require_permission(Permission::tuple("docs:{id}#view@{sub}"));
    let of_client = policy().require_permission(Permission::tuple("docs:{id}#view@{client_id}"));

    for text in [
        "auth0|5f7c8ec7",
        "ann@example.com",
        "https://app.example/u/7",
        "urn:uuid:0d2c3f4e",
        "did:key:z6Mk",
        "spiffe://td/ns/a",
        "Ann (ext)",
        "a#b@c",
        "svc@acme",
    ] {
        let person = json!({"sub": text});
        let client = json!({"sub": text, "client_id": text});
        let tuple = |object: &str, subject: &str| {
            RelationTuple::new("docs", object, "view", Subject::id(subject).unwrap())
                .unwrap()
                .to_string()
        };

        assert_eq!(world.decide(&person, &route, text).unwrap(), [tuple(text, text)]);
        assert_eq!(
            world.decide(&client, &of_client, text).unwrap(),
            [tuple(text, text)]
        );
        for (claims, kind) in [(&person, "user"), (&client, "client")] {
            let asked = world.decide(claims, &view(), "1").unwrap();
            assert!(asked[0].ends_with(&format!("@\"{kind}:{text}\"")), "{asked:?}");
        }
    }
}

/// R018: a 401 sends the caller to the login page, which gives it the same id again.
#[test]
fn a_principal_that_cannot_be_asked_about_looped_on_the_login_page() {
    let world = World::new();
    let explicit = policy().require_permission(Permission::tuple("docs:{id}#view@{sub}"));

    for sub in ["..", "a/../b", "./a", "a  b"] {
        let claims = json!({"sub": sub});
        for route in [view(), explicit.clone()] {
            let refusal = world.decide(&claims, &route, "1").unwrap_err();
            assert_eq!(refusal.reason, Reason::PermissionDeny, "{sub}");
            assert_eq!(refusal.detail, Some("subject_unaskable"), "{sub}");
        }
        assert!(world.decide(&claims, &policy(), "1").is_ok(), "{sub}");
        let refusal = tuple(&world.principal(&claims), world.tenant(), ("orders", "edit"), "1").unwrap_err();
        assert_eq!(refusal.detail, Some("subject_unaskable"), "{sub}");
    }
}

/// The id of the principal is in a placeholder of the permission, beside one of the path.
#[test]
fn an_id_that_makes_an_object_ambiguous_is_the_principals_and_not_the_paths() {
    let world = World::new();
    let route = policy().require_permission(Permission::new("notes", "view", "{sub}/{id}"));
    let detail = |sub: &str, id: &str| {
        world
            .decide(&json!({"sub": sub}), &route, id)
            .map_err(|it| it.detail)
    };

    assert_eq!(detail("a/b", "1"), Err(Some("subject_unaskable")));
    assert_eq!(detail("a", ".."), Err(Some("dot_segment")));
    assert!(detail("a", "1/2").is_ok());
}

/// R063, D41
#[test]
fn clients_and_identities_have_different_default_subjects() {
    let world = World::new();

    let identity = world.decide(&json!({"sub": "x"}), &view(), "1").unwrap();
    let client = world
        .decide(&json!({"sub": "x", "client_id": "x"}), &view(), "1")
        .unwrap();

    assert!(identity[0].ends_with("@\"user:x\""), "{identity:?}");
    assert!(client[0].ends_with("@\"client:x\""), "{client:?}");
}

/// R063: an id with a mark in it took the place of the other kind of principal.
#[test]
fn an_identity_called_as_a_client_has_not_the_permissions_of_the_client() {
    for (form, subject, client_subject) in [
        (SubjectForm::Id, "{sub}", "client:{client_id}"),
        (SubjectForm::Set, "User:{sub}", "User:client:{client_id}"),
    ] {
        let world = World::with(|tenant| {
            let keto = tenant.keto.as_mut().unwrap();
            keto.subject_form = form;
            keto.subject = subject.to_owned();
            keto.client_subject = client_subject.to_owned();
        });
        let decide = |claims: Value| world.decide(&claims, &view(), "1");

        let refusal = decide(json!({"sub": "client:7"})).unwrap_err();
        assert_eq!(refusal.detail, Some("subject_unaskable"));
        for claims in [
            json!({"sub": "7"}),
            json!({"sub": "ann@example.com"}),
            json!({"sub": "client:"}),
            json!({"sub": "7", "client_id": "7"}),
        ] {
            assert!(decide(claims).is_ok());
        }
    }

    // Of two templates with equally long fixed text, neither gets what both could make.
    let world = World::with(|tenant| {
        let keto = tenant.keto.as_mut().unwrap();
        keto.subject = "u:{sub}".to_owned();
        keto.client_subject = "{client_id}:c".to_owned();
    });
    for claims in [json!({"sub": "x:c"}), json!({"sub": "u:x", "client_id": "u:x"})] {
        let refusal = world.decide(&claims, &view(), "1").unwrap_err();
        assert_eq!(refusal.detail, Some("subject_unaskable"), "{claims}");
    }
}

#[test]
fn the_subject_form_decides_between_an_id_and_a_set() {
    let world = World::with(|tenant| tenant.keto.as_mut().unwrap().subject_form = SubjectForm::Set);

    let asked = world.decide(&json!({}), &view(), "1").unwrap();

    assert!(asked[0].ends_with("@user:alice"), "{asked:?}");
}

#[test]
fn a_path_parameter_with_the_name_of_a_reserved_placeholder_leaves_nothing_to_ask() {
    let world = World::new();
    let principal = world.principal(&json!({}));
    let ask = |tuple: &str, path: &[&str]| {
        let route = policy().require_permission(Permission::tuple(tuple));
        let policy = EffectivePolicy::merge(&[&route]).unwrap();
        let params = |name: &str| path.contains(&name).then_some(Cow::Borrowed("mallory"));
        authorize(
            &principal,
            &policy,
            world.tenant(),
            &params,
            Timestamp::from_secs(NOW),
        )
    };

    // Neither the path's value, which the caller chooses, nor the caller, whom the handler does not load.
    for (tuple, path) in [
        ("Cat:{id}#owners@User:{user}", ["id", "user"]),
        ("User:{user}#friends", ["id", "user"]),
        ("Cat:{id}#owners@{sub}", ["id", "sub"]),
        ("Cat:{id}#owners@App:{client_id}", ["id", "client_id"]),
    ] {
        let refusal = ask(tuple, &path).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidRequirement, "{tuple}");
        assert_eq!(refusal.detail, Some("reserved_placeholder_in_path"), "{tuple}");
    }

    let Verdict::Ask(question) = ask("Cat:{id}#owners@User:{user}", &["id"]).unwrap() else {
        panic!("there is a question");
    };
    assert_eq!(question.tuples()[0].to_string(), "Cat:mallory#owners@User:alice");
    assert!(ask("Cat:{id}#owners", &["id", "user"]).is_ok());
}

#[test]
fn what_is_asked_of_identities_is_not_asked_about_clients() {
    let world = World::new();
    let of_user = policy().require_permission(Permission::tuple("Cat:{id}#owners@User:{user}"));
    let of_client = policy().require_permission(Permission::tuple("Cat:{id}#owners@App:{client_id}"));
    let client = json!({"client_id": "alice"});

    assert_eq!(
        reason(world.decide(&client, &of_user, "1")),
        Reason::PermissionDeny
    );
    assert_eq!(
        reason(world.decide(&json!({}), &of_client, "1")),
        Reason::PermissionDeny
    );
    assert!(world.decide(&json!({}), &of_user, "1").is_ok());
    assert!(world.decide(&client, &of_client, "1").is_ok());
}

#[test]
fn a_permission_written_for_both_kinds_of_principals_denied_both_of_them() {
    let world = World::new();
    let route = policy().require_permission(Permission::any([
        Permission::tuple("Cat:{id}#owners@User:{user}"),
        Permission::tuple("Cat:{id}#owners@App:{client_id}"),
    ]));
    let client = json!({"sub": "robot", "client_id": "robot"});

    assert_eq!(
        world.decide(&json!({}), &route, "1").unwrap(),
        ["Cat:1#owners@User:alice"]
    );
    assert_eq!(
        world.decide(&client, &route, "1").unwrap(),
        ["Cat:1#owners@App:robot"]
    );
    for claims in [json!({}), client] {
        assert_eq!(reason(world.decide(&claims, &route, "..")), Reason::InvalidObject);
    }
}

/// D38, D46
#[test]
fn several_permissions_make_one_question_that_needs_them_all() {
    let world = World::new();
    let route = view().require_permission(Permission::new("orders", "edit", "orders:{id}"));
    let policy = EffectivePolicy::merge(&[&route]).unwrap();
    let principal = world.principal(&json!({}));
    let params = |_: &str| Some(Cow::Borrowed("1"));

    let Verdict::Ask(question) = authorize(
        &principal,
        &policy,
        world.tenant(),
        &params,
        Timestamp::from_secs(NOW),
    )
    .unwrap() else {
        panic!("there is a question");
    };

    assert_eq!(question.tuples().len(), 2);
    for (answers, expected) in [
        ([true, false], false),
        ([false, true], false),
        ([true, true], true),
    ] {
        assert_eq!(question.answer(&answers), Some(expected));
    }
    assert_eq!(question.answer(&[true]), None);
}

#[test]
fn a_permission_without_a_permission_server_is_our_mistake() {
    let world = World::with(|tenant| tenant.keto = None);

    assert_eq!(
        reason(world.decide(&json!({}), &view(), "1")),
        Reason::InvalidRequirement
    );
    assert!(world.decide(&json!({}), &policy(), "1").is_ok());
}

#[test]
fn an_object_known_in_the_handler_is_checked_like_any_other() {
    let world = World::new();
    let principal = world.principal(&json!({}));
    let ask = |namespace, relation, object| tuple(&principal, world.tenant(), (namespace, relation), object);

    let long = "x".repeat(513);
    for object in ["", "..", "a/./b", "a\nb", &long] {
        assert_eq!(
            reason(ask("orders", "edit", object)),
            Reason::InvalidObject,
            "{object:?}"
        );
    }
    assert_eq!(reason(ask("", "edit", "1")), Reason::InvalidRequirement);
    assert_eq!(reason(ask("orders", "a b", "1")), Reason::InvalidRequirement);
    assert_eq!(
        ask("orders", "edit", "1").unwrap().to_string(),
        "orders:1#edit@\"user:alice\""
    );
    assert_eq!(ask("orders", "edit", "a#b").unwrap().object(), "a#b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fewer_roles_never_allow_more(
        roles in proptest::collection::vec("[a-e]", 0..5),
        dropped in 0..5_usize,
        required in proptest::collection::vec(proptest::collection::vec("[a-e]", 1..3), 0..3),
    ) {
        let world = World::new();
        let route = required.iter().fold(policy(), |policy, any_of| policy.require_role(any_of.clone()));
        let mut fewer = roles.clone();
        if dropped < fewer.len() {
            fewer.remove(dropped);
        }

        let allows = |roles: &[String]| {
            world.decide(&json!({"metadataPublic": {"roles": roles}}), &route, "1").is_ok()
        };

        prop_assert!(!allows(&fewer) || allows(&roles));
        let expected = required.iter().all(|any_of| any_of.iter().any(|role| roles.contains(role)));
        prop_assert_eq!(allows(&roles), expected);
    }
}

fn session(aal: AssuranceLevel, authenticated_at: u64) -> Principal {
    let settings = sessions_with(|_| {});
    let session = Session {
        id: "s-1".to_owned(),
        authenticated_at: Timestamp::from_secs(authenticated_at),
        expires_at: Timestamp::MAX,
        aal,
        methods: Vec::new(),
        devices: Vec::new(),
        identity_id: "alice".to_owned(),
        schema_id: "default".to_owned(),
        traits: Value::Null,
        metadata_public: None,
        actor: "user:alice".to_owned(),
    };
    Principal::new(
        settings.registry().default_tenant(),
        Evidence::Session(session.into()),
    )
}

/// R111
#[test]
fn a_session_that_proves_too_little_or_too_long_ago_has_to_step_up() {
    let world = World::new();
    let strict = policy()
        .require_aal(AssuranceLevel::Aal2)
        .require_fresh_session(Duration::from_secs(900));
    let check = |policy: &RoutePolicy, principal: &Principal| {
        let policy = EffectivePolicy::merge(&[policy]).unwrap();
        check_local(principal, &policy, world.tenant(), Timestamp::from_secs(NOW))
    };
    let both = StepUp {
        level: Some(AssuranceLevel::Aal2),
        max_age: Some(Duration::from_secs(900)),
    };

    for (aal, authenticated_at, detail) in [
        (AssuranceLevel::Aal2, NOW, None),
        (AssuranceLevel::Aal3, NOW - 900, None),
        (AssuranceLevel::Aal2, NOW + 30, None),
        (AssuranceLevel::Aal2, NOW + 31, Some("age")),
        (AssuranceLevel::Aal2, NOW - 901, Some("age")),
        (AssuranceLevel::Aal2, 0, Some("age")),
        (AssuranceLevel::Aal1, NOW, Some("level")),
        (AssuranceLevel::Aal0, NOW - 901, Some("level")),
    ] {
        let expected = detail.map_or(Ok(()), |detail| Err(Refusal::insufficient(both, detail)));
        assert_eq!(
            check(&strict, &session(aal, authenticated_at)),
            expected,
            "{aal} {authenticated_at}"
        );
    }
    assert!(check(&policy(), &session(AssuranceLevel::Aal0, 0)).is_ok());
    let level_only = policy().require_aal(AssuranceLevel::Aal2);
    assert!(check(&level_only, &session(AssuranceLevel::Aal2, 0)).is_ok());
}

#[test]
fn a_principal_without_a_session_has_proved_no_level() {
    let world = World::new();
    let principal = world.principal(&json!({"metadataPublic": {"roles": ["a"]}}));

    for policy in [
        policy().require_aal(AssuranceLevel::Aal1),
        policy().require_fresh_session(Duration::from_secs(900)),
        policy().require_aal(AssuranceLevel::Aal1).require_role(["b"]),
    ] {
        let policy = EffectivePolicy::merge(&[&policy]).unwrap();
        let refusal =
            check_local(&principal, &policy, world.tenant(), Timestamp::from_secs(NOW)).unwrap_err();

        assert_eq!(refusal.reason, Reason::InsufficientLevel);
        assert_eq!(refusal.step_up, Some(policy.step_up()));
    }
}

/// R014: the same id by a token and by a session is not one principal.
#[test]
fn a_session_never_equals_a_token() {
    let world = World::new();
    let by_session = session(AssuranceLevel::Aal1, NOW);

    assert_ne!(world.principal(&json!({"sub": "alice"})), by_session);
    assert_eq!(by_session, session(AssuranceLevel::Aal2, 0));
}
