//! What does the token say, and does the profile accept it?

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Number, Value};

use super::{Profile, TokenFault};
use crate::{
    clock::Timestamp,
    json::{self, JsonLimits},
};

const LIMITS: JsonLimits = JsonLimits::new(8 * 1024, 16);

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
    others: Map<String, Value>,
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
        self.others
            .get(self.profile.metadata_claim.as_deref()?)
            .filter(|metadata| metadata.is_object())
    }

    /// Returns a claim by name. The registered ones (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`), `client_id` and `scope`
    /// are to be had from the methods above only.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.others.get(name)
    }

    /// Reads and checks the payload of a token whose signature has been verified.
    pub(super) fn check(text: &[u8], profile: &Arc<Profile>, now: Timestamp) -> Result<Self, TokenFault> {
        let mut others = json::parse_object(text, LIMITS).map_err(|_err| TokenFault::ClaimsUnreadable)?;

        let issuer = take_text(&mut others, "iss", TokenFault::IssuerType)?;
        let subject =
            take_name(&mut others, "sub", TokenFault::SubjectType)?.ok_or(TokenFault::SubjectMissing)?;
        let audience = take_audience(&mut others)?;
        let expires_at =
            take_time(&mut others, "exp", TokenFault::ExpiryType)?.ok_or(TokenFault::ExpiryMissing)?;
        let not_before = take_time(&mut others, "nbf", TokenFault::NotBeforeType)?;
        let issued_at = take_time(&mut others, "iat", TokenFault::IssuedType)?;
        let jti = take_name(&mut others, "jti", TokenFault::TokenIdType)?;
        if profile.jti_required && jti.is_none() {
            return Err(TokenFault::TokenIdMissing);
        }
        let client_id = take_name(&mut others, "client_id", TokenFault::ClientIdType)?;
        let scope = take_text(&mut others, "scope", TokenFault::ScopeType)?;
        check_metadata(&others, profile)?;

        check_issuer(issuer, profile)?;
        check_audience(&audience, profile)?;
        let mut claims = Self {
            profile: Arc::clone(profile),
            subject,
            audience,
            expires_at,
            not_before,
            issued_at,
            jti,
            client_id,
            scope,
            names_tenant: false,
            others,
        };
        claims.check_time(now)?;
        claims.check_lifetime(now)?;
        claims.names_tenant = check_tenant(&claims.others, profile)?;
        Ok(claims)
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

fn check_issuer(issuer: Option<String>, profile: &Profile) -> Result<(), TokenFault> {
    match issuer {
        None => Err(TokenFault::IssuerMissing),
        Some(issuer) if *issuer == *profile.issuer => Ok(()),
        Some(_) => Err(TokenFault::IssuerOther),
    }
}

fn check_audience(audience: &[String], profile: &Profile) -> Result<(), TokenFault> {
    if audience.is_empty() {
        return Err(TokenFault::AudienceMissing);
    }
    if !audience.iter().any(|one| profile.audience.contains(one)) {
        return Err(TokenFault::AudienceOther);
    }

    Ok(())
}

/// Tells whether the token names the tenant. `null`, which a claims template renders for a missing value, names none: it does
/// not match, but it is there.
fn check_tenant(others: &Map<String, Value>, profile: &Profile) -> Result<bool, TokenFault> {
    let Some(rule) = &profile.tenant else {
        return Ok(false);
    };

    match others.get(&rule.claim) {
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
fn check_metadata(others: &Map<String, Value>, profile: &Profile) -> Result<(), TokenFault> {
    match profile
        .metadata_claim
        .as_ref()
        .and_then(|claim| others.get(claim))
    {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(TokenFault::MetadataType)
        }
    }
}

fn take_text(
    members: &mut Map<String, Value>,
    name: &str,
    fault: TokenFault,
) -> Result<Option<String>, TokenFault> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(fault),
    }
}

/// Takes a text that will be looked up, compared, remembered and logged.
fn take_name(
    members: &mut Map<String, Value>,
    name: &str,
    fault: TokenFault,
) -> Result<Option<String>, TokenFault> {
    let text = take_text(members, name, fault)?;
    if text.as_ref().is_some_and(|text| {
        text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control)
    }) {
        return Err(fault);
    }

    Ok(text)
}

/// RFC 7519 §4.1.3: a string or an array of strings, and nothing else.
fn take_audience(members: &mut Map<String, Value>) -> Result<Vec<String>, TokenFault> {
    match members.remove("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(all)) => all
            .into_iter()
            .map(|one| match one {
                Value::String(one) => Ok(one),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    Err(TokenFault::AudienceType)
                }
            })
            .collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            Err(TokenFault::AudienceType)
        }
    }
}

fn take_time(
    members: &mut Map<String, Value>,
    name: &str,
    fault: TokenFault,
) -> Result<Option<Timestamp>, TokenFault> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::Number(number)) => numeric_date(&number).map(Some).ok_or(fault),
        Some(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(fault)
        }
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
