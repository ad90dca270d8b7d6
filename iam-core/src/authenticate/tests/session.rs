//! Which session credential counts, by each transport.

use super::*;
use crate::{credential::SessionCarrier, tenant::Transport, testing::sessions_with};

const COOKIE: (&str, &str) = ("cookie", "ory_kratos_session=c-1");
const BEARER: (&str, &str) = ("authorization", "Bearer ory_st_1");
const HEADER: (&str, &str) = ("x-session-token", "ory_st_1");

fn lookup(
    transport: Transport,
    method: &str,
    headers: &[(&str, &str)],
) -> Result<(SessionCarrier, Vec<u8>), Reason> {
    let settings = sessions_with(|tenant| tenant.transports = vec![transport]);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let head = RequestHead {
        method,
        authority: None,
        headers: &headers,
        peer: None,
    };
    let target = Target::of(settings.registry().default_tenant());
    match authenticate(&target, &head, Timestamp::from_secs(NOW)) {
        Ok(Authentication::Ask(Lookup::Session(lookup))) => {
            let credential = lookup.credential();
            Ok((credential.carrier(), credential.expose().to_vec()))
        }
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.reason),
    }
}

/// A transport reads its own carriers; others are neither read nor counted.
#[test]
fn each_transport_reads_its_own_carriers_only() {
    let cookie = Ok((SessionCarrier::Cookie, b"c-1".to_vec()));
    let token = Ok((SessionCarrier::Token, b"ory_st_1".to_vec()));
    let missing = Err(Reason::MissingCredential);
    let ambiguous = Err(Reason::AmbiguousCredential);

    for (headers, by_cookie, by_token, by_either) in [
        (vec![], &missing, &missing, &missing),
        (vec![COOKIE], &cookie, &missing, &cookie),
        (vec![BEARER], &missing, &token, &token),
        (vec![HEADER], &missing, &token, &token),
        (vec![COOKIE, BEARER], &cookie, &token, &ambiguous),
        (vec![COOKIE, HEADER], &cookie, &token, &ambiguous),
        (vec![BEARER, HEADER], &missing, &ambiguous, &ambiguous),
        (vec![BEARER, BEARER], &missing, &ambiguous, &ambiguous),
        (vec![HEADER, HEADER], &missing, &ambiguous, &ambiguous),
        (vec![COOKIE, COOKIE], &ambiguous, &missing, &ambiguous),
        (vec![COOKIE, COOKIE, BEARER], &ambiguous, &token, &ambiguous),
        (vec![COOKIE, BEARER, HEADER], &cookie, &ambiguous, &ambiguous),
    ] {
        assert_eq!(
            &lookup(Transport::Cookie, "GET", &headers),
            by_cookie,
            "{headers:?}"
        );
        assert_eq!(
            &lookup(Transport::Bearer, "GET", &headers),
            by_token,
            "{headers:?}"
        );
        assert_eq!(
            &lookup(Transport::CookieOrBearer, "GET", &headers),
            by_either,
            "{headers:?}"
        );
    }
}

/// A malformed credential is presented all the same: beside another one nobody can tell which is meant.
#[test]
fn a_malformed_credential_counts_and_an_empty_cookie_does_not() {
    let either = |headers: &[(&str, &str)]| lookup(Transport::CookieOrBearer, "GET", headers);
    let malformed = ("cookie", "ory_kratos_session=%zz");
    let empty = ("cookie", "ory_kratos_session=");
    let basic = ("authorization", "Basic dXNlcjpwYXNz");

    assert_eq!(either(&[malformed]), Err(Reason::Malformed));
    assert_eq!(either(&[malformed, BEARER]), Err(Reason::AmbiguousCredential));
    assert_eq!(
        either(&[COOKIE, ("authorization", "Bearer a b")]),
        Err(Reason::AmbiguousCredential)
    );
    assert_eq!(either(&[empty]), Err(Reason::MissingCredential));
    assert!(either(&[empty, BEARER]).is_ok());
    // Another scheme is no credential of ours.
    assert!(either(&[basic, COOKIE]).is_ok());
    assert!(either(&[basic, HEADER]).is_ok());
    assert_eq!(either(&[basic]), Err(Reason::MissingCredential));
}

/// R066, R086, R121
#[test]
fn a_token_that_kratos_never_wrote_is_malformed() {
    let long = format!("Bearer {}", "a".repeat(4097));
    for value in ["Bearer", "Bearer ", "Bearer  a", "Bearer a b", "Bearer é", &long] {
        assert_eq!(
            lookup(Transport::Bearer, "GET", &[("authorization", value)]),
            Err(Reason::Malformed),
            "{value}"
        );
    }
    for value in ["", " ", "a b", "Bearer a", "é"] {
        assert_eq!(
            lookup(Transport::Bearer, "GET", &[("x-session-token", value)]),
            Err(Reason::Malformed),
            "{value}"
        );
    }
    for headers in [[("authorization", "Bearer a,b")], [("x-session-token", "a,b")]] {
        assert_eq!(
            lookup(Transport::Bearer, "GET", &headers),
            Err(Reason::AmbiguousCredential)
        );
    }
}

fn conclude(transport: Transport, headers: &[(&str, &str)], answer: Reason) -> Reason {
    let settings = sessions_with(|tenant| tenant.transports = vec![transport]);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let head = RequestHead {
        method: "POST",
        authority: None,
        headers: &headers,
        peer: None,
    };
    let target = Target::of(settings.registry().default_tenant());
    let now = Timestamp::from_secs(NOW);
    let Ok(Authentication::Ask(Lookup::Session(lookup))) = authenticate(&target, &head, now) else {
        panic!("Kratos has to be asked");
    };
    reason(lookup.conclude(target.tenant(), Err(answer.into()), now))
}

/// A request without a good credential is 401 or 503, whatever page sent it.
#[test]
fn the_refusal_of_the_lookup_comes_before_the_site_of_the_request() {
    let foreign = ("sec-fetch-site", "cross-site");

    for answer in [Reason::SessionUnavailable, Reason::SessionInactive] {
        assert_eq!(conclude(Transport::Cookie, &[COOKIE, foreign], answer), answer);
    }
}
