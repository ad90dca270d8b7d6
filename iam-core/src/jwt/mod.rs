//! Verification of tokens.
//!
//! [`Verifier::verify`] takes the bytes of a compact JWS and returns [`VerifiedClaims`] or the reason why not, without any
//! network: the keys are those that a [`KeyStore`] holds. In this order: size and form, header, allow-list, key, signature;
//! only then are the claims read, types before values, then issuer, audience, times, tenant. Last comes the
//! subject: a good token of an anonymous visitor is [`VerifyError::Anonymous`].
//!
//! # Security
//!
//! - The algorithm must be on the tenant's list and be the key's own; nothing in a token widens either (RFC 8725 §3.1).
//! - A token without `kid` is accepted only while exactly one key of the current set can have signed it.
//! - Headers that carry keys or point at them, `crit`, `b64`, `zip` and `cty` end verification before a key is looked up.
//! - A cached token is checked against time, key set and its key on every use.

mod algorithm;
mod cache;
mod claims;
mod compact;
mod error;
mod header;
mod payload;
mod profile;
mod template;
mod token_type;

use std::sync::Arc;

pub use self::{
    algorithm::{Algorithm, UnknownAlgorithmError},
    claims::VerifiedClaims,
    compact::{DEFAULT_MAX_TOKEN_BYTES, MAX_TOKEN_BYTES},
    error::{TokenFault, VerifyError},
    payload::MAX_NAME_BYTES,
    profile::{
        DEFAULT_ALGORITHMS, DEFAULT_ANONYMOUS_SUBJECTS, DEFAULT_CLOCK_SKEW, DEFAULT_MAX_LIFETIME,
        DEFAULT_SCOPE_CLAIMS, MAX_CLOCK_SKEW, Profile, ProfileBuilder, ProfileError, TenantRule,
    },
    template::template_remedy,
    token_type::{TokenType, UnknownTokenType},
};
use self::{
    cache::TokenCache,
    compact::Compact,
    header::{Header, LastHeader},
};
pub(crate) use self::{
    claims::Holder,
    compact::decode,
    header::MAX_KID_BYTES,
    payload::{CLAIMS_OF_EVERY_TOKEN, is_blank, numeric_date},
    profile::{SCOPE, is_subject},
    template::is_printed_nothing,
};
use crate::{
    clock::Timestamp,
    jwks::{KeyStore, KeyUse, Snapshot},
};

/// Verifies the tokens of one tenant from one issuer.
///
/// Built once and shared by all workers. Two tenants never share one, nor its cache, nor its keys.
#[derive(Debug)]
pub struct Verifier {
    profile: Arc<Profile>,
    keys: Arc<KeyStore>,
    cache: Option<TokenCache>,
    last_header: LastHeader,
}

impl Verifier {
    /// Creates a verifier that remembers up to `cached_tokens` verified tokens, none for zero.
    pub fn new(profile: Profile, keys: Arc<KeyStore>, cached_tokens: usize) -> Self {
        Self {
            cache: TokenCache::new(cached_tokens, profile.max_token.saturating_mul(CLAIMS_PER_TOKEN)),
            profile: Arc::new(profile),
            keys,
            last_header: LastHeader::default(),
        }
    }

    /// Returns the claims of a genuine token. Never uses the network.
    ///
    /// # Errors
    ///
    /// Everything but [`VerifyError::KeysUnavailable`] and [`VerifyError::UnknownKey`] is final. After the latter a newer key
    /// set may help, for an issuer may sign with a key the moment it publishes it.
    pub fn verify(&self, token: &[u8], now: Timestamp) -> Result<Arc<VerifiedClaims>, VerifyError> {
        self.examine(token, now).map_err(TokenFault::error)
    }

    /// Verifies as [`Verifier::verify`] does, and returns the exact fault: for logs and tests.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`].
    pub fn examine(&self, token: &[u8], now: Timestamp) -> Result<Arc<VerifiedClaims>, TokenFault> {
        let claims = self.find_or_verify(token, now)?;
        // This check comes last: an anonymous visitor's token with a fault is refused for that fault.
        if self.profile.is_anonymous(claims.subject()) {
            return Err(TokenFault::AnonymousSubject);
        }

        Ok(claims)
    }

    /// Tells whether the key of a token is in the key set, regardless of other faults of the token.
    pub(crate) fn has_key_of(&self, token: &[u8], now: Timestamp) -> bool {
        let header = Compact::split(token).and_then(|compact| Header::parse(compact.header));

        header.is_ok_and(|header| {
            let keys = self.keys.snapshot();
            let found = keys.select(header.kid.as_deref(), header.algorithm, now);
            !found.is_err_and(|fault| fault.error() == VerifyError::UnknownKey)
        })
    }

    /// Returns the keys that tokens are verified with.
    pub fn keys(&self) -> &Arc<KeyStore> {
        &self.keys
    }

    /// Returns the profile of accepted tokens.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns the claims of a good token, also those of an anonymous visitor.
    fn find_or_verify(&self, token: &[u8], now: Timestamp) -> Result<Arc<VerifiedClaims>, TokenFault> {
        if token.len() > self.profile.max_token {
            return Err(TokenFault::TokenTooLong);
        }
        let keys = self.keys.snapshot();
        let Some(cache) = &self.cache else {
            return self.verify_anew(token, &keys, now).map(|(claims, _key)| claims);
        };

        // Without a usable key set nothing is taken from the cache. The token is still examined, for its form.
        if keys.is_available(now)
            && let Some(found) = cache.find(token, now, |key| keys.still_usable(key, now))
        {
            return found;
        }
        let (claims, key) = self.verify_anew(token, &keys, now)?;
        cache.insert(token, &claims, key, now);
        Ok(claims)
    }

    fn verify_anew(
        &self,
        token: &[u8],
        keys: &Snapshot,
        now: Timestamp,
    ) -> Result<(Arc<VerifiedClaims>, KeyUse), TokenFault> {
        let compact = Compact::split(token)?;
        let (header, is_new) = match self.last_header.find(compact.header) {
            Some(header) => (header, false),
            None => (Arc::new(Header::parse(compact.header)?), true),
        };
        if !self.profile.accepts(header.token_type) {
            return Err(TokenFault::TypeOther);
        }
        if !self.profile.algorithms.contains(&header.algorithm) {
            return Err(TokenFault::AlgorithmNotAllowed);
        }
        // A malformed token causes no fetch of keys and waits for none, although it names an unknown key.
        let (key, key_use) = keys
            .select(header.kid.as_deref(), header.algorithm, now)
            .map_err(|fault| compact.fault().unwrap_or(fault))?;

        let mut buffer = [0; MAX_SIGNATURE_BYTES];
        let signature = compact::decode_into(compact.signature, &mut buffer).ok_or(TokenFault::Encoding)?;
        // RFC 7515 §5.2: over the bytes that arrived, never over bytes that were decoded and encoded again.
        key.verify(compact.signed, signature)?;
        let token_type = header.token_type;
        if is_new {
            self.last_header.remember(compact.header, header);
        }

        let payload = decode(compact.payload)?;
        let claims = VerifiedClaims::check(payload, &self.profile, token_type, now)?;
        Ok((Arc::new(claims), key_use))
    }
}

/// How many bytes the claims of a remembered token may take for each byte of the longest token: usual claims take less than
/// half of this. Claims made of many small objects would take sixty times their text, and are verified again instead.
const CLAIMS_PER_TOKEN: usize = 4;

/// As long as the signature of the longest RSA key that is accepted, 8192 bits.
const MAX_SIGNATURE_BYTES: usize = 1024;
