//! The gateway's envelope in a header, and its signature in another one.

use super::Authenticated;
use crate::{
    clock::Timestamp,
    credential::{CredentialError, Presented, forwarded},
    decision::{Reason, Refusal},
    envelope::{EnvelopeEncoding, Signed},
    principal::{Evidence, Principal},
    request::RequestHead,
    tenant::{EnvelopeSource, Tenant},
};

/// Verifies the envelope. Nothing has to be asked: the keys stand in the configuration.
pub(super) fn authenticate(
    tenant: &Tenant,
    source: &EnvelopeSource,
    head: &RequestHead<'_>,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    let envelope = forwarded(head, &source.header).map_err(CredentialError::reason)?;
    let signature = forwarded(head, &source.signature_header).map_err(CredentialError::reason)?;
    let envelope = envelope.ok_or(Reason::MissingCredential)?;
    let signature = signature.ok_or(Refusal::with_detail(
        Reason::InvalidSignature,
        "signature_missing",
    ))?;
    check_form(source, envelope, signature)?;
    let same_site = tenant.check_csrf(head);

    let signed = Signed { envelope, signature };
    let envelope = source.verifier.verify(signed, now)?;
    // A request without a good credential is 401 whatever site sent it.
    same_site?;
    Ok(Authenticated::new(Principal::new(
        tenant,
        Evidence::Envelope(envelope.into()),
    )))
}

/// Neither base64 nor hexadecimal digits have a comma: a proxy has joined two lines with it (RFC 9110 §5.3). A JSON text may have
/// commas; two of them joined have no good signature.
fn check_form(source: &EnvelopeSource, envelope: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    let check = |bytes| match Presented::of(bytes).token() {
        Err(CredentialError::Ambiguous) => Err(Refusal::new(Reason::AmbiguousCredential)),
        // Other bytes have no good signature, or are none.
        Ok(_) | Err(CredentialError::Malformed | CredentialError::Missing) => Ok(()),
    };

    check(signature)?;
    match source.verifier.envelope_encoding {
        EnvelopeEncoding::Base64 => check(envelope),
        EnvelopeEncoding::Json => Ok(()),
    }
}

#[cfg(test)]
mod tests;
