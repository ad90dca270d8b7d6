//! Revocation of a person's own sessions.

use serde_json::{Value, json};

use crate::support::{PASSWORD, Stand};

async fn three_sessions(stand: &Stand, email: &str) -> [(String, String); 3] {
    let of = |answer: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer["session_token"]), text(&answer["session"]["id"]))
    };
    let first = of(&stand.register(email).await);
    let second = of(&stand.log_in(email, PASSWORD).await.value());
    let third = of(&stand.log_in(email, PASSWORD).await.value());
    [first, second, third]
}

async fn statuses(stand: &Stand, sessions: &[(String, String); 3]) -> [u16; 3] {
    let mut statuses = [0; 3];
    for (status, (token, _)) in statuses.iter_mut().zip(sessions) {
        *status = stand.whoami(token).await.status;
    }
    statuses
}

#[actix_web::test]
async fn person_revokes_one_other_session_and_not_the_one_in_use() {
    let stand = Stand::start();
    let sessions = three_sessions(&stand, "one@example.com").await;
    let [(own, own_id), (_, other_id), _] = &sessions;
    let headers = [("x-session-token", own.as_str())];
    let delete = async |id: &str| {
        let url = stand.public(&format!("sessions/{id}"));
        stand.send("DELETE", &url, &headers, b"").await.status
    };

    assert_eq!(delete(other_id).await, 204);
    assert_eq!(delete(other_id).await, 204);
    assert_eq!(delete(own_id).await, 400);
    assert_eq!(delete("nope").await, 400);

    assert_eq!(statuses(&stand, &sessions).await, [200, 401, 200]);
}

#[actix_web::test]
async fn person_revokes_all_other_sessions() {
    let stand = Stand::start();
    let sessions = three_sessions(&stand, "all@example.com").await;
    let stranger = stand.register("stranger@example.com").await;
    let headers = [("x-session-token", sessions[0].0.as_str())];

    let answer = stand
        .send("DELETE", &stand.public("sessions"), &headers, b"")
        .await;

    assert_eq!((answer.status, answer.value()), (200, json!({"count": 2})));
    assert_eq!(statuses(&stand, &sessions).await, [200, 401, 401]);
    assert_eq!(
        stand
            .whoami(stranger["session_token"].as_str().unwrap())
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn session_of_another_person_is_not_revoked() {
    let stand = Stand::start();
    let victim = three_sessions(&stand, "victim@example.com").await;
    let thief = stand.register("thief@example.com").await;
    let headers = [("x-session-token", thief["session_token"].as_str().unwrap())];

    let url = stand.public(&format!("sessions/{}", victim[0].1));
    assert_eq!(stand.send("DELETE", &url, &headers, b"").await.status, 204);
    assert_eq!(stand.send("DELETE", &url, &[], b"").await.status, 401);
    assert_eq!(
        stand
            .send("DELETE", &stand.public("sessions"), &[], b"")
            .await
            .status,
        401
    );

    assert_eq!(statuses(&stand, &victim).await, [200, 200, 200]);
}
