use std::{borrow::Cow, sync::Arc, time::Duration};

use iam_grammar::{ResolveError, Subject, Template};

use crate::{
    http::CallLimits,
    jwks::{KeyLimits, RefreshPolicy},
    principal::{AssuranceLevel, Principal},
    secret::Secret,
};

/// Where keys are fetched from.
#[derive(Clone, Debug)]
pub struct JwksSource {
    pub(crate) url: String,
    pub(crate) limits: CallLimits,
    pub(crate) key_limits: KeyLimits,
    pub(crate) policy: RefreshPolicy,
}

impl JwksSource {
    /// Returns the URL of the key set.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns what one fetch may cost.
    pub const fn limits(&self) -> CallLimits {
        self.limits
    }

    /// Returns how much of a key set is accepted.
    pub const fn key_limits(&self) -> KeyLimits {
        self.key_limits
    }

    /// Returns when keys are fetched again.
    pub const fn policy(&self) -> &RefreshPolicy {
        &self.policy
    }
}

/// An OAuth 2 server that is asked about access tokens.
#[derive(Clone, Debug)]
pub struct HydraSettings {
    pub(crate) admin_url: String,
    /// The value of `Authorization` at the endpoint.
    pub(crate) credential: Option<Secret>,
    pub(crate) issuer: Arc<str>,
    pub(crate) audience: Vec<String>,
    /// The member of `ext` that names the tenant.
    pub(crate) tenant_claim: String,
    pub(crate) clock_skew: Duration,
    pub(crate) max_token: usize,
    pub(crate) limits: CallLimits,
    pub(crate) max_in_flight: usize,
}

impl HydraSettings {
    /// Returns the URL of the admin port, without a slash at its end.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Returns the issuer that tokens must have.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the audiences of which a token must have one.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns what one call may cost.
    pub const fn limits(&self) -> CallLimits {
        self.limits
    }

    /// Returns how many calls may be on their way at once. As many again and a hundred more wait; the rest are refused with
    /// 503.
    pub const fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }
}

/// A permission server and how principals are written there.
#[derive(Clone, Debug)]
pub struct KetoSettings {
    pub(crate) read_url: String,
    pub(crate) write_url: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) subject: SubjectTemplate,
    pub(crate) client_subject: SubjectTemplate,
    pub(crate) batch_size: usize,
    pub(crate) limits: CallLimits,
    pub(crate) max_in_flight: usize,
}

impl KetoSettings {
    /// Returns the URL of the read port, without a slash at its end.
    pub fn read_url(&self) -> &str {
        &self.read_url
    }

    /// Returns the URL of the write port, without a slash at its end.
    pub fn write_url(&self) -> Option<&str> {
        self.write_url.as_deref()
    }

    /// Returns the bearer token for both ports.
    pub const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Returns how many tuples one batch may hold.
    pub const fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Returns what one call may cost.
    pub const fn limits(&self) -> CallLimits {
        self.limits
    }

    /// Returns how many calls may be on their way at once. As many again and a hundred more wait; the rest are refused with
    /// 503.
    pub const fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Returns how a principal is written: what permissions without a subject of their own are asked about.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] if the principal's id contains what a value may not contain, or makes a subject that belongs to the other kind
    /// of principal: with `{sub}` and `client:{client_id}`, the identity `client:7` would have the permissions of the client `7`. A
    /// subject that both templates could make belongs to the one with the longer fixed text.
    pub fn subject(&self, principal: &Principal) -> Result<Subject, ResolveError> {
        let (template, other, id) = match principal {
            Principal::Client(client) => (&self.client_subject, &self.subject, client.client_id()),
            Principal::Identity(identity) => (&self.subject, &self.client_subject, identity.subject()),
        };

        let subject = template.resolve(id)?;
        if other.could_make(&subject) && template.fixed_length() <= other.fixed_length() {
            return Err(ResolveError::Ambiguous);
        }
        Ok(subject)
    }
}

/// How a kind of principal is written at the permission server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "Keto knows two forms")]
pub enum SubjectTemplate {
    /// As a subject id.
    Id(Template),
    /// As a subject set with an empty relation.
    Set {
        /// The namespace.
        namespace: String,
        /// The object.
        object: Template,
    },
}

impl SubjectTemplate {
    pub(crate) fn resolve(&self, id: &str) -> Result<Subject, ResolveError> {
        // INVARIANT: the configuration lets no other placeholder in.
        let value = |_: &str| Some(Cow::Borrowed(id));
        match self {
            Self::Id(template) => template.resolve(&value).map(Subject::Id),
            Self::Set { namespace, object } => Subject::set(namespace.as_str(), object.resolve(&value)?, "")
                .map_err(|_| ResolveError::Subject),
        }
    }

    fn fixed_length(&self) -> usize {
        let (Self::Id(template) | Self::Set { object: template, .. }) = self;
        template.fixed_length()
    }

    fn could_make(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Id(template), Subject::Id(id)) => template.could_make(id),
            (Self::Set { namespace, object }, Subject::Set(set)) => {
                *namespace == set.namespace() && object.could_make(set.object())
            }
            (Self::Id(_), Subject::Set(_)) | (Self::Set { .. }, Subject::Id(_)) => false,
        }
    }
}

/// An identity server.
#[derive(Clone, Debug)]
pub struct KratosSettings {
    pub(crate) public_url: String,
    pub(crate) admin_url: Option<String>,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) session_cookie: String,
    pub(crate) required_aal: AssuranceLevel,
    pub(crate) login_url: Option<String>,
    pub(crate) limits: CallLimits,
    pub(crate) max_in_flight: usize,
}

impl KratosSettings {
    /// Returns the URL of the public port, without a slash at its end.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Returns the URL of the admin port, without a slash at its end.
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }

    /// Returns the bearer token for the admin port.
    pub const fn admin_token(&self) -> Option<&Secret> {
        self.admin_token.as_ref()
    }

    /// Returns the name of the session cookie.
    pub fn session_cookie(&self) -> &str {
        &self.session_cookie
    }

    /// Returns the level that a session needs on routes that ask for no other.
    pub const fn required_aal(&self) -> AssuranceLevel {
        self.required_aal
    }

    /// Returns the page where people log in and prove more.
    pub fn login_url(&self) -> Option<&str> {
        self.login_url.as_deref()
    }

    /// Returns what one call may cost.
    pub const fn limits(&self) -> CallLimits {
        self.limits
    }

    /// Returns how many calls may be on their way at once. As many again and a hundred more wait; the rest are refused with
    /// 503.
    pub const fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }
}

/// A cache of upstream answers: how long they are kept, and how many.
///
/// ```
/// use std::time::Duration;
/// use iam_core::tenant::CacheSettings;
///
/// let cache = CacheSettings::new(Duration::from_secs(10)).negative_ttl(Duration::from_secs(1)).max_entries(1_000);
/// # let _ = cache;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheSettings {
    ttl: Duration,
    negative_ttl: Duration,
    max_entries: usize,
}

impl CacheSettings {
    /// Returns the settings of a cache that keeps 10,000 answers for `ttl`, and no refusals.
    pub const fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            negative_ttl: Duration::ZERO,
            max_entries: 10_000,
        }
    }

    /// Sets how long refusals are kept; zero keeps none.
    #[must_use]
    pub const fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = negative_ttl;
        self
    }

    /// Sets the largest number of answers.
    #[must_use]
    pub const fn max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Returns how long an answer is kept, counted from the start of the call that brought it.
    pub const fn life_of(self, is_refusal: bool) -> Duration {
        if is_refusal { self.negative_ttl } else { self.ttl }
    }

    /// Returns the largest number of answers.
    pub const fn limit(self) -> usize {
        self.max_entries
    }
}
