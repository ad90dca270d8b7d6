//! What does the token say, and does the profile accept it?

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use serde_json::{Map, Value};

use super::{
    Profile, TokenFault,
    payload::{Claims, Times},
};
use crate::{
    clock::Timestamp,
    json::{Json, Objects},
};

/// The claims of a verified token: its signature, issuer, audience, times and tenant have been checked.
///
/// There is no other way to come by one than [`Verifier::verify`](super::Verifier::verify).
pub struct VerifiedClaims {
    profile: Arc<Profile>,
    checked: Checked,
    payload: Vec<u8>,
    unfolded: OnceLock<Unfolded>,
}

/// What most requests need.
struct Checked {
    who: Who,
    times: Times,
    jti: Option<String>,
    scope: Option<String>,
    names_tenant: bool,
}

/// Whose token it is.
struct Who {
    /// As audit events name it, put together once, however often the token is used: [`CLIENT`] and the client id, or [`USER`] and
    /// the subject.
    actor: String,
    /// The subject of a client's token.
    client_subject: Option<String>,
}

impl Who {
    fn of(subject: &str, client_id: Option<&str>) -> Self {
        match client_id {
            Some(client_id) => Self {
                actor: [CLIENT, client_id].concat(),
                client_subject: Some(subject.to_owned()),
            },
            None => Self {
                actor: [USER, subject].concat(),
                client_subject: None,
            },
        }
    }

    fn subject(&self) -> &str {
        match &self.client_subject {
            Some(subject) => subject,
            // INVARIANT: without a client, it begins so.
            None => self.actor.strip_prefix(USER).unwrap_or_default(),
        }
    }

    fn client_id(&self) -> Option<&str> {
        self.actor.strip_prefix(CLIENT)
    }
}

/// What few handlers ask for, taken out of the payload when the first one does.
#[derive(Default)]
struct Unfolded {
    audience: Vec<String>,
    others: Map<String, Value>,
}

impl VerifiedClaims {
    /// Returns `iss`.
    pub fn issuer(&self) -> &str {
        self.profile.issuer()
    }

    /// Returns `sub`: not empty, at most 256 bytes, free of control characters, unique only together with the issuer.
    pub fn subject(&self) -> &str {
        self.checked.who.subject()
    }

    /// Returns all of `aud`; one of them is the profile's.
    pub fn audience(&self) -> &[String] {
        &self.unfolded().audience
    }

    /// Returns `exp`.
    pub fn expires_at(&self) -> Timestamp {
        self.checked.times.expires_at
    }

    /// Returns `nbf`.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.checked.times.not_before
    }

    /// Returns `iat`.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.checked.times.issued_at
    }

    /// Returns until when a replay of this token must be recognised: `exp` and the clock skew after it.
    pub fn accepted_until(&self) -> Timestamp {
        self.checked.times.accepted_until(&self.profile)
    }

    /// Returns `jti`: not empty, at most 256 bytes, free of control characters.
    pub fn jti(&self) -> Option<&str> {
        self.checked.jti.as_deref()
    }

    /// Returns `client_id`, which only an OAuth 2 client's token has.
    pub fn client_id(&self) -> Option<&str> {
        self.checked.who.client_id()
    }

    /// Returns `scope`, a list separated by spaces.
    pub fn scope(&self) -> Option<&str> {
        self.checked.scope.as_deref()
    }

    /// Returns the tenant that the token names: the profile's, or none.
    pub fn tenant(&self) -> Option<&str> {
        let rule = self
            .profile
            .tenant
            .as_ref()
            .filter(|_| self.checked.names_tenant)?;

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
        self.unfolded().others.get(name)
    }

    fn unfolded(&self) -> &Unfolded {
        self.unfolded.get_or_init(|| Unfolded::of(&self.payload))
    }

    /// Returns who acts, as audit events name it.
    pub(crate) fn actor(&self) -> &str {
        &self.checked.who.actor
    }

    /// Reads and checks the payload of a token whose signature has been verified.
    pub(super) fn check(
        payload: Vec<u8>,
        profile: &Arc<Profile>,
        now: Timestamp,
    ) -> Result<Self, TokenFault> {
        // What a profile demands of an object is that it is one.
        let checked = Claims::read(&payload, Objects::Empty)?.check(profile, now)?;

        Ok(Self {
            profile: Arc::clone(profile),
            checked,
            payload,
            unfolded: OnceLock::new(),
        })
    }

    /// Returns how many bytes these claims may take once all of them are taken out of the payload: an estimate that is never too
    /// low.
    pub(super) fn max_bytes(&self) -> usize {
        let (mut objects, mut values) = (0_usize, 1_usize);
        for byte in &self.payload {
            objects = objects.saturating_add(usize::from(*byte == b'{'));
            values = values.saturating_add(usize::from(matches!(byte, b',' | b'{' | b'[')));
        }

        // The payload and the texts in it.
        let texts = self.payload.len().saturating_mul(2);
        texts
            .saturating_add(objects.saturating_mul(BYTES_PER_OBJECT))
            .saturating_add(values.saturating_mul(BYTES_PER_VALUE))
    }

    /// Checks what changes as time passes: once for each use of the token, a cached one included.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), TokenFault> {
        self.checked.times.check(&self.profile, now)
    }
}

impl Times {
    fn accepted_until(self, profile: &Profile) -> Timestamp {
        self.expires_at.saturating_add(profile.clock_skew)
    }

    fn check(self, profile: &Profile, now: Timestamp) -> Result<(), TokenFault> {
        // RFC 7519 §4.1.4: the token must not be accepted on or after `exp`.
        if now >= self.accepted_until(profile) {
            return Err(TokenFault::ExpiryPassed);
        }
        let latest = now.saturating_add(profile.clock_skew);
        if self.not_before.is_some_and(|not_before| not_before > latest) {
            return Err(TokenFault::NotBeforeInFuture);
        }
        if self.issued_at.is_some_and(|issued_at| issued_at > latest) {
            return Err(TokenFault::IssuedInFuture);
        }
        Ok(())
    }

    fn check_lifetime(self, profile: &Profile, now: Timestamp) -> Result<(), TokenFault> {
        let since = self.issued_at.or(self.not_before).unwrap_or(now);
        if self.expires_at.duration_since(since) > profile.max_lifetime {
            return Err(TokenFault::LifetimeTooLong);
        }

        Ok(())
    }
}

impl Unfolded {
    fn of(payload: &[u8]) -> Self {
        // INVARIANT: these bytes were read before. If they could not be, nobody would be given anything.
        Claims::read(payload, Objects::Whole)
            .map(Self::from)
            .unwrap_or_default()
    }
}

impl From<Claims<'_>> for Unfolded {
    fn from(claims: Claims<'_>) -> Self {
        let owned = |(name, value): (Cow<'_, str>, Json<'_>)| (name.into_owned(), value.into());

        Self {
            audience: claims.audience.iter().map(str::to_owned).collect(),
            others: claims.others.into_iter().map(owned).collect(),
        }
    }
}

impl Claims<'_> {
    /// Checks what the claims say, now that each is known to be of its type.
    fn check(self, profile: &Profile, now: Timestamp) -> Result<Checked, TokenFault> {
        if profile.jti_required && self.jti.is_none() {
            return Err(TokenFault::TokenIdMissing);
        }
        self.check_metadata(profile)?;
        self.check_issuer(profile)?;
        self.check_audience(profile)?;
        self.times.check(profile, now)?;
        self.times.check_lifetime(profile, now)?;
        let names_tenant = self.names_tenant(profile)?;

        Ok(Checked {
            who: Who::of(&self.subject, self.client_id.as_deref()),
            times: self.times,
            jti: self.jti.map(Cow::into_owned),
            scope: self.scope.map(Cow::into_owned),
            names_tenant,
        })
    }

    /// Oathkeeper renders `null` for an identity without metadata.
    fn check_metadata(&self, profile: &Profile) -> Result<(), TokenFault> {
        match profile.metadata_claim().and_then(|claim| self.other(claim)) {
            None | Some(Json::Null | Json::Object(_)) => Ok(()),
            Some(Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Array(_)) => {
                Err(TokenFault::MetadataType)
            }
        }
    }

    fn check_issuer(&self, profile: &Profile) -> Result<(), TokenFault> {
        match self.issuer.as_deref() {
            None => Err(TokenFault::IssuerMissing),
            Some(issuer) if issuer == profile.issuer() => Ok(()),
            Some(_) => Err(TokenFault::IssuerOther),
        }
    }

    fn check_audience(&self, profile: &Profile) -> Result<(), TokenFault> {
        let mut audience = self.audience.iter().peekable();
        if audience.peek().is_none() {
            return Err(TokenFault::AudienceMissing);
        }
        if !audience.any(|one| profile.audience.iter().any(|own| own == one)) {
            return Err(TokenFault::AudienceOther);
        }

        Ok(())
    }

    /// Tells whether the token names the tenant. `null`, which a claims template renders for a missing value, names none: it
    /// does not match, but it is there.
    fn names_tenant(&self, profile: &Profile) -> Result<bool, TokenFault> {
        let Some(rule) = &profile.tenant else {
            return Ok(false);
        };

        match self.other(&rule.claim) {
            None if rule.required => Err(TokenFault::TenantMissing),
            None => Ok(false),
            Some(Json::Text(name)) if *name == rule.name => Ok(true),
            Some(Json::Text(_) | Json::Null) => Err(TokenFault::TenantOther),
            Some(Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                Err(TokenFault::TenantType)
            }
        }
    }
}

/// How an actor begins.
const CLIENT: &str = "client:";
const USER: &str = "user:";

/// A node of a [`Map`], which every object has that is not empty.
const BYTES_PER_OBJECT: usize = 640;

/// The share of a value in such a node, the least filled one.
const BYTES_PER_VALUE: usize = 144;

impl fmt::Debug for VerifiedClaims {
    /// Prints no claim but the issuer and the times: the others are somebody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClaims")
            .field("issuer", &self.issuer())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
