//! The admin interface: every request has its whole effect, or none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{PASSWORD, Stand};

async fn create(stand: &Stand, body: Value) -> crate::support::Answer {
    stand
        .json("POST", &stand.admin("admin/identities"), &[], &body)
        .await
}

async fn identity(stand: &Stand, id: &str) -> Value {
    stand
        .get(&stand.admin(&format!("admin/identities/{id}")), &[])
        .await
        .value()
}

#[actix_web::test]
async fn created_identity_logs_in_with_the_password_or_hash_it_was_given() {
    let stand = Stand::start();
    let hash = "$2a$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
    for (email, config) in [
        ("plain@example.com", json!({"password": PASSWORD})),
        ("hashed@example.com", json!({"hashed_password": hash})),
    ] {
        let body = json!({"schema_id": "default", "traits": {"email": email}, "credentials": {"password": {"config": config}}});
        let made = create(&stand, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert!(!made.text().contains("$2a$"), "no hash unless asked for");
    }

    assert_eq!(stand.log_in("PLAIN@example.com", PASSWORD).await.status, 200);
    assert_eq!(
        stand.log_in("plain@example.com", "another-password").await.status,
        400
    );
    assert_eq!(
        stand
            .log_in("hashed@example.com", "another-password")
            .await
            .status,
        400
    );
    let nobody = create(&stand, json!({"traits": {"email": "none@example.com"}})).await;
    assert_eq!(nobody.status, 201);
    assert_eq!(stand.log_in("none@example.com", "nobody").await.status, 400);
}

#[actix_web::test]
async fn refused_patch_changes_nothing() {
    let stand = Stand::start();
    let registered = stand.register("patch@example.com").await;
    let id = registered["identity"]["id"].as_str().unwrap();
    let before = identity(&stand, id).await;
    let url = stand.admin(&format!("admin/identities/{id}"));
    let good = json!({"op": "add", "path": "/metadata_public", "value": {"roles": ["admin"]}});

    for (what, patch) in [
        (
            "test",
            json!([good, {"op": "test", "path": "/schema_id", "value": "nope"}]),
        ),
        ("denied", json!([good, {"op": "remove", "path": "/credentials"}])),
        (
            "trait",
            json!([good, {"op": "replace", "path": "/traits/email", "value": "nonsense"}]),
        ),
        (
            "state",
            json!([good, {"op": "replace", "path": "/state", "value": "asleep"}]),
        ),
        (
            "schema",
            json!([good, {"op": "replace", "path": "/schema_id", "value": "nope"}]),
        ),
        ("missing", json!([good, {"op": "remove", "path": "/traits/name"}])),
        ("not a patch", json!({"metadata_public": {}})),
        ("text", json!("text")),
    ] {
        let answer = stand.json("PATCH", &url, &[], &patch).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(identity(&stand, id).await, before, "{what}");
    }
    let raw = stand
        .send("PATCH", &url, &[("content-type", "application/json")], b"[{")
        .await;
    assert_eq!(raw.status, 400);
}

#[actix_web::test]
async fn patched_address_cannot_be_that_of_another() {
    let stand = Stand::start();
    stand.register("first@example.com").await;
    let second = stand.register("second@example.com").await;
    let url = stand.admin(&format!(
        "admin/identities/{}",
        second["identity"]["id"].as_str().unwrap()
    ));
    let to = |email: &str| json!([{"op": "replace", "path": "/traits/email", "value": email}]);

    assert_eq!(
        stand
            .json("PATCH", &url, &[], &to("First@example.com"))
            .await
            .status,
        409
    );
    assert_eq!(stand.log_in("second@example.com", PASSWORD).await.status, 200);
    assert_eq!(
        stand
            .json("PATCH", &url, &[], &to("third@example.com"))
            .await
            .status,
        200
    );

    assert_eq!(stand.log_in("second@example.com", PASSWORD).await.status, 400);
    assert_eq!(stand.log_in("third@example.com", PASSWORD).await.status, 200);
}

#[actix_web::test]
async fn patches_at_once_are_all_kept_or_refused() {
    let stand = Stand::start();
    let body = json!({"traits": {"email": "at-once@example.com"}, "metadata_public": []});
    let id = create(&stand, body).await.value()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = stand.admin(&format!("admin/identities/{id}"));
    let patches = (0..32).map(|number| {
        let (stand, url) = (&stand, &url);
        let patch = json!([{"op": "add", "path": "/metadata_public/-", "value": number}]);
        async move { (number, stand.json("PATCH", url, &[], &patch).await.status) }
    });

    let answers = futures_util::future::join_all(patches).await;

    let found = identity(&stand, &id).await;
    let found: Vec<_> = found["metadata_public"].as_array().unwrap().iter().collect();
    assert!(!found.is_empty());
    for (number, status) in &answers {
        let kept = found.contains(&&json!(number));
        assert_eq!(*status, if kept { 200 } else { 409 }, "{number}");
    }
}

/// D55
#[actix_web::test]
async fn put_without_metadata_loses_it_and_keeps_the_state() {
    let stand = Stand::start();
    let body = json!({
        "traits": {"email": "put@example.com"}, "state": "inactive",
        "metadata_public": {"roles": ["x"]}, "metadata_admin": {"note": "y"},
    });
    let id = create(&stand, body).await.value()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = stand.admin(&format!("admin/identities/{id}"));

    let put = stand
        .json(
            "PUT",
            &url,
            &[],
            &json!({"schema_id": "default", "traits": {"email": "put@example.com"}}),
        )
        .await;

    assert_eq!(put.status, 200);
    let after = identity(&stand, &id).await;
    assert_eq!(after["metadata_public"], Value::Null);
    assert_eq!(after["metadata_admin"], Value::Null);
    assert_eq!(after["state"], "inactive");
}

#[actix_web::test]
async fn pages_show_every_identity_once() {
    let stand = Stand::start();
    for number in 0..7 {
        let made = create(
            &stand,
            json!({"traits": {"email": format!("p{number}@example.com")}}),
        )
        .await;
        assert_eq!(made.status, 201);
    }

    let (mut seen, mut pages) = (BTreeSet::new(), Vec::new());
    let mut url = stand.admin("admin/identities?page_size=3");
    loop {
        let answer = stand.get(&url, &[]).await;
        for identity in answer.value().as_array().unwrap() {
            assert!(
                seen.insert(identity["id"].as_str().unwrap().to_owned()),
                "an identity came twice"
            );
        }
        pages.push(answer.value().as_array().unwrap().len());
        let link = answer.header("link").unwrap();
        let Some(next) = link.split(',').find(|part| part.contains("rel=\"next\"")) else {
            break;
        };
        let path = next.trim_start_matches("</").split('>').next().unwrap();
        url = stand.admin(path);
    }

    assert_eq!((seen.len(), pages), (7, vec![3, 3, 1]));
}

#[actix_web::test]
async fn pages_of_all_sessions_show_every_session_once() {
    let stand = Stand::start();
    for number in 0..5 {
        stand.register(&format!("s{number}@example.com")).await;
    }

    let (mut seen, mut url) = (BTreeSet::new(), stand.admin("admin/sessions?page_size=2"));
    loop {
        let answer = stand.get(&url, &[]).await;
        for session in answer.value().as_array().unwrap() {
            assert!(
                seen.insert(session["id"].as_str().unwrap().to_owned()),
                "a session came twice"
            );
        }
        let link = answer.header("link").unwrap();
        let Some(next) = link.split(',').find(|part| part.contains("rel=\"next\"")) else {
            break;
        };
        url = stand.admin(next.trim_start_matches("</").split('>').next().unwrap());
    }

    assert_eq!(seen.len(), 5);
    let wrong = stand
        .get(&stand.admin("admin/sessions?page_token=nonsense"), &[])
        .await;
    assert_eq!(wrong.status, 400);
}

#[actix_web::test]
async fn unknown_identifier_lists_no_identity() {
    let stand = Stand::start();
    stand.register("known@example.com").await;
    let list =
        |identifier: &str| stand.admin(&format!("admin/identities?credentials_identifier={identifier}"));

    assert_eq!(
        stand.get(&list("unknown@example.com"), &[]).await.value(),
        json!([])
    );
    assert_eq!(
        stand
            .get(&list("KNOWN@example.com"), &[])
            .await
            .value()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[actix_web::test]
async fn admin_interface_is_not_on_the_public_port() {
    let stand = Stand::start();
    for (method, path) in [
        ("GET", "admin/identities?a=b&c=%22"),
        ("POST", "admin/identities"),
        ("DELETE", "admin/sessions/x"),
        ("GET", "admin/"),
    ] {
        let answer = stand.send(method, &stand.public(path), &[], b"").await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (307, Some(stand.admin(path).as_str())),
            "{path}"
        );
    }
}
