//! The identity server.

use super::{keto::is_header_value, upstream};
use crate::{
    config::{KratosConfig, TenantConfig, report::Report, tenant::SESSION_COOKIE},
    principal::AssuranceLevel,
    tenant::KratosSettings,
};

pub(super) fn kratos(
    report: &mut Report,
    path: &str,
    tenant: &TenantConfig,
    written: &KratosConfig,
) -> Option<KratosSettings> {
    let http = upstream::plain_http(path, "kratos", &tenant.upstream, &written.upstream);
    let public_url = report.base_url(&format!("{path}.kratos.public_url"), &written.public_url, &http);
    let admin_url = written
        .admin_url
        .as_deref()
        .map(|url| report.base_url(&format!("{path}.kratos.admin_url"), url, &http));
    admin_token(report, path, written);
    session_cookie(report, path, tenant, written);
    required_aal(report, path, tenant, written);
    if let Some(login_url) = &written.login_url {
        report.page_url(&format!("{path}.kratos.login_url"), login_url);
    }

    Some(KratosSettings {
        public_url: public_url?,
        admin_url: admin_url.flatten(),
        admin_token: written.admin_token.clone(),
        session_cookie: written.session_cookie.clone(),
        required_aal: written.required_aal,
        login_url: written.login_url.clone(),
        limits: upstream::limits(&tenant.upstream, &written.upstream),
        max_in_flight: upstream::max_in_flight(&tenant.upstream, &written.upstream),
    })
}

fn admin_token(report: &mut Report, path: &str, written: &KratosConfig) {
    let at = format!("{path}.kratos.admin_token");
    match &written.admin_token {
        Some(token) if !is_header_value(token) => report.add(&at, "not a bearer token"),
        Some(_) if written.admin_url.is_none() => report.add(&at, "has no effect without `admin_url`"),
        Some(_) | None => {}
    }
}

fn session_cookie(report: &mut Report, path: &str, tenant: &TenantConfig, written: &KratosConfig) {
    let at = format!("{path}.kratos.session_cookie");
    let name = written.session_cookie.as_str();
    if name.is_empty() {
        report.add(&at, "required");
    } else if MAX_NAME < name.len() || !name.bytes().all(is_of_token) {
        report.add(
            &at,
            format!("not the name of a cookie: letters, digits and `-_.`, such as \"{SESSION_COOKIE}\""),
        );
    } else if name != SESSION_COOKIE && !tenant.transports.iter().any(|transport| transport.reads_cookie()) {
        report.add(
            &at,
            "has no effect without the transport \"cookie\" or \"cookie-or-bearer\"",
        );
    }
}

fn required_aal(report: &mut Report, path: &str, tenant: &TenantConfig, written: &KratosConfig) {
    let at = format!("{path}.kratos.required_aal");
    match written.required_aal {
        AssuranceLevel::Aal0 | AssuranceLevel::Aal3 => report.add(&at, "expected \"aal1\" or \"aal2\""),
        AssuranceLevel::Aal2
            if !tenant
                .transports
                .iter()
                .any(|transport| transport.is_of_sessions()) =>
        {
            report.add(
                &at,
                "has no effect without the transport \"bearer\", \"cookie\" or \"cookie-or-bearer\"",
            );
        }
        AssuranceLevel::Aal1 | AssuranceLevel::Aal2 => {}
    }
}

/// RFC 9110 §5.6.2, which RFC 6265 §4.1.1 refers to.
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

const MAX_NAME: usize = 256;
