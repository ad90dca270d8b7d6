//! The token endpoint: client credentials, codes and refresh tokens.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    answer::{Answer, Refusal, uncached},
    authn::authenticate,
    client::{AuthMethod, Client},
    form::Form,
    shared::{Shared, covers_audience},
    store::{Code, Grant, Token, TokenKind},
};

/// Answers `POST /oauth2/token`.
pub(crate) async fn issue(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let form = Form::read(&request, body).await?;
    if form.text("grant_type").is_empty() {
        return Err(Refusal::invalid_request().hint("Request parameter 'grant_type' is missing"));
    }
    let client = authenticate(&shared, &request, &form)?;
    match form.text("grant_type") {
        "client_credentials" => client_credentials(&shared, &client, &form),
        "authorization_code" => authorization_code(&shared, &client, &form),
        "refresh_token" => refresh_token(&shared, &client, &form),
        _ => Err(Refusal::invalid_request().hint(UNKNOWN_GRANT)),
    }
}

/// The client credentials grant (RFC 6749 §4.4): the client is the subject, and no refresh token is issued.
fn client_credentials(shared: &Shared, client: &Client, form: &Form) -> Answer {
    let (scopes, audience) = (form.words("scope"), form.words("audience"));
    check_scopes(shared, client, &scopes)?;
    check_audience(client, &audience)?;
    if client.auth_method() == AuthMethod::None {
        return Err(Refusal::invalid_grant().hint(
            "The OAuth 2.0 Client is marked as public and is thus not allowed to use authorization grant \
             'client_credentials'.",
        ));
    }
    check_grant(client, "client_credentials")?;

    let grant = Arc::new(Grant {
        id: Uuid::new_v4(),
        client: client.id.clone(),
        subject: client.id.clone(),
        scopes,
        audience,
        ext: Map::new(),
        id_claims: None,
    });
    let lifespan = client
        .lifespan("client_credentials_grant_access_token_lifespan")
        .unwrap_or(shared.config.lifespans.access_token);
    let issued = shared.issue_access_token(client, &grant, lifespan)?;
    Ok(answer(&grant, &issued.text, issued.expires_in, Map::new()))
}

/// The exchange of a code (RFC 6749 §4.1.3). A second use of the code revokes the tokens of the first.
fn authorization_code(shared: &Shared, client: &Client, form: &Form) -> Answer {
    check_grant(client, "authorization_code")?;
    let (text, now) = (form.text("code"), shared.now());
    let grant = {
        let mut store = shared.store();
        let Some(code) = store.code_mut(text) else {
            return Err(Refusal::invalid_grant());
        };
        if code.is_used {
            let grant = code.grant.id;
            store.revoke_grant(grant);
            return Err(Refusal::invalid_grant().hint("The authorization code has already been used."));
        }
        if code.grant.client != client.id {
            return Err(Refusal::invalid_grant().hint(
                "The OAuth 2.0 Client ID from this request does not match the one from the authorize request.",
            ));
        }
        if code.expires_at <= now {
            return Err(Refusal::invalid_grant().hint("The authorization code has expired."));
        }
        if code.redirect_uri != form.text("redirect_uri") {
            return Err(Refusal::invalid_grant().hint(
                "The 'redirect_uri' from this request does not match the one from the authorize request.",
            ));
        }
        check_verifier(code, form.text("code_verifier"))?;
        code.is_used = true;
        Arc::clone(&code.grant)
    };
    issue_for_person(shared, client, &grant, "authorization_code")
}

/// The exchange of a refresh token (RFC 6749 §6). The old token is spent, and a second use revokes the grant.
fn refresh_token(shared: &Shared, client: &Client, form: &Form) -> Answer {
    check_grant(client, "refresh_token")?;
    let (text, now) = (form.text("refresh_token"), shared.now());
    let grant = {
        let mut store = shared.store();
        let known = store
            .token(text)
            .filter(|token| token.kind == TokenKind::Refresh)
            .cloned();
        let token: Token = known
            .ok_or_else(|| Refusal::invalid_grant().hint("The refresh token is malformed or not valid."))?;
        if token.grant.client != client.id {
            return Err(Refusal::invalid_grant().hint(
                "The OAuth 2.0 Client ID from this request does not match the ID during the initial token issuance.",
            ));
        }
        if !token.active {
            store.revoke_grant(token.grant.id);
            return Err(Refusal::invalid_grant().hint("The refresh token was already used."));
        }
        if !token.is_active(now) {
            return Err(Refusal::invalid_grant().hint("The refresh token expired."));
        }
        check_scopes(shared, client, &token.grant.scopes)?;
        check_audience(client, &token.grant.audience)?;
        store.spend_refresh_token(text);
        store.remove_access_tokens_of(token.grant.id);
        Arc::clone(&token.grant)
    };
    issue_for_person(shared, client, &grant, "refresh_token")
}

/// Issues the tokens of a person's grant: an access token, with `openid` an ID token, with `offline` a refresh token.
fn issue_for_person(shared: &Shared, client: &Client, grant: &Arc<Grant>, kind: &str) -> Answer {
    let own = |token: &str| client.lifespan(&format!("{kind}_grant_{token}_lifespan"));
    let lifespan = own("access_token").unwrap_or(shared.config.lifespans.access_token);
    let issued = shared.issue_access_token(client, grant, lifespan)?;
    let has = |scope: &str| grant.scopes.iter().any(|own| own == scope);
    let mut members = Map::new();
    if has("openid") {
        let lifespan = own("id_token").unwrap_or(shared.config.lifespans.id_token);
        let expires_at = shared.now().whole_seconds().after(lifespan);
        let mut claims = grant.id_claims.clone().unwrap_or_default();
        claims.insert("at_hash".into(), at_hash(&issued.text).into());
        claims.insert("exp".into(), expires_at.unix_seconds().into());
        claims.insert("iat".into(), shared.now().unix_seconds().into());
        claims.insert("jti".into(), Uuid::new_v4().to_string().into());
        let token = shared.keys.id_token(&claims).ok_or_else(Refusal::server_error)?;
        members.insert("id_token".into(), token.into());
    }
    if (has("offline") || has("offline_access")) && client.may_use_grant("refresh_token") {
        let token = shared.issue_refresh_token(client, grant, kind)?;
        members.insert("refresh_token".into(), token.into());
    }
    Ok(answer(grant, &issued.text, issued.expires_in, members))
}

fn answer(grant: &Grant, token: &str, expires_in: u64, mut members: Map<String, Value>) -> HttpResponse {
    members.insert("access_token".into(), token.into());
    members.insert("expires_in".into(), expires_in.into());
    members.insert("scope".into(), grant.scopes.join(" ").into());
    members.insert("token_type".into(), "bearer".into());
    uncached(StatusCode::OK, &Value::Object(members))
}

/// Rejects a scope that is not configured for the client.
pub(crate) fn check_scopes(shared: &Shared, client: &Client, scopes: &[String]) -> Result<(), Refusal> {
    let refused = scopes
        .iter()
        .find(|scope| !shared.covers_scope(client.scopes(), scope));
    match refused {
        Some(scope) => Err(Refusal::invalid_scope().hint(format!(
            "The OAuth 2.0 Client is not allowed to request scope '{scope}'."
        ))),
        None => Ok(()),
    }
}

/// Rejects an audience that is not configured for the client.
pub(crate) fn check_audience(client: &Client, audience: &[String]) -> Result<(), Refusal> {
    let refused = audience
        .iter()
        .find(|wanted| !covers_audience(client.audience(), wanted));
    match refused {
        Some(wanted) => Err(Refusal::invalid_request().hint(format!(
            "Requested audience '{wanted}' has not been whitelisted by the OAuth 2.0 Client."
        ))),
        None => Ok(()),
    }
}

fn check_grant(client: &Client, grant: &str) -> Result<(), Refusal> {
    if client.may_use_grant(grant) {
        return Ok(());
    }
    let hint = format!("The OAuth 2.0 Client is not allowed to use authorization grant '{grant}'.");
    Err(Refusal::unauthorized_client().hint(hint))
}

/// Checks the code verifier (RFC 7636 §4.6). It can be checked only once: after a failure the code is invalid.
fn check_verifier(code: &mut Code, verifier: &str) -> Result<(), Refusal> {
    let Some(challenge) = &code.challenge else {
        return if verifier.is_empty() {
            Ok(())
        } else {
            Err(Refusal::invalid_grant().hint("Unable to find initial PKCE data tied to this request"))
        };
    };
    if code.is_challenge_spent {
        return Err(Refusal::invalid_grant().hint("Unable to find initial PKCE data tied to this request"));
    }
    code.is_challenge_spent = true;
    match verifier.len() {
        0..43 => Err(Refusal::invalid_grant().hint("The PKCE code verifier must be at least 43 characters.")),
        43..=128 if fits(challenge, verifier) => Ok(()),
        43..=128 => {
            Err(Refusal::invalid_grant().hint("The PKCE code challenge did not match the code verifier."))
        }
        _ => {
            Err(Refusal::invalid_grant()
                .hint("The PKCE code verifier can not be longer than 128 characters."))
        }
    }
}

fn fits(challenge: &str, verifier: &str) -> bool {
    challenge == URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// The left half of the access token's hash (`at_hash` of `OpenID` Connect Core §3.1.3.6).
fn at_hash(token: &str) -> String {
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default())
}

/// Answers `POST /oauth2/revoke` (RFC 7009): revokes the token and the other tokens of its grant. An unknown token counts
/// as revoked.
pub(crate) async fn revoke(shared: Data<Shared>, request: HttpRequest, body: Payload) -> Answer {
    let form = Form::read(&request, body).await?;
    let client = authenticate(&shared, &request, &form)?;
    let mut store = shared.store();
    let grant = store
        .token(form.text("token"))
        .map(|token| Arc::clone(&token.grant));
    if let Some(grant) = grant {
        if grant.client != client.id {
            return Err(Refusal::unauthorized_client());
        }
        store.revoke_grant(grant.id);
    }
    let mut answer = uncached(StatusCode::OK, &json!(null)).set_body(());
    answer.headers_mut().remove(header::CONTENT_TYPE);
    Ok(answer.map_into_boxed_body())
}

const UNKNOWN_GRANT: &str = "Make sure that the various parameters are correct, be aware of case sensitivity and trim \
    your parameters. Make sure that the client you are using has exactly whitelisted the redirect_uri you specified.";
