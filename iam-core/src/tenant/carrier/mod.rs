//! Which transport of a route's list does a credential belong to?
//!
//! Every transport reads its carriers: headers and a cookie. A request may present one credential in all carriers of the route's
//! transports together. Where two transports read one carrier, `Authorization: Bearer`, the form of the token tells its kind:
//!
//! | Token | Kind | Taken by |
//! |---|---|---|
//! | `ory_st_…` | a session token of Kratos | `bearer`, `cookie-or-bearer` |
//! | `ory_at_…` | an opaque access token of Hydra | `oauth2` that introspects |
//! | anything else with exactly two dots | a JWT | `oauth2`, and `oathkeeper` whose header is `Authorization` |
//!
//! The three forms exclude each other: a JWT begins with the base64url text of `{`, so with neither prefix. A token therefore has one
//! kind, is verified as that kind and no other, and a false prefix gains nothing: the server that issues that kind does not know the
//! token. A token of none of the forms is refused with 401. Two transports that take the same form on the same carrier are refused when
//! the target is resolved. The forms are asked only where two transports read the carrier.

use super::{AccessTokenSource, Gateway, Tenant, Transport};
use crate::{
    authenticate,
    credential::{CredentialError, MAX_CREDENTIAL, SESSION_TOKEN, bare, bearer, cookie, forwarded},
    decision::{Reason, Refusal},
    request::RequestHead,
};

/// A place where a transport reads credentials, and the credentials that it takes there.
#[derive(Clone, Copy, Debug)]
struct Carrier<'t> {
    place: Place<'t>,
    takes: Takes,
}

#[derive(Clone, Copy, Debug)]
enum Place<'t> {
    /// A cookie of this name.
    Cookie(&'t str),
    /// A header of this name, in lower case, that the gateway sets.
    Forwarded(&'t str),
    /// A header of this name, in lower case.
    Header(&'t str),
}

#[derive(Clone, Copy, Debug)]
enum Takes {
    /// Whatever is there: no other transport may read the place.
    All,
    Forms(&'static [Form]),
}

/// The form of a bearer token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Jwt,
    OpaqueAccessToken,
    SessionToken,
}

/// Returns the one transport of the list whose credential the request presents.
pub(super) fn choose(
    tenant: &Tenant,
    transports: &[Transport],
    head: &RequestHead<'_>,
) -> Result<Transport, Refusal> {
    let (place, token) = find(tenant, transports, head)?;

    let mut readers = transports
        .iter()
        .copied()
        .filter(|transport| carriers(tenant, *transport).any(|carrier| carrier.place.is(place)));
    if let (Some(only), None) = (readers.next(), readers.next()) {
        return Ok(only);
    }
    let form = Form::of(token.map_err(CredentialError::reason)?).ok_or(Reason::Malformed)?;
    transports
        .iter()
        .copied()
        .find(|transport| {
            carriers(tenant, *transport).any(|carrier| carrier.place.is(place) && carrier.takes.has(form))
        })
        .ok_or(Refusal::new(Reason::Malformed))
}

/// Returns the one credential that the carriers of a transport hold: at most 4096 bytes of visible ASCII.
pub(super) fn presented<'a>(
    tenant: &Tenant,
    transport: Transport,
    head: &RequestHead<'a>,
) -> Result<&'a [u8], Refusal> {
    let (_, token) = find(tenant, &[transport], head)?;

    token
        .ok()
        .filter(|token| token.len() <= MAX_CREDENTIAL)
        .ok_or(Refusal::new(Reason::Malformed))
}

/// Returns what the one carrier that holds something holds.
fn find<'t, 'a>(
    tenant: &'t Tenant,
    transports: &[Transport],
    head: &RequestHead<'a>,
) -> Result<(Place<'t>, Result<&'a [u8], CredentialError>), Refusal> {
    let mut found: Option<(Place<'t>, Result<&'a [u8], CredentialError>)> = None;
    for carrier in transports
        .iter()
        .flat_map(|transport| carriers(tenant, *transport))
    {
        let token = match carrier.place.read(head) {
            Err(CredentialError::Missing) => continue,
            Err(CredentialError::Ambiguous) => return Err(Reason::AmbiguousCredential.into()),
            token @ (Ok(_) | Err(CredentialError::Malformed)) => token,
        };
        match found {
            Some((place, _)) if !place.is(carrier.place) => return Err(Reason::AmbiguousCredential.into()),
            Some(_) => {}
            None => found = Some((carrier.place, token)),
        }
    }
    found.ok_or(Refusal::new(Reason::MissingCredential))
}

/// Tells whether two of the transports would take one credential.
pub(super) fn contend(tenant: &Tenant, transports: &[Transport]) -> bool {
    // Of nearly all routes there is one, which shares with none.
    transports.iter().enumerate().skip(1).any(|(index, transport)| {
        carriers(tenant, *transport).any(|carrier| {
            transports
                .iter()
                .take(index)
                .flat_map(|earlier| carriers(tenant, *earlier))
                .any(|earlier| earlier.place.is(carrier.place) && earlier.takes.meets(carrier.takes))
        })
    })
}

/// Returns where a transport of the tenant reads credentials.
fn carriers(tenant: &Tenant, transport: Transport) -> impl Iterator<Item = Carrier<'_>> {
    let header = |name, takes| Carrier {
        place: Place::Header(name),
        takes,
    };
    let custom: &[authenticate::Carrier] = match transport {
        Transport::Custom(name) => tenant.custom_of(name).map_or(&[], |custom| &custom.carriers),
        Transport::Bearer
        | Transport::Cookie
        | Transport::CookieOrBearer
        | Transport::Oathkeeper
        | Transport::Oauth2 => &[],
    };
    let own = match transport {
        Transport::Custom(_) => [None; 3],
        Transport::Bearer | Transport::Cookie | Transport::CookieOrBearer => {
            let is_read = transport.reads_session_token();
            let cookie = tenant.kratos.as_ref().filter(|_| transport.reads_cookie());
            [
                cookie.map(|kratos| Carrier {
                    place: Place::Cookie(kratos.session_cookie()),
                    takes: Takes::All,
                }),
                is_read.then(|| header(AUTHORIZATION, Takes::Forms(&[Form::SessionToken]))),
                is_read.then(|| header(SESSION_TOKEN, Takes::All)),
            ]
        }
        Transport::Oathkeeper => {
            let forwarded = |name| Carrier {
                place: Place::Forwarded(name),
                takes: Takes::All,
            };
            let carrier = tenant.gateway.as_ref().map(|gateway| match gateway {
                // The signature and the proof come with it: without it, they are no credential.
                Gateway::Envelope(source) => forwarded(source.header.as_str()),
                Gateway::Forwarded(source) => forwarded(source.header.as_str()),
                Gateway::Jwt(source) if source.header == AUTHORIZATION => {
                    header(AUTHORIZATION, Takes::Forms(&[Form::Jwt]))
                }
                Gateway::Jwt(source) => header(source.header.as_str(), Takes::All),
            });
            [carrier, None, None]
        }
        Transport::Oauth2 => {
            let forms: &[Form] = match tenant.access_tokens {
                // Hydra introspects JWTs as well.
                Some(AccessTokenSource::Introspection(_)) => &[Form::OpaqueAccessToken, Form::Jwt],
                Some(AccessTokenSource::Jwt(_)) | None => &[Form::Jwt],
            };
            [Some(header(AUTHORIZATION, Takes::Forms(forms))), None, None]
        }
    };

    let custom = custom.iter().map(|carrier| Carrier {
        place: match carrier {
            authenticate::Carrier::Cookie(name) => Place::Cookie(name),
            authenticate::Carrier::Header(name) => Place::Header(name),
        },
        takes: Takes::All,
    });
    own.into_iter().flatten().chain(custom)
}

impl Place<'_> {
    /// Tells whether two places are one, however they are read.
    fn is(self, other: Place<'_>) -> bool {
        match (self, other) {
            (Self::Cookie(name), Place::Cookie(other)) => name == other,
            (Self::Forwarded(name) | Self::Header(name), Place::Forwarded(other) | Place::Header(other)) => {
                name == other
            }
            (Self::Cookie(_), Place::Forwarded(_) | Place::Header(_))
            | (Self::Forwarded(_) | Self::Header(_), Place::Cookie(_)) => false,
        }
    }

    fn read<'a>(self, head: &RequestHead<'a>) -> Result<&'a [u8], CredentialError> {
        match self {
            Self::Cookie(name) => cookie(head, name)?.token(),
            Self::Forwarded(name) => forwarded(head, name)?.ok_or(CredentialError::Missing),
            Self::Header(AUTHORIZATION) => bearer(head, AUTHORIZATION)?.token(),
            Self::Header(name) => bare(head, name)?.token(),
        }
    }
}

impl Takes {
    fn has(self, form: Form) -> bool {
        match self {
            Self::All => true,
            Self::Forms(forms) => forms.contains(&form),
        }
    }

    fn meets(self, other: Self) -> bool {
        match self {
            Self::All => true,
            Self::Forms(forms) => forms.iter().any(|form| other.has(*form)),
        }
    }
}

impl Form {
    /// Returns the form of a bearer token; nothing for a token of another one.
    fn of(token: &[u8]) -> Option<Self> {
        if token.starts_with(b"ory_st_") {
            return Some(Self::SessionToken);
        }
        if token.starts_with(b"ory_at_") {
            return Some(Self::OpaqueAccessToken);
        }
        // RFC 7515 §7.1: three parts. Whether they are well formed is the verifier's to say.
        let parts = token.split(|&byte| byte == b'.').take(4).count();
        (parts == 3).then_some(Self::Jwt)
    }
}

const AUTHORIZATION: &str = "authorization";

#[cfg(test)]
mod tests;
