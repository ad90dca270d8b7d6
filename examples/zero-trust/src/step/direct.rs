//! Step 3: the service is protected against requests around the gateway.

use std::{borrow::Cow, io, sync::Arc, time::Duration};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use iam_actix::clock::{Clock, SystemClock, Timestamp};
use scenario::{Promise, client::Request};
use serde_json::{Value, json};

use crate::{step::login::LoggedIn, walk::Walk};

/// Calls orders-api directly without a valid credential, in many forms.
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
    for (proves, token) in &forged.hs256 {
        let promise = Promise::new(401, "auth.failure.invalid_signature", proves);
        walk.ask(orders, Request::get("/orders").bearer(token), promise)
            .await;
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

/// Tokens that an attacker can forge without the key.
struct Forgeries {
    /// Each form in which a library might hold the public key, taken for a shared secret.
    hs256: [(&'static str, String); 5],
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
        let number = |name: &str| {
            let number = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
            URL_SAFE_NO_PAD.decode(number).map_err(io::Error::other)
        };
        let (modulus, exponent) = (number("n")?, number("e")?);
        let der = subject_public_key_info(&modulus, &exponent);
        let pem = pem(&der);

        let symmetric =
            URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }).to_string());
        let unsigned = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": kid, "typ": "JWT" }).to_string());
        let mut trimmed = URL_SAFE_NO_PAD.decode(signature).map_err(io::Error::other)?;
        trimmed.pop();
        Ok(Self {
            hs256: [
                ("HS256 over the public key's modulus", modulus.as_slice()),
                ("HS256 over the public key as JWK", jwk.to_string().as_bytes()),
                ("HS256 over the public key as DER", &der),
                ("HS256 over the public key as PEM", pem.as_bytes()),
                (
                    "HS256 over that PEM without its last line feed",
                    pem.trim_end().as_bytes(),
                ),
            ]
            .map(|(form, key)| (form, mac(&symmetric, claims, key))),
            none: format!("{unsigned}.{claims}.{signature}"),
            other_key: sign(header, claims)?,
            trimmed: format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(trimmed)),
        })
    }
}

pub(super) fn key_id(header: &str) -> io::Result<String> {
    let header = URL_SAFE_NO_PAD.decode(header).map_err(io::Error::other)?;
    let header: Value = serde_json::from_slice(&header)?;
    scenario::text(&header, "/kid")
}

async fn published_key(walk: &Walk<'_>, kid: &str) -> io::Result<Value> {
    let set = Request::get("/.well-known/jwks.json")
        .send(walk.world.addresses.gateway_api)
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

/// Writes an RSA key as X.509 does (RFC 5280 §4.1, RFC 8017 §A.1.1).
fn subject_public_key_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    // rsaEncryption, 1.2.840.113549.1.1.1, with NULL for its parameters.
    let algorithm = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let key = der(SEQUENCE, &[unsigned(modulus), unsigned(exponent)].concat());
    // The first byte of a bit string says how many bits of the last one are unused.
    let key = der(BIT_STRING, &[vec![0], key].concat());
    der(SEQUENCE, &[der(SEQUENCE, &algorithm), key].concat())
}

fn unsigned(number: &[u8]) -> Vec<u8> {
    let negative = number.first().is_some_and(|byte| byte & 0x80 != 0);
    let sign = if negative { vec![0] } else { Vec::new() };
    der(INTEGER, &[sign, number.to_vec()].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let start = length.iter().position(|byte| *byte != 0).unwrap_or_default();
    let length = length.get(start..).unwrap_or_default();
    let head = match length {
        [short @ ..=0x7f] => vec![tag, *short],
        long => {
            let octets = u8::try_from(long.len()).unwrap_or_default();
            [&[tag, 0x80 | octets], long].concat()
        }
    };
    [head.as_slice(), content].concat()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der).into_bytes();
    let lines = text
        .chunks(64)
        .flat_map(|line| [String::from_utf8_lossy(line), Cow::Borrowed("\n")])
        .collect::<String>();
    format!("-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n")
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

const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer as _, PublicKeyX509Der},
        signature::KeyPair as _,
    };

    use super::*;

    #[test]
    fn key_is_written_as_x509_does() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let expected: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        // RFC 8017 §A.1.1: a sequence of two integers. The first has a zero in front, the second is 65537.
        let components = pair.public_key().as_ref();

        let written = subject_public_key_info(&components[9..265], &components[267..]);

        assert_eq!(written, expected.as_ref());
    }
}
