//! Discovery, the key set, and the userinfo endpoint.

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
    web::Data,
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, json},
    shared::Shared,
    store::TokenKind,
};

/// Answers `GET /.well-known/openid-configuration`.
pub(crate) async fn openid_configuration(shared: Data<Shared>) -> Answer {
    let url = |path: &str| shared.url(path);
    let body = json!({
        "issuer": shared.issuer,
        "authorization_endpoint": url("oauth2/auth"),
        "device_authorization_endpoint": url("oauth2/device/auth"),
        "token_endpoint": url("oauth2/token"),
        "jwks_uri": url(".well-known/jwks.json"),
        "subject_types_supported": shared.config.subject_types,
        "response_types_supported": ["code", "code id_token", "id_token", "token id_token", "token", "token id_token code"],
        "claims_supported": ["sub"],
        "grant_types_supported": ["authorization_code", "implicit", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "userinfo_endpoint": url("userinfo"),
        "scopes_supported": ["offline_access", "offline", "openid"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt", "none"],
        "userinfo_signing_alg_values_supported": ["none", "RS256"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "id_token_signed_response_alg": ["RS256"],
        "userinfo_signed_response_alg": ["RS256"],
        "request_parameter_supported": true,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "claims_parameter_supported": false,
        "revocation_endpoint": url("oauth2/revoke"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "end_session_endpoint": url("oauth2/sessions/logout"),
        "request_object_signing_alg_values_supported": ["none", "RS256", "ES256"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "credentials_endpoint_draft_00": url("credentials"),
        "credentials_supported_draft_00": [{
            "format": "jwt_vc_json",
            "types": ["VerifiableCredential", "UserInfoCredential"],
            "cryptographic_binding_methods_supported": ["jwk"],
            "cryptographic_suites_supported": ["PS256", "RS256", "ES256", "PS384", "RS384", "ES384", "PS512", "RS512", "ES512", "EdDSA"],
        }],
    });
    Ok(json(StatusCode::OK, &body))
}

/// Answers `GET /.well-known/jwks.json`.
pub(crate) async fn key_set(shared: Data<Shared>) -> Answer {
    Ok(json(StatusCode::OK, &shared.keys.public()))
}

/// Answers `GET /userinfo` with the person's claims of the ID token.
pub(crate) async fn userinfo(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let credential = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = credential.and_then(|value| value.split_once(' '));
    let token = token
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token);
    let now = shared.now();
    let store = shared.store();
    let token = token.and_then(|token| store.token(token));
    let token = token.filter(|token| token.kind == TokenKind::Access && token.is_active(now));
    let claims = token.and_then(|token| token.grant.id_claims.clone());
    let mut claims = claims.ok_or_else(|| {
        Refusal::request_unauthorized().hint("Check that you provided valid credentials in the right format.")
    })?;
    for name in ["sid", "nonce", "acr", "amr"] {
        claims.remove(name);
    }
    Ok(json(StatusCode::OK, &Value::Object(claims)))
}
