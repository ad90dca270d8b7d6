use serde_json::json;

use super::super::{Authentication, authenticate};
use crate::{
    authenticate::Authenticated,
    clock::Timestamp,
    config::{IamConfig, OathkeeperConfig, Settings, TenantConfig},
    decision::{Reason, Refusal},
    principal::Principal,
    request::RequestHead,
    secret::Secret,
    tenant::Target,
    testing::NOW,
};

const SECRET: &str = "only-the-gateway-knows-this-secret";
const PROOF: (&str, &[u8]) = ("x-gateway-secret", SECRET.as_bytes());

struct World(Settings);

impl World {
    fn with(change: impl FnOnce(&mut OathkeeperConfig)) -> Self {
        let mut written = OathkeeperConfig::headers();
        change(&mut written);
        let config = IamConfig::new().tenant("default", TenantConfig::behind(written));
        Self(config.validate().unwrap())
    }

    fn secret() -> Self {
        Self::with(|written| {
            written.proof_secret = Some(Secret::new(SECRET));
            written.roles_header = Some("X-User-Role".to_owned());
            written.headers = vec!["X-User-Email".to_owned()];
        })
    }

    fn peers(peers: &[&str]) -> Self {
        Self::with(|written| written.trusted_peers = peers.iter().map(ToString::to_string).collect())
    }

    fn ask(&self, headers: &[(&str, &[u8])]) -> Result<Authenticated, Refusal> {
        self.send("GET", None, headers)
    }

    fn ask_from(&self, peer: &str, headers: &[(&str, &[u8])]) -> Result<Authenticated, Refusal> {
        self.send("GET", Some(peer), headers)
    }

    fn send(
        &self,
        method: &str,
        peer: Option<&str>,
        headers: &[(&str, &[u8])],
    ) -> Result<Authenticated, Refusal> {
        let head = RequestHead {
            method,
            authority: Some(b"orders.example"),
            headers,
            peer: peer.map(|peer| peer.parse().unwrap()),
        };
        let target = Target::of(self.0.registry().default_tenant());
        match authenticate(&target, &head, Timestamp::from_secs(NOW))? {
            Authentication::Known(authenticated) => Ok(authenticated),
            Authentication::Ask(lookup) => panic!("headers ask nobody: {lookup:?}"),
        }
    }
}

fn refused(result: Result<Authenticated, Refusal>) -> (Reason, &'static str) {
    let refusal = result.unwrap_err();
    (refusal.reason, refusal.detail.unwrap_or_default())
}

#[test]
fn headers_with_the_secret_are_an_identity() {
    let authenticated = World::secret()
        .ask(&[
            ("x-user-id", b"alice"),
            ("x-user-role", b"platform_admin"),
            ("x-user-email", b"alice@example.com"),
            ("x-user-rank", b"general"),
            PROOF,
        ])
        .unwrap();
    let principal = authenticated.principal();

    assert!(matches!(principal, Principal::Identity(_)));
    assert_eq!((principal.subject(), principal.actor()), ("alice", "user:alice"));
    assert_eq!(principal.roles().collect::<Vec<_>>(), ["platform_admin"]);
    let headers = principal.forwarded().unwrap();
    assert_eq!(
        headers.header("X-User-Email"),
        Some(b"alice@example.com".as_slice())
    );
    assert_eq!(headers.header("x-user-rank"), None);
    assert!(principal.claims().is_none() && principal.envelope().is_none() && principal.session().is_none());
    assert!(authenticated.replay_id().is_none());
    assert!(!format!("{headers:?}").contains("alice"));
}

#[test]
fn headers_without_the_secret_are_a_forgery() {
    let world = World::secret();
    let id = ("x-user-id", b"alice".as_slice());
    let cut = &SECRET.as_bytes()[1..];
    let longer = [SECRET.as_bytes(), b"x"].concat();
    let upper = SECRET.to_uppercase();

    for (headers, detail) in [
        (vec![id], "proof_missing"),
        (vec![id, ("x-gateway-secret", b"".as_slice())], "proof_missing"),
        (vec![id, ("x-gateway-secret", b"<no value>")], "proof_missing"),
        (vec![id, ("x-gateway-secret", b"wrong")], "proof_wrong"),
        (vec![id, ("x-gateway-secret", cut)], "proof_wrong"),
        (vec![id, ("x-gateway-secret", &longer)], "proof_wrong"),
        (vec![id, ("x-gateway-secret", upper.as_bytes())], "proof_wrong"),
        (vec![id, ("authorization", SECRET.as_bytes())], "proof_missing"),
    ] {
        assert_eq!(
            refused(world.ask(&headers)),
            (Reason::InvalidSignature, detail),
            "{headers:?}"
        );
    }
    // A secret proves nothing about nobody.
    assert_eq!(refused(world.ask(&[PROOF])), (Reason::MissingCredential, ""));
}

/// R151: a place in the network proves nothing unless it is configured, and no header tells it.
#[test]
fn headers_of_a_peer_that_is_not_listed_are_a_forgery() {
    let world = World::peers(&["10.1.2.0/24", "fd00::7"]);
    let id = ("x-user-id", b"alice".as_slice());
    let forged = ("x-forwarded-for", b"10.1.2.3".as_slice());

    for peer in [
        Some("10.1.3.1"),
        Some("127.0.0.1"),
        Some("::1"),
        Some("fd00::8"),
        None,
    ] {
        let result = world.send(
            "GET",
            peer,
            &[
                id,
                forged,
                ("forwarded", b"for=10.1.2.3"),
                ("x-real-ip", b"10.1.2.3"),
            ],
        );
        assert_eq!(
            refused(result),
            (Reason::InvalidSignature, "peer_not_trusted"),
            "{peer:?}"
        );
    }
    for peer in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"] {
        assert!(world.ask_from(peer, &[id]).is_ok(), "{peer}");
    }
    let secret = World::secret();
    assert_eq!(
        refused(secret.ask_from("127.0.0.1", &[id])),
        (Reason::InvalidSignature, "proof_missing")
    );
}

#[test]
fn where_a_secret_and_peers_are_configured_both_must_hold() {
    let world = World::with(|written| {
        written.proof_secret = Some(Secret::new(SECRET));
        written.proof_header = Some("X-Proof".to_owned());
        written.trusted_peers = vec!["10.1.2.3".to_owned()];
    });
    let id = ("x-user-id", b"alice".as_slice());
    let proof = ("x-proof", SECRET.as_bytes());

    assert_eq!(refused(world.ask_from("10.1.2.3", &[id])).1, "proof_missing");
    assert_eq!(
        refused(world.ask_from("10.1.2.4", &[id, proof])).1,
        "peer_not_trusted"
    );
    assert_eq!(
        refused(world.ask_from("10.1.2.3", &[id, PROOF])).1,
        "proof_missing"
    );
    assert!(world.ask_from("10.1.2.3", &[id, proof]).is_ok());
}

/// What a Go template prints for nothing is no id, and no part of one.
#[test]
fn an_id_that_a_template_prints_for_nothing_is_absent() {
    let world = World::secret();
    let missing = (Reason::MissingCredential, "");

    for (id, expected) in [
        (b"".as_slice(), missing),
        (b"  ", missing),
        (b"<no value>", missing),
        (b"<nil>", missing),
        (b"user:<no value>", (Reason::Malformed, "go_template_in_sub")),
        (b"%!s(<nil>)", (Reason::Malformed, "go_template_in_sub")),
        (b"anonymous", (Reason::MissingCredential, "anonymous_subject")),
        (b"\xff", (Reason::Malformed, "sub_type")),
        ("\u{200b}".as_bytes(), (Reason::Malformed, "sub_type")),
        (b"a\x01b", (Reason::Malformed, "sub_type")),
        (&[b'x'; 513], (Reason::Malformed, "sub_type")),
        (b"alice, root", (Reason::AmbiguousCredential, "")),
    ] {
        assert_eq!(
            refused(world.ask(&[("x-user-id", id), PROOF])),
            expected,
            "{id:?}"
        );
    }
    assert_eq!(refused(world.ask(&[("x-user-role", b"admin"), PROOF])), missing);
}

/// R085
#[test]
fn one_header_twice_is_ambiguous() {
    let world = World::secret();
    let id = ("x-user-id", b"alice".as_slice());
    let (role, email) = (
        ("x-user-role", b"user".as_slice()),
        ("x-user-email", b"a@example.com".as_slice()),
    );

    for headers in [
        vec![id, id, PROOF],
        vec![id, ("x-user-id", b""), PROOF],
        vec![id, PROOF, PROOF],
        vec![id, role, ("x-user-role", b"admin"), PROOF],
        vec![id, email, email, PROOF],
        vec![role, role],
        vec![id, ("x-user-role", b"user, admin"), PROOF],
    ] {
        assert_eq!(
            refused(world.ask(&headers)),
            (Reason::AmbiguousCredential, ""),
            "{headers:?}"
        );
    }
    assert!(
        world
            .ask(&[id, role, email, ("x-other", b""), ("x-other", b""), PROOF])
            .is_ok()
    );
}

#[test]
fn roles_are_one_text_or_a_json_list_of_texts() {
    let world = World::secret();
    let ask = |roles: &[u8]| world.ask(&[("x-user-id", b"alice"), ("x-user-role", roles), PROOF]);

    for (roles, expected) in [
        (b"".as_slice(), vec![]),
        (b"<no value>", vec![]),
        (b"null", vec![]),
        (b"[]", vec![]),
        (b"admin", vec!["admin"]),
        (br#"["admin","user"]"#, vec!["admin", "user"]),
    ] {
        let authenticated = ask(roles).unwrap();
        assert_eq!(authenticated.principal().roles().collect::<Vec<_>>(), expected);
    }
    for (roles, detail) in [
        (br#"["admin",1]"#.as_slice(), "roles_type"),
        (b"[admin user]", "roles_type"),
        (br#"[["admin"]]"#, "roles_type"),
        (br#"["user"], ["admin"]"#, "roles_type"),
        (b"\xff", "roles_type"),
        (b"[<nil>]", "go_template_in_roles"),
        (br#"["\u003cno value\u003e"]"#, "go_template_in_roles"),
    ] {
        assert_eq!(refused(ask(roles)), (Reason::Malformed, detail), "{roles:?}");
    }
    // Without a header for them, nobody has roles.
    let without = World::with(|written| written.proof_secret = Some(Secret::new(SECRET)));
    let authenticated = without
        .ask(&[("x-user-id", b"alice"), ("x-user-role", b"admin"), PROOF])
        .unwrap();
    assert_eq!(authenticated.principal().roles().count(), 0);
}

/// D9
#[test]
fn with_a_header_for_the_tenant_another_or_no_name_is_refused() {
    let world = World::with(|written| {
        written.proof_secret = Some(Secret::new(SECRET));
        written.tenant_header = Some("X-Tenant".to_owned());
    });
    let id = ("x-user-id", b"alice".as_slice());

    for (tenant, detail) in [
        (b"".as_slice(), "tenant_missing"),
        (b"<no value>", "tenant_missing"),
        (b"acme", "tenant_other"),
        (b"default, acme", "tenant_other"),
        (b"Default", "tenant_other"),
    ] {
        let result = world.ask(&[id, ("x-tenant", tenant), PROOF]);
        assert_eq!(refused(result), (Reason::TenantMismatch, detail), "{tenant:?}");
    }
    assert!(world.ask(&[id, ("x-tenant", b"default"), PROOF]).is_ok());
}

#[test]
fn headers_in_another_sites_request_are_refused_and_forged_ones_are_401_all_the_same() {
    let world = World::secret();
    let (id, cross) = (
        ("x-user-id", b"alice".as_slice()),
        ("sec-fetch-site", b"cross-site".as_slice()),
    );

    assert_eq!(
        refused(world.send("POST", None, &[id, PROOF, cross])).0,
        Reason::Csrf
    );
    assert_eq!(
        refused(world.send("POST", None, &[id, cross])).0,
        Reason::InvalidSignature
    );
    assert!(world.send("POST", None, &[id, PROOF]).is_ok());
}

/// The real gateway's `header` mutator, as recorded: it replaces a caller's own `X-User`, and leaves the caller's session token in
/// `Authorization`, which is not looked at.
#[test]
fn what_the_real_gateway_sets_is_read_and_the_rest_of_the_request_is_not() {
    let recordings: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/recordings/oathkeeper-header.json")).unwrap();
    let world = World::with(|written| {
        written.header = Some("X-User".to_owned());
        written.proof_secret = Some(Secret::new(SECRET));
        written.headers = vec!["X-User-Extras".to_owned()];
    });

    for name in ["header: X-User", "header: the caller forges X-User"] {
        let recording = recordings.iter().find(|one| one["name"] == json!(name)).unwrap();
        let lines: Vec<(String, String)> = serde_json::from_value(recording["received"].clone()).unwrap();
        let lines: Vec<_> = lines
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes()))
            .collect();
        let mut headers: Vec<_> = lines
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();

        assert_eq!(refused(world.ask(&headers)).0, Reason::InvalidSignature, "{name}");
        headers.push(PROOF);
        let authenticated = world.ask(&headers).unwrap();
        assert_eq!(authenticated.principal().subject().len(), 36, "{name}");
        assert!(
            authenticated
                .principal()
                .forwarded()
                .unwrap()
                .header("x-user-extras")
                .is_some()
        );
    }
}
