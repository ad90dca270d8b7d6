//! The same protection by hand: actix-web-httpauth and jsonwebtoken, at their best.
//!
//! Keys are built once, the back end is `aws_lc_rs`, and the same claims of these tokens are validated: no limits, no
//! audit. An application whose issuer rotates keys selects the key by the header, which the library parses again. With a
//! single fixed key, the header is parsed only by the library.

use std::{collections::HashMap, net::SocketAddr, rc::Rc, sync::Arc};

use actix_web::{
    App, Error, HttpMessage as _, HttpResponse, HttpServer, Responder, dev::ServiceRequest,
    error::ErrorUnauthorized, get, web::ReqData,
};
use actix_web_httpauth::{extractors::bearer::BearerAuth, middleware::HttpAuthentication};
use iam_core::jwt::{DEFAULT_CLOCK_SKEW, DEFAULT_MAX_LIFETIME, MAX_NAME_BYTES};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;

use crate::tokens::{AUDIENCE, ISSUER, KID, Tokens};

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    iat: u64,
    jti: String,
    #[serde(rename = "metadataPublic")]
    _metadata: Option<Object>,
    sub: String,
    tenant: String,
}

/// An object with any members: the product rejects metadata that is not an object.
#[derive(Deserialize)]
struct Object {}

struct Verifier {
    keys: Keys,
    validation: Validation,
}

enum Keys {
    Published(HashMap<&'static str, DecodingKey>),
    Single(DecodingKey),
}

/// Starts the peer that selects its key by the token's `kid`.
pub(crate) fn start(tokens: &Tokens) -> SocketAddr {
    serve(Keys::Published(HashMap::from([(KID, key(tokens))])))
}

/// Starts the peer with a single fixed key.
pub(crate) fn start_with_single_key(tokens: &Tokens) -> SocketAddr {
    serve(Keys::Single(key(tokens)))
}

fn key(tokens: &Tokens) -> DecodingKey {
    DecodingKey::from_rsa_components(&tokens.modulus, "AQAB").unwrap()
}

fn serve(keys: Keys) -> SocketAddr {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = DEFAULT_CLOCK_SKEW.as_secs();
    let verifier = Arc::new(Verifier { keys, validation });

    crate::serve(move |listener| async move {
        HttpServer::new(move || {
            let verifier = Arc::clone(&verifier);
            let protect = HttpAuthentication::bearer(move |request, bearer| {
                let verdict = verify(&verifier, request, &bearer);
                async move { verdict }
            });
            App::new().wrap(protect).service(protected)
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run()
    })
}

fn verify(
    verifier: &Verifier,
    request: ServiceRequest,
    bearer: &BearerAuth,
) -> Result<ServiceRequest, (Error, ServiceRequest)> {
    match claims(verifier, bearer.token()) {
        Some(claims) => {
            request.extensions_mut().insert(Rc::new(claims));
            Ok(request)
        }
        None => Err((ErrorUnauthorized("invalid token"), request)),
    }
}

fn claims(verifier: &Verifier, token: &str) -> Option<Claims> {
    let (key, is_chosen) = match &verifier.keys {
        Keys::Published(keys) => {
            let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
            (keys.get(kid.as_str())?, true)
        }
        Keys::Single(key) => (key, false),
    };
    let token = jsonwebtoken::decode::<Claims>(token, key, &verifier.validation).ok()?;
    let is_expected = is_jwt(&token.header) && (is_chosen || token.header.kid.as_deref() == Some(KID));

    (is_expected && is_acceptable(&token.claims)).then_some(token.claims)
}

fn is_jwt(header: &Header) -> bool {
    header
        .typ
        .as_ref()
        .is_none_or(|kind| kind.eq_ignore_ascii_case("JWT"))
}

/// The checks that the library leaves to its user.
fn is_acceptable(claims: &Claims) -> bool {
    let now = jsonwebtoken::get_current_timestamp();

    [&*claims.sub, &*claims.jti].into_iter().all(is_name)
        && claims.tenant == "default"
        && claims.iat <= now + DEFAULT_CLOCK_SKEW.as_secs()
        && claims.exp.saturating_sub(claims.iat) <= DEFAULT_MAX_LIFETIME.as_secs()
}

/// Returns whether a text is safe to look up, store and log.
fn is_name(text: &str) -> bool {
    let is_plain = || text.bytes().all(|byte| matches!(byte, b' '..=b'~'));

    (1..=MAX_NAME_BYTES).contains(&text.len()) && (is_plain() || !text.contains(char::is_control))
}

#[get("/protected")]
async fn protected(user: ReqData<Rc<Claims>>) -> impl Responder {
    HttpResponse::Ok()
        .insert_header(("x-subject", user.sub.len()))
        .body("ok")
}
