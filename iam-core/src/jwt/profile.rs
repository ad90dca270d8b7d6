//! The rules for the tokens that a tenant accepts.

use std::{sync::Arc, time::Duration};

use super::{
    Algorithm, TokenType,
    compact::{DEFAULT_MAX_TOKEN_BYTES, MAX_TOKEN_BYTES},
    payload::{CLAIMS_OF_EVERY_TOKEN, MAX_NAME_BYTES},
};
use crate::ascii;

/// The widest clock skew that a profile may allow.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// The clock skew unless another is given.
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The longest lifetime unless another is given.
pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The algorithms unless others are given.
pub const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// The subjects of anonymous visitors unless others are given: what Oathkeeper's handlers `anonymous` and `noop` sign.
pub const DEFAULT_ANONYMOUS_SUBJECTS: [&str; 2] = ["anonymous", ""];

/// The scope claims unless others are given.
pub const DEFAULT_SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

/// How a token names its tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TenantRule {
    /// The claim that names the tenant.
    pub claim: String,
    /// The name that it must have.
    pub name: String,
    /// Whether a token without the claim is refused. A present claim must always match.
    pub required: bool,
}

impl TenantRule {
    /// Creates a rule that refuses another tenant's name and lets tokens without one pass.
    pub fn new(claim: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            claim: claim.into(),
            name: name.into(),
            required: false,
        }
    }

    /// Refuses tokens without the claim, too. Required wherever more than one tenant exists.
    #[must_use]
    pub fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}

/// The rules that a verifier applies to tokens. Complete and checked: there is no profile without issuer, audience and algorithms.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) issuer: Arc<str>,
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) clock_skew: Duration,
    pub(super) max_lifetime: Duration,
    pub(super) tenant: Option<TenantRule>,
    pub(super) metadata_claim: Option<String>,
    pub(super) jti_required: bool,
    pub(super) anonymous_subjects: Vec<String>,
    pub(super) scope_claims: Vec<String>,
    pub(super) max_token: usize,
    /// Where the roles stand inside the metadata.
    pub(super) roles_path: Vec<String>,
    /// The types of access tokens; empty for the tokens of a gateway.
    pub(super) access_tokens: Vec<TokenType>,
}

impl Profile {
    /// Starts a profile for tokens of `issuer`, compared byte by byte, that are meant for one of `audience`.
    ///
    /// ```
    /// use iam_core::jwt::{Algorithm, Profile, TenantRule};
    ///
    /// let profile = Profile::builder("http://127.0.0.1:4455/", vec!["orders-api".to_owned()])
    ///     .algorithms(vec![Algorithm::Rs256])
    ///     .tenant(TenantRule::new("tenant", "default"))
    ///     .build()?;
    /// assert_eq!(profile.issuer(), "http://127.0.0.1:4455/");
    /// # Ok::<(), iam_core::jwt::ProfileError>(())
    /// ```
    pub fn builder(issuer: impl Into<String>, audience: Vec<String>) -> ProfileBuilder {
        ProfileBuilder(Self {
            issuer: Arc::from(issuer.into()),
            audience,
            algorithms: DEFAULT_ALGORITHMS.to_vec(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            max_lifetime: DEFAULT_MAX_LIFETIME,
            tenant: None,
            metadata_claim: None,
            jti_required: false,
            anonymous_subjects: DEFAULT_ANONYMOUS_SUBJECTS.map(str::to_owned).to_vec(),
            scope_claims: DEFAULT_SCOPE_CLAIMS.map(str::to_owned).to_vec(),
            max_token: DEFAULT_MAX_TOKEN_BYTES,
            roles_path: Vec::new(),
            access_tokens: Vec::new(),
        })
    }

    /// Returns the issuer that tokens must name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the audiences of which a token must name one.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns the allowed algorithms.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns how far clocks may be apart.
    pub fn clock_skew(&self) -> Duration {
        self.clock_skew
    }

    /// Returns the longest time between `iat` and `exp`.
    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// Returns the rule about the tenant claim.
    pub fn tenant(&self) -> Option<&TenantRule> {
        self.tenant.as_ref()
    }

    /// Returns the claim that carries public metadata.
    pub fn metadata_claim(&self) -> Option<&str> {
        self.metadata_claim.as_deref()
    }

    /// Tells whether tokens without `jti` are refused.
    pub fn jti_required(&self) -> bool {
        self.jti_required
    }

    /// Returns the subjects of anonymous visitors.
    pub fn anonymous_subjects(&self) -> &[String] {
        &self.anonymous_subjects
    }

    /// Returns the claims that may hold the scopes, in the order in which they are looked for.
    pub fn scope_claims(&self) -> &[String] {
        &self.scope_claims
    }

    /// Returns the length of the longest accepted token in bytes.
    pub fn max_token(&self) -> usize {
        self.max_token
    }

    /// Returns the accepted types of access tokens; none for the tokens of a gateway.
    pub fn access_tokens(&self) -> &[TokenType] {
        &self.access_tokens
    }

    pub(super) fn is_for_access_tokens(&self) -> bool {
        !self.access_tokens.is_empty()
    }

    /// Tells whether tokens of a type are accepted. A gateway may leave `typ` out.
    pub(super) fn accepts(&self, token_type: Option<TokenType>) -> bool {
        match token_type {
            Some(token_type) if self.is_for_access_tokens() => self.access_tokens.contains(&token_type),
            Some(token_type) => token_type == TokenType::Jwt,
            None => !self.is_for_access_tokens(),
        }
    }

    pub(crate) fn is_anonymous(&self, subject: &str) -> bool {
        self.anonymous_subjects.iter().any(|one| one == subject)
    }
}

/// Builds a [`Profile`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ProfileBuilder(Profile);

impl ProfileBuilder {
    /// Sets the allowed algorithms. Defaults to [`DEFAULT_ALGORITHMS`].
    pub fn algorithms(mut self, algorithms: Vec<Algorithm>) -> Self {
        self.0.algorithms = algorithms;
        self
    }

    /// Sets how far clocks may be apart, applied to `exp`, `nbf` and `iat` alike. Defaults to 30 seconds.
    pub fn clock_skew(mut self, clock_skew: Duration) -> Self {
        self.0.clock_skew = clock_skew;
        self
    }

    /// Sets the longest time between `iat` and `exp`; between `nbf` and `exp` where there is no `iat`, and between now and
    /// `exp` where there is neither. Defaults to 24 hours.
    pub fn max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.0.max_lifetime = max_lifetime;
        self
    }

    /// Sets the rule about the tenant claim. Without one, tokens name no tenant.
    pub fn tenant(mut self, rule: TenantRule) -> Self {
        self.0.tenant = Some(rule);
        self
    }

    /// Sets the claim that carries public metadata: an object, `null`, or absent.
    pub fn metadata_claim(mut self, claim: impl Into<String>) -> Self {
        self.0.metadata_claim = Some(claim.into());
        self
    }

    /// Sets whether tokens without `jti` are refused. Defaults to `false`; a `jti` that is there is checked in any case.
    pub fn jti_required(mut self, required: bool) -> Self {
        self.0.jti_required = required;
        self
    }

    /// Sets the subjects of anonymous visitors. Defaults to [`DEFAULT_ANONYMOUS_SUBJECTS`]. An empty `sub` that is not among them
    /// is malformed.
    pub fn anonymous_subjects(mut self, subjects: Vec<String>) -> Self {
        self.0.anonymous_subjects = subjects;
        self
    }

    /// Sets the claims that may hold the scopes, as a text of words or a list of texts: the first one that a token has counts.
    /// Defaults to [`DEFAULT_SCOPE_CLAIMS`].
    pub fn scope_claims(mut self, claims: Vec<String>) -> Self {
        self.0.scope_claims = claims;
        self
    }

    /// Sets the length of the longest accepted token in bytes. Defaults to [`DEFAULT_MAX_TOKEN_BYTES`].
    pub fn max_token(mut self, bytes: usize) -> Self {
        self.0.max_token = bytes;
        self
    }

    /// Sets where the roles stand inside the metadata, so that a token with roles that a broken claims template printed is
    /// refused. Without a path, roles are not examined.
    pub fn roles_path(mut self, path: Vec<String>) -> Self {
        self.0.roles_path = path;
        self
    }

    /// Accepts OAuth 2 access tokens of these types only, in place of a gateway's tokens. Such a token must have a `typ` on the
    /// list and a `client_id`; one of the type `at+jwt` also `jti` and `iat`, and its `scope` must be one text (RFC 9068 §2.2).
    /// An empty list accepts a gateway's tokens.
    pub fn access_tokens(mut self, types: Vec<TokenType>) -> Self {
        self.0.access_tokens = types;
        self
    }

    /// Checks and returns the profile.
    ///
    /// # Errors
    ///
    /// An empty issuer, no audience, an empty one or one with `*`, no algorithm, a clock skew beyond [`MAX_CLOCK_SKEW`], a
    /// lifetime of zero, a claim or a tenant without a name, a claim that has another meaning in every token (`sub`, `iss`, `aud`
    /// and so on), one claim for two of tenant, metadata and scopes, an anonymous subject that no token can have, and a token
    /// length of zero or beyond [`MAX_TOKEN_BYTES`]. Texts of nothing but white space count as empty.
    pub fn build(self) -> Result<Profile, ProfileError> {
        let profile = self.0;
        if is_blank(&profile.issuer) {
            return Err(ProfileError::IssuerEmpty);
        }
        if profile.audience.is_empty() || profile.audience.iter().any(|one| is_blank(one)) {
            return Err(ProfileError::AudienceEmpty);
        }
        if profile.audience.iter().any(|one| one.contains('*')) {
            return Err(ProfileError::AudienceWildcard);
        }
        if profile.algorithms.is_empty() {
            return Err(ProfileError::AlgorithmsEmpty);
        }
        if profile.clock_skew > MAX_CLOCK_SKEW {
            return Err(ProfileError::ClockSkewTooWide);
        }
        if profile.max_lifetime.is_zero() {
            return Err(ProfileError::LifetimeZero);
        }
        if !(1..=MAX_TOKEN_BYTES).contains(&profile.max_token) {
            return Err(ProfileError::TokenLength);
        }
        if !profile.anonymous_subjects.iter().all(|one| is_subject(one)) {
            return Err(ProfileError::AnonymousSubject);
        }
        check_claims(&profile)?;

        Ok(profile)
    }
}

/// Checks the claims that a profile names: each has one meaning.
fn check_claims(profile: &Profile) -> Result<(), ProfileError> {
    let tenant = profile.tenant.as_ref().map(|rule| &rule.claim);
    let claims = || tenant.into_iter().chain(&profile.metadata_claim);
    let tenant_name = profile.tenant.iter().map(|rule| &rule.name);
    let mut named = claims().chain(tenant_name).chain(&profile.scope_claims);
    if named.any(|name| is_blank(name)) {
        return Err(ProfileError::NameEmpty);
    }
    // No token has one of these among its other claims, so a rule about it could never refuse a token.
    let is_read_elsewhere = |claim: &String| CLAIMS_OF_EVERY_TOKEN.contains(&claim.as_str());
    let mut scopes = profile.scope_claims.iter().filter(|claim| *claim != SCOPE);
    if claims().any(is_read_elsewhere) || scopes.any(is_read_elsewhere) {
        return Err(ProfileError::ClaimOfEveryToken);
    }
    let same = tenant.is_some() && tenant == profile.metadata_claim.as_ref();
    if same || claims().any(|claim| profile.scope_claims.contains(claim)) {
        return Err(ProfileError::ClaimOfBoth);
    }

    Ok(())
}

/// Tells whether a token can have the subject, the empty one included.
pub(crate) fn is_subject(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES && !ascii::has_control(text)
}

/// The scope claim of RFC 8693 §4.2, which has a place of its own among the claims.
pub(crate) const SCOPE: &str = "scope";

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Why a profile is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No algorithm is allowed.
    #[error("no algorithm is allowed")]
    AlgorithmsEmpty,
    /// An anonymous subject is longer than a subject may be, or has control characters.
    #[error("an anonymous subject is too long or has control characters")]
    AnonymousSubject,
    /// There is no audience, or an empty one.
    #[error("the audience is empty")]
    AudienceEmpty,
    /// An audience has an asterisk.
    #[error("wildcards are not supported in audiences")]
    AudienceWildcard,
    /// One claim is named for two of tenant, metadata and scopes.
    #[error("one claim is named for two of tenant, metadata and scopes")]
    ClaimOfBoth,
    /// A claim that is named for the tenant, the metadata or the scopes has another meaning in every token.
    #[error("a claim named for the tenant, the metadata or the scopes has another meaning in every token")]
    ClaimOfEveryToken,
    /// The clock skew is wider than five minutes.
    #[error("the clock skew is wider than five minutes")]
    ClockSkewTooWide,
    /// The issuer is empty.
    #[error("the issuer is empty")]
    IssuerEmpty,
    /// The longest lifetime is zero.
    #[error("the longest lifetime is zero")]
    LifetimeZero,
    /// A claim or the tenant has an empty name.
    #[error("a claim or the tenant has an empty name")]
    NameEmpty,
    /// The longest token has no length, or more than [`MAX_TOKEN_BYTES`].
    #[error("the longest token has a length of 1 to {MAX_TOKEN_BYTES} bytes")]
    TokenLength,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> ProfileBuilder {
        Profile::builder("https://issuer.example/", vec!["orders-api".to_owned()])
    }

    /// R001, R012, R015, R048, D8: nothing that a check rests on can be left out or made meaningless.
    #[test]
    fn profile_without_a_check_is_refused() {
        let audience = |audience: &[&str]| audience.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let cases = [
            (Profile::builder("", audience(&["a"])), ProfileError::IssuerEmpty),
            (Profile::builder("i", audience(&[])), ProfileError::AudienceEmpty),
            (
                Profile::builder("i", audience(&["a", ""])),
                ProfileError::AudienceEmpty,
            ),
            (builder().algorithms(Vec::new()), ProfileError::AlgorithmsEmpty),
            (
                builder().clock_skew(Duration::from_millis(300_001)),
                ProfileError::ClockSkewTooWide,
            ),
            (
                builder().clock_skew(Duration::MAX),
                ProfileError::ClockSkewTooWide,
            ),
            (builder().max_lifetime(Duration::ZERO), ProfileError::LifetimeZero),
            (
                builder().tenant(TenantRule::new("", "default")),
                ProfileError::NameEmpty,
            ),
            (
                builder().tenant(TenantRule::new("tenant", "")),
                ProfileError::NameEmpty,
            ),
            (builder().metadata_claim(""), ProfileError::NameEmpty),
            (Profile::builder(" ", audience(&["a"])), ProfileError::IssuerEmpty),
            (
                Profile::builder("i", audience(&["a", " \t"])),
                ProfileError::AudienceEmpty,
            ),
            (
                Profile::builder("i", audience(&["a", "orders-*"])),
                ProfileError::AudienceWildcard,
            ),
            (
                builder().tenant(TenantRule::new("\u{a0}", "default")),
                ProfileError::NameEmpty,
            ),
            (
                builder().tenant(TenantRule::new("tenant", "\n")),
                ProfileError::NameEmpty,
            ),
            (builder().metadata_claim(" "), ProfileError::NameEmpty),
            (
                builder()
                    .tenant(TenantRule::new("ext", "default"))
                    .metadata_claim("ext"),
                ProfileError::ClaimOfBoth,
            ),
            (
                builder().anonymous_subjects(vec!["s".repeat(513)]),
                ProfileError::AnonymousSubject,
            ),
            (
                builder().anonymous_subjects(vec!["a\n".to_owned()]),
                ProfileError::AnonymousSubject,
            ),
            (builder().max_token(0), ProfileError::TokenLength),
            (builder().max_token(64 * 1024 + 1), ProfileError::TokenLength),
            (
                builder().scope_claims(vec![String::new()]),
                ProfileError::NameEmpty,
            ),
            (
                builder().scope_claims(vec!["sub".to_owned()]),
                ProfileError::ClaimOfEveryToken,
            ),
            (
                builder().tenant(TenantRule::new("scp", "default")),
                ProfileError::ClaimOfBoth,
            ),
            (builder().metadata_claim("scp"), ProfileError::ClaimOfBoth),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build().err(), Some(error));
        }
        assert!(builder().clock_skew(MAX_CLOCK_SKEW).build().is_ok());
    }

    /// R116: a rule about `client_id` would not detect a token with `client_id: "other"`.
    #[test]
    fn claim_that_every_token_has_a_meaning_for_is_refused() {
        for claim in [
            "aud",
            "client_id",
            "exp",
            "iat",
            "iss",
            "jti",
            "nbf",
            "scope",
            "sub",
        ] {
            for builder in [
                builder().tenant(TenantRule::new(claim, "acme")),
                builder().tenant(TenantRule::new(claim, "acme").required()),
                builder().metadata_claim(claim),
            ] {
                assert_eq!(
                    builder.build().err(),
                    Some(ProfileError::ClaimOfEveryToken),
                    "{claim}"
                );
            }
        }
        assert!(
            builder()
                .tenant(TenantRule::new("tenant", "acme"))
                .metadata_claim("ext")
                .build()
                .is_ok()
        );
    }
}
