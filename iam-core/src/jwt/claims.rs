//! The claims of a token, checked against a profile.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use serde_json::{Map, Value};

use super::{
    Profile, TokenFault, TokenType,
    payload::{Claims, Times},
    profile::SCOPE,
    template,
};
use crate::{
    clock::Timestamp,
    json::{Json, Objects},
};

/// The claims of a verified token: its signature, issuer, audience, times and tenant have been checked.
///
/// [`Verifier::verify`](super::Verifier::verify) is the only way to get one of a token.
pub struct VerifiedClaims {
    profile: Arc<Profile>,
    checked: Checked,
    payload: Vec<u8>,
    unfolded: OnceLock<Unfolded>,
}

/// The claims that most requests need.
struct Checked {
    holder: Holder,
    times: Times,
    jti: Option<String>,
    scope: Option<String>,
    names_tenant: bool,
}

/// The subject and client of a token.
pub(crate) struct Holder {
    /// The name in audit events, put together once for all uses of the token: [`CLIENT`] and the client id, or [`USER`] and the
    /// subject.
    actor: String,
    /// The client through which a person acts.
    acting_client: Option<String>,
}

impl Holder {
    /// A client's own token names the client twice: Hydra and Oathkeeper put the client id into `sub`. With another `sub`, a
    /// person acts through the client.
    pub(crate) fn of(subject: &str, client_id: Option<&str>) -> Self {
        if client_id == Some(subject) {
            return Self {
                actor: [CLIENT, subject].concat(),
                acting_client: None,
            };
        }

        Self {
            actor: [USER, subject].concat(),
            acting_client: client_id.map(str::to_owned),
        }
    }

    /// Returns the name in audit events.
    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    /// Returns the client through which a person acts.
    pub(crate) fn acting_client(&self) -> Option<&str> {
        self.acting_client.as_deref()
    }

    /// Returns the subject, which is the client id where a client acts for itself.
    pub(crate) fn subject(&self) -> &str {
        // INVARIANT: the actor begins with one of the two prefixes.
        self.client()
            .or_else(|| self.actor.strip_prefix(USER))
            .unwrap_or_default()
    }

    /// Returns the id of a client that acts for itself.
    pub(crate) fn client(&self) -> Option<&str> {
        self.actor.strip_prefix(CLIENT)
    }

    /// Returns the client that the token was issued to, also where a person acts through it.
    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client().or_else(|| self.acting_client())
    }
}

/// Claims that few handlers need, extracted from the payload on first use.
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

    /// Returns `sub`: not empty, at most 256 bytes, without control characters, unique only together with the issuer.
    pub fn subject(&self) -> &str {
        self.checked.holder.subject()
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

    /// Returns the time until which a replay of this token must be detected: `exp` plus the clock skew.
    pub fn accepted_until(&self) -> Timestamp {
        self.checked.times.accepted_until(&self.profile)
    }

    /// Returns `jti`: not empty, at most 256 bytes, without control characters.
    pub fn jti(&self) -> Option<&str> {
        self.checked.jti.as_deref()
    }

    /// Returns `client_id`: the OAuth 2 client that the token was issued to.
    pub fn client_id(&self) -> Option<&str> {
        self.checked.holder.client_id()
    }

    /// Returns the client through which a person acts: `client_id` where `sub` is another.
    pub fn acting_client(&self) -> Option<&str> {
        self.checked.holder.acting_client()
    }

    /// Tells whether the token is that of an OAuth 2 client itself: `sub` equals `client_id`.
    pub fn is_client(&self) -> bool {
        self.checked.holder.client().is_some()
    }

    /// Returns the scopes, separated by spaces: those of the first of the profile's scope claims that the token has.
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
    /// have methods of their own and are not returned here.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.unfolded().others.get(name)
    }

    fn unfolded(&self) -> &Unfolded {
        self.unfolded.get_or_init(|| Unfolded::of(&self.payload))
    }

    /// Returns the actor's name in audit events.
    pub(crate) fn actor(&self) -> &str {
        self.checked.holder.actor()
    }

    /// Reads and checks the payload of a token whose signature has been verified.
    pub(crate) fn check(
        payload: Vec<u8>,
        profile: &Arc<Profile>,
        token_type: Option<TokenType>,
        now: Timestamp,
    ) -> Result<Self, TokenFault> {
        // A profile only requires that some claims are objects, so their members are not kept.
        let claims = Claims::read(&payload, Objects::Empty)?;
        if profile.is_for_access_tokens() {
            claims.check_access_token(token_type)?;
        }
        let checked = claims.check(profile, now)?;

        let claims = Self {
            profile: Arc::clone(profile),
            checked,
            payload,
            unfolded: OnceLock::new(),
        };
        claims.check_roles()?;
        Ok(claims)
    }

    /// Refuses roles that a broken claims template printed. Few payloads contain such a text, so few are parsed for it.
    fn check_roles(&self) -> Result<(), TokenFault> {
        let path = &self.profile.roles_path;
        if path.is_empty() || !template::may_hold_printed_nothing(&self.payload) {
            return Ok(());
        }

        let mut place = self.metadata();
        for step in path {
            if place.is_some_and(is_printed_nothing) {
                return Err(TokenFault::TemplateInRoles);
            }
            place = place.and_then(|place| place.get(step));
        }
        match place {
            Some(Value::Array(roles)) if roles.iter().any(is_printed_nothing) => {
                Err(TokenFault::TemplateInRoles)
            }
            Some(role) if is_printed_nothing(role) => Err(TokenFault::TemplateInRoles),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns an upper bound of the memory that these claims take once all of them are extracted from the payload.
    /// Punctuation inside texts counts, too.
    pub(super) fn max_bytes(&self) -> usize {
        let (mut objects, mut members, mut arrays, mut elements) = (0_usize, 0_usize, 0_usize, 0_usize);
        for byte in &self.payload {
            objects = objects.saturating_add(usize::from(*byte == b'{'));
            members = members.saturating_add(usize::from(*byte == b':'));
            arrays = arrays.saturating_add(usize::from(*byte == b'['));
            elements = elements.saturating_add(usize::from(*byte == b','));
        }

        [
            // The payload and the texts in it.
            self.payload.len().saturating_mul(2),
            objects.saturating_mul(BYTES_PER_OBJECT),
            members.saturating_mul(BYTES_PER_MEMBER),
            arrays.saturating_mul(BYTES_PER_ARRAY),
            elements.saturating_mul(BYTES_PER_ELEMENT),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Checks the times: at each use of the token, also of a cached one.
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
        // INVARIANT: these bytes were parsed before. If parsing failed anyway, the result would grant nothing.
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
    /// Checks the values of the claims, whose types are already checked.
    fn check(self, profile: &Profile, now: Timestamp) -> Result<Checked, TokenFault> {
        if profile.jti_required && self.jti.is_none() {
            return Err(TokenFault::TokenIdMissing);
        }
        if self.subject.is_empty() && !profile.is_anonymous(&self.subject) {
            return Err(TokenFault::SubjectType);
        }
        self.check_metadata(profile)?;
        let scope = self.scopes(profile)?;
        self.check_issuer(profile)?;
        self.check_audience(profile)?;
        self.times.check(profile, now)?;
        self.times.check_lifetime(profile, now)?;
        let names_tenant = self.names_tenant(profile)?;

        Ok(Checked {
            holder: Holder::of(&self.subject, self.client_id.as_deref()),
            times: self.times,
            jti: self.jti.map(Cow::into_owned),
            scope,
            names_tenant,
        })
    }

    /// Checks what tells an access token from another token of the same issuer. Hydra signs ID tokens with the same `typ`
    /// and publishes their keys in the same set, but they have no `client_id` (R020). RFC 9068 §2.2 requires more of `at+jwt`.
    fn check_access_token(&self, token_type: Option<TokenType>) -> Result<(), TokenFault> {
        if self.client_id.is_none() {
            return Err(TokenFault::ClientIdMissing);
        }
        if token_type != Some(TokenType::AtJwt) {
            return Ok(());
        }

        if self.jti.is_none() {
            return Err(TokenFault::TokenIdMissing);
        }
        if self.times.issued_at.is_none() {
            return Err(TokenFault::IssuedMissing);
        }
        // RFC 9068 §2.2.3, RFC 8693 §4.2: one text, its scopes separated by spaces.
        match self.scope {
            None | Some(Json::Text(_)) => Ok(()),
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                Err(TokenFault::ScopeType)
            }
        }
    }

    /// Oathkeeper renders `null` for an identity without metadata.
    fn check_metadata(&self, profile: &Profile) -> Result<(), TokenFault> {
        match profile.metadata_claim().and_then(|claim| self.other(claim)) {
            None | Some(Json::Null | Json::Object(_)) => Ok(()),
            Some(Json::Text(text)) if template::is_printed_nothing(text) => {
                Err(TokenFault::TemplateInMetadata)
            }
            Some(Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Array(_)) => {
                Err(TokenFault::MetadataType)
            }
        }
    }

    /// Returns the scopes of the first scope claim that is there. `null`, which a claims template renders for a missing value,
    /// is absent.
    fn scopes(&self, profile: &Profile) -> Result<Option<String>, TokenFault> {
        let mut first = None;
        for claim in &profile.scope_claims {
            let value = match claim.as_str() {
                SCOPE => self.scope.as_ref(),
                other => self.other(other),
            };
            let scopes = match value {
                None | Some(Json::Null) => continue,
                Some(Json::Text(text)) => text.clone().into_owned(),
                Some(Json::Array(all)) => joined(all)?,
                Some(Json::Bool(_) | Json::Number(_) | Json::Object(_)) => return Err(TokenFault::ScopeType),
            };
            if template::is_printed_nothing(&scopes) {
                return Err(TokenFault::TemplateInScope);
            }
            first.get_or_insert(scopes);
        }

        Ok(first)
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

    /// Tells whether the token names the tenant. `null`, which a claims template renders for a missing value, is a claim
    /// that does not match.
    fn names_tenant(&self, profile: &Profile) -> Result<bool, TokenFault> {
        let Some(rule) = &profile.tenant else {
            return Ok(false);
        };

        match self.other(&rule.claim) {
            None if rule.required => Err(TokenFault::TenantMissing),
            None => Ok(false),
            Some(Json::Text(name)) if *name == rule.name => Ok(true),
            Some(Json::Text(name)) if template::is_printed_nothing(name) => Err(TokenFault::TemplateInTenant),
            Some(Json::Text(_) | Json::Null) => Err(TokenFault::TenantOther),
            Some(Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                Err(TokenFault::TenantType)
            }
        }
    }
}

/// Writes a list of scopes as a text of words. A text with a space would become several scopes: RFC 6749 §3.3 has none in a
/// scope, so it is refused.
fn joined(all: &[Json<'_>]) -> Result<String, TokenFault> {
    let mut text = String::new();
    for one in all {
        let scope = one.as_str().ok_or(TokenFault::ScopeType)?;
        let nothing = template::is_printed_nothing(scope);
        if scope.contains(' ') && !nothing {
            return Err(TokenFault::ScopeType);
        }
        text.push_str(scope);
        text.push(' ');
    }

    text.pop();
    Ok(text)
}

/// The prefixes of an actor.
const CLIENT: &str = "client:";
const USER: &str = "user:";

/// A node of a [`Map`], which every object has that is not empty.
const BYTES_PER_OBJECT: usize = 640;

/// The share of a member in such a node, the least filled one.
const BYTES_PER_MEMBER: usize = 144;

/// The least room that an array takes which is not empty.
const BYTES_PER_ARRAY: usize = 192;

/// The room of an element in an array of which half is filled, and what an allocation for its text takes beside the text.
const BYTES_PER_ELEMENT: usize = 112;

fn is_printed_nothing(value: &Value) -> bool {
    value.as_str().is_some_and(template::is_printed_nothing)
}

impl fmt::Debug for VerifiedClaims {
    /// Prints no claim but the issuer and the times: the others are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClaims")
            .field("issuer", &self.issuer())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
