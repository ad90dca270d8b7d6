//! Step 3: is the service protected when somebody goes around the gateway?

use std::{io, sync::Arc, time::Duration};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use iam_actix::clock::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::{
    client::Request,
    step::login::LoggedIn,
    walk::{Promise, Walk},
};

/// Calls orders-api directly with everything that is no credential.
///
/// # Errors
///
/// When no token can be captured, or nothing answers.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(3, "Around the gateway");
    let world = walk.world;
    let orders = &world.orders_api;
    let token = world.capture(&who.person).await?;
    let forged = Forgeries::of(&token, walk).await?;

    let genuine = Promise::new(200, "auth.success", "the captured token itself is good");
    walk.ask(orders, Request::get("/orders").bearer(&token), genuine)
        .await;
    let refused = [
        (
            Request::get("/orders").bearer(&who.person.session_token),
            Promise::new(401, "auth.failure.malformed", "a session token is no id_token"),
        ),
        (
            Request::get("/orders"),
            Promise::new(401, "auth.failure.missing_credential", "no credential"),
        ),
        (
            Request::get("/orders").bearer(&forged.other_key),
            Promise::new(
                401,
                "auth.failure.invalid_signature",
                "signed by another key under the same kid",
            ),
        ),
        (
            Request::get("/orders").bearer(&forged.none),
            Promise::new(401, "auth.failure.invalid_signature", "alg none"),
        ),
        (
            Request::get("/orders").bearer(&forged.hs256_modulus),
            Promise::new(
                401,
                "auth.failure.invalid_signature",
                "HS256 over the public key's modulus",
            ),
        ),
        (
            Request::get("/orders").bearer(&forged.hs256_jwk),
            Promise::new(
                401,
                "auth.failure.invalid_signature",
                "HS256 over the public key as JWK",
            ),
        ),
        (
            Request::get("/orders").bearer(&forged.trimmed),
            Promise::new(401, "auth.failure.invalid_signature", "a trimmed signature"),
        ),
        (
            Request::get("/orders")
                .bearer(&token)
                .header("authorization", format!("Bearer {token}")),
            Promise::new(400, "auth.failure.malformed", "two credentials"),
        ),
    ];
    for (request, promise) in refused {
        walk.ask(orders, request, promise).await;
    }
    expired(walk, &token).await
}

/// The captured token, at a service whose clock is two hours ahead.
async fn expired(walk: &mut Walk<'_>, token: &str) -> io::Result<()> {
    let ahead = (walk.world.ports)().clock(Arc::new(Ahead(Duration::from_secs(2 * 60 * 60))));
    let later = walk
        .world
        .orders_api(|_| {}, ahead)
        .await
        .map_err(io::Error::other)?;

    let promise = Promise::new(401, "auth.failure.expired", "expired, two hours later");
    walk.ask(&later, Request::get("/orders").bearer(token), promise)
        .await;
    later.stop().await;
    Ok(())
}

/// A clock that is ahead of the system's.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock::new().now().saturating_add(self.0)
    }
}

/// What an attacker can make of a token without its key.
struct Forgeries {
    hs256_jwk: String,
    hs256_modulus: String,
    none: String,
    other_key: String,
    trimmed: String,
}

impl Forgeries {
    async fn of(token: &str, walk: &Walk<'_>) -> io::Result<Self> {
        let mut segments = token.split('.');
        let (Some(header), Some(claims), Some(signature)) =
            (segments.next(), segments.next(), segments.next())
        else {
            return Err(io::Error::other("the captured token is no JWS"));
        };
        let kid = key_id(header)?;
        let jwk = published_key(walk, &kid).await?;
        let modulus = jwk.get("n").and_then(Value::as_str).unwrap_or_default();
        let modulus = URL_SAFE_NO_PAD.decode(modulus).map_err(io::Error::other)?;

        let symmetric =
            URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }).to_string());
        let unsigned = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": kid, "typ": "JWT" }).to_string());
        let mut trimmed = URL_SAFE_NO_PAD.decode(signature).map_err(io::Error::other)?;
        trimmed.pop();
        Ok(Self {
            hs256_jwk: mac(&symmetric, claims, jwk.to_string().as_bytes()),
            hs256_modulus: mac(&symmetric, claims, &modulus),
            none: format!("{unsigned}.{claims}.{signature}"),
            other_key: sign(header, claims)?,
            trimmed: format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(trimmed)),
        })
    }
}

pub(super) fn key_id(header: &str) -> io::Result<String> {
    let header = URL_SAFE_NO_PAD.decode(header).map_err(io::Error::other)?;
    let header: Value = serde_json::from_slice(&header)?;
    crate::world::text(&header, "/kid")
}

async fn published_key(walk: &Walk<'_>, kid: &str) -> io::Result<Value> {
    let set = Request::get("/.well-known/jwks.json")
        .send(walk.world.places.gateway_api)
        .await?
        .json();
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let key = keys
        .into_iter()
        .find(|key| key.get("kid").and_then(Value::as_str) == Some(kid));
    key.ok_or_else(|| io::Error::other("the gateway does not publish the key it signs with"))
}

fn mac(header: &str, claims: &str, key: &[u8]) -> String {
    let input = format!("{header}.{claims}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn sign(header: &str, claims: &str) -> io::Result<String> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(io::Error::other)?;
    let input = format!("{header}.{claims}");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        input.as_bytes(),
        &mut signature,
    )
    .map_err(io::Error::other)?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
