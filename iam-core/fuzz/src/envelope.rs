//! Envelopes of the gateway, signed with the key of the configuration.

use std::sync::LazyLock;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use iam_core::{
    authenticate::{Authenticated, Authentication, authenticate},
    clock::Timestamp,
    config::{EnvelopeEncoding, IamConfig, OathkeeperConfig, Settings, TenantConfig},
    request::RequestHead,
    secret::Secret,
};
use serde_json::Value;

const KEY: &[u8; 32] = b"the gateway and the service know";
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Takes the input as the JSON text of an envelope, in both encodings.
///
/// # Panics
///
/// When an accepted envelope lacks what was checked, when both encodings are decided about differently, or when an envelope is accepted
/// with the signature of another one.
pub fn run(data: &[u8]) {
    static WORLDS: LazyLock<[Settings; 2]> =
        LazyLock::new(|| [EnvelopeEncoding::Base64, EnvelopeEncoding::Json].map(settings));
    let [base64, json] = &*WORLDS;

    let encoded = STANDARD.encode(data);
    let accepted = ask(base64, encoded.as_bytes(), encoded.as_bytes());
    if let Some(authenticated) = &accepted {
        is_complete(authenticated, data);
        assert!(
            ask(base64, encoded.as_bytes(), data).is_none(),
            "a signature of other bytes"
        );
    }
    // White space at the ends is none of a header's value.
    if data.trim_ascii() == data {
        let plain = ask(json, data, data);
        assert_eq!(
            plain.is_some(),
            accepted.is_some(),
            "two decisions about one text"
        );
    }
}

#[expect(clippy::panic, reason = "a broken promise has to be seen")]
fn is_complete(authenticated: &Authenticated, data: &[u8]) {
    let Some(envelope) = authenticated.principal().envelope() else {
        panic!("a principal of something else");
    };
    assert!(
        !envelope.subject().is_empty() && envelope.subject() != "anonymous",
        "nobody"
    );
    assert!(
        envelope.audience().iter().any(|one| one == "orders-api"),
        "another audience"
    );
    assert!(NOW < envelope.accepted_until(), "an expired envelope");
    assert!(
        serde_json::from_slice::<Value>(data).is_ok_and(|members| members.is_object()),
        "no JSON object"
    );
}

#[expect(clippy::panic, reason = "a broken promise has to be seen")]
fn settings(encoding: EnvelopeEncoding) -> Settings {
    let key = Secret::new(format!("base64:{}", STANDARD.encode(KEY)));
    let mut gateway = OathkeeperConfig::hmac(["orders-api"], [key]);
    gateway.envelope_encoding = Some(encoding);
    let config = IamConfig::new().tenant("default", TenantConfig::behind(gateway));
    match config.validate() {
        Ok(settings) => settings,
        Err(err) => panic!("the fixture is broken: {err}"),
    }
}

#[expect(clippy::panic, reason = "a broken promise has to be seen")]
fn ask(settings: &Settings, envelope: &[u8], signed: &[u8]) -> Option<Authenticated> {
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, KEY), signed);
    let signature = STANDARD.encode(tag);
    let head = RequestHead {
        method: "GET",
        authority: None,
        headers: &[("x-user", envelope), ("x-user-signature", signature.as_bytes())],
        peer: None,
    };
    let target = settings.registry().resolve(None).ok()?;
    match authenticate(&target, &head, NOW) {
        Ok(Authentication::Known(authenticated)) => Some(authenticated),
        Ok(Authentication::Ask(_)) => panic!("an envelope asks nobody"),
        Err(_) => None,
    }
}
