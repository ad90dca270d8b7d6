//! Which authenticators decide about the credentials of a tenant?

use std::sync::Arc;

use super::header;
use crate::{
    authenticate::{Authenticator, Carrier},
    config::{TenantConfig, report::Report},
    tenant::{AuthenticatorName, CustomTransport, Transport},
};

pub(super) fn transports(
    report: &mut Report,
    path: &str,
    written: &TenantConfig,
    authenticators: &[Arc<dyn Authenticator>],
) -> Vec<CustomTransport> {
    let at = format!("{path}.transports");
    let names = written.transports.iter().filter_map(|transport| match transport {
        Transport::Custom(name) => Some(*name),
        Transport::Bearer
        | Transport::Cookie
        | Transport::CookieOrBearer
        | Transport::Oathkeeper
        | Transport::Oauth2 => None,
    });

    let transports = names.filter_map(|name| {
        let mut candidates = authenticators
            .iter()
            .filter(|port| AuthenticatorName::named(port.name()) == Some(name));
        let (port, further) = (candidates.next(), candidates.next());
        let fault = match port {
            None => Some("no authenticator has the name: register one with `Ports::authenticator`, or correct the name"),
            Some(_) if further.is_some() => Some("two authenticators have the name: register one of them"),
            Some(_) => None,
        };
        if let Some(fault) = fault {
            report.add(&at, format!("\"{}\": {fault}", name.as_str()));
            return None;
        }
        let port = Arc::clone(port?);
        Some(CustomTransport {
            name,
            carriers: carriers(report, &at, name, port.carriers()),
            port,
        })
    });
    transports.collect()
}

fn carriers(report: &mut Report, at: &str, name: AuthenticatorName, told: Vec<Carrier>) -> Vec<Carrier> {
    let who = name.as_str();
    if told.is_empty() {
        report.add(at, format!("the authenticator of \"{who}\" names no carrier"));
    }

    let mut carriers = Vec::new();
    for carrier in told {
        let carrier = match carrier {
            Carrier::Cookie(cookie) => {
                if http::HeaderName::from_bytes(cookie.as_bytes()).is_err() {
                    report.add(
                        at,
                        format!(
                            "the authenticator of \"{who}\" names a cookie that is not a token (RFC 6265)"
                        ),
                    );
                }
                Carrier::Cookie(cookie)
            }
            Carrier::Header(header) => {
                let header = header.to_ascii_lowercase();
                if let Some(fault) = header::fault(&header) {
                    report.add(
                        at,
                        format!("the authenticator of \"{who}\" names a header: {fault}"),
                    );
                }
                Carrier::Header(header)
            }
        };
        if carriers.contains(&carrier) {
            report.add(
                at,
                format!("the authenticator of \"{who}\" names a carrier twice"),
            );
        }
        carriers.push(carrier);
    }
    carriers
}
