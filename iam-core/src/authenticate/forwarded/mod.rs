//! Identities that the gateway names in plain headers.
//!
//! Anybody who reaches the service can send such headers. They count only where the gateway proves that it set them: by a secret that
//! it alone knows, by the address of its connection, or by both.

use constant_time_eq::constant_time_eq;

use super::{Authenticated, token::refusal};
use crate::{
    credential::{CredentialError, Presented, forwarded},
    decision::{Reason, Refusal},
    json::{JsonLimits, parse},
    jwt::{TokenFault, is_blank, is_printed_nothing, is_subject},
    principal::{Evidence, Forwarded, Principal},
    request::RequestHead,
    tenant::{ForwardedSource, Tenant},
};

/// Reads the headers. Nothing has to be asked.
pub(super) fn authenticate(
    tenant: &Tenant,
    source: &ForwardedSource,
    head: &RequestHead<'_>,
) -> Result<Authenticated, Refusal> {
    let read = |header: &str| forwarded(head, header).map_err(|err| Refusal::new(err.reason()));
    let read_some = |header: &Option<String>| header.as_deref().map_or(Ok(None), read);

    let subject = read(&source.header)?;
    let roles = read_some(&source.roles_header)?;
    let named_tenant = read_some(&source.tenant_header)?;
    let values = source
        .headers
        .iter()
        .map(|header| Ok((header, read(header)?)))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let proof = match &source.proof {
        Some((header, _)) => read(header)?,
        None => None,
    };
    let subject = subject.ok_or(Reason::MissingCredential)?;
    let same_site = tenant.check_csrf(head);

    check_proof(source, proof, head)?;
    let subject = subject_of(subject)?;
    if source.tenant_header.is_some() {
        check_tenant(tenant, named_tenant)?;
    }
    let roles = roles.map_or(Ok(Vec::new()), roles_of)?;
    if source.anonymous_subjects.iter().any(|one| one == subject) {
        return Err(refusal(TokenFault::AnonymousSubject));
    }
    // A request without a good credential is 401 whatever site sent it.
    same_site?;

    let values = values
        .into_iter()
        .filter_map(|(header, value)| Some((header.clone(), value?.to_vec())));
    Ok(Authenticated::new(Principal::new(
        tenant,
        Evidence::Forwarded(Forwarded::new(subject, roles, values.collect()).into()),
    )))
}

/// INVARIANT: the configuration has a proof, a peer, or both. Each that it has must hold.
fn check_proof(
    source: &ForwardedSource,
    presented: Option<&[u8]>,
    head: &RequestHead<'_>,
) -> Result<(), Refusal> {
    let unproved = |detail| Err(Refusal::with_detail(Reason::InvalidSignature, detail));
    // R151: an address alone proves nothing unless the configuration lists it.
    if !source.peers.is_empty() {
        let is_trusted = |peer| source.peers.iter().any(|network| network.contains(peer));
        if !head.peer.is_some_and(is_trusted) {
            return unproved("peer_not_trusted");
        }
    }

    match (&source.proof, presented) {
        (None, _) if source.peers.is_empty() => unproved("proof_missing"),
        (None, _) => Ok(()),
        (Some(_), None) => unproved("proof_missing"),
        (Some((_, secret)), Some(presented)) if constant_time_eq(secret.expose().as_bytes(), presented) => {
            Ok(())
        }
        (Some(_), Some(_)) => unproved("proof_wrong"),
    }
}

fn subject_of(bytes: &[u8]) -> Result<&str, Refusal> {
    let text = single(bytes).ok_or(Reason::AmbiguousCredential)?;
    let text = str::from_utf8(text).map_err(|_| refusal(TokenFault::SubjectType))?;
    if is_printed_nothing(text) {
        return Err(refusal(TokenFault::TemplateInSubject));
    }
    if !is_subject(text) || is_blank(text) {
        return Err(refusal(TokenFault::SubjectType));
    }
    Ok(text)
}

/// D9: with a header for it, a request that names no tenant belongs to none.
fn check_tenant(tenant: &Tenant, named: Option<&[u8]>) -> Result<(), Refusal> {
    match named {
        None => Err(refusal(TokenFault::TenantMissing)),
        Some(named) if named == tenant.name().as_bytes() => Ok(()),
        Some(_) => Err(refusal(TokenFault::TenantOther)),
    }
}

/// Reads one role, or a JSON list of them. Roles with commas between them would make two joined lines one list.
fn roles_of(bytes: &[u8]) -> Result<Vec<String>, Refusal> {
    let unreadable = || Refusal::with_detail(Reason::Malformed, "roles_type");
    let text = str::from_utf8(bytes).map_err(|_| unreadable())?;
    if is_printed_nothing(text) {
        return Err(refusal(TokenFault::TemplateInRoles));
    }
    if text == "null" {
        return Ok(Vec::new());
    }
    if text.starts_with('[') {
        let list = parse(bytes, LIMITS).map_err(|_| unreadable())?;
        let roles: Vec<String> = serde_json::from_value(list).map_err(|_| unreadable())?;
        // Go's JSON encoder writes `<` as an escape.
        if roles.iter().any(|role| is_printed_nothing(role)) {
            return Err(refusal(TokenFault::TemplateInRoles));
        }
        return Ok(roles);
    }

    single(bytes).ok_or(Reason::AmbiguousCredential)?;
    Ok(vec![text.to_owned()])
}

/// A proxy joins two lines with a comma (RFC 9110 §5.3), and neither of them is chosen here.
fn single(bytes: &[u8]) -> Option<&[u8]> {
    match Presented::of(bytes).token() {
        Err(CredentialError::Ambiguous) => None,
        Ok(_) | Err(CredentialError::Malformed | CredentialError::Missing) => Some(bytes),
    }
}

const LIMITS: JsonLimits = JsonLimits::new(16 * 1024, 1);

#[cfg(test)]
mod tests;
