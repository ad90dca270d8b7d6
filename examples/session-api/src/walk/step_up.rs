//! Step 5: a second factor for what cannot be undone.

use std::io;

use scenario::{Promise, client::Request};

use super::{Walk, new_email};

/// Deletes an account, first without and then with a second factor.
///
/// # Errors
///
/// When Kratos gives no session.
pub(super) async fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.report.step(5, "A second factor, to delete an account");
    let world = walk.world;
    let email = new_email("dora");
    let person = world.kratos.register(&email).await?;
    let delete = |token: &str| Request::new("DELETE", "/account").bearer(token);

    let promise = Promise::new(
        401,
        "auth.failure.insufficient_level",
        "a password alone does not suffice",
    );
    let answer = walk
        .report
        .ask(&world.service, delete(&person.session_token), promise)
        .await;
    if let Some(answer) = answer {
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let held = challenge.contains(r#"error="insufficient_user_authentication""#)
            && challenge.contains(r#"acr_values="aal2""#);
        walk.report
            .observe("WWW-Authenticate", challenge, "says what would (RFC 9470)", held);
        let body = answer.text();
        let held = body.contains("http://127.0.0.1:3000/auth/login") && !body.contains(":4433");
        walk.report
            .observe("its body", &body, "names the service's own login page", held);
    }

    let secret = world.kratos.set_up_totp(&person).await?;
    let again = world.kratos.log_in(&email).await?;
    let promise = Promise::new(
        401,
        "auth.failure.insufficient_level",
        "nor does the password of an account with a second factor",
    );
    walk.report
        .ask(&world.service, delete(&again.session_token), promise)
        .await;
    let raised = world.kratos.step_up(&again, &secret).await?;
    let deleted = Promise::new(204, super::ALLOWED, "with the second factor it is deleted");
    walk.report
        .ask(&world.service, delete(&raised.session_token), deleted)
        .await;
    let over = Promise::new(401, "auth.failure.session_inactive", "and its sessions are over");
    walk.report
        .ask(
            &world.service,
            Request::get("/me").bearer(&raised.session_token),
            over,
        )
        .await;
    Ok(())
}
