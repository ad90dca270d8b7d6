//! Behaviour of the embedded Keto beyond the recordings: states, pages, limits, circles and other files.

#![cfg(test)]

mod keto_support;

use std::{fs, net::SocketAddr};

use keto_support::{Answer, get, send, start};
use ory_dev::{
    config::Vars,
    keto::{Filter, Keto, Subject, SubjectSet, Tuple},
};
use serde_json::{Value, json};

/// Starts a Keto with the given permission file and limits.
fn start_with(opl: &str, limits: &str) -> Keto {
    let folder = std::env::temp_dir().join(format!("ory-dev-keto-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&folder).unwrap();
    let yaml =
        format!("dsn: memory\nnamespaces: {{ location: 'file://${{CONFIG}}/n.ts' }}\nlimit: {limits}\n");
    fs::write(folder.join("n.ts"), opl).unwrap();
    fs::write(folder.join("keto.yml"), yaml).unwrap();

    let config = Keto::from_files(&folder.join("keto.yml"), &Vars::new(&folder, &folder)).unwrap();
    fs::remove_dir_all(folder).unwrap();
    Keto::start(config.any_ports()).unwrap()
}

/// Sends JSON and expects an answer.
fn send_json(to: SocketAddr, method: &str, target: &str, body: &Value) -> Answer {
    send(to, method, target, Some(body.to_string().as_bytes())).unwrap()
}

fn all(keto: &Keto) -> Vec<Tuple> {
    keto.store().find(&Filter::default())
}

#[test]
fn answers_follow_what_is_written_and_removed() {
    let keto = start("config");
    let tuple = json!({ "namespace": "listings", "object": "7", "relation": "view", "subject_id": "zoe" });
    let allowed = || send_json(keto.read(), "POST", "/relation-tuples/check/openapi", &tuple).value();

    assert_eq!(allowed(), json!({ "allowed": false }));
    assert_eq!(
        send_json(keto.write(), "PUT", "/admin/relation-tuples", &tuple).status,
        201
    );
    assert_eq!(allowed(), json!({ "allowed": true }));
    let delete = "/admin/relation-tuples?namespace=listings&subject_id=zoe";
    assert_eq!(send(keto.write(), "DELETE", delete, None).unwrap().status, 204);
    assert_eq!(allowed(), json!({ "allowed": false }));
}

#[test]
fn another_permission_file_and_other_limits_give_other_answers() {
    let keto = start_with(
        "class user implements Namespace {}
         class team implements Namespace { related: { in: (user | SubjectSet<team, 'in'>)[] } }
         class doc implements Namespace {
           related: { readers: SubjectSet<team, 'in'>[] banned: user[] }
           permits = { read: (ctx) => this.related.readers.includes(ctx.subject) && !this.related.banned.includes(ctx.subject) }
         }",
        "{ max_batch_check_size: 2, max_read_depth: 4 }",
    );
    for tuple in [
        "doc:1#readers@(team:a#in)",
        "team:a#in@zoe",
        "team:a#in@max",
        "doc:1#banned@max",
        "team:a#in@(team:b#in)",
        "team:b#in@(team:c#in)",
        "team:c#in@far",
    ] {
        keto.store()
            .insert(tuple.parse::<iam_grammar::RelationTuple>().unwrap())
            .unwrap();
    }
    let ask = |subjects: &[&str]| {
        let tuples: Vec<Value> = subjects.iter().map(|subject| json!({ "namespace": "doc", "object": "1", "relation": "read", "subject_id": subject })).collect();
        send_json(
            keto.read(),
            "POST",
            "/relation-tuples/batch/check",
            &json!({ "tuples": tuples }),
        )
        .value()
    };

    assert_eq!(
        ask(&["zoe", "max"]),
        json!({ "results": [{ "allowed": true }, { "allowed": false }] })
    );
    assert_eq!(
        ask(&["far"]),
        json!({ "results": [{ "allowed": false }] }),
        "beyond the configured depth"
    );
    assert_eq!(
        ask(&["zoe", "max", "far"])["error"]["message"],
        "batch exceeds max size of 2"
    );
    let names = get(keto.read(), "/namespaces").value();
    assert_eq!(
        names,
        json!({ "namespaces": [{ "name": "doc" }, { "name": "team" }, { "name": "user" }] })
    );
}

#[test]
fn permits_in_a_circle_are_422_and_an_error_in_a_batch() {
    let keto = start_with(
        "class doc implements Namespace { permits = { a: (ctx) => !this.permits.b(ctx), b: (ctx) => !this.permits.a(ctx) } }",
        "{}",
    );
    let tuple = json!({ "namespace": "doc", "object": "1", "relation": "a", "subject_id": "zoe" });

    assert_eq!(
        send_json(keto.read(), "POST", "/relation-tuples/check", &tuple).status,
        422
    );
    let batch = send_json(
        keto.read(),
        "POST",
        "/relation-tuples/batch/check",
        &json!({ "tuples": [tuple] }),
    );
    assert_eq!(
        batch.value()["results"],
        json!([{ "allowed": false, "error": "The check could not be completed" }])
    );
}

#[test]
fn a_tuple_created_twice_is_listed_twice_and_one_delete_removes_both() {
    let keto = start("config");
    let tuple =
        json!({ "namespace": "orders", "object": "twice", "relation": "owners", "subject_id": "zoe" });
    for _ in 0..2 {
        assert_eq!(
            send_json(keto.write(), "PUT", "/admin/relation-tuples", &tuple).status,
            201
        );
    }
    let list = || get(keto.read(), "/relation-tuples?namespace=orders&object=twice").value();
    assert_eq!(list()["relation_tuples"], json!([tuple, tuple]));

    let delete = "/admin/relation-tuples?namespace=orders&object=twice&relation=owners&subject_id=zoe";
    assert_eq!(send(keto.write(), "DELETE", delete, None).unwrap().status, 204);

    assert_eq!(list(), json!({ "relation_tuples": [], "next_page_token": "" }));
}

#[test]
fn a_tuple_with_both_subjects_is_stored_as_the_id() {
    let keto = start("config");
    let both = json!({
        "namespace": "orders", "object": "1", "relation": "owners", "subject_id": "zoe",
        "subject_set": { "namespace": "user", "object": "bob", "relation": "" },
    });

    assert_eq!(
        send_json(keto.write(), "PUT", "/admin/relation-tuples", &both).value(),
        both
    );

    let stored: Vec<Subject> = all(&keto).into_iter().map(|tuple| tuple.subject).collect();
    assert_eq!(stored, [Subject::Id("zoe".to_owned())]);
}

#[test]
fn a_patch_changes_all_or_nothing() {
    let keto = start("config");
    let tuple = |namespace: &str, object: &str| json!({ "namespace": namespace, "object": object, "relation": "owners", "subject_id": "zoe" });
    let patch = |deltas: Value| send_json(keto.write(), "PATCH", "/admin/relation-tuples", &deltas).status;
    let insert = |tuple: Value| json!({ "action": "insert", "relation_tuple": tuple });
    let delete = |tuple: Value| json!({ "action": "delete", "relation_tuple": tuple });
    assert_eq!(patch(json!([insert(tuple("orders", "1"))])), 204);
    let before = all(&keto);

    for bad in [
        json!([insert(tuple("orders", "2")), insert(tuple("nope", "2"))]),
        json!([delete(tuple("orders", "1")), insert(tuple("nope", "2"))]),
        json!([delete(tuple("orders", "1")), { "action": "insert" }]),
        json!([delete(tuple("orders", "1")), { "action": "insert", "relation_tuple": { "namespace": "orders" } }]),
        json!([delete(tuple("orders", "1")), { "relation_tuple": tuple("orders", "2") }]),
    ] {
        assert!(400 <= patch(bad.clone()), "{bad}");
        assert_eq!(all(&keto), before, "{bad}");
    }

    assert_eq!(
        patch(json!([
            delete(tuple("orders", "1")),
            insert(tuple("orders", "2"))
        ])),
        204
    );
    let objects: Vec<String> = all(&keto).into_iter().map(|tuple| tuple.object).collect();
    assert_eq!(objects, ["2"]);
    assert_eq!(patch(json!([])), 204);
}

#[test]
fn pages_of_any_size_list_everything_once() {
    let keto = start("config");
    for index in 0..7 {
        let set = SubjectSet {
            namespace: "group".into(),
            object: index.to_string(),
            relation: "members".into(),
        };
        let tuple = Tuple {
            namespace: "orders".into(),
            object: "1".into(),
            relation: "owners".into(),
            subject: Subject::Set(set),
        };
        keto.store().insert(tuple).unwrap();
    }

    for size in 1..9 {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let page = get(
                keto.read(),
                &format!("/relation-tuples?namespace=orders&page_size={size}&page_token={token}"),
            )
            .value();
            let tuples = page["relation_tuples"].as_array().unwrap();
            assert!(tuples.len() <= size);
            listed.extend(
                tuples
                    .iter()
                    .map(|tuple| tuple["subject_set"]["object"].as_str().unwrap().to_owned()),
            );
            page["next_page_token"].as_str().unwrap().clone_into(&mut token);
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, ["0", "1", "2", "3", "4", "5", "6"], "pages of {size}");
    }
}

#[test]
fn a_page_token_that_this_server_did_not_issue_gets_no_answer() {
    let (keto, other) = (start("config"), start("config"));
    for server in [&keto, &other] {
        for subject in ["a", "b"] {
            let tuple = format!("orders:1#owners@{subject}")
                .parse::<iam_grammar::RelationTuple>()
                .unwrap();
            server.store().insert(tuple).unwrap();
        }
    }
    let page = get(other.read(), "/relation-tuples?page_size=1").value();
    let foreign = page["next_page_token"].as_str().unwrap();

    for token in ["nonsense", "%", "AAAAAAAAAAE=", foreign] {
        let target = format!("/relation-tuples?page_token={token}");
        assert!(send(keto.read(), "GET", &target, None).is_none(), "{token}");
    }
    assert_eq!(
        get(other.read(), &format!("/relation-tuples?page_token={foreign}")).status,
        200
    );
    assert_eq!(get(keto.read(), "/health/ready").status, 200);
}

#[test]
fn expand_ends_in_a_circle_and_at_the_depth() {
    let keto = start("config");
    for tuple in [
        "group:a#members@(group:b#members)",
        "group:b#members@(group:a#members)",
        "group:b#members@zoe",
    ] {
        keto.store()
            .insert(tuple.parse::<iam_grammar::RelationTuple>().unwrap())
            .unwrap();
    }
    let expand = |depth: u32| {
        get(
            keto.read(),
            &format!("/relation-tuples/expand?namespace=group&object=a&relation=members&max-depth={depth}"),
        )
        .value()
    };
    let kinds = |tree: &Value| {
        (
            tree["type"].clone(),
            tree["children"].as_array().map_or(0, Vec::len),
        )
    };

    assert_eq!(kinds(&expand(1)), (json!("leaf"), 0));
    assert_eq!(kinds(&expand(2)), (json!("union"), 1));
    assert_eq!(kinds(&expand(2)["children"][0]), (json!("leaf"), 0));
    let whole = expand(0);
    assert_eq!(kinds(&whole["children"][0]), (json!("union"), 2));
    assert_eq!(
        kinds(&whole["children"][0]["children"][0]),
        (json!("leaf"), 0),
        "the circle"
    );
}

#[test]
fn another_method_on_a_known_path_is_405_and_names_the_known_ones() {
    let keto = start("config");
    for (to, method, target, allow) in [
        (keto.read(), "POST", "/relation-tuples", "GET, HEAD"),
        (keto.read(), "PUT", "/relation-tuples/check", "GET, HEAD, POST"),
        (keto.read(), "GET", "/relation-tuples/batch/check", "POST"),
        (
            keto.write(),
            "GET",
            "/admin/relation-tuples",
            "DELETE, PATCH, PUT",
        ),
        (keto.opl(), "GET", "/opl/syntax/check", "POST"),
    ] {
        let answer = send(to, method, target, None).unwrap();
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {target}"
        );
        assert_eq!(answer.body, b"Method Not Allowed\n");
    }
    let head = send(keto.read(), "HEAD", "/health/ready", None).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn syntax_mistakes_are_reported_with_the_places_that_keto_counts() {
    let keto = start("config");
    let errors = |source: &str| {
        send(keto.opl(), "POST", "/opl/syntax/check", Some(source.as_bytes()))
            .unwrap()
            .value()
    };

    assert_eq!(
        errors("class a implements Namespace { related: { x: one[] y: two[] } }")["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let syntax = errors("class a { }\nclass b { }");
    assert_eq!(
        syntax,
        json!({ "errors": [{
            "message": "expected \"implements\", got \"{\"",
            "start": { "Line": 1, "column": 8 }, "end": { "Line": 1, "column": 9 },
        }] })
    );
    assert_eq!(errors(""), json!({}));
}
