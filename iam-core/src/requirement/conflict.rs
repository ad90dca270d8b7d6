use crate::decision::Reason;

/// Why the policies of a route are invalid. Every request to the route is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "each of them has a reason and a code")]
pub enum Conflict {
    /// One policy requires a principal, and another refuses principals.
    #[error("a principal is both required and refused for one route")]
    AnonymousPrincipal,
    /// The longest age of a session is not a whole number of seconds above zero.
    #[error("invalid age of a session")]
    InvalidAge,
    /// An assurance level is unknown.
    #[error("unknown assurance level")]
    InvalidLevel,
    /// A permission is invalid.
    #[error("invalid permission")]
    InvalidPermission,
    /// A list of roles is empty, or has an invalid role name.
    #[error("invalid role name, or no role")]
    InvalidRole,
    /// A list of scopes is empty, or has an invalid scope name.
    #[error("invalid scope name, or no scope")]
    InvalidScope,
    /// A tenant name is invalid.
    #[error("invalid tenant name")]
    InvalidTenant,
    /// A transport is unknown.
    #[error("unknown transport")]
    InvalidTransport,
    /// A list of transports is empty, or names one twice.
    #[error("no transport, or one twice")]
    InvalidTransports,
    /// Two different tenants are named.
    #[error("two different tenants for one route")]
    Tenants,
    /// The permissions are more, or nested deeper, than one query may hold.
    #[error("more permissions for one route than one query may hold")]
    TooManyPermissions,
    /// Two different lists of transports are named.
    #[error("two different lists of transports for one route")]
    Transports,
}

impl Conflict {
    /// Returns the reason of the refusals.
    pub const fn reason(self) -> Reason {
        match self {
            Self::InvalidAge
            | Self::InvalidLevel
            | Self::InvalidPermission
            | Self::InvalidRole
            | Self::InvalidScope
            | Self::TooManyPermissions => Reason::InvalidRequirement,
            Self::InvalidTenant | Self::InvalidTransport => Reason::UnknownTenant,
            Self::AnonymousPrincipal | Self::InvalidTransports | Self::Tenants | Self::Transports => {
                Reason::PolicyConflict
            }
        }
    }

    /// Returns the stable code of the conflict, as written in audit events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AnonymousPrincipal => "anonymous_principal",
            Self::InvalidAge => "invalid_age",
            Self::InvalidLevel => "invalid_level",
            Self::InvalidPermission => "invalid_permission",
            Self::InvalidRole => "invalid_role",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTenant => "invalid_tenant_name",
            Self::InvalidTransport => "invalid_transport",
            Self::InvalidTransports => "invalid_transports",
            Self::Tenants => "two_tenants",
            Self::TooManyPermissions => "too_many_permissions",
            Self::Transports => "two_transports",
        }
    }
}
