use super::*;
use crate::{
    authenticate::{Authentication, Lookup, authenticate},
    config::{KratosConfig, Settings, TenantConfig},
    decision::StepUp,
    http::TransportError,
    principal::Principal,
    request::RequestHead,
    tenant::Target,
    testing::{ScriptedClient, block_on, sessions_with},
};
use serde_json::json;

/// The recorded sessions are logged in at this time, and last a day.
const LOGIN: &str = "2026-11-22T06:24:30Z";

fn login() -> Timestamp {
    Timestamp::from_rfc3339(LOGIN).unwrap()
}

fn settings() -> Settings {
    sessions_with(|_| {})
}

/// Asks with a cookie, and decides about the answer at `now`.
fn ask_at(
    settings: &Settings,
    response: Result<Response<Bytes>, TransportError>,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let script = ScriptedClient::new();
    match response {
        Ok(response) => script.answer(response),
        Err(err) => script.fail(err),
    }
    let target = Target::of(settings.registry().default_tenant());
    let head = RequestHead {
        method: "GET",
        authority: None,
        headers: &[("cookie", b"ory_kratos_session=canary")],
        peer: None,
    };
    let Authentication::Ask(Lookup::Session(lookup)) = authenticate(&target, &head, now)? else {
        panic!("Kratos has to be asked");
    };

    let client: Arc<dyn HttpClient> = Arc::new(script);
    let kratos = target.tenant().kratos().unwrap();
    let answer = block_on(whoami(kratos, &client, lookup.credential(), "id-1"));
    let authenticated = lookup.conclude(target.tenant(), answer, now)?;
    Ok(authenticated.principal().clone())
}

fn ask(response: Response<Bytes>) -> Result<Principal, Refusal> {
    ask_at(&settings(), Ok(response), login())
}

fn entry(name: &str) -> Value {
    let recordings: Vec<Value> = serde_json::from_str(include_str!("recordings/kratos.json")).unwrap();
    recordings
        .into_iter()
        .find(|entry| entry["name"] == name)
        .unwrap()
}

fn recorded(name: &str) -> Response<Bytes> {
    let response = &entry(name)["response"];
    let mut builder =
        Response::builder().status(u16::try_from(response["status"].as_u64().unwrap()).unwrap());
    for header in response["headers"].as_array().unwrap() {
        builder = builder.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    builder.body(response["body"].to_string().into()).unwrap()
}

/// The recorded session with one member changed, or removed.
fn changed(pointer: &str, value: Option<Value>) -> Response<Bytes> {
    let mut body = entry("whoami: cookie")["response"]["body"].take();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    let members = body.pointer_mut(above).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    answered(200, "application/json; charset=utf-8", body.to_string())
}

fn answered(status: u16, kind: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(body.into())
        .unwrap()
}

fn refused(response: Response<Bytes>) -> (Reason, &'static str) {
    let refusal = ask(response).unwrap_err();
    (refusal.reason, refusal.detail.unwrap())
}

#[test]
fn a_recorded_session_is_read_whole() {
    let principal = ask(recorded("whoami: cookie")).unwrap();
    let session = principal.session().unwrap();
    let time = |text| Timestamp::from_rfc3339(text).unwrap();

    assert_eq!(principal.subject(), "e68bcdcd-ff2a-4fbe-ac1f-966ce0b7a499");
    assert_eq!(principal.actor(), "user:e68bcdcd-ff2a-4fbe-ac1f-966ce0b7a499");
    assert_eq!(principal.tenant(), "default");
    assert!(principal.claims().is_none() && principal.roles().next().is_none());
    assert!(principal.scopes().next().is_none());
    assert_eq!(session.id(), "52d95e79-96a9-48e2-8dd6-fe785511127f");
    assert_eq!(session.identity_id(), principal.subject());
    assert_eq!(session.authenticated_at(), time("2026-11-22T06:24:30.022Z"));
    assert_eq!(session.expires_at(), time("2026-11-23T06:24:30.022Z"));
    assert_eq!(session.aal(), AssuranceLevel::Aal1);
    assert_eq!(session.schema_id(), "default");
    assert_eq!(session.metadata_public(), None);
    let [method] = session.authentication_methods() else {
        panic!("{session:?}");
    };
    assert_eq!(
        (method.method.as_str(), method.aal, method.completed_at),
        (
            "password",
            Some(AssuranceLevel::Aal1),
            Some(time("2026-11-22T06:24:30.022Z"))
        )
    );
    let [device] = session.devices() else {
        panic!("{session:?}");
    };
    assert_eq!(device.ip_address.as_deref(), Some("127.0.0.1:47000"));
}

#[test]
fn traits_are_read_as_the_type_that_is_asked_for() {
    #[derive(Debug, Deserialize)]
    struct Traits {
        email: String,
    }

    let principal = ask(recorded("whoami: cookie")).unwrap();
    let session = principal.session().unwrap();

    assert_eq!(
        session.traits::<Traits>().unwrap().email,
        "alice-0ec0d1@example.com"
    );
    assert!(session.traits::<Value>().unwrap().is_object());
    let err = session.traits::<Vec<String>>().unwrap_err();
    assert!(!err.to_string().contains("alice"));
}

#[test]
fn roles_come_from_public_metadata() {
    let principal = ask(recorded("whoami: after a metadata change")).unwrap();

    assert!(principal.has_role("warehouse:admin"));
}

#[test]
fn a_recorded_second_factor_raises_the_level() {
    let principal = ask(recorded("whoami: aal2 session")).unwrap();
    let session = principal.session().unwrap();

    assert_eq!(session.aal(), AssuranceLevel::Aal2);
    let methods: Vec<_> = session
        .authentication_methods()
        .iter()
        .map(|method| (method.method.as_str(), method.aal.unwrap()))
        .collect();
    assert_eq!(
        methods,
        [("password", AssuranceLevel::Aal1), ("totp", AssuranceLevel::Aal2)]
    );
}

/// D73
#[test]
fn a_session_that_kratos_does_not_know_is_over() {
    for name in [
        "whoami: unknown token",
        "whoami: revoked session",
        "whoami: session of an inactive identity",
        "whoami: session of a deleted identity",
        "whoami: cookie after logout",
    ] {
        assert_eq!(
            refused(recorded(name)),
            (Reason::SessionInactive, "session_unknown"),
            "{name}"
        );
    }
}

/// D73, R083: a proxy in front of Kratos that answers 401 by itself logs nobody out.
#[test]
fn a_401_that_is_no_error_of_kratos_is_503() {
    let error = entry("whoami: unknown token")["response"]["body"].to_string();
    let twice = Response::builder()
        .status(401)
        .header("content-type", "application/json")
        .header("content-type", "text/html")
        .body(error.clone().into())
        .unwrap();

    for response in [
        answered(401, "text/html", "<html>Unauthorized</html>"),
        answered(401, "text/html", error.clone()),
        answered(401, "", error.clone()),
        twice,
        answered(401, "application/json", ""),
        answered(401, "application/json", "<html>"),
        answered(401, "application/json", format!("[{error}]")),
        answered(401, "application/json", "{}"),
        answered(401, "application/json", r#"{"error":null}"#),
        answered(401, "application/json", r#"{"error":"invalid_token"}"#),
        answered(401, "application/json", r#"{"message":"Unauthorized"}"#),
        answered(401, "application/json", format!("{error}{error}")),
    ] {
        let told = format!("{response:?}");
        assert_eq!(
            refused(response),
            (Reason::SessionUnavailable, "upstream_unreadable"),
            "{told}"
        );
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let unknown = refused(answered(401, kind, error.clone()));
        assert_eq!(unknown, (Reason::SessionInactive, "session_unknown"), "{kind}");
    }
}

/// D23, R111: a due second factor is a step-up, and the URL that Kratos names is not part of it.
#[test]
fn a_due_second_factor_is_told_apart_from_every_other_403() {
    for name in [
        "whoami: a second factor is due",
        "whoami: cookie, a second factor is due",
    ] {
        let refusal = ask(recorded(name)).unwrap_err();

        assert_eq!(refusal.reason, Reason::InsufficientLevel, "{name}");
        let level = Some(AssuranceLevel::Aal2);
        assert_eq!(refusal.step_up, Some(StepUp { level, max_age: None }));
    }

    for (kind, body) in [
        (
            "application/json",
            r#"{"error":{"id":"security_csrf_violation","code":403}}"#,
        ),
        ("application/json", r#"{"error":{"code":403}}"#),
        ("application/json", r#"{"id":"session_aal2_required"}"#),
        ("application/json", r#"{"error":"session_aal2_required"}"#),
        (
            "application/json",
            r#"{"error":{"id":"session_aal2_required","id":"x"}}"#,
        ),
        ("text/html", r#"{"error":{"id":"session_aal2_required"}}"#),
        ("text/html", "<html>Forbidden</html>"),
    ] {
        assert_eq!(
            refused(answered(403, kind, body)).0,
            Reason::SessionUnavailable,
            "{kind} {body}"
        );
    }
}

/// D11, R108
#[test]
fn a_session_that_is_not_active_or_of_an_inactive_identity_is_over() {
    for (pointer, value, detail) in [
        ("/active", json!(false), "session_not_active"),
        ("/identity/state", json!("inactive"), "identity_inactive"),
        ("/expires_at", json!("2026-11-22T06:24:30Z"), "session_expired"),
        ("/expires_at", json!("2020-01-01T00:00:00Z"), "session_expired"),
        (
            "/authenticated_at",
            json!("2026-11-22T06:25:00.001Z"),
            "authenticated_in_future",
        ),
    ] {
        let refusal = refused(changed(pointer, Some(value.clone())));
        assert_eq!(refusal, (Reason::SessionInactive, detail), "{pointer} {value}");
    }

    for (pointer, value) in [
        ("/expires_at", "2026-11-22T06:24:30.001Z"),
        ("/authenticated_at", "2026-11-22T06:25:00Z"),
    ] {
        assert!(
            ask(changed(pointer, Some(json!(value)))).is_ok(),
            "{pointer} {value}"
        );
    }
}

/// An answer that was kept is decided about with the time of each request.
#[test]
fn a_session_ends_at_its_own_time() {
    let settings = settings();
    let ends = Timestamp::from_rfc3339("2026-11-23T06:24:30.022Z").unwrap();

    for (now, is_good) in [
        (login(), true),
        (Timestamp::from_millis(ends.as_millis() - 1), true),
        (ends, false),
        (Timestamp::MAX, false),
    ] {
        let answer = ask_at(&settings, Ok(recorded("whoami: cookie")), now);
        assert_eq!(answer.is_ok(), is_good, "{now:?}");
    }
}

/// D7, D11, R108: what is absent, or of another type, is no answer about a session.
#[test]
fn an_answer_with_a_member_missing_or_mistyped_is_no_answer() {
    for pointer in [
        "/id",
        "/active",
        "/expires_at",
        "/authenticated_at",
        "/authenticator_assurance_level",
        "/identity",
        "/identity/id",
        "/identity/state",
        "/identity/schema_id",
        "/identity/traits",
    ] {
        let values = [
            None,
            Some(json!(7)),
            Some(json!("")),
            Some(json!(["x"])),
            Some(json!("true")),
            Some(Value::Null),
        ];
        for value in values {
            // These may have any content.
            let is_any = pointer == "/identity/traits"
                || (["/id", "/identity/id", "/identity/schema_id"].contains(&pointer)
                    && value.as_ref().is_some_and(Value::is_string));
            if value.is_some() && is_any && value != Some(json!("")) {
                continue;
            }
            if pointer.ends_with("schema_id") || (pointer.ends_with("traits") && value.is_some()) {
                continue;
            }
            assert_eq!(
                refused(changed(pointer, value.clone())),
                (Reason::SessionUnavailable, "upstream_unreadable"),
                "{pointer} {value:?}"
            );
        }
    }
    for (pointer, value) in [
        ("/expires_at", json!("never")),
        ("/expires_at", json!("1795415069")),
        ("/authenticator_assurance_level", json!("aal9")),
        ("/identity/state", json!("Active")),
        ("/identity/id", json!(" ")),
        ("/identity/id", json!("a\nb")),
        ("/identity/id", json!("a".repeat(256))),
        ("/authentication_methods", json!([{ "aal": "aal1" }])),
    ] {
        assert_eq!(
            refused(changed(pointer, Some(value.clone()))).0,
            Reason::SessionUnavailable,
            "{pointer} {value}"
        );
    }
    for (pointer, value) in [
        ("/authentication_methods", None),
        ("/devices", Some(Value::Null)),
        ("/identity/metadata_public", None),
        ("/tokenized", Some(json!("a.b.c"))),
    ] {
        assert!(ask(changed(pointer, value)).is_ok(), "{pointer}");
    }
}

/// D78, R083: only a session is a session.
#[test]
fn anything_but_an_answer_of_kratos_is_503() {
    let whole = entry("whoami: cookie")["response"]["body"].to_string();
    let twice = whole.replacen("\"active\":true", "\"active\":true,\"active\":true", 1);
    let json = "application/json";

    for response in [
        answered(200, "text/html", whole.clone()),
        answered(200, "application/jsonp", whole.clone()),
        answered(200, "", whole.clone()),
        Response::new(whole.clone().into()),
        Response::builder()
            .header("content-type", json)
            .header("content-type", json)
            .body(whole.clone().into())
            .unwrap(),
        answered(200, json, whole.split_at(whole.len() / 2).0.to_owned()),
        answered(200, json, format!("{whole}{whole}")),
        answered(200, json, twice),
        answered(200, json, format!("[{whole}]")),
        answered(200, json, "null"),
        answered(200, json, ""),
        answered(200, json, "<html>"),
        answered(200, json, vec![b' '; (1 << 20) + 1]),
        answered(201, json, whole.clone()),
        answered(204, json, ""),
        answered(206, json, whole.clone()),
        answered(302, json, whole.clone()),
        answered(307, json, whole.clone()),
        answered(304, json, ""),
        answered(400, json, whole.clone()),
        answered(404, json, whole.clone()),
        answered(410, json, whole.clone()),
        answered(422, json, whole.clone()),
        answered(429, json, whole.clone()),
        answered(503, json, whole),
        recorded("whoami: bad cookie and a valid token"),
    ] {
        let status = response.status();
        assert_eq!(refused(response).0, Reason::SessionUnavailable, "{status}");
    }
}

/// D78
#[test]
fn a_kratos_without_an_answer_is_503() {
    for (error, detail) in [
        (TransportError::Timeout, "upstream_timeout"),
        (TransportError::Connect, "upstream_connect"),
        (TransportError::Busy, "upstream_busy"),
        (TransportError::Tls, "upstream_tls"),
        (TransportError::TooLarge, "upstream_too_large"),
    ] {
        let refusal = ask_at(&settings(), Err(error), login()).unwrap_err();

        assert_eq!(refusal.reason, Reason::SessionUnavailable);
        assert_eq!(refusal.detail, Some(detail));
    }
}

#[test]
fn a_tenant_may_require_a_level_of_every_session() {
    let strict = sessions_with(|tenant| {
        tenant.kratos.as_mut().unwrap().required_aal = AssuranceLevel::Aal2;
    });

    let refusal = ask_at(&strict, Ok(recorded("whoami: cookie")), login()).unwrap_err();
    assert_eq!(refusal.reason, Reason::InsufficientLevel);
    assert_eq!(refusal.step_up.unwrap().level, Some(AssuranceLevel::Aal2));
    assert!(ask_at(&strict, Ok(recorded("whoami: aal2 session")), login()).is_ok());

    let nothing_proved = changed("/authenticator_assurance_level", Some(json!("aal0")));
    assert_eq!(ask(nothing_proved).unwrap_err().reason, Reason::InsufficientLevel);
}

/// D18, R093: the whole request to Kratos, by each carrier.
#[test]
fn nothing_but_the_credential_and_the_request_id_is_sent() {
    for (carrier, value, request_id, expected) in [
        (
            "cookie",
            "theme=dark; ory_kratos_session=canary; csrf_token_80=x",
            "id-1",
            vec![
                ("accept", "application/json"),
                ("x-request-id", "id-1"),
                ("cookie", "ory_kratos_session=canary"),
            ],
        ),
        (
            "authorization",
            "bearer ory_st_canary",
            "id-1",
            vec![
                ("accept", "application/json"),
                ("x-request-id", "id-1"),
                ("x-session-token", "ory_st_canary"),
            ],
        ),
        (
            "x-session-token",
            "ory_st_canary",
            "",
            vec![
                ("accept", "application/json"),
                ("x-session-token", "ory_st_canary"),
            ],
        ),
    ] {
        let settings = settings();
        let script = ScriptedClient::new();
        let client: Arc<dyn HttpClient> = Arc::new(script.clone());
        let target = Target::of(settings.registry().default_tenant());
        let head = RequestHead {
            method: "POST",
            authority: Some(b"app.example"),
            headers: &[
                (carrier, value.as_bytes()),
                ("x-forwarded-for", b"192.0.2.7"),
                ("user-agent", b"browser"),
                ("traceparent", b"00-1"),
            ],
            peer: None,
        };
        let Ok(Authentication::Ask(Lookup::Session(lookup))) = authenticate(&target, &head, login()) else {
            panic!("Kratos has to be asked");
        };

        let kratos = target.tenant().kratos().unwrap();
        let _ = block_on(whoami(kratos, &client, lookup.credential(), request_id));

        let [request] = &script.requests()[..] else {
            panic!("one request");
        };
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "https://kratos.example/sessions/whoami");
        assert!(request.body().is_empty());
        let sent: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(sent, expected, "{carrier}");
        assert!(!format!("{request:?} {lookup:?}").contains("canary"));
    }
}

/// D79, R131
#[test]
fn debug_output_holds_neither_credential_nor_traits() {
    let principal = ask(recorded("whoami: cookie")).unwrap();
    let session = principal.session().unwrap();

    let printed = format!("{principal:?} {session:?}");
    assert!(
        !printed.contains("alice-0ec0d1") && !printed.contains("127.0.0.1"),
        "{printed}"
    );
}

#[test]
fn a_kept_answer_tells_what_it_is_about() {
    let limits = JsonLimits::new(1 << 20, MAX_DEPTH);
    let session = answer(&recorded("whoami: cookie"), limits).unwrap();
    let unknown = answer(&recorded("whoami: unknown token"), limits).unwrap();

    assert_eq!(session.session_id(), Some("52d95e79-96a9-48e2-8dd6-fe785511127f"));
    assert_eq!(
        session.identity_id(),
        Some("e68bcdcd-ff2a-4fbe-ac1f-966ce0b7a499")
    );
    assert!(session.expires_at().is_some());
    assert_eq!(
        (unknown.session_id(), unknown.identity_id(), unknown.expires_at()),
        (None, None, None)
    );
}

/// R080, R108: what a good session is kept for must not keep a bad one.
#[test]
fn only_a_good_session_is_kept_and_no_longer_than_it_lasts() {
    let limits = JsonLimits::new(1 << 20, MAX_DEPTH);
    let of = |response: &Response<Bytes>, required| answer(response, limits).unwrap().validity(required);
    let good = recorded("whoami: cookie");
    let end = answer(&good, limits).unwrap().expires_at().unwrap();
    let due = answered(
        403,
        "application/json",
        json!({ "error": { "id": SECOND_FACTOR_DUE } }).to_string(),
    );

    for (name, response, required, expected) in [
        ("good", &good, AssuranceLevel::Aal1, Validity::Until(end)),
        ("below the level", &good, AssuranceLevel::Aal2, Validity::Never),
        ("due", &due, AssuranceLevel::Aal1, Validity::Never),
        (
            "unknown",
            &recorded("whoami: unknown token"),
            AssuranceLevel::Aal1,
            Validity::Refusal,
        ),
        (
            "not active",
            &changed("/active", Some(json!(false))),
            AssuranceLevel::Aal2,
            Validity::Refusal,
        ),
        (
            "of an inactive identity",
            &changed("/identity/state", Some(json!("inactive"))),
            AssuranceLevel::Aal1,
            Validity::Refusal,
        ),
    ] {
        assert_eq!(of(response, required), expected, "{name}");
    }
}

/// Traits are the person's own to fill: thousands of long answers would fill the memory.
#[test]
fn a_session_in_a_long_answer_counts_and_is_never_kept() {
    let limits = JsonLimits::new(1 << 20, MAX_DEPTH);
    let of_length = |pointer: &str, value: Option<Value>, length: usize| {
        let mut response = changed(pointer, value);
        let mut body = response.body().to_vec();
        body.resize(length, b' ');
        *response.body_mut() = body.into();
        response
    };
    let longest = 64 * 1024;
    for (pointer, value, kept) in [("/tokenized", None, true), ("/active", Some(json!(false)), false)] {
        let validity = |length| {
            let whoami = answer(&of_length(pointer, value.clone(), length), limits).unwrap();
            (
                whoami.validity(AssuranceLevel::Aal1),
                whoami.expires_at().unwrap(),
            )
        };

        let (of_longest, end) = validity(longest);
        let expected = if kept {
            Validity::Until(end)
        } else {
            Validity::Refusal
        };
        assert_eq!(of_longest, expected, "{pointer}");
        assert_eq!(validity(longest + 1).0, Validity::Never, "{pointer}");
    }

    let traits = json!({ "bio": "x".repeat(longest) });
    let long = changed("/identity/traits", Some(traits));
    assert_eq!(
        answer(&long, limits).unwrap().validity(AssuranceLevel::Aal1),
        Validity::Never
    );
    assert!(ask(long).is_ok());
}

/// The name of the cookie is the tenant's, and the one of another tenant is not looked at.
#[test]
fn the_cookie_has_the_configured_name() {
    let kratos = KratosConfig::new("https://kratos.example").session_cookie("ory_session_slug");
    let settings = sessions_with(|tenant| *tenant = TenantConfig::with_sessions(kratos.clone()));
    let target = Target::of(settings.registry().default_tenant());
    let ask = |cookie: &str| {
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &[("cookie", cookie.as_bytes())],
            peer: None,
        };
        authenticate(&target, &head, login()).map(drop)
    };

    assert_eq!(
        ask("ory_session_slug=a; ory_kratos_session=b; ory_kratos_session=c"),
        Ok(())
    );
    assert_eq!(ask("ory_kratos_session=b"), Err(Reason::MissingCredential.into()));
}
