//! How the gateway proves identities: which keys are needed, and which have no effect.

use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::token::{self, Place};
use crate::{
    config::{JwksConfig, OathkeeperConfig, ReplayMode, VerifierKind, report::Report, tree::printable},
    envelope::{EnvelopeVerifier, ISSUER},
    secret::Secret,
    tenant::{EnvelopeSource, ForwardedSource, Gateway, JwksSource, Network, NetworkError},
};

pub(super) fn gateway(report: &mut Report, place: Place<'_>) -> Option<(Gateway, Option<JwksSource>)> {
    without_effect(report, place);

    match place.written.verifier {
        VerifierKind::Headers => {
            let source = forwarded(report, place);
            Some((Gateway::Forwarded(Box::new(source)), None))
        }
        VerifierKind::Hmac => {
            envelope(report, place).map(|source| (Gateway::Envelope(Box::new(source)), None))
        }
        VerifierKind::Jwt => {
            token::token(report, place).map(|(source, jwks)| (Gateway::Jwt(Box::new(source)), jwks))
        }
    }
}

/// Reports the keys of other verifiers.
fn without_effect(report: &mut Report, place: Place<'_>) {
    let (written, default) = (place.written, OathkeeperConfig::default());
    let tokens = [
        ("issuer", !written.issuer.is_empty()),
        ("algorithms", written.algorithms != default.algorithms),
        ("jwks", written.jwks != JwksConfig::default()),
    ];
    let signed = [
        ("audience", !written.audience.is_empty()),
        ("clock_skew", written.clock_skew != default.clock_skew),
        ("max_lifetime", written.max_lifetime != default.max_lifetime),
        ("replay", written.replay != ReplayMode::default()),
        ("tenant_claim", written.tenant_claim != default.tenant_claim),
        ("metadata_claim", written.metadata_claim != default.metadata_claim),
        ("scope_claim", written.scope_claim != default.scope_claim),
        ("max_token", written.max_token != default.max_token),
    ];
    let envelopes = [
        ("signature_header", written.signature_header.is_some()),
        ("keys", !written.keys.is_empty()),
        ("signature_encoding", written.signature_encoding.is_some()),
        ("envelope_encoding", written.envelope_encoding.is_some()),
    ];
    let headers = [
        ("proof_header", written.proof_header.is_some()),
        ("proof_secret", written.proof_secret.is_some()),
        ("trusted_peers", !written.trusted_peers.is_empty()),
        ("roles_header", written.roles_header.is_some()),
        ("tenant_header", written.tenant_header.is_some()),
        ("headers", !written.headers.is_empty()),
    ];

    let groups: [(&[_], &[VerifierKind]); 4] = [
        (&tokens, &[VerifierKind::Jwt]),
        (&signed, &[VerifierKind::Jwt, VerifierKind::Hmac]),
        (&envelopes, &[VerifierKind::Hmac]),
        (&headers, &[VerifierKind::Headers]),
    ];
    for (keys, of) in groups {
        let wanted: Vec<_> = of
            .iter()
            .map(|kind| format!("`verifier = \"{}\"`", kind.as_str()))
            .collect();
        for (key, is_written) in keys {
            if *is_written && !of.contains(&written.verifier) {
                report.add(
                    &place.at(key),
                    format!(
                        "has no effect with `verifier = \"{}\"`: remove it, or set {}",
                        written.verifier.as_str(),
                        wanted.join(" or ")
                    ),
                );
            }
        }
    }
}

fn envelope(report: &mut Report, place: Place<'_>) -> Option<EnvelopeSource> {
    let written = place.written;
    let [header, signature_header] = [
        ("header", written.header_name()),
        ("signature_header", written.signature_header_name()),
    ]
    .map(|(key, name)| own_header(report, &place.at(key), name));
    apart(
        report,
        place,
        &[("header", &header), ("signature_header", &signature_header)],
    );
    token::audience(report, &place.at("audience"), &written.audience);
    let keys = keys(report, &place.at("keys"), &written.keys);
    token::limits(report, place);

    let profile = token::profile(place, ISSUER)
        .build()
        // INVARIANT: the report holds every fault of the profile by now.
        .map_err(|err| report.add_of_table(place.path, err.to_string()))
        .ok()?;
    Some(EnvelopeSource {
        verifier: EnvelopeVerifier {
            keys,
            signature_encoding: written.signature_encoding.unwrap_or_default(),
            envelope_encoding: written.envelope_encoding.unwrap_or_default(),
            profile: Arc::new(profile),
        },
        header,
        signature_header,
        replay: written.replay,
    })
}

/// R006: RFC 7518 §3.2 asks for a key as long as the hash.
fn keys(report: &mut Report, path: &str, written: &[Secret]) -> Vec<hmac::Key> {
    if written.is_empty() {
        report.empty(
            path,
            "required: write `base64:` and 32 random bytes, such as `openssl rand -base64 32` prints",
        );
    }

    let mut keys: Vec<Vec<u8>> = Vec::new();
    for (index, secret) in written.iter().enumerate() {
        let path = report.element(path, index);
        let decoded = secret
            .expose()
            .strip_prefix("base64:")
            .and_then(|text| STANDARD.decode(text).ok());
        let Some(key) = decoded else {
            report.add(
                &path,
                "expected `base64:` and the key in base64, such as `openssl rand -base64 32` prints",
            );
            continue;
        };
        if !(LEAST_KEY..=LONGEST_KEY).contains(&key.len()) {
            report.add(
                &path,
                format!("expected {LEAST_KEY} to {LONGEST_KEY} random bytes, such as `openssl rand -base64 32` prints"),
            );
        }
        if keys.contains(&key) {
            report.add(&path, "the same key as an earlier one: remove it");
        }
        keys.push(key);
    }
    keys.iter().map(|key| hmac::Key::new(HMAC_SHA256, key)).collect()
}

fn forwarded(report: &mut Report, place: Place<'_>) -> ForwardedSource {
    let written = place.written;
    let header = own_header(report, &place.at("header"), written.header_name());
    let proof_header = proof(report, place);
    let peers = peers(report, &place.at("trusted_peers"), &written.trusted_peers);
    let [roles_header, tenant_header] = [
        ("roles_header", &written.roles_header),
        ("tenant_header", &written.tenant_header),
    ]
    .map(|(key, name)| {
        let name = name.as_deref()?;
        Some(own_header(report, &place.at(key), name))
    });
    if place.several && tenant_header.is_none() {
        report.add(
            &place.at("tenant_header"),
            "required where there is more than one tenant: an identity of one tenant would be accepted for the other",
        );
    }
    let headers = headers(report, &place.at("headers"), &written.headers);
    let all: Vec<_> = [
        ("header", Some(&header)),
        ("proof_header", proof_header.as_ref()),
        ("roles_header", roles_header.as_ref()),
        ("tenant_header", tenant_header.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, name)| Some((key, name?.as_str())))
    .chain(headers.iter().map(|name| ("headers", name.as_str())))
    .collect();
    apart(report, place, &all);
    token::anonymous_subjects(
        report,
        &place.at("anonymous_subjects"),
        &written.anonymous_subjects,
    );

    ForwardedSource {
        header,
        proof: proof_header.zip(written.proof_secret.clone()),
        peers,
        roles_header,
        tenant_header,
        headers,
        anonymous_subjects: written.anonymous_subjects.clone(),
    }
}

/// Returns the header of the secret, where there is one.
fn proof(report: &mut Report, place: Place<'_>) -> Option<String> {
    let written = place.written;
    let Some(secret) = &written.proof_secret else {
        if written.proof_header.is_some() {
            report.add(
                &place.at("proof_secret"),
                "required with `proof_header`: write the secret that the gateway sets there",
            );
        } else if written.trusted_peers.is_empty() {
            report.empty(
                &place.at("trusted_peers"),
                "required, unless there is a `proof_secret`: without a proof, every caller could name any identity",
            );
        }
        return None;
    };

    let is_visible = secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !is_visible || !(LEAST_KEY..=LONGEST_KEY).contains(&secret.expose().len()) {
        report.add(
            &place.at("proof_secret"),
            format!(
                "expected {LEAST_KEY} to {LONGEST_KEY} visible ASCII characters, such as `openssl rand -base64 32` prints"
            ),
        );
    }
    Some(own_header(
        report,
        &place.at("proof_header"),
        written.proof_header_name(),
    ))
}

fn peers(report: &mut Report, path: &str, written: &[String]) -> Vec<Network> {
    let mut peers = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match text.parse() {
            Ok(network) => peers.push(network),
            Err(err) => {
                let path = report.element(path, index);
                report.add(&path, NetworkError::to_string(&err));
            }
        }
    }
    peers
}

fn headers(report: &mut Report, path: &str, written: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for (index, name) in written.iter().enumerate() {
        let path = report.element(path, index);
        names.push(own_header(report, &path, name));
    }
    names
}

/// Checks the name of a header that the gateway sets, and returns it in lower case. Callers use `Authorization` for credentials of
/// their own, which gateways pass on.
fn own_header(report: &mut Report, path: &str, written: &str) -> String {
    let name = token::header(report, path, written);
    if name == "authorization" {
        report.add(
            path,
            "carries tokens only: write a name that only the gateway and the application use, such as \"X-User\"",
        );
    }
    name
}

/// Each header has one meaning.
fn apart(report: &mut Report, place: Place<'_>, headers: &[(&str, &str)]) {
    for (index, (key, name)) in headers.iter().enumerate() {
        if let Some((other, _)) = headers.iter().take(index).find(|(_, earlier)| earlier == name) {
            report.add(
                &place.at(key),
                format!(
                    "`{}` is the header of `{other}`, too: give each a header of its own",
                    printable(name)
                ),
            );
        }
    }
}

/// As long as the hash.
const LEAST_KEY: usize = 32;
const LONGEST_KEY: usize = 1024;
