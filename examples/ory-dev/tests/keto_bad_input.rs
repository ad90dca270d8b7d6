//! The embedded Keto rejects invalid requests without a panic, and stores nothing.

#![cfg(test)]

mod keto_support;

use keto_support::{Answer, get, send, start};
use ory_dev::keto::{Filter, Keto};

const PUT: &str = "/admin/relation-tuples";

fn put(keto: &Keto, body: &[u8]) -> Answer {
    send(keto.write(), "PUT", PUT, Some(body)).unwrap()
}

fn message(answer: &Answer) -> String {
    let value = answer.value();
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{answer:?}"
    );
    assert_eq!(value["error"]["code"], answer.status, "{answer:?}");
    value["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_no_tuple_is_refused_and_nothing_is_stored() {
    let keto = start("config");
    let deep = format!(
        "{{\"namespace\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deep_unknown = format!("{{\"other\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: &[(&[u8], &str)] = &[
        (b"", "EOF"),
        (b"  \n", "EOF"),
        (b"{", "unexpected EOF"),
        (b"null", "invalid type"),
        (b"1", "invalid type"),
        (b"\"orders:1#owners@zoe\"", "invalid type"),
        (b"[\"orders\",\"1\",\"owners\",\"zoe\"]", "invalid type"),
        (b"{\"subject_set\":[\"user\",\"zoe\",\"\"]}", "invalid type"),
        (b"{} {}", "trailing"),
        (b"{'namespace':'orders'}", "key must be a string"),
        (b"{\"namespace\":1}", "invalid type"),
        (b"{\"namespace\":{\"a\":1}}", "invalid type"),
        (b"{\"subject_id\":[]}", "invalid type"),
        (b"{\"subject_set\":\"group:1#members\"}", "invalid type"),
        (
            b"{\"namespace\":\"user\",\"namespace\":\"orders\"}",
            "duplicate field",
        ),
        (
            b"{\"subject_set\":{\"object\":\"a\",\"object\":\"b\"}}",
            "duplicate field",
        ),
        (b"{\"namespace\":\"\xff\"}", "unicode"),
        (b"{\"namespace\":\"\\ud800\"}", "hex escape"),
        (deep.as_bytes(), "invalid type"),
        (deep_unknown.as_bytes(), "subject is not allowed to be nil"),
        (b"{}", "subject is not allowed to be nil"),
        (
            b"{\"namespace\":null,\"subject_id\":null}",
            "subject is not allowed to be nil",
        ),
    ];

    for (body, expected) in cases {
        let answer = put(&keto, body);
        let text = message(&answer);
        assert_eq!(answer.status, 400, "{text}");
        assert!(text.contains(expected), "{text} does not say {expected}");
    }
    assert!(keto.store().find(&Filter::default()).is_empty());
    assert_eq!(get(keto.read(), "/health/alive").status, 200);
}

#[test]
fn an_oversized_body_is_refused_on_every_path() {
    let keto = start("config");
    let large = vec![b' '; 2 * 1024 * 1024 + 1];
    for (to, method, target) in [
        (keto.write(), "PUT", PUT),
        (keto.write(), "PATCH", PUT),
        (keto.write(), "DELETE", "/admin/relation-tuples?namespace=orders"),
        (keto.read(), "POST", "/relation-tuples/check"),
        (keto.read(), "POST", "/relation-tuples/check/openapi"),
        (keto.read(), "POST", "/relation-tuples/batch/check"),
        (keto.opl(), "POST", "/opl/syntax/check"),
    ] {
        // The connection may break before the answer is read: the server does not wait for the rest of the body.
        if let Some(answer) = send(to, method, target, Some(&large)) {
            assert_eq!(answer.status, 413, "{method} {target}");
            assert!(message(&answer).contains("larger than"), "{method} {target}");
        }
        assert_eq!(get(keto.read(), "/health/alive").status, 200);
    }
    assert!(keto.store().find(&Filter::default()).is_empty());
}

#[test]
fn bad_checks_are_refused_and_never_allowed() {
    let keto = start("config");
    let tuple = "orders:1#owners@zoe"
        .parse::<iam_grammar::RelationTuple>()
        .unwrap();
    keto.store().insert(tuple).unwrap();
    let bodies: &[&[u8]] = &[b"", b"{", b"[]", b"true", b"\xff"];
    let tuples: &[&[u8]] = &[
        b"{\"subject_id\":1}",
        b"{\"namespace\":\"orders\",\"namespace\":\"orders\"}",
        b"[\"orders\",\"1\",\"owners\",\"zoe\"]",
    ];

    for target in [
        "/relation-tuples/check",
        "/relation-tuples/check/openapi",
        "/relation-tuples/batch/check",
    ] {
        let more = if target.contains("batch") { &[] } else { tuples };
        for body in bodies.iter().chain(more) {
            let answer = send(keto.read(), "POST", target, Some(body)).unwrap();
            assert_eq!(answer.status, 400, "{target}: {answer:?}");
            assert!(
                message(&answer).starts_with("could not unmarshal json: "),
                "{answer:?}"
            );
        }
    }
    for body in [
        "{\"tuples\":[null]}",
        "{\"tuples\":{}}",
        "{\"tuples\":[1]}",
        "{\"tuples\":[],\"tuples\":[]}",
    ] {
        let answer = send(
            keto.read(),
            "POST",
            "/relation-tuples/batch/check",
            Some(body.as_bytes()),
        )
        .unwrap();
        assert_eq!(answer.status, 400, "{body}");
    }
    for query in [
        "",
        "namespace=orders&object=1&subject_id=zoe",
        "namespace=orders&object=1&relation=owners&subject=zoe",
        "namespace=orders&object=1&relation=owners&subject_id=zoe&subject_set.object=x",
        "namespace=orders&object=1&relation=owners&subject_set.object=x",
        "namespace=orders&object=%ff&relation=owners&subject_id=zoe",
        "namespace=orders&object=1&relation=owners&subject_id=zoe&max-depth=1.5",
    ] {
        let answer = get(keto.read(), &format!("/relation-tuples/check?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        message(&answer);
    }
}

#[test]
fn bad_lists_and_deletes_are_refused() {
    let keto = start("config");
    let tuple = "orders:1#owners@zoe"
        .parse::<iam_grammar::RelationTuple>()
        .unwrap();
    keto.store().insert(tuple).unwrap();

    for query in [
        "page_size=x",
        "namespace=nope",
        "subject_set.namespace=group",
        "object=%ff",
    ] {
        assert!(
            400 <= get(keto.read(), &format!("/relation-tuples?{query}")).status,
            "{query}"
        );
    }
    for query in [
        "",
        "?object=1",
        "?namespace=orders&other=1",
        "?namespace=nope",
        "?namespace=orders&subject=zoe",
    ] {
        let answer = send(keto.write(), "DELETE", &format!("{PUT}{query}"), None).unwrap();
        assert!(400 <= answer.status, "{query}");
    }
    let with_body = send(
        keto.write(),
        "DELETE",
        &format!("{PUT}?namespace=orders"),
        Some(b"{}"),
    )
    .unwrap();
    assert_eq!(with_body.value()["error"]["reason"], "body is not empty");
    assert_eq!(keto.store().find(&Filter::default()).len(), 1);
}

#[test]
fn bad_permission_files_are_reported_and_never_end_the_server() {
    let keto = start("config");
    let nested = format!(
        "class a implements Namespace {{ permits = {{ p: (ctx) => {}",
        "(".repeat(50_000)
    );
    let large = " ".repeat(300_000);
    for source in [nested.as_str(), large.as_str(), "\0", "class", "{\"json\": true}"] {
        let answer = send(keto.opl(), "POST", "/opl/syntax/check", Some(source.as_bytes())).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.value()["errors"].as_array().map(Vec::len),
            Some(1),
            "{answer:?}"
        );
    }
    let answer = send(keto.opl(), "POST", "/opl/syntax/check", Some(b"class \xff")).unwrap();
    assert_eq!(answer.status, 400);
    assert!(message(&answer).contains("UTF-8"));
    assert_eq!(get(keto.opl(), "/health/ready").status, 200);
}
