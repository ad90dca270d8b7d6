//! Compares the embedded Kratos with recordings of the real one. Every recorded exchange is sent again, in the recorded
//! order, with identities, ids, tokens and cookies from this run's answers.

use ory_dev::kratos::authenticator_code;
use serde_json::{Value, json};

use crate::{
    replay::{Replay, Shape, shape},
    support::{PASSWORD, Stand, totp_secret},
};

const RECORDINGS: &str = include_str!("../recordings/kratos.json");

/// The recorded exchanges that are sent again.
const INSIDE: &[&str] = &[
    "registration/native: start",
    "registration/native: weak password",
    "registration/native: trait that the schema refuses",
    "registration/native: unknown method",
    "registration/native: no method",
    "registration/native: body is not JSON",
    "registration/native: success",
    "registration/native: same flow again",
    "registration/native: address already taken",
    "registration/native: unknown flow",
    "registration/native: flow id is not a UUID",
    "registration/native: get flow",
    "login/native: start",
    "login/native: wrong password",
    "login/native: success",
    "login/native: start with a session",
    "login/native: start refresh with a session",
    "login/native: get flow",
    "login/native: get unknown flow",
    "login/native: return_to outside the allow list",
    "login/browser: start, HTML",
    "login/browser: start, JSON",
    "login/browser: submit without CSRF",
    "login/browser: get flow without its CSRF cookie",
    "login/browser: success, JSON",
    "login/browser: start while logged in, JSON",
    "registration/browser: start, JSON",
    "whoami: bearer token",
    "whoami: lower-case scheme",
    "whoami: X-Session-Token",
    "whoami: cookie",
    "whoami: cookie and another valid token",
    "whoami: bad cookie and a valid token",
    "whoami: valid cookie and a bad token",
    "whoami: bad X-Session-Token and a valid bearer",
    "whoami: nothing",
    "whoami: unknown token",
    "whoami: HEAD",
    "identity: get",
    "identity: get with credentials",
    "identity: patch metadata_public",
    "whoami: after a metadata change",
    "identity: patch credentials",
    "identity: patch with a failing test op",
    "identity: put",
    "identity: put without state",
    "identity: put without metadata",
    "identity: get, unknown id",
    "identity: get, id is not a UUID",
    "identity: create",
    "identity: create, taken address",
    "identity: create, schema refuses",
    "identity: create, unknown schema",
    "identity: list, first page",
    "identity: list, next page",
    "identity: list by credentials identifier",
    "identity: list, page token of another kind",
    "sessions: of an identity",
    "sessions: of an identity, active only",
    "sessions: get, expanded",
    "sessions: get, unknown",
    "sessions: extend",
    "sessions: list mine",
    "sessions: list all",
    "sessions: revoke",
    "sessions: revoke again",
    "whoami: revoked session",
    "settings/native: start",
    "settings/native: start without a session",
    "settings/native: submit without a session",
    "settings/native: wrong totp code",
    "settings/native: totp set up",
    "login/native: account with a second factor",
    "whoami: aal1 session of an account with a second factor",
    "login/native: start aal2",
    "login/native: aal2 success",
    "whoami: aal2 session",
    "login/native: start aal2 without a session",
    "schema: list",
    "schema: get",
    "schema: get, unknown",
    "schema: list on the public port",
    "logout/browser: create",
    "logout/browser: create without a session",
    "logout/browser: submit with a wrong token",
    "logout/browser: submit without the cookie",
    "logout/browser: submit",
    "whoami: cookie after logout",
    "logout/native: success",
    "logout/native: again",
    "identity: deactivate",
    "whoami: session of an inactive identity",
    "login/native: inactive identity",
    "identity: delete",
    "identity: delete again",
    "whoami: session of a deleted identity",
    "identity: delete all sessions",
    "whoami: after all sessions were deleted",
    "version",
    "health: ready",
    "health: alive",
    "admin route on the public port",
    "unknown route",
];

/// Recorded exchanges with unsupported features.
const OUTSIDE: &[(&str, &str)] = &[
    ("identity: batch patch", "no batches of identities"),
    ("recovery: admin code", "no recovery"),
    ("recovery: admin link", "no recovery"),
    ("recovery/native: start", "no recovery"),
    ("recovery/native: ask for a code", "no recovery"),
    ("recovery/native: wrong code", "no recovery"),
    ("verification/native: start", "no verification"),
    ("verification/native: ask for a code", "no verification"),
    ("courier: list", "no mails"),
    ("courier: get", "no mails"),
    ("courier: get, unknown", "no mails"),
    ("courier: list by status and recipient", "no mails"),
];

/// Accepted differences from the recording, and the reasons.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("version", "/version", "this is another program"),
    ("settings/native: start", "src", "there is no QR code"),
    ("settings/native: wrong totp code", "src", "there is no QR code"),
    (
        "settings/native: totp set up",
        "action",
        "Kratos names the flow that is next",
    ),
    (
        "identity: list, first page",
        "metadata_public",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "metadata_admin",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "status",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "verified",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "verified_at",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "email",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "value",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "metadata_public",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "metadata_admin",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "status",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "verified",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "verified_at",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "email",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "value",
        "ids are random, so any identity may come first",
    ),
];

/// A replay of the whole recording.
struct Recording {
    replay: Replay,
    /// The secret of the linked authenticator app.
    totp_secret: String,
}

impl Recording {
    /// Repeats the recorder's actions between two recorded exchanges.
    async fn prepare(&mut self, name: &str, entry: &Value, following: &[Value]) {
        let url = entry["request"]["url"].as_str().unwrap();
        match name {
            "settings/native: start" => self.register_tina(entry).await,
            "settings/native: totp set up" | "login/native: aal2 success" => {
                let code = authenticator_code(&self.totp_secret, &self.replay.stand.clock).unwrap();
                self.replay
                    .here
                    .put(entry["request"]["body"]["totp_code"].as_str().unwrap(), &code);
            }
            "registration/native: address already taken" => self.start_flow("registration", url).await,
            "login/native: account with a second factor" | "login/native: inactive identity" => {
                self.start_flow("login", url).await;
            }
            "identity: list, first page" => {
                for number in 0..5 {
                    let body = json!({"schema_id": "default", "traits": {"email": format!("more-{number}@example.com")}});
                    let made = self
                        .replay
                        .stand
                        .json("POST", &self.replay.stand.admin("admin/identities"), &[], &body)
                        .await;
                    assert_eq!(made.status, 201);
                }
            }
            "identity: deactivate" => self.register("dave", url, &following[1]).await,
            "identity: delete all sessions" => self.register("erin", url, &following[1]).await,
            _ => {}
        }
    }

    async fn start_flow(&mut self, kind: &str, recorded: &str) {
        let action = self.replay.stand.native_flow(kind).await;
        let id = |url: &str| url.split_once("flow=").unwrap().1.to_owned();
        self.replay.here.put(&id(recorded), &id(&action));
    }

    async fn register(&mut self, who: &str, recorded: &str, following: &Value) {
        let email = self.replay.here.translate(&format!("{who}-0ec0d1@example.com"));
        let answer = self.replay.stand.register(&email).await;
        let id = recorded
            .split('/')
            .find(|part| shape(part) == Shape::Uuid)
            .unwrap();
        self.replay
            .here
            .put(id, answer["identity"]["id"].as_str().unwrap());
        let bearer = following["request"]["headers"]["Authorization"].as_str().unwrap();
        self.replay.here.put(
            bearer.strip_prefix("Bearer ").unwrap(),
            answer["session_token"].as_str().unwrap(),
        );
    }

    async fn register_tina(&mut self, entry: &Value) {
        let email = self.replay.here.translate("tina-0ec0d1@example.com");
        let answer = self.replay.stand.register(&email).await;
        let recorded = entry["request"]["headers"]["X-Session-Token"].as_str().unwrap();
        self.replay
            .here
            .put(recorded, answer["session_token"].as_str().unwrap());
    }
}

#[actix_web::test]
async fn every_recorded_exchange_is_answered_as_the_real_server_answered_it() {
    let entries: Vec<Value> = serde_json::from_str(RECORDINGS).unwrap();
    let mut recording = Recording {
        replay: Replay::with(Stand::start(), "0ec0d1", OTHERWISE).await,
        totp_secret: String::new(),
    };

    let mut sent = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let name = entry["name"].as_str().unwrap();
        if !INSIDE.contains(&name) {
            continue;
        }
        recording.prepare(name, entry, &entries[index..]).await;
        let answer = recording.replay.play(entry).await;
        if name == "settings/native: start" {
            recording.totp_secret = totp_secret(&answer.value());
        }
        sent.push(name);
    }

    let problems = recording.replay.problems;
    assert!(problems.is_empty(), "{}\n", problems.join("\n"));
    assert_eq!(sent, INSIDE);
}

#[test]
fn every_recorded_exchange_is_sent_again_or_has_a_reason() {
    let entries: Vec<Value> = serde_json::from_str(RECORDINGS).unwrap();
    let mut recorded: Vec<_> = entries
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let mut known: Vec<_> = INSIDE
        .iter()
        .copied()
        .chain(OUTSIDE.iter().map(|(name, _)| *name))
        .collect();

    recorded.sort_unstable();
    known.sort_unstable();
    assert_eq!(recorded, known);
}

#[actix_web::test]
async fn head_names_the_length_of_the_answer_that_it_leaves_out() {
    let stand = Stand::start();
    let token = stand.register("head@example.com").await["session_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [("x-session-token", token.as_str())];

    let full = stand.get(&stand.public("sessions/whoami"), &headers).await;
    let head = stand
        .send("HEAD", &stand.public("sessions/whoami"), &headers, b"")
        .await;

    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        Some(full.body.len().to_string().as_str())
    );
}

#[actix_web::test]
async fn refused_registrations_leave_no_account_behind() {
    let stand = Stand::start();
    let action = stand.native_flow("registration").await;
    for body in [
        json!({"method": "password", "password": "123", "traits": {"email": "x@example.com"}}),
        json!({"method": "nope", "password": PASSWORD, "traits": {"email": "x@example.com"}}),
        json!({"method": "password", "traits": {"email": "x@example.com"}}),
        json!({"method": "password", "password": PASSWORD, "traits": {"email": "x@example.com", "admin": true}}),
    ] {
        assert_eq!(stand.json("POST", &action, &[], &body).await.status, 400);
    }

    let listed = stand.get(&stand.admin("admin/identities"), &[]).await;
    assert_eq!(listed.value(), json!([]));
    assert_eq!(stand.log_in("x@example.com", PASSWORD).await.status, 400);
}
