//! The reasons for refusing a token.

use crate::decision::Reason;

/// Why a token is refused, in the detail that the status and the audit event need.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each refusal must be given a status and an event, everywhere"
)]
pub enum VerifyError {
    /// The token is good, and its subject is one that the gateway signs for anonymous visitors.
    #[error("the token is that of an anonymous visitor")]
    Anonymous,
    /// The token is for another audience, or for none.
    #[error("the token is for another audience")]
    AudienceMismatch,
    /// The token has expired, or lives longer than the profile allows.
    #[error("the token has expired or lives too long")]
    Expired,
    /// The signature does not verify, or its algorithm is not allowed for the tenant or for the key.
    #[error("the signature does not verify")]
    InvalidSignature,
    /// The token was made by another issuer, or names none.
    #[error("the token was made by another issuer")]
    IssuerMismatch,
    /// There are no keys to verify with: none were fetched yet, or the last ones are too old.
    #[error("the keys of the issuer are unavailable")]
    KeysUnavailable,
    /// The token is not a JWT of this profile.
    #[error("the token is malformed")]
    Malformed,
    /// The token is not valid yet, or was issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token names another tenant, or none where a tenant is required.
    #[error("the token belongs to another tenant")]
    TenantMismatch,
    /// The key set does not hold the key that the token names.
    #[error("the key of the token is unknown")]
    UnknownKey,
}

impl VerifyError {
    /// Returns the reason that a decision gives for this error.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Anonymous => Reason::MissingCredential,
            Self::AudienceMismatch => Reason::AudienceMismatch,
            Self::Expired => Reason::Expired,
            Self::InvalidSignature => Reason::InvalidSignature,
            Self::IssuerMismatch => Reason::IssuerMismatch,
            Self::KeysUnavailable => Reason::KeysUnavailable,
            Self::Malformed => Reason::Malformed,
            Self::NotYetValid => Reason::NotYetValid,
            Self::TenantMismatch => Reason::TenantMismatch,
            Self::UnknownKey => Reason::UnknownKey,
        }
    }
}

/// The exact fault of a token: for the audit event and tests, never for the caller.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TokenFault {
    /// `alg` is missing or not a string.
    AlgorithmMissing,
    /// `alg` is not on the tenant's list.
    AlgorithmNotAllowed,
    /// The key that `kid` names is not for `alg`.
    AlgorithmNotOfKey,
    /// `sub` is one of the profile's anonymous subjects, and everything else about the token is good.
    AnonymousSubject,
    /// No `aud`, or an empty one.
    AudienceMissing,
    /// None of `aud` is the profile's.
    AudienceOther,
    /// `aud` is neither a string nor an array of strings.
    AudienceType,
    /// The claims are not a JSON object in UTF-8 with unique members.
    ClaimsUnreadable,
    /// An access token has no `client_id`.
    ClientIdMissing,
    /// `client_id` is not a short string without control characters.
    ClientIdType,
    /// Not three non-empty segments.
    CompactForm,
    /// A segment is not base64url without padding (RFC 7515 §2).
    Encoding,
    /// `exp` is missing.
    ExpiryMissing,
    /// `exp` has passed.
    ExpiryPassed,
    /// `exp` is not a number of seconds.
    ExpiryType,
    /// A header member that this verifier refuses to process.
    HeaderMember,
    /// The header is not a JSON object in UTF-8 with unique members.
    HeaderUnreadable,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// An access token of RFC 9068 has no `iat`.
    IssuedMissing,
    /// `iat` is not a number of seconds.
    IssuedType,
    /// No `iss`.
    IssuerMissing,
    /// `iss` is not the configured issuer.
    IssuerOther,
    /// `iss` is not a string.
    IssuerType,
    /// `kid` is missing, and more than one key or none could have signed.
    KeyIdMissing,
    /// `kid` is not a short string without control characters.
    KeyIdType,
    /// The key set does not hold `kid`.
    KeyUnknown,
    /// The key set held `kid` until less than an hour ago, and the key's grace is over.
    KeyWithdrawn,
    /// There is no usable key set.
    KeysUnavailable,
    /// The token lives longer than the profile allows.
    LifetimeTooLong,
    /// The metadata claim is not an object.
    MetadataType,
    /// `nbf` lies in the future.
    NotBeforeInFuture,
    /// `nbf` is not a number of seconds.
    NotBeforeType,
    /// A scope claim is neither a string nor an array of strings without spaces.
    ScopeType,
    /// The signature does not verify.
    Signature,
    /// `sub` is missing.
    SubjectMissing,
    /// `sub` is not a short non-empty string without control characters.
    SubjectType,
    /// `client_id` holds what a Go template prints for a missing value.
    TemplateInClientId,
    /// The metadata claim is what a Go template prints for a missing value.
    TemplateInMetadata,
    /// A role, or something on the way to the roles, is what a Go template prints for a missing value.
    TemplateInRoles,
    /// A scope claim holds what a Go template prints for a missing value.
    TemplateInScope,
    /// `sub` holds what a Go template prints for a missing value.
    TemplateInSubject,
    /// The tenant claim holds what a Go template prints for a missing value.
    TemplateInTenant,
    /// The tenant claim is missing.
    TenantMissing,
    /// The tenant claim names another tenant.
    TenantOther,
    /// The tenant claim is not a string.
    TenantType,
    /// The token is too long.
    TokenTooLong,
    /// `jti` is missing.
    TokenIdMissing,
    /// `jti` is not a short non-empty string without control characters.
    TokenIdType,
    /// `typ` is none of the profile's, or an access token has none.
    TypeOther,
}

impl TokenFault {
    /// Returns the stable code of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlgorithmMissing => "alg_missing",
            Self::AlgorithmNotAllowed => "alg_not_allowed",
            Self::AlgorithmNotOfKey => "alg_not_of_key",
            Self::AnonymousSubject => "anonymous_subject",
            Self::AudienceMissing => "aud_missing",
            Self::AudienceOther => "aud_other",
            Self::AudienceType => "aud_type",
            Self::ClaimsUnreadable => "claims_unreadable",
            Self::ClientIdMissing => "client_id_missing",
            Self::ClientIdType => "client_id_type",
            Self::CompactForm => "compact_form",
            Self::Encoding => "encoding",
            Self::ExpiryMissing => "exp_missing",
            Self::ExpiryPassed => "exp_passed",
            Self::ExpiryType => "exp_type",
            Self::HeaderMember => "header_member",
            Self::HeaderUnreadable => "header_unreadable",
            Self::IssuedInFuture => "iat_in_future",
            Self::IssuedMissing => "iat_missing",
            Self::IssuedType => "iat_type",
            Self::IssuerMissing => "iss_missing",
            Self::IssuerOther => "iss_other",
            Self::IssuerType => "iss_type",
            Self::KeyIdMissing => "kid_missing",
            Self::KeyIdType => "kid_type",
            Self::KeyUnknown => "kid_unknown",
            Self::KeyWithdrawn => "key_withdrawn",
            Self::KeysUnavailable => "keys_unavailable",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::MetadataType => "metadata_type",
            Self::NotBeforeInFuture => "nbf_in_future",
            Self::NotBeforeType => "nbf_type",
            Self::ScopeType => "scope_type",
            Self::Signature => "signature",
            Self::SubjectMissing => "sub_missing",
            Self::SubjectType => "sub_type",
            Self::TemplateInClientId => "go_template_in_client_id",
            Self::TemplateInMetadata => "go_template_in_metadata",
            Self::TemplateInRoles => "go_template_in_roles",
            Self::TemplateInScope => "go_template_in_scope",
            Self::TemplateInSubject => "go_template_in_sub",
            Self::TemplateInTenant => "go_template_in_tenant",
            Self::TenantMissing => "tenant_missing",
            Self::TenantOther => "tenant_other",
            Self::TenantType => "tenant_type",
            Self::TokenTooLong => "token_too_long",
            Self::TokenIdMissing => "jti_missing",
            Self::TokenIdType => "jti_type",
            Self::TypeOther => "typ_other",
        }
    }

    /// Returns the error of the fault.
    pub const fn error(self) -> VerifyError {
        match self {
            Self::AnonymousSubject => VerifyError::Anonymous,
            Self::AudienceMissing | Self::AudienceOther => VerifyError::AudienceMismatch,
            Self::ExpiryPassed | Self::LifetimeTooLong => VerifyError::Expired,
            Self::AlgorithmNotAllowed | Self::AlgorithmNotOfKey | Self::Signature => {
                VerifyError::InvalidSignature
            }
            Self::IssuerMissing | Self::IssuerOther => VerifyError::IssuerMismatch,
            Self::KeysUnavailable => VerifyError::KeysUnavailable,
            Self::IssuedInFuture | Self::NotBeforeInFuture => VerifyError::NotYetValid,
            Self::TenantMissing | Self::TenantOther => VerifyError::TenantMismatch,
            Self::KeyIdMissing | Self::KeyUnknown | Self::KeyWithdrawn => VerifyError::UnknownKey,
            Self::AlgorithmMissing
            | Self::AudienceType
            | Self::ClaimsUnreadable
            | Self::ClientIdMissing
            | Self::ClientIdType
            | Self::CompactForm
            | Self::Encoding
            | Self::ExpiryMissing
            | Self::ExpiryType
            | Self::HeaderMember
            | Self::HeaderUnreadable
            | Self::IssuedMissing
            | Self::IssuedType
            | Self::IssuerType
            | Self::KeyIdType
            | Self::MetadataType
            | Self::NotBeforeType
            | Self::ScopeType
            | Self::SubjectMissing
            | Self::SubjectType
            | Self::TemplateInClientId
            | Self::TemplateInMetadata
            | Self::TemplateInRoles
            | Self::TemplateInScope
            | Self::TemplateInSubject
            | Self::TemplateInTenant
            | Self::TenantType
            | Self::TokenTooLong
            | Self::TokenIdMissing
            | Self::TokenIdType
            | Self::TypeOther => VerifyError::Malformed,
        }
    }
}

impl From<TokenFault> for VerifyError {
    fn from(fault: TokenFault) -> Self {
        fault.error()
    }
}
