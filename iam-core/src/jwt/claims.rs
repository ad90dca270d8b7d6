//! What does the token say, and does the profile accept it?

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Number, Value};

use super::{Profile, TokenFault};
use crate::{
    clock::Timestamp,
    json::{self, JsonLimits},
};

const LIMITS: JsonLimits = JsonLimits::new(8 * 1024, 16);

/// More than any token has, and few enough to be compared with each other.
const MAX_MEMBERS: usize = 128;

/// The longest `sub`, `jti`, `client_id` and tenant name in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// The claims of a verified token: its signature, issuer, audience, times and tenant have been checked.
///
/// There is no other way to come by one than [`Verifier::verify`](super::Verifier::verify).
pub struct VerifiedClaims {
    profile: Arc<Profile>,
    subject: String,
    audience: Vec<String>,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    jti: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
    names_tenant: bool,
    others: Vec<(String, Value)>,
    actor: OnceLock<Arc<str>>,
}

impl VerifiedClaims {
    /// Returns `iss`.
    pub fn issuer(&self) -> &str {
        self.profile.issuer()
    }

    /// Returns `sub`: not empty, at most 256 bytes, free of control characters, unique only together with the issuer.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns all of `aud`; one of them is the profile's.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns `exp`.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns `nbf`.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// Returns `iat`.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// Returns until when a replay of this token must be recognised: `exp` and the clock skew after it.
    pub fn accepted_until(&self) -> Timestamp {
        self.expires_at.saturating_add(self.profile.clock_skew)
    }

    /// Returns `jti`: not empty, at most 256 bytes, free of control characters.
    pub fn jti(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// Returns `client_id`, which only an OAuth 2 client's token has.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns `scope`, a list separated by spaces.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Returns the tenant that the token names: the profile's, or none.
    pub fn tenant(&self) -> Option<&str> {
        let rule = self.profile.tenant.as_ref().filter(|_| self.names_tenant)?;

        Some(&rule.name)
    }

    /// Returns the object that the profile's metadata claim holds.
    pub fn metadata(&self) -> Option<&Value> {
        self.claim(self.profile.metadata_claim()?)
            .filter(|metadata| metadata.is_object())
    }

    /// Returns a claim by name. The registered ones (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`), `client_id` and `scope`
    /// are to be had from the methods above only.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.others
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value)
    }

    /// Returns who acts, as audit events name it: put together once, however often the token is used.
    pub(crate) fn actor(&self) -> &Arc<str> {
        self.actor.get_or_init(|| match self.client_id() {
            Some(client_id) => format!("client:{client_id}").into(),
            None => format!("user:{}", self.subject).into(),
        })
    }

    /// Reads and checks the payload of a token whose signature has been verified.
    pub(super) fn check(text: &[u8], profile: &Arc<Profile>, now: Timestamp) -> Result<Self, TokenFault> {
        let members =
            json::members(text, LIMITS, MAX_MEMBERS).map_err(|_err| TokenFault::ClaimsUnreadable)?;
        let mut issuer = None;
        let (mut subject, mut expires_at) = (None, None);
        let mut claims = Self {
            profile: Arc::clone(profile),
            subject: String::new(),
            audience: Vec::new(),
            expires_at: Timestamp::default(),
            not_before: None,
            issued_at: None,
            jti: None,
            client_id: None,
            scope: None,
            names_tenant: false,
            others: Vec::new(),
            actor: OnceLock::new(),
        };
        for (name, value) in members {
            match name.as_ref() {
                "iss" => issuer = Some(text_of(value, TokenFault::IssuerType)?),
                "sub" => subject = Some(name_of(value, TokenFault::SubjectType)?),
                "aud" => claims.audience = audience_of(value)?,
                "exp" => expires_at = Some(time_of(&value, TokenFault::ExpiryType)?),
                "nbf" => claims.not_before = Some(time_of(&value, TokenFault::NotBeforeType)?),
                "iat" => claims.issued_at = Some(time_of(&value, TokenFault::IssuedType)?),
                "jti" => claims.jti = Some(name_of(value, TokenFault::TokenIdType)?),
                "client_id" => claims.client_id = Some(name_of(value, TokenFault::ClientIdType)?),
                "scope" => claims.scope = Some(text_of(value, TokenFault::ScopeType)?),
                _ => claims.others.push((name.into_owned(), value)),
            }
        }
        claims.subject = subject.ok_or(TokenFault::SubjectMissing)?;
        claims.expires_at = expires_at.ok_or(TokenFault::ExpiryMissing)?;

        claims.check_values(issuer.as_deref(), now)?;
        Ok(claims)
    }

    /// Checks what the claims say, now that each is known to be of its type.
    fn check_values(&mut self, issuer: Option<&str>, now: Timestamp) -> Result<(), TokenFault> {
        if self.profile.jti_required && self.jti.is_none() {
            return Err(TokenFault::TokenIdMissing);
        }
        self.check_metadata()?;
        self.check_issuer(issuer)?;
        self.check_audience()?;
        self.check_time(now)?;
        self.check_lifetime(now)?;
        self.names_tenant = self.check_tenant()?;
        Ok(())
    }

    /// Checks what changes as time passes: once for each use of the token, a cached one included.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), TokenFault> {
        // RFC 7519 §4.1.4: the token must not be accepted on or after `exp`.
        if now >= self.accepted_until() {
            return Err(TokenFault::ExpiryPassed);
        }
        let latest = now.saturating_add(self.profile.clock_skew);
        if self.not_before.is_some_and(|not_before| not_before > latest) {
            return Err(TokenFault::NotBeforeInFuture);
        }
        if self.issued_at.is_some_and(|issued_at| issued_at > latest) {
            return Err(TokenFault::IssuedInFuture);
        }
        Ok(())
    }

    fn check_issuer(&self, issuer: Option<&str>) -> Result<(), TokenFault> {
        match issuer {
            None => Err(TokenFault::IssuerMissing),
            Some(issuer) if issuer == self.profile.issuer() => Ok(()),
            Some(_) => Err(TokenFault::IssuerOther),
        }
    }

    fn check_audience(&self) -> Result<(), TokenFault> {
        if self.audience.is_empty() {
            return Err(TokenFault::AudienceMissing);
        }
        if !self
            .audience
            .iter()
            .any(|one| self.profile.audience.contains(one))
        {
            return Err(TokenFault::AudienceOther);
        }

        Ok(())
    }

    /// Tells whether the token names the tenant. `null`, which a claims template renders for a missing value, names none: it
    /// does not match, but it is there.
    fn check_tenant(&self) -> Result<bool, TokenFault> {
        let Some(rule) = &self.profile.tenant else {
            return Ok(false);
        };

        match self.claim(&rule.claim) {
            None if rule.required => Err(TokenFault::TenantMissing),
            None => Ok(false),
            Some(Value::String(name)) if *name == rule.name => Ok(true),
            Some(Value::String(_) | Value::Null) => Err(TokenFault::TenantOther),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(TokenFault::TenantType)
            }
        }
    }

    /// Oathkeeper renders `null` for an identity without metadata.
    fn check_metadata(&self) -> Result<(), TokenFault> {
        match self.profile.metadata_claim().and_then(|claim| self.claim(claim)) {
            None | Some(Value::Null | Value::Object(_)) => Ok(()),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(TokenFault::MetadataType)
            }
        }
    }

    fn check_lifetime(&self, now: Timestamp) -> Result<(), TokenFault> {
        let since = self.issued_at.or(self.not_before).unwrap_or(now);
        if self.expires_at.duration_since(since) > self.profile.max_lifetime {
            return Err(TokenFault::LifetimeTooLong);
        }

        Ok(())
    }
}

impl fmt::Debug for VerifiedClaims {
    /// Prints no claim but the issuer and the times: the others are somebody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClaims")
            .field("issuer", &self.issuer())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn text_of(value: Value, fault: TokenFault) -> Result<String, TokenFault> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(fault),
    }
}

/// Reads a text that will be looked up, compared, remembered and logged.
fn name_of(value: Value, fault: TokenFault) -> Result<String, TokenFault> {
    let text = text_of(value, fault)?;
    if text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control) {
        return Err(fault);
    }

    Ok(text)
}

/// RFC 7519 §4.1.3: a string or an array of strings, and nothing else.
fn audience_of(value: Value) -> Result<Vec<String>, TokenFault> {
    match value {
        Value::String(one) => Ok(vec![one]),
        Value::Array(all) => all
            .into_iter()
            .map(|one| text_of(one, TokenFault::AudienceType))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(TokenFault::AudienceType),
    }
}

fn time_of(value: &Value, fault: TokenFault) -> Result<Timestamp, TokenFault> {
    match value {
        Value::Number(number) => numeric_date(number).ok_or(fault),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Err(fault),
    }
}

/// Reads a `NumericDate` (RFC 7519 §2): seconds, possibly with a fraction, of which whole milliseconds count. Whatever is
/// not in [0, 2^53), where every whole number is exact, is refused.
fn numeric_date(number: &Number) -> Option<Timestamp> {
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
