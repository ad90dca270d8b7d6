//! Step 1: people without a session.

use scenario::{Promise, client::Request};
use serde_json::json;

use super::{ALLOWED, Walk};

/// Comes without a credential, with an unknown one, and with several.
pub(super) async fn walk(walk: &mut Walk<'_>) {
    walk.report.step(1, "Without a session");
    let service = &walk.world.service;
    let unknown = "ory_st_0000000000000000000000000000000";
    let allowed = |proves| Promise::new(200, ALLOWED, proves);
    let missing = |proves| Promise::new(401, "auth.failure.missing_credential", proves);
    let ambiguous = |proves| Promise::new(400, "auth.failure.malformed", proves);

    let asked = [
        (Request::get("/health"), allowed("public")),
        (Request::get("/welcome"), allowed("only without a session")),
        (
            Request::get("/me"),
            missing("nothing said: a session is required"),
        ),
        (
            Request::get("/me").header("cookie", "ory_kratos_session="),
            missing("an empty cookie is no credential"),
        ),
        (
            Request::get("/me").header("cookie", "ory_kratos_session_other=x; theme=dark"),
            missing("a cookie of another name is no credential"),
        ),
        (
            Request::get("/me").bearer(unknown),
            Promise::new(
                401,
                "auth.failure.session_inactive",
                "Kratos does not know the session",
            ),
        ),
        (
            Request::get("/me")
                .bearer(unknown)
                .header("x-session-token", unknown),
            ambiguous("two credentials are refused"),
        ),
        (
            Request::get("/feed").bearer(unknown).bearer(unknown),
            ambiguous("one credential twice is refused, also where none is required"),
        ),
        (
            Request::get("/me").header("cookie", "ory_kratos_session=a; ory_kratos_session=b"),
            ambiguous("two session cookies are refused"),
        ),
        (
            Request::get("/feed").header("cookie", "ory_kratos_session=\"a b\""),
            Promise::new(
                401,
                "auth.failure.malformed",
                "a malformed credential is refused, also where none is required",
            ),
        ),
        (
            Request::get("/welcome").bearer(unknown),
            allowed("a session that has ended is nobody"),
        ),
    ];
    for (request, promise) in asked {
        walk.report.ask(service, request, promise).await;
    }
    for (request, proves) in [
        (Request::get("/feed"), "optional: nobody"),
        (
            Request::get("/feed").bearer(unknown),
            "a session that has ended does not lock anybody out",
        ),
    ] {
        let answer = walk.report.ask(service, request, allowed(proves)).await;
        if let Some(answer) = answer {
            let body = answer.json();
            walk.report
                .observe("its body", &body, "says so", body == json!({ "user": null }));
        }
    }
}
