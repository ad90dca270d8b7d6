use std::{fmt, str::FromStr};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::clock::Timestamp;

/// A login of a person at Kratos. *Verified*: Kratos knows it, it is active and unexpired, and so is its identity.
///
/// `Debug` shows ids and times only: traits and devices are about a person.
#[derive(Clone, Eq, PartialEq)]
pub struct Session {
    pub(crate) id: String,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) aal: AssuranceLevel,
    pub(crate) methods: Vec<AuthenticationMethod>,
    pub(crate) devices: Vec<Device>,
    pub(crate) identity_id: String,
    pub(crate) schema_id: String,
    pub(crate) traits: Value,
    pub(crate) metadata_public: Option<Value>,
    /// `user:` and the identity's id.
    pub(crate) actor: String,
}

impl Session {
    /// Returns the id of the session, which is not its credential.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns when the person last proved who they are: a further factor counts.
    pub const fn authenticated_at(&self) -> Timestamp {
        self.authenticated_at
    }

    /// Returns when the session ends.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns the assurance level.
    pub const fn aal(&self) -> AssuranceLevel {
        self.aal
    }

    /// Returns how the person proved who they are, in the order of completion.
    pub fn authentication_methods(&self) -> &[AuthenticationMethod] {
        &self.methods
    }

    /// Returns the devices that the session was used from, as Kratos saw them. *Unverified*: a caller chooses its user agent.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Returns the id of the identity.
    pub fn identity_id(&self) -> &str {
        &self.identity_id
    }

    /// Returns the id of the identity's schema.
    pub fn schema_id(&self) -> &str {
        &self.schema_id
    }

    /// Returns the identity's traits as `T`. Use `serde_json::Value` for traits of any shape.
    ///
    /// # Errors
    ///
    /// [`TraitsError`] when the traits are no `T`.
    ///
    /// # Security
    ///
    /// People may change their own traits, so traits grant nothing. A trait such as an address may be unconfirmed.
    pub fn traits<T: DeserializeOwned>(&self) -> Result<T, TraitsError> {
        T::deserialize(&self.traits).map_err(|_| TraitsError)
    }

    /// Returns the identity's public metadata, which only administrators change.
    pub const fn metadata_public(&self) -> Option<&Value> {
        self.metadata_public.as_ref()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("identity_id", &self.identity_id)
            .field("authenticated_at", &self.authenticated_at)
            .field("expires_at", &self.expires_at)
            .field("aal", &self.aal)
            .finish_non_exhaustive()
    }
}

/// A way of proving who one is, as it was used in a session.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuthenticationMethod {
    /// The method, such as `password`, `oidc`, `totp` or `webauthn`.
    pub method: String,
    /// The level that the method belongs to, where Kratos says so.
    pub aal: Option<AssuranceLevel>,
    /// When it was completed, where Kratos says so.
    pub completed_at: Option<Timestamp>,
}

/// A device that a session was used from, as Kratos saw it. *Unverified.*
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Device {
    /// The id of the record.
    pub id: String,
    /// The address, with or without a port.
    pub ip_address: Option<String>,
    /// The user agent.
    pub user_agent: Option<String>,
    /// The location.
    pub location: Option<String>,
}

/// The assurance level of a session (`authenticator_assurance_level`): how much was proved.
///
/// ```
/// use iam_core::principal::AssuranceLevel;
///
/// assert!(AssuranceLevel::Aal1 < AssuranceLevel::Aal2);
/// assert_eq!("aal2".parse(), Ok(AssuranceLevel::Aal2));
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "Kratos knows four levels")]
pub enum AssuranceLevel {
    /// Nothing yet.
    Aal0,
    /// One factor.
    #[default]
    Aal1,
    /// Two factors.
    Aal2,
    /// Two factors, one of them a hardware key.
    Aal3,
}

impl AssuranceLevel {
    /// All levels.
    pub const ALL: [Self; 4] = [Self::Aal0, Self::Aal1, Self::Aal2, Self::Aal3];

    /// Returns the level as Kratos writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal0 => "aal0",
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Aal3 => "aal3",
        }
    }
}

impl fmt::Display for AssuranceLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AssuranceLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(UnknownLevel)
    }
}

/// A text that names no assurance level.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected \"aal0\", \"aal1\", \"aal2\" or \"aal3\"")]
#[non_exhaustive]
pub struct UnknownLevel;

/// The traits of an identity have another shape. Holds nothing of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the traits of the identity have another shape")]
#[non_exhaustive]
pub struct TraitsError;
