use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::{Method, Request, Response, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{check::decode_batch, *};
use crate::{
    audit::{AuditEvent, EventName, Outcome},
    clock::{ManualClock, SystemClock, Timestamp},
    decision::{Reason, Refusal},
    http::TransportError,
    service::CallError,
    testing::{ChannelSink, Mint, ScriptedClient, block_on, principal_of, settings_with, tenants_of},
};

fn client(script: &ScriptedClient, more: &str) -> PermissionClient {
    let settings = settings_with(more);
    let keto = settings.registry().default_tenant().keto().unwrap().clone();
    PermissionClient::new(keto, Arc::new(script.clone()))
}

fn tuple(object: &str) -> RelationTuple {
    RelationTuple::new("orders", object, "view", Subject::id("user:alice").unwrap()).unwrap()
}

fn check(status: u16, body: &str, tuples: usize) -> Result<Vec<bool>, Refusal> {
    let script = ScriptedClient::new();
    script.answer_with(StatusCode::from_u16(status).unwrap(), body.to_owned());
    let tuples: Vec<_> = (0..tuples).map(|index| tuple(&index.to_string())).collect();
    block_on(client(&script, "").check(&tuples, "r-1"))
}

fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Reason {
    result.unwrap_err().reason
}

fn body(request: &Request<bytes::Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap()
}

fn recording(name: &str) -> Value {
    let recordings: Vec<Value> = serde_json::from_str(include_str!("recordings/keto.json")).unwrap();
    recordings
        .into_iter()
        .find(|entry| entry["name"] == name)
        .unwrap()
}

fn recorded(name: &str) -> Response<bytes::Bytes> {
    let response = recording(name)["response"].clone();
    let body = &response["body"];
    let text = if body.is_null() {
        String::new()
    } else {
        body.as_str().map_or_else(|| body.to_string(), str::to_owned)
    };
    Response::builder()
        .status(u16::try_from(response["status"].as_u64().unwrap()).unwrap())
        .body(text.into())
        .unwrap()
}

/// Asks with the recorded answer, as many tuples as the recording asked for.
fn check_recorded(name: &str) -> Result<Vec<bool>, Refusal> {
    let tuples = recording(name)["request"]["body"]["tuples"]
        .as_array()
        .unwrap()
        .len();
    let response = recorded(name);
    check(
        response.status().as_u16(),
        std::str::from_utf8(response.body()).unwrap(),
        tuples,
    )
}

#[test]
fn answer_that_is_not_declared_as_json_is_no_answer() {
    let allowed = r#"{"results":[{"allowed":true}]}"#;
    for kind in [None, Some("text/html"), Some("application/problem+json")] {
        let script = ScriptedClient::new();
        let mut response = Response::builder();
        if let Some(kind) = kind {
            response = response.header("content-type", kind);
        }
        script.answer(response.body(allowed.into()).unwrap());

        let checked = block_on(client(&script, "").check(&[tuple("1")], "r-1"));

        assert_eq!(reason(checked), Reason::PermissionUnavailable, "{kind:?}");
    }
}

/// D44
#[test]
fn unknown_namespaces_and_relations_are_our_mistake_and_not_a_denial() {
    assert_eq!(
        check_recorded("batch: granted, denied, unknown namespace, subject set"),
        Err(Refusal::with_detail(
            Reason::InvalidRequirement,
            "unknown_namespace"
        ))
    );
    assert_eq!(
        check_recorded("batch: unknown relation"),
        Err(Refusal::with_detail(
            Reason::InvalidRequirement,
            "unknown_relation"
        ))
    );
}

#[test]
fn what_keto_cannot_answer_is_no_answer() {
    assert_eq!(
        reason(check_recorded("batch: tuple without a subject")),
        Reason::PermissionUnavailable
    );
    assert_eq!(
        reason(check_recorded("batch: 11 tuples")),
        Reason::PermissionUnavailable
    );
}

#[test]
fn recorded_answers_are_read_tuple_by_tuple() {
    let allowed = check_recorded("batch: 10 tuples");
    // Of ten objects the recorded user may see one.
    assert_eq!(allowed.unwrap().iter().filter(|allowed| **allowed).count(), 1);
}

/// R169, R083
#[test]
fn anything_but_exactly_as_many_answers_as_questions_is_no_answer() {
    for (status, body) in [
        (200, r#"{"results":[]}"#),
        (200, r#"{"results":[{"allowed":true},{"allowed":true}]}"#),
        (200, r#"{"results":[{"allowed":"true"}]}"#),
        (200, r#"{"results":[{"allowed":1}]}"#),
        (200, r#"{"results":[{"allowed":null}]}"#),
        (200, r#"{"results":[{}]}"#),
        (200, r#"{"results":[true]}"#),
        (200, r#"{"results":[null]}"#),
        (200, r#"{"results":{"0":{"allowed":true}}}"#),
        (200, r#"{"results":[{"allowed":true,"error":"timeout"}]}"#),
        (200, r#"{"results":[{"allowed":true,"error":""}]}"#),
        (200, r#"{"results":[{"allowed":true,"error":null}]}"#),
        (200, r#"{"results":[{"allowed":false,"allowed":true}]}"#),
        (
            200,
            r#"{"results":[{"allowed":false}],"results":[{"allowed":true}]}"#,
        ),
        (200, r#"{"results":[{"allowed":true}]} x"#),
        (200, r#"{"allowed":true}"#),
        (200, r#"[{"allowed":true}]"#),
        (200, "true"),
        (200, ""),
        (200, "<html>ok</html>"),
        (200, "\u{feff}{\"results\":[{\"allowed\":true}]}"),
        (201, r#"{"results":[{"allowed":true}]}"#),
        (302, r#"{"results":[{"allowed":true}]}"#),
        (400, r#"{"results":[{"allowed":true}]}"#),
        (401, r#"{"results":[{"allowed":true}]}"#),
        (403, r#"{"results":[{"allowed":true}]}"#),
        (404, r#"{"results":[{"allowed":true}]}"#),
        (429, r#"{"results":[{"allowed":true}]}"#),
        (500, r#"{"results":[{"allowed":true}]}"#),
    ] {
        assert_eq!(
            reason(check(status, body, 1)),
            Reason::PermissionUnavailable,
            "{status} {body}"
        );
    }
    assert_eq!(check(200, r#"{"results":[{"allowed":true}]}"#, 1), Ok(vec![true]));
    assert_eq!(
        check(200, r#"{"results":[{"allowed":false}]}"#, 1),
        Ok(vec![false])
    );
}

/// R083, R157
#[test]
fn a_server_that_does_not_answer_is_no_answer() {
    for error in [
        TransportError::Connect,
        TransportError::Protocol,
        TransportError::Timeout,
        TransportError::Tls,
        TransportError::TooLarge,
        TransportError::Cancel,
    ] {
        let script = ScriptedClient::new();
        script.fail(error);
        let answer = block_on(client(&script, "").check(&[tuple("1")], "r-1"));
        assert_eq!(reason(answer), Reason::PermissionUnavailable, "{error:?}");
    }
    let large = format!(
        r#"{{"results":[{{"allowed":true}}],"x":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    assert_eq!(reason(check(200, &large, 1)), Reason::PermissionUnavailable);
    let deep = format!(
        r#"{{"results":[{{"allowed":true}}],"x":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert_eq!(reason(check(200, &deep, 1)), Reason::PermissionUnavailable);
}

/// D46
#[test]
fn more_tuples_than_a_batch_may_hold_go_out_in_several() {
    let script = ScriptedClient::new();
    for results in [
        r#"{"results":[{"allowed":true},{"allowed":false}]}"#,
        r#"{"results":[{"allowed":false},{"allowed":true}]}"#,
        r#"{"results":[{"allowed":true}]}"#,
    ] {
        script.answer_with(StatusCode::OK, results);
    }
    let tuples: Vec<_> = (0..5).map(|index| tuple(&index.to_string())).collect();

    let answer = block_on(client(&script, "batch_size = 2").check(&tuples, "r-1"));

    assert_eq!(answer, Ok(vec![true, false, false, true, true]));
    let sizes: Vec<_> = script
        .requests()
        .iter()
        .map(|request| body(request)["tuples"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn one_batch_without_an_answer_leaves_none() {
    let script = ScriptedClient::new();
    script.answer_with(StatusCode::OK, r#"{"results":[{"allowed":true}]}"#);
    script.fail(TransportError::Timeout);

    let answer = block_on(client(&script, "batch_size = 1").check(&[tuple("1"), tuple("2")], "r-1"));

    assert_eq!(reason(answer), Reason::PermissionUnavailable);
}

#[test]
fn nothing_to_ask_asks_nobody() {
    let script = ScriptedClient::new();

    assert_eq!(block_on(client(&script, "").check(&[], "r-1")), Ok(vec![]));
    assert!(script.requests().is_empty());
}

/// D25, D48
#[test]
fn a_batch_carries_the_request_id_the_token_and_both_forms_of_subject() {
    let script = ScriptedClient::new();
    script.answer_with(
        StatusCode::OK,
        r#"{"results":[{"allowed":true},{"allowed":true}]}"#,
    );
    let set = RelationTuple::new("orders", "1", "view", Subject::set("user", "bob", "").unwrap()).unwrap();

    block_on(client(&script, "token = \"hunter2\"").check(&[tuple("1"), set], "r-1")).unwrap();

    let request = &script.requests()[0];
    assert_eq!(
        request.uri(),
        "https://keto-read.example/relation-tuples/batch/check"
    );
    assert_eq!(request.headers()["x-request-id"], "r-1");
    assert_eq!(request.headers()["authorization"], "Bearer hunter2");
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(
        body(request),
        json!({"tuples": [
            {"namespace": "orders", "object": "1", "relation": "view", "subject_id": "user:alice"},
            {"namespace": "orders", "object": "1", "relation": "view",
             "subject_set": {"namespace": "user", "object": "bob", "relation": ""}},
        ]})
    );
}

/// R121
#[test]
fn a_request_id_that_is_none_is_not_passed_on() {
    for id in ["", "a\r\nb", &"x".repeat(5000)] {
        let script = ScriptedClient::new();
        script.answer_with(StatusCode::OK, r#"{"results":[{"allowed":true}]}"#);
        block_on(client(&script, "").check(&[tuple("1")], id)).unwrap();
        assert!(
            !script.requests()[0].headers().contains_key("x-request-id"),
            "{id:?}"
        );
    }
}

/// Writes and deletes with the answers given, and returns what was recorded.
fn recorded_by(answers: &[Response<bytes::Bytes>]) -> Vec<AuditEvent<'static>> {
    let script = ScriptedClient::new();
    for answer in answers {
        script.answer(answer.clone());
    }
    let (sink, events) = ChannelSink::new();
    let clock = ManualClock::new(Timestamp::from_secs(7));
    let keto = client(&script, "").recorded("default", Arc::new(sink), Arc::new(clock));

    let _ = block_on(keto.create(&tuple("o-1"), "r-1"));
    let _ = block_on(keto.delete(&tuple("o-1"), ""));
    drop(keto);
    events.iter().collect()
}

/// D51
#[test]
fn a_tuple_written_or_deleted_is_recorded_as_a_grant_or_a_revocation() {
    let events = recorded_by(&[recorded("create: subject id"), recorded("delete: exact")]);

    let lines: Vec<_> = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "{\"event\":\"authz.permission.grant\",\"time\":7000,\"outcome\":\"allow\",\"tenant\":\"default\",\
             \"request_id\":\"r-1\",\"tuple\":\"orders:o-1#view@\\\"user:alice\\\"\"}",
            "{\"event\":\"authz.permission.revoke\",\"time\":7000,\"outcome\":\"allow\",\"tenant\":\"default\",\
             \"tuple\":\"orders:o-1#view@\\\"user:alice\\\"\"}",
        ]
    );
}

/// An object ended in the middle of an event, and the event named another subject.
#[derive(Debug)]
struct Observer(Arc<AtomicUsize>);

impl TupleObserver for Observer {
    fn tuples_changed(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// D21 for tuples: whatever became of a write, what was known about permissions is no longer certain.
#[test]
fn an_observer_learns_of_every_write_whatever_its_outcome() {
    let script = ScriptedClient::new();
    script.answer(recorded("create: subject id"));
    script.answer(recorded("delete: exact"));
    script.fail(TransportError::Timeout);
    let count = Arc::new(AtomicUsize::new(0));
    let observed = || count.load(SeqCst);
    let keto = client(&script, "").observed(Arc::new(Observer(Arc::clone(&count))));

    block_on(keto.create(&tuple("7"), "r-1")).unwrap();
    assert_eq!(observed(), 1);
    block_on(keto.clone().delete(&tuple("7"), "r-2")).unwrap();
    assert_eq!(observed(), 2);
    block_on(keto.delete(&tuple("7"), "r-3")).unwrap_err();
    assert_eq!(observed(), 3);

    let _questions = block_on(keto.check(&[tuple("7")], "r-5"));
    assert_eq!(observed(), 3, "a question changes nothing");
}

#[test]
fn a_recorded_tuple_reads_as_the_tuple_that_was_written() {
    for (object, subject) in [
        ("x#owners@User:evil", "bob"),
        ("\"x\"", "a#b@c"),
        ("{7}", "5\" disk"),
    ] {
        let written = RelationTuple::new("orders", object, "view", Subject::id(subject).unwrap()).unwrap();
        let script = ScriptedClient::new();
        script.answer(recorded("create: subject id"));
        let (sink, events) = ChannelSink::new();
        let clock = ManualClock::new(Timestamp::from_secs(7));
        let keto = client(&script, "").recorded("default", Arc::new(sink), Arc::new(clock));

        block_on(keto.create(&written, "r-1")).unwrap();

        let event = events.recv().unwrap();
        assert_eq!(event.tuple.unwrap().parse(), Ok(written));
    }
}

/// D51, D84
#[test]
fn a_write_that_failed_is_recorded_and_not_as_a_grant() {
    let no = |status: u16| Response::builder().status(status).body("hunter2".into()).unwrap();
    let events = recorded_by(&[no(500), no(401)]);

    let details: Vec<_> = events
        .iter()
        .map(|event| (event.event, event.outcome, event.detail))
        .collect();
    assert_eq!(
        details,
        [
            (
                EventName::AuthzUpstreamUnavailable,
                Outcome::Deny,
                Some("upstream_status")
            ),
            (
                EventName::AuthzUpstreamUnavailable,
                Outcome::Deny,
                Some("upstream_refuses_credential")
            ),
        ]
    );
    assert!(!format!("{events:?}").contains("hunter2"));
}

/// D84
#[test]
fn a_write_that_nobody_waited_for_is_recorded_as_no_grant() {
    let (sink, events) = ChannelSink::new();
    let script = ScriptedClient::new();
    let keto = client(&script, "").recorded("default", Arc::new(sink), Arc::new(SystemClock));

    let tuple = tuple("o-1");
    let entry = keto.entry(EventName::AuthzPermissionGrant, &tuple, "r-1");
    drop(entry);

    let event = events.try_recv().unwrap();
    assert_eq!(event.event, EventName::AuthzUpstreamUnavailable);
    assert_eq!(event.detail, Some("upstream_cancelled"));
    assert!(events.try_recv().is_err(), "recorded once");
}

/// D50
#[test]
fn a_tuple_that_named_another_tenant_was_written_into_this_one() {
    let mint = Mint::new("k-1");
    let settings = tenants_of(&mint, &["default", "acme"], |_| {});
    let of = |name: &str| {
        let tenant = settings.registry().get(name).unwrap();
        principal_of(&mint, tenant, &json!({"tenant": name}))
    };
    let script = ScriptedClient::new();
    script.answer(recorded("create: subject id"));
    let (sink, events) = ChannelSink::new();
    let keto = client(&script, "").recorded("default", Arc::new(sink), Arc::new(SystemClock));

    // Nobody of another tenant writes through the client of this one.
    assert_eq!(
        keto.on_behalf_of(&of("acme")).unwrap_err().reason,
        Reason::TenantMismatch
    );
    let own = keto.on_behalf_of(&of("default")).unwrap();
    block_on(own.create(&tuple("o-1"), "r-1")).unwrap();

    // What is sent names no tenant, and goes where the client's tenant keeps its tuples.
    let request = &script.requests()[0];
    let sent = body(request);
    let members: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["namespace", "object", "relation", "subject_id"]);
    assert_eq!(request.uri().host(), Some("keto-write.example"));
    let event = events.try_recv().unwrap();
    assert_eq!(event.tenant.as_deref(), Some("default"));
    assert_eq!(event.actor.as_deref(), Some("user:alice"));
}

/// D47
#[test]
fn lists_are_asked_of_the_read_port_and_writes_of_the_write_port() {
    let script = ScriptedClient::new();
    script.answer(recorded("create: subject id"));
    script.answer(recorded("delete: exact"));
    script.answer(recorded("list: everything"));
    let keto = client(&script, "");

    block_on(keto.create(&tuple("o-1"), "r-1")).unwrap();
    block_on(keto.delete(&tuple("o-1"), "r-1")).unwrap();
    let page = block_on(keto.list(&TupleQuery::default(), "r-1")).unwrap();

    let asked: Vec<_> = script
        .requests()
        .iter()
        .map(|request| (request.method().clone(), request.uri().host().unwrap().to_owned()))
        .collect();
    assert_eq!(
        asked,
        [
            (Method::PUT, "keto-write.example".to_owned()),
            (Method::DELETE, "keto-write.example".to_owned()),
            (Method::GET, "keto-read.example".to_owned()),
        ]
    );
    assert!(!page.tuples.is_empty());
}

/// D49
#[test]
fn a_delete_names_all_four_parts() {
    let script = ScriptedClient::new();
    script.answer(recorded("delete: nothing matches"));
    script.answer(recorded("delete: exact"));
    let keto = client(&script, "");
    let set = RelationTuple::new(
        "orders",
        "a b&c=d",
        "view",
        Subject::set("group", "staff", "members").unwrap(),
    );

    block_on(keto.delete(&tuple("o-2"), "r-1")).unwrap();
    block_on(keto.delete(&set.unwrap(), "r-1")).unwrap();

    let queries: Vec<_> = script
        .requests()
        .iter()
        .map(|request| request.uri().query().unwrap().to_owned())
        .collect();
    assert_eq!(
        queries,
        [
            "namespace=orders&object=o-2&relation=view&subject_id=user%3Aalice",
            "namespace=orders&object=a+b%26c%3Dd&relation=view&subject_set.namespace=group&subject_set.object=staff\
             &subject_set.relation=members",
        ]
    );
}

/// Keto takes the parts separately: a mark of the notation in one of them is data.
#[test]
fn marks_of_the_notation_reach_keto_as_they_are() {
    for text in [
        "ann@example.com",
        "https://app.example/u/7?a=b&c=d",
        "a#b@c",
        "Ann (ext)",
        "5\" disk",
        "CORP\\ann",
        "{0d2c}",
        "100% & more",
    ] {
        let script = ScriptedClient::new();
        script.answer_with(StatusCode::OK, r#"{"results":[{"allowed":false}]}"#);
        script.answer(recorded("delete: exact"));
        let keto = client(&script, "");
        let tuple = RelationTuple::new("docs", text, "view", Subject::id(text).unwrap()).unwrap();

        block_on(keto.check(std::slice::from_ref(&tuple), "r-1")).unwrap();
        block_on(keto.delete(&tuple, "r-1")).unwrap();

        let requests = script.requests();
        assert_eq!(
            body(&requests[0])["tuples"],
            json!([{"namespace": "docs", "object": text, "relation": "view", "subject_id": text}])
        );
        let query = requests[1].uri().query().unwrap();
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        for name in ["object", "subject_id"] {
            assert!(pairs.contains(&(name.to_owned(), text.to_owned())), "{pairs:?}");
        }
    }
}

/// D48
#[test]
fn listed_subject_sets_stay_subject_sets() {
    let script = ScriptedClient::new();
    script.answer(recorded("list: by subject set"));
    let query = TupleQuery::default().subject(Subject::set("group", "staff", "members").unwrap());

    let page = block_on(client(&script, "").list(&query, "r-1")).unwrap();

    assert_eq!(
        page.tuples[0].to_string(),
        "orders:o-1#viewers@group:staff#members"
    );
    assert_eq!(page.next, None);
}

#[test]
fn pages_are_followed_by_their_token() {
    let script = ScriptedClient::new();
    script.answer(recorded("list: page 1 of namespace group"));
    script.answer(recorded("list: page 2"));
    let keto = client(&script, "");
    let query = TupleQuery::namespace("group").page_size(1);

    let first = block_on(keto.list(&query, "r-1")).unwrap();
    let token = first.next.clone().unwrap();
    let second = block_on(keto.list(&query.page_token(&token), "r-1")).unwrap();

    assert_ne!(first.tuples, second.tuples);
    assert!(
        script.requests()[1]
            .uri()
            .query()
            .unwrap()
            .starts_with("namespace=group&page_size=1&page_token=")
    );
}

#[test]
fn each_failure_of_a_write_says_what_it_is() {
    let script = ScriptedClient::new();
    let keto = client(&script, "");
    script.answer(recorded("create: unknown namespace"));
    script.answer(recorded("create: on the read port"));
    script.answer(recorded("create: no subject"));
    script.answer(recorded("list: unknown namespace"));
    script.answer_with(StatusCode::FORBIDDEN, "");

    let errors = [
        block_on(keto.create(&tuple("1"), "")).unwrap_err(),
        block_on(keto.create(&tuple("1"), "")).unwrap_err(),
        block_on(keto.create(&tuple("1"), "")).unwrap_err(),
        block_on(keto.list(&TupleQuery::namespace("nope"), "")).unwrap_err(),
        block_on(keto.delete(&tuple("1"), "")).unwrap_err(),
    ];

    assert_eq!(
        errors,
        [
            TupleError::UnknownNamespace,
            TupleError::Call(CallError::Status),
            TupleError::Call(CallError::Status),
            TupleError::UnknownNamespace,
            TupleError::Call(CallError::Credential),
        ]
    );
}

#[test]
fn without_a_write_port_nothing_is_sent_anywhere() {
    let script = ScriptedClient::new();
    let settings = settings_with("");
    let mut keto = settings.registry().default_tenant().keto().unwrap().clone();
    keto.write_url = None;
    let keto = PermissionClient::new(keto, Arc::new(script.clone()));

    assert_eq!(
        block_on(keto.create(&tuple("1"), "")),
        Err(TupleError::NoWritePort)
    );
    assert!(script.requests().is_empty());
}

/// R071, D79, D80
#[test]
fn errors_hold_nothing_of_upstream_and_no_secret() {
    for body in [
        r#"{"results":[{"allowed":false,"error":"canary"}]}"#,
        r#"{"error":{"reason":"canary"}}"#,
        "canary",
    ] {
        for status in [200, 400, 500] {
            let refusal = check(status, body, 1).unwrap_err();
            assert!(!format!("{refusal:?}").contains("canary"));
        }
    }
    let script = ScriptedClient::new();
    let keto = client(&script, "token = \"hunter2\"");
    script.answer_with(StatusCode::BAD_REQUEST, "canary");
    let error = block_on(keto.create(&tuple("1"), "")).unwrap_err();
    assert!(!format!("{error:?} {error} {keto:?}").contains("canary"));
    assert!(!format!("{keto:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_but_a_whole_answer_allows_anything(text in "\\PC{0,64}", asked in 1..4_usize) {
        prop_assert!(decode_batch(text.as_bytes(), JsonLimits::new(1024, 8), asked).is_err());
    }

    #[test]
    fn an_answer_that_lost_or_changed_a_byte_is_none_or_says_the_same(at in 0..49_usize, byte: u8) {
        let body = br#"{"results":[{"allowed":false},{"allowed":false}]}"#;
        let mut changed = body.to_vec();
        changed[at] = byte;

        if let Ok(answers) = decode_batch(&changed, JsonLimits::new(1024, 8), 2) {
            prop_assert_eq!(answers, vec![false, false]);
        }
    }
}
