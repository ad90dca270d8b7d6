//! The claims of a payload, before their values are checked.
//!
//! The whole payload is parsed first; then each claim's type is checked. Other claims stay in the payload.

use std::{borrow::Cow, time::Duration};

use serde_json::Number;
use smallvec::SmallVec;

use super::{TokenFault, compact::MAX_TOKEN_BYTES, template};
use crate::{
    ascii,
    clock::Timestamp,
    json::{self, Json, JsonError, JsonLimits, Objects, Reading},
};

/// A payload is shorter than its token, whose length the profile limits.
const LIMITS: JsonLimits = JsonLimits::new(MAX_TOKEN_BYTES, 16);

/// More than any token has, and few enough for comparing all names with each other.
const MAX_MEMBERS: usize = 128;

/// The longest `sub`, `jti`, `client_id` and tenant name in bytes.
pub const MAX_NAME_BYTES: usize = 512;

/// The claims of a payload, each of the right type.
pub(super) struct Claims<'p> {
    pub(super) issuer: Option<Cow<'p, str>>,
    /// Empty for some anonymous visitors.
    pub(super) subject: Cow<'p, str>,
    pub(super) audience: Audience<'p>,
    pub(super) times: Times,
    pub(super) jti: Option<Cow<'p, str>>,
    pub(super) client_id: Option<Cow<'p, str>>,
    pub(super) scope: Option<Json<'p>>,
    pub(super) others: Others<'p>,
}

/// Claims with a meaning for some profiles or handlers only: a few.
pub(super) type Others<'p> = SmallVec<[(Cow<'p, str>, Json<'p>); 4]>;

/// RFC 7519 §4.1.3: a string or an array of strings, and nothing else.
pub(super) struct Audience<'p>(Vec<Json<'p>>);

impl<'p> Audience<'p> {
    fn of(value: Option<Json<'p>>) -> Result<Self, TokenFault> {
        let all = match value {
            None => Vec::new(),
            Some(Json::Array(all)) => all,
            Some(one) => vec![one],
        };
        if !all.iter().all(|one| matches!(one, Json::Text(_))) {
            return Err(TokenFault::AudienceType);
        }

        Ok(Self(all))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Json::as_str)
    }
}

/// RFC 7519 §4.1, RFC 9068 §2.2: the claims that are read here for every profile. [`Members::take`] leaves none of them among the
/// others, so a tenant or metadata claim of such a name would be found in no token.
pub(crate) const CLAIMS_OF_EVERY_TOKEN: [&str; 9] = [
    "aud",
    "client_id",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "scope",
    "sub",
];

/// The members of a payload, of any type.
#[derive(Default)]
struct Members<'p> {
    iss: Option<Json<'p>>,
    sub: Option<Json<'p>>,
    aud: Option<Json<'p>>,
    exp: Option<Json<'p>>,
    nbf: Option<Json<'p>>,
    iat: Option<Json<'p>>,
    jti: Option<Json<'p>>,
    client_id: Option<Json<'p>>,
    scope: Option<Json<'p>>,
    others: Others<'p>,
}

impl<'p> Members<'p> {
    fn read(payload: &'p [u8], objects: Objects) -> Result<Self, TokenFault> {
        let reading = Reading {
            limits: LIMITS,
            most: MAX_MEMBERS,
            objects,
        };
        let mut members = Self::default();
        json::each_member(payload, reading, |name, value| members.take(name, value))
            .map_err(|_err| TokenFault::ClaimsUnreadable)?;
        Ok(members)
    }

    fn take(&mut self, name: Cow<'p, str>, value: Json<'p>) -> Result<(), JsonError> {
        let place = match name.as_ref() {
            "iss" => &mut self.iss,
            "sub" => &mut self.sub,
            "aud" => &mut self.aud,
            "exp" => &mut self.exp,
            "nbf" => &mut self.nbf,
            "iat" => &mut self.iat,
            "jti" => &mut self.jti,
            "client_id" => &mut self.client_id,
            "scope" => &mut self.scope,
            _ if self.others.iter().any(|(other, _)| *other == name) => {
                return Err(JsonError::DuplicateMember);
            }
            _ => {
                self.others.push((name, value));
                return Ok(());
            }
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(JsonError::DuplicateMember),
        }
    }
}

impl<'p> Claims<'p> {
    /// Reads a payload: all of it, then each claim's type.
    pub(super) fn read(payload: &'p [u8], objects: Objects) -> Result<Self, TokenFault> {
        let members = Members::read(payload, objects)?;
        let text = |value: Option<Json<'p>>, fault| value.map(|value| text_of(value, fault)).transpose();
        let name = |value: Option<Json<'p>>, fault| value.map(|value| name_of(value, fault)).transpose();
        let time = |value: Option<Json<'p>>, fault| value.map(|value| time_of(&value, fault)).transpose();

        Ok(Self {
            issuer: text(members.iss, TokenFault::IssuerType)?,
            subject: members
                .sub
                .map_or(Err(TokenFault::SubjectMissing), |value| subject_of(value))?,
            audience: Audience::of(members.aud)?,
            times: Times {
                expires_at: time(members.exp, TokenFault::ExpiryType)?.ok_or(TokenFault::ExpiryMissing)?,
                not_before: time(members.nbf, TokenFault::NotBeforeType)?,
                issued_at: time(members.iat, TokenFault::IssuedType)?,
            },
            jti: name(members.jti, TokenFault::TokenIdType)?,
            client_id: members.client_id.map_or(Ok(None), client_id_of)?,
            scope: members.scope,
            others: members.others,
        })
    }

    /// Returns a claim that has no field of its own.
    pub(super) fn other(&self, name: &str) -> Option<&Json<'p>> {
        self.others
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value)
    }
}

/// The times of a token.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) expires_at: Timestamp,
    pub(super) not_before: Option<Timestamp>,
    pub(super) issued_at: Option<Timestamp>,
}

fn text_of(value: Json<'_>, fault: TokenFault) -> Result<Cow<'_, str>, TokenFault> {
    match value {
        Json::Text(text) => Ok(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Err(fault),
    }
}

/// Reads a text that will be looked up, compared, cached and logged.
fn name_of(value: Json<'_>, fault: TokenFault) -> Result<Cow<'_, str>, TokenFault> {
    let text = short_of(value, fault)?;
    if text.is_empty() {
        return Err(fault);
    }

    Ok(text)
}

/// Reads a name that may be empty.
fn short_of(value: Json<'_>, fault: TokenFault) -> Result<Cow<'_, str>, TokenFault> {
    let text = text_of(value, fault)?;
    if text.len() > MAX_NAME_BYTES || ascii::has_control(&text) {
        return Err(fault);
    }

    Ok(text)
}

fn subject_of(value: Json<'_>) -> Result<Cow<'_, str>, TokenFault> {
    let subject = short_of(value, TokenFault::SubjectType)?;
    if template::is_printed_nothing(&subject) {
        return Err(TokenFault::TemplateInSubject);
    }
    if is_blank(&subject) {
        return Err(TokenFault::SubjectType);
    }

    Ok(subject)
}

/// Tells whether a text shows nothing, though it is not empty.
pub(crate) fn is_blank(text: &str) -> bool {
    let shows_nothing = |c: char| c.is_whitespace() || iam_grammar::name::is_unseen(c);

    !text.is_empty() && text.chars().all(shows_nothing)
}

/// Reads a client id. A claims template renders a missing one as an empty text or as `null`.
fn client_id_of(value: Json<'_>) -> Result<Option<Cow<'_, str>>, TokenFault> {
    if matches!(value, Json::Null) {
        return Ok(None);
    }
    let client_id = short_of(value, TokenFault::ClientIdType)?;
    if template::is_printed_nothing(&client_id) {
        return Err(TokenFault::TemplateInClientId);
    }

    Ok(Some(client_id).filter(|client_id| !client_id.is_empty()))
}

fn time_of(value: &Json<'_>, fault: TokenFault) -> Result<Timestamp, TokenFault> {
    match value {
        Json::Number(number) => numeric_date(number).ok_or(fault),
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::Array(_) | Json::Object(_) => Err(fault),
    }
}

/// Reads a `NumericDate` (RFC 7519 §2): seconds, possibly with a fraction, of which whole milliseconds count. A number
/// outside of [0, 2^53), where every whole number is exact, is refused.
pub(crate) fn numeric_date(number: &Number) -> Option<Timestamp> {
    const END: u64 = 1 << 53;

    if let Some(secs) = number.as_u64() {
        return (secs < END).then(|| Timestamp::from_secs(secs));
    }
    let secs = number
        .as_f64()
        .filter(|secs| (0.0..9_007_199_254_740_992.0).contains(secs))?;
    let since = Duration::try_from_secs_f64(secs).ok()?;
    Some(Timestamp::default().saturating_add(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R116: the names that no rule may look for are those that have a place of their own, and no others.
    #[test]
    fn claims_of_every_token_are_those_that_are_not_among_the_others() {
        let mut members = Members::default();
        for name in CLAIMS_OF_EVERY_TOKEN {
            assert_eq!(members.take(name.into(), Json::Null), Ok(()));
        }

        let Members {
            iss: Some(_),
            sub: Some(_),
            aud: Some(_),
            exp: Some(_),
            nbf: Some(_),
            iat: Some(_),
            jti: Some(_),
            client_id: Some(_),
            scope: Some(_),
            others,
        } = members
        else {
            panic!("a claim has a place and may be looked for among the others")
        };
        assert!(others.is_empty());
    }
}
