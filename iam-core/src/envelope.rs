//! Envelopes: identities that the gateway writes into a header, with an HMAC-SHA256 (RFC 2104) in another one.
//!
//! An envelope is a JSON object. Its members are the claims of the gateway's JWT and are held to the same rules: `sub`, `aud` and
//! `exp` are required, `iat`, `nbf`, `jti`, `client_id`, the tenant, the metadata and the scopes are checked where they are there.
//! Three members may bear the names of older gateways instead: `id` for `sub`, `audience` for `aud`, and `expiresAt`, a text of
//! RFC 3339, for `exp`. `state` is `active`, or absent. `iss` is not read: the key tells who signed.
//!
//! # Security
//!
//! - The signature is over the bytes of the header as they arrived (D13), and is checked before anything of them is read.
//! - An envelope is a bearer credential: the signature covers neither the method nor the path. Keep its life short (D15).

use std::{fmt, sync::Arc};

use aws_lc_rs::hmac;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    clock::Timestamp,
    decision::{Reason, Refusal},
    json::{JsonLimits, parse_object},
    jwt::{MAX_TOKEN_BYTES, Profile, TokenFault, VerifiedClaims},
};

/// How the signature of an envelope is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "an encoding that is not known must not be taken for another one"
)]
pub enum SignatureEncoding {
    /// Base64 (RFC 4648 §4), with or without padding.
    #[default]
    Base64,
    /// Base64 with the alphabet for URLs (RFC 4648 §5), with or without padding.
    Base64url,
    /// Hexadecimal digits of either case.
    Hex,
}

/// How an envelope is written in its header.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "an encoding that is not known must not be taken for another one"
)]
pub enum EnvelopeEncoding {
    /// The JSON text in base64, of either alphabet, with or without padding.
    #[default]
    Base64,
    /// The JSON text itself.
    Json,
}

/// The content of a verified envelope: its signature, audience, times and tenant have been checked. *Verified.*
pub struct Envelope(VerifiedClaims);

impl Envelope {
    /// Returns the subject: `sub` or `id`.
    pub fn subject(&self) -> &str {
        self.0.subject()
    }

    /// Returns `client_id`: the OAuth 2 client that the caller presented a token of.
    pub fn client_id(&self) -> Option<&str> {
        self.0.client_id()
    }

    /// Returns the client through which a person acts: `client_id` where the subject is another.
    pub fn acting_client(&self) -> Option<&str> {
        self.0.acting_client()
    }

    /// Tells whether the envelope is that of an OAuth 2 client itself: the subject equals `client_id`.
    pub fn is_client(&self) -> bool {
        self.0.is_client()
    }

    /// Returns all audiences; one of them is the tenant's.
    pub fn audience(&self) -> &[String] {
        self.0.audience()
    }

    /// Returns when the envelope expires.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at()
    }

    /// Returns `iat`.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.issued_at()
    }

    /// Returns the time until which a replay must be detected: the expiry plus the clock skew.
    pub fn accepted_until(&self) -> Timestamp {
        self.0.accepted_until()
    }

    /// Returns `jti`: not empty, at most 512 bytes, without control characters.
    pub fn jti(&self) -> Option<&str> {
        self.0.jti()
    }

    /// Returns the scopes, separated by spaces.
    pub fn scope(&self) -> Option<&str> {
        self.0.scope()
    }

    /// Returns the public metadata of the identity.
    pub fn metadata(&self) -> Option<&Value> {
        self.0.metadata()
    }

    /// Returns a member by name, such as `sessionId` or `schemaId`. Those that have methods of their own are not returned here.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.claim(name)
    }

    /// Returns the actor's name in audit events.
    pub(crate) fn actor(&self) -> &str {
        self.0.actor()
    }
}

impl fmt::Debug for Envelope {
    /// Prints no member but the expiry: the others are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// What stands for an issuer where a subject or a replay id belongs to one. The keys of a tenant are one signer.
pub(crate) const ISSUER: &str = "hmac";

/// Verifies the envelopes of one tenant.
///
/// R005: its keys are of a type of their own, and no public key ever becomes one.
pub(crate) struct EnvelopeVerifier {
    pub(crate) keys: Vec<hmac::Key>,
    pub(crate) signature_encoding: SignatureEncoding,
    pub(crate) envelope_encoding: EnvelopeEncoding,
    pub(crate) profile: Arc<Profile>,
}

/// An envelope and its signature, as they arrived. *Unverified.*
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) envelope: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl EnvelopeVerifier {
    /// Verifies an envelope. The signature comes first: until it is good, nothing is decoded.
    ///
    /// # Errors
    ///
    /// The refusal, with the codes of a [`TokenFault`].
    pub(crate) fn verify(&self, signed: Signed<'_>, now: Timestamp) -> Result<Envelope, Refusal> {
        if self.profile.max_token() < signed.envelope.len() {
            return Err(refusal(TokenFault::TokenTooLong));
        }
        self.check_signature(signed)?;

        let members = self.read(signed.envelope).map_err(refusal)?;
        let members = check_state(members)?;
        let claims = claims(members).map_err(refusal)?;
        let claims = VerifiedClaims::check(claims, &self.profile, None, now).map_err(refusal)?;
        // Last: a good envelope of an anonymous visitor is nobody's, a bad one is refused.
        if self.profile.is_anonymous(claims.subject()) {
            return Err(refusal(TokenFault::AnonymousSubject));
        }
        Ok(Envelope(claims))
    }

    /// D12, D13, R031: over the bytes that arrived, in the configured encoding only, compared in constant time.
    fn check_signature(&self, signed: Signed<'_>) -> Result<(), Refusal> {
        let bad = || refusal(TokenFault::Signature);
        let tag = match self.signature_encoding {
            SignatureEncoding::Base64 => STANDARD.decode(signed.signature).ok(),
            SignatureEncoding::Base64url => URL_SAFE.decode(signed.signature).ok(),
            SignatureEncoding::Hex => hex(signed.signature),
        };
        let tag = tag.ok_or_else(bad)?;

        let verifies = |key: &hmac::Key| hmac::verify(key, signed.envelope, &tag).is_ok();
        if self.keys.iter().any(verifies) {
            Ok(())
        } else {
            Err(bad())
        }
    }

    fn read(&self, envelope: &[u8]) -> Result<Map<String, Value>, TokenFault> {
        let decoded;
        let text = match self.envelope_encoding {
            EnvelopeEncoding::Json => envelope,
            EnvelopeEncoding::Base64 => {
                let is_url_safe = envelope.iter().any(|byte| b"-_".contains(byte));
                let engine = if is_url_safe { &URL_SAFE } else { &STANDARD };
                decoded = engine.decode(envelope).map_err(|_| TokenFault::Encoding)?;
                &decoded
            }
        };

        parse_object(text, LIMITS).map_err(|_| TokenFault::ClaimsUnreadable)
    }
}

impl fmt::Debug for EnvelopeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeVerifier")
            .field("keys", &self.keys.len())
            .field("signature_encoding", &self.signature_encoding)
            .field("envelope_encoding", &self.envelope_encoding)
            .finish_non_exhaustive()
    }
}

/// D11: an identity that is not active is over, also while its envelope still lives.
fn check_state(mut members: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    match members.remove("state") {
        None | Some(Value::Null) => Ok(members),
        Some(Value::String(state)) if state == "active" => Ok(members),
        Some(Value::String(state)) if state == "inactive" => {
            Err(Refusal::with_detail(Reason::SessionInactive, "identity_inactive"))
        }
        Some(_) => Err(Refusal::with_detail(Reason::Malformed, "state_type")),
    }
}

/// Writes the members as the claims of a token of [`ISSUER`].
fn claims(mut members: Map<String, Value>) -> Result<Vec<u8>, TokenFault> {
    // D7, R047: an expiry in another form is none.
    if let Some(text) = members.remove("expiresAt") {
        let expiry = text.as_str().and_then(Timestamp::from_rfc3339);
        let expiry = expiry.ok_or(TokenFault::ExpiryType)?;
        // The fraction of the last second is cut off: earlier is safe.
        insert(&mut members, "exp", json!(expiry.as_secs()))?;
    }
    for (older, name) in [("audience", "aud"), ("id", "sub")] {
        if let Some(value) = members.remove(older) {
            insert(&mut members, name, value)?;
        }
    }
    members.insert("iss".to_owned(), json!(ISSUER));

    serde_json::to_vec(&members).map_err(|_| TokenFault::ClaimsUnreadable)
}

/// R045: two names of one member are a member that occurs twice.
fn insert(members: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), TokenFault> {
    match members.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(TokenFault::ClaimsUnreadable),
    }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }

    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

fn refusal(fault: TokenFault) -> Refusal {
    Refusal::with_detail(fault.error().reason(), fault.code())
}

/// As for the payload of a token.
const LIMITS: JsonLimits = JsonLimits::new(MAX_TOKEN_BYTES, 16);

/// Bits that no byte takes are refused, so that no signature has a second form but for its padding.
const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
