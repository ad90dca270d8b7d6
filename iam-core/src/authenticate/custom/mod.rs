//! Credentials that an application accepts by code of its own: API keys, the sessions of an older system, tokens that another server
//! reviews.
//!
//! An [`Authenticator`] reads no request. It names its carriers; this crate reads them as strictly as its own, refuses two credentials,
//! and hands the one credential over. What the authenticator states is checked before it becomes a principal: tenant, expiry, subject,
//! roles, scopes. It decides without I/O, or with a look-up of its own, which the adapter runs with a deadline.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{Authenticated, Authentication, Lookup};
use crate::{
    clock::Timestamp,
    decision::{Reason, Refusal},
    http::BoxFuture,
    principal::{Custom, Evidence, Principal},
    request::RequestHead,
    tenant::{AuthenticatorName, Tenant},
};

/// Accepts credentials of an application's own kind, by the transport `custom:NAME`.
///
/// Called once for each request whose route has the transport and that presents a credential in one of the carriers. It fails closed: a
/// look-up that fails or takes too long is 503.
///
/// ```
/// use iam_core::{
///     authenticate::{Authenticator, Carrier, CustomCredential, Fault, Reply, Stated, Statement},
///     clock::Timestamp,
/// };
///
/// #[derive(Debug)]
/// struct Partners;
///
/// impl Authenticator for Partners {
///     fn name(&self) -> &str {
///         "partner"
///     }
///
///     fn carriers(&self) -> Vec<Carrier> {
///         vec![Carrier::Header("x-partner-key".to_owned())]
///     }
///
///     fn authenticate(&self, credential: &CustomCredential<'_>, now: Timestamp) -> Reply {
///         // A service compares hashes in constant time: see `examples/api-keys`.
///         if credential.bytes() != b"example" {
///             return Reply::Now(Stated::Refused(Fault::Unknown));
///         }
///         let until = now.saturating_add(std::time::Duration::from_secs(60));
///         Reply::Now(Stated::Known(Statement::client("partner-7", credential.tenant(), until)))
///     }
/// }
/// ```
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// Returns the name. Configuration and routes write it as `custom:NAME`; it consists of 1 to 32 lower-case letters, digits and
    /// hyphens, and begins with a letter.
    fn name(&self) -> &str;

    /// Returns where the credentials travel: at least one place. Asked once, at the start.
    fn carriers(&self) -> Vec<Carrier>;

    /// Tells whether requests that a page of another site may have sent are refused. Defaults to [`CrossSite::Refuse`].
    ///
    /// # Security
    ///
    /// [`CrossSite::Allow`] is for credentials that no browser sends by itself, such as one in a header. A cookie needs the check.
    fn cross_site(&self) -> CrossSite {
        CrossSite::Refuse
    }

    /// Returns the longest time that a look-up may take, at most 30 seconds. Defaults to two seconds.
    fn timeout(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// Decides about a credential. It must not block: what needs I/O is returned as [`Reply::Later`].
    fn authenticate(&self, credential: &CustomCredential<'_>, now: Timestamp) -> Reply;
}

/// A place where an application's own credentials travel.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each place is read in its own way")]
pub enum Carrier {
    /// A cookie of exactly this name.
    Cookie(String),
    /// A header. In `Authorization` the credential follows the scheme `Bearer`; any other header holds the credential alone.
    Header(String),
}

/// Whether requests across sites count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a request is checked, or it is not")]
pub enum CrossSite {
    /// Requests are not checked.
    Allow,
    /// The tenant's CSRF rule applies.
    Refuse,
}

/// The one credential of a request, for an authenticator. *Unverified.*
///
/// `Debug` shows the tenant only.
pub struct CustomCredential<'a> {
    tenant: &'a str,
    bytes: &'a [u8],
}

impl<'a> CustomCredential<'a> {
    /// Returns the name of the tenant that the request is decided for. A principal must be stated for this very tenant.
    pub const fn tenant(&self) -> &'a str {
        self.tenant
    }

    /// Returns the bytes as they were sent: visible ASCII without commas, at most 4096.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for CustomCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomCredential")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// What an authenticator returns.
#[expect(
    clippy::exhaustive_enums,
    reason = "an answer is known, or it has to be looked up"
)]
pub enum Reply {
    /// The answer.
    Now(Stated),
    /// The answer needs I/O.
    Later(BoxFuture<Result<Stated, LookUpError>>),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later(_) => "Later",
        })
    }
}

/// An answer about a credential.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "each of them is decided in its own way")]
pub enum Stated {
    /// The credential is good. What is stated about its principal is checked next.
    Known(Statement),
    /// The credential was good once, as that of a session that is over: no principal on routes that require none, 401 elsewhere.
    Nobody,
    /// The credential is not good: 401.
    Refused(Fault),
}

/// Why a credential is not good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each of them has a reason of its own")]
pub enum Fault {
    /// It has expired.
    Expired,
    /// It cannot be read.
    Malformed,
    /// It is unknown, wrong or revoked.
    Unknown,
}

/// A look-up gave no answer. The request is answered with 503.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, thiserror::Error)]
#[error("the look-up gave no answer")]
#[expect(clippy::exhaustive_structs, reason = "an authenticator makes it")]
pub struct LookUpError;

/// What an authenticator states about a principal.
///
/// `Debug` shows the tenant and the expiry only.
pub struct Statement {
    pub(crate) subject: String,
    pub(crate) client_id: Option<String>,
    pub(crate) tenant: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) metadata: Option<Value>,
    pub(crate) replay_id: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
}

impl Statement {
    /// States a person. From `expires_at` on, the credential is refused.
    pub fn identity(subject: impl Into<String>, tenant: impl Into<String>, expires_at: Timestamp) -> Self {
        Self {
            subject: subject.into(),
            client_id: None,
            tenant: tenant.into(),
            expires_at,
            metadata: None,
            replay_id: None,
            roles: Vec::new(),
            scopes: Vec::new(),
        }
    }

    /// States a client that acts for itself. From `expires_at` on, the credential is refused.
    pub fn client(client_id: impl Into<String>, tenant: impl Into<String>, expires_at: Timestamp) -> Self {
        let client_id = client_id.into();
        Self {
            client_id: Some(client_id.clone()),
            ..Self::identity(client_id, tenant, expires_at)
        }
    }

    /// Sets the public metadata. The tenant's `roles_from` finds roles in it.
    ///
    /// # Security
    ///
    /// Only administrators may be able to write it.
    #[must_use]
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Sets roles, besides those of the metadata.
    #[must_use]
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the scopes.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the id that routes of single use claim. Without one, these routes refuse the credential.
    #[must_use]
    pub fn replay_id(mut self, id: impl Into<String>) -> Self {
        self.replay_id = Some(id.into());
        self
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("tenant", &self.tenant)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Hands the credential to the tenant's authenticator of this name.
pub(super) fn authenticate(
    tenant: &Tenant,
    name: AuthenticatorName,
    head: &RequestHead<'_>,
    now: Timestamp,
) -> Result<Authentication, Refusal> {
    // INVARIANT: the configuration refuses names without an authenticator.
    let port = tenant
        .authenticator(name)
        .ok_or(Refusal::with_detail(Reason::UnknownTenant, "no_authenticator"))?;
    let bytes = tenant.presented(name, head)?;
    let same_site = match port.cross_site() {
        CrossSite::Allow => Ok(()),
        CrossSite::Refuse => tenant.check_csrf(head),
    };

    let credential = CustomCredential {
        tenant: tenant.name(),
        bytes,
    };
    match port.authenticate(&credential, now) {
        Reply::Now(stated) => conclude(tenant, name, stated, same_site, now).map(Authentication::Known),
        Reply::Later(answer) => Ok(Authentication::Ask(Lookup::Custom(CustomLookup {
            answer: Some(answer),
            name,
            same_site,
            timeout: port.timeout().min(LONGEST_TIMEOUT),
        }))),
    }
}

/// A look-up of an application's authenticator.
///
/// The adapter takes the answer, awaits it with the timeout, then calls [`CustomLookup::conclude`].
pub struct CustomLookup {
    answer: Option<BoxFuture<Result<Stated, LookUpError>>>,
    name: AuthenticatorName,
    same_site: Result<(), Refusal>,
    timeout: Duration,
}

impl CustomLookup {
    /// Takes the answer. It is there once.
    pub fn take(&mut self) -> Option<BoxFuture<Result<Stated, LookUpError>>> {
        self.answer.take()
    }

    /// Returns the longest time that the answer may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Decides about the answer; nothing when it took too long.
    ///
    /// # Errors
    ///
    /// [`Reason::AuthenticatorUnavailable`] without an answer; otherwise the refusal that follows from what the authenticator states.
    pub fn conclude(
        self,
        tenant: &Tenant,
        answer: Option<Result<Stated, LookUpError>>,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let refuse = |detail| Refusal::with_detail(Reason::AuthenticatorUnavailable, detail);
        let stated = answer
            .ok_or_else(|| refuse("look_up_timeout"))?
            .map_err(|LookUpError| refuse("look_up_failed"))?;

        conclude(tenant, self.name, stated, self.same_site, now)
    }
}

/// Prints the authenticator only.
impl fmt::Debug for CustomLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomLookup")
            .field("name", &self.name.as_str())
            .finish_non_exhaustive()
    }
}

fn conclude(
    tenant: &Tenant,
    name: AuthenticatorName,
    stated: Stated,
    same_site: Result<(), Refusal>,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    let refuse = |reason, detail| Err(Refusal::with_detail(reason, detail));
    let statement = match stated {
        Stated::Known(statement) => statement,
        Stated::Nobody => return refuse(Reason::SessionInactive, "authenticator_nobody"),
        Stated::Refused(Fault::Expired) => return refuse(Reason::Expired, "authenticator_expired"),
        Stated::Refused(Fault::Malformed) => return refuse(Reason::Malformed, "authenticator_malformed"),
        Stated::Refused(Fault::Unknown) => return refuse(Reason::TokenInactive, "authenticator_unknown"),
    };

    let checked = Custom::check(statement, name, tenant.name(), now)?;
    // A request without a good credential is 401 whatever site sent it.
    same_site?;
    Ok(Authenticated::new(Principal::new(
        tenant,
        Evidence::Custom(checked.into()),
    )))
}

const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
