//! The OAuth 2 server and its access tokens.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded::byte_serialize;

use super::{cache, keto::is_header_value, token, upstream};
use crate::{
    config::{
        HydraConfig, JwksConfig, TenantConfig, TokenCheck, UpstreamConfig,
        report::{PlainHttp, Report},
        tree::printable,
    },
    jwt::{
        DEFAULT_ALGORITHMS, DEFAULT_CLOCK_SKEW, DEFAULT_MAX_TOKEN_BYTES, Profile, TenantRule, TokenType,
        Verifier,
    },
    secret::Secret,
    tenant::{AccessTokenSource, HydraSettings, JwtAccessTokens, Transport},
};

pub(super) fn hydra(
    report: &mut Report,
    path: &str,
    name: &str,
    tenant: &TenantConfig,
    written: &HydraConfig,
) -> Option<AccessTokenSource> {
    let tenant_path = path;
    let path = format!("{path}.hydra");
    let at = |key: &str| format!("{path}.{key}");

    report.text(&at("issuer"), &written.issuer);
    let gateway = tenant.oathkeeper.as_ref().map(|gateway| &gateway.issuer);
    if gateway.is_some_and(|issuer| *issuer == written.issuer) && !written.issuer.is_empty() {
        report.add(
            &at("issuer"),
            "the same as `oathkeeper.issuer`: a gateway's token could pass as an access token; give each its own issuer",
        );
    }
    token::audience(report, &at("audience"), &written.audience);
    report.text(&at("tenant_claim"), &written.tenant_claim);
    for (key, is_written) in without_effect(written) {
        if is_written {
            let check = match written.tokens {
                TokenCheck::Introspect => "introspect",
                TokenCheck::Jwt => "jwt",
            };
            report.add(
                &at(key),
                format!("has no effect with `tokens = \"{check}\"`: remove it"),
            );
        }
    }

    match written.tokens {
        TokenCheck::Introspect => introspection(report, tenant_path, tenant, written)
            .map(|settings| AccessTokenSource::Introspection(Arc::new(settings))),
        TokenCheck::Jwt => {
            jwt(report, &path, name, tenant, written).map(|source| AccessTokenSource::Jwt(Box::new(source)))
        }
    }
}

/// D9: tenants with one issuer and one audience would accept each other's tokens, because few access tokens name a tenant.
pub(super) fn apart(report: &mut Report, tenants: &BTreeMap<String, TenantConfig>) {
    let sources = || {
        tenants.iter().filter_map(|(name, tenant)| {
            let is_used = tenant.transports.contains(&Transport::Oauth2);
            Some((name, tenant.hydra.as_ref().filter(|_| is_used)?))
        })
    };

    for (index, (name, written)) in sources().enumerate() {
        let same = |(_, other): &(&String, &HydraConfig)| {
            other.issuer == written.issuer && other.audience.iter().any(|one| written.audience.contains(one))
        };
        if let Some((other, _)) = sources().take(index).find(same) {
            report.add(
                &format!("tenants.{}.hydra.audience", printable(name)),
                format!(
                    "shares an issuer and an audience with `tenants.{0}.hydra`: tokens for one tenant would be accepted for the \
                     other; give each tenant an audience of its own",
                    printable(other)
                ),
            );
        }
    }
}

/// Returns the keys that the way of checking tokens does not use, each with whether it is written.
fn without_effect(written: &HydraConfig) -> Vec<(&'static str, bool)> {
    match written.tokens {
        TokenCheck::Introspect => vec![
            ("typ", written.typ.is_some()),
            ("algorithms", written.algorithms.is_some()),
            ("jwks", written.jwks != JwksConfig::default()),
        ],
        TokenCheck::Jwt => vec![
            ("admin_url", written.admin_url.is_some()),
            ("admin_token", written.admin_token.is_some()),
            ("client_id", written.client_id.is_some()),
            ("client_secret", written.client_secret.is_some()),
            ("upstream", written.upstream != UpstreamConfig::default()),
        ],
    }
}

fn introspection(
    report: &mut Report,
    tenant_path: &str,
    tenant: &TenantConfig,
    written: &HydraConfig,
) -> Option<HydraSettings> {
    let at = |key: &str| format!("{tenant_path}.hydra.{key}");
    let http = upstream::plain_http(tenant_path, "hydra", &tenant.upstream, &written.upstream);

    let credential = credential(report, &at, written);
    let public_url = written
        .public_url
        .as_deref()
        .and_then(|url| report.base_url(&at("public_url"), url, &http));
    if written.admin_url.is_none() {
        report.add(
            &at("admin_url"),
            "required: tokens are introspected at Hydra's admin port",
        );
    }
    let admin_url = written
        .admin_url
        .as_deref()
        .and_then(|url| report.base_url(&at("admin_url"), url, &http));
    if admin_url.is_some() && admin_url == public_url {
        report.add(
            &at("admin_url"),
            "the same as `public_url`: Hydra introspects at its admin port only",
        );
    }

    Some(HydraSettings {
        admin_url: admin_url?,
        credential,
        issuer: written.issuer.as_str().into(),
        audience: written.audience.clone(),
        tenant_claim: written.tenant_claim.clone(),
        clock_skew: DEFAULT_CLOCK_SKEW,
        max_token: DEFAULT_MAX_TOKEN_BYTES,
        limits: upstream::limits(&tenant.upstream, &written.upstream),
        max_in_flight: upstream::max_in_flight(&tenant.upstream, &written.upstream),
    })
}

/// Returns the value of `Authorization` at the endpoint.
fn credential(report: &mut Report, at: &dyn Fn(&str) -> String, written: &HydraConfig) -> Option<Secret> {
    if written
        .admin_token
        .as_ref()
        .is_some_and(|token| !is_header_value(token))
    {
        report.add(&at("admin_token"), "not a bearer token");
    }
    if written.client_id.as_deref().is_some_and(str::is_empty) {
        report.add(&at("client_id"), "required, or leave it out");
    }
    if written.client_secret.as_ref().is_some_and(Secret::is_empty) {
        report.add(&at("client_secret"), "required, or leave it out");
    }

    match (&written.admin_token, &written.client_id, &written.client_secret) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            report.add(
                &at("admin_token"),
                "either `admin_token`, or `client_id` and `client_secret`, not both",
            );
            None
        }
        (Some(token), None, None) => Some(Secret::new(format!("Bearer {}", token.expose()))),
        (None, Some(id), Some(secret)) => Some(basic(id, secret)),
        (None, Some(_), None) => {
            report.add(&at("client_secret"), "required with `client_id`");
            None
        }
        (None, None, Some(_)) => {
            report.add(&at("client_id"), "required with `client_secret`");
            None
        }
        (None, None, None) => None,
    }
}

/// RFC 6749 §2.3.1: both parts are form-encoded first, so that a colon in the id stays one.
fn basic(id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));

    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

fn jwt(
    report: &mut Report,
    path: &str,
    name: &str,
    tenant: &TenantConfig,
    written: &HydraConfig,
) -> Option<JwtAccessTokens> {
    let at = |key: &str| format!("{path}.{key}");
    let algorithms = match &written.algorithms {
        Some(names) => token::algorithms(report, &at("algorithms"), names),
        None => DEFAULT_ALGORITHMS.to_vec(),
    };
    let types = types(report, &at("typ"), written.typ.as_deref());
    let public_url = public_url(report, &at("public_url"), written);
    if written.public_url.is_some() && public_url.is_none() {
        // INVARIANT: reported. Without it, the keys would be reported as missing.
        return None;
    }
    let (store, jwks) = token::keys(
        report,
        &at("jwks"),
        &with_default_url(written, public_url.as_deref()),
    )?;

    let profile = Profile::builder(written.issuer.as_str(), written.audience.clone())
        .algorithms(algorithms)
        .access_tokens(types)
        // No gateway signs for anonymous visitors here.
        .anonymous_subjects(Vec::new())
        // Hydra mirrors claims of `ext` at the top where it is told to.
        .tenant(TenantRule::new(written.tenant_claim.as_str(), name))
        .build()
        // INVARIANT: the report holds every fault of the profile by now, but a tenant claim that is another one.
        .map_err(|err| report.add_of_table(path, err.to_string()))
        .ok()?;
    Some(JwtAccessTokens {
        verifier: Verifier::new(profile, Arc::new(store), cache::verified_tokens(tenant)),
        jwks: jwks.map(|source| *source),
        tenant_claim: written.tenant_claim.clone(),
    })
}

fn types(report: &mut Report, path: &str, written: Option<&[String]>) -> Vec<TokenType> {
    let Some(written) = written else {
        return vec![TokenType::Jwt];
    };
    if written.is_empty() {
        report.empty(path, "at least one type is required");
    }

    let mut types = Vec::new();
    for (index, name) in written.iter().enumerate() {
        let path = report.element(path, index);
        match name.parse::<TokenType>() {
            Ok(kind) if types.contains(&kind) => report.add(&path, format!("`{kind}` is listed twice")),
            Ok(kind) => types.push(kind),
            Err(err) => report.add(&path, err.to_string()),
        }
    }
    types
}

fn public_url(report: &mut Report, path: &str, written: &HydraConfig) -> Option<String> {
    let url = written.public_url.as_deref()?;
    if written.jwks.url.is_some() || !written.jwks.keys.is_empty() {
        report.add(path, "has no effect beside `jwks.url` or `jwks.keys`: remove it");
        return None;
    }

    let http = PlainHttp::new(
        format!("{}.jwks.allow_http", path.trim_end_matches(".public_url")),
        written.jwks.allow_http,
    );
    report.base_url(path, url, &http)
}

fn with_default_url(written: &HydraConfig, public_url: Option<&str>) -> JwksConfig {
    let mut jwks = written.jwks.clone();
    if let Some(base) = public_url {
        jwks.url = Some(format!("{base}/.well-known/jwks.json"));
    }
    jwks
}
