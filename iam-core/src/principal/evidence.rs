use std::sync::Arc;

use serde_json::Value;

use super::{ActiveToken, Custom, Forwarded, Session, forwarded};
use crate::{
    clock::Timestamp,
    envelope::{self, Envelope},
    jwt::VerifiedClaims,
    replay::ReplayId,
    scope,
};

/// What a principal rests on: the checked content of the credential that was presented. *Verified.*
#[derive(Clone)]
pub(crate) enum Evidence {
    /// What an application's authenticator stated.
    Custom(Arc<Custom>),
    /// An envelope that the gateway signed.
    Envelope(Arc<Envelope>),
    /// Headers that the gateway set.
    Forwarded(Arc<Forwarded>),
    /// An access token that its issuer calls active.
    Introspected(Arc<ActiveToken>),
    /// A signed token.
    Jwt(Arc<VerifiedClaims>),
    /// A login at Kratos.
    Session(Arc<Session>),
}

impl Evidence {
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Custom(custom) => custom.subject(),
            Self::Envelope(envelope) => envelope.subject(),
            Self::Forwarded(headers) => headers.subject(),
            Self::Introspected(token) => token.subject(),
            Self::Jwt(claims) => claims.subject(),
            Self::Session(session) => session.identity_id(),
        }
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        match self {
            Self::Custom(custom) => custom.client_id(),
            Self::Envelope(envelope) => envelope.client_id(),
            Self::Introspected(token) => token.client_id(),
            Self::Jwt(claims) => claims.client_id(),
            Self::Forwarded(_) | Self::Session(_) => None,
        }
    }

    /// Tells whether the credential is a client's own: its subject equals its client id.
    pub(super) fn is_client(&self) -> bool {
        match self {
            Self::Custom(custom) => custom.is_client(),
            Self::Envelope(envelope) => envelope.is_client(),
            Self::Introspected(token) => token.is_client(),
            Self::Jwt(claims) => claims.is_client(),
            // Kratos knows people only, and no header names a client.
            Self::Forwarded(_) | Self::Session(_) => false,
        }
    }

    /// Returns the client through which a person acts.
    pub(super) fn acting_client(&self) -> Option<&str> {
        match self {
            Self::Envelope(envelope) => envelope.acting_client(),
            Self::Introspected(token) => token.acting_client(),
            Self::Jwt(claims) => claims.acting_client(),
            Self::Custom(_) | Self::Forwarded(_) | Self::Session(_) => None,
        }
    }

    pub(super) fn issuer(&self) -> &str {
        match self {
            Self::Custom(custom) => custom.authenticator(),
            Self::Envelope(_) => envelope::ISSUER,
            Self::Forwarded(_) => forwarded::ISSUER,
            Self::Introspected(token) => token.issuer(),
            Self::Jwt(claims) => claims.issuer(),
            // A token has an issuer, so a session never equals a token of the same subject.
            Self::Session(_) => "",
        }
    }

    /// Returns the public metadata, where roles come from.
    pub(super) fn metadata(&self) -> Option<&Value> {
        match self {
            Self::Custom(custom) => custom.metadata(),
            Self::Envelope(envelope) => envelope.metadata(),
            // Roles come from an identity's metadata. What a consent application adds to a token is none.
            Self::Forwarded(_) | Self::Introspected(_) => None,
            Self::Jwt(claims) => claims.metadata(),
            Self::Session(session) => session.metadata_public(),
        }
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &str> {
        let text = match self {
            Self::Custom(custom) => Some(custom.scope()),
            Self::Envelope(envelope) => envelope.scope(),
            Self::Introspected(token) => token.scope(),
            Self::Jwt(claims) => claims.scope(),
            Self::Forwarded(_) | Self::Session(_) => None,
        };
        text.into_iter().flat_map(scope::scopes)
    }

    /// Returns the principal's name in audit events.
    pub(super) fn actor(&self) -> &str {
        match self {
            Self::Custom(custom) => custom.actor(),
            Self::Envelope(envelope) => envelope.actor(),
            Self::Forwarded(headers) => headers.actor(),
            Self::Introspected(token) => token.actor(),
            Self::Jwt(claims) => claims.actor(),
            Self::Session(session) => &session.actor,
        }
    }

    pub(super) fn claims(&self) -> Option<&VerifiedClaims> {
        match self {
            Self::Custom(_)
            | Self::Envelope(_)
            | Self::Forwarded(_)
            | Self::Introspected(_)
            | Self::Session(_) => None,
            Self::Jwt(claims) => Some(claims),
        }
    }

    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Custom(_)
            | Self::Envelope(_)
            | Self::Forwarded(_)
            | Self::Introspected(_)
            | Self::Jwt(_) => None,
            Self::Session(session) => Some(session),
        }
    }

    pub(super) fn active_token(&self) -> Option<&ActiveToken> {
        match self {
            Self::Introspected(token) => Some(token),
            Self::Custom(_) | Self::Envelope(_) | Self::Forwarded(_) | Self::Jwt(_) | Self::Session(_) => {
                None
            }
        }
    }

    pub(super) fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Envelope(envelope) => Some(envelope),
            Self::Custom(_)
            | Self::Forwarded(_)
            | Self::Introspected(_)
            | Self::Jwt(_)
            | Self::Session(_) => None,
        }
    }

    pub(super) fn forwarded(&self) -> Option<&Forwarded> {
        match self {
            Self::Forwarded(headers) => Some(headers),
            Self::Custom(_) | Self::Envelope(_) | Self::Introspected(_) | Self::Jwt(_) | Self::Session(_) => {
                None
            }
        }
    }

    pub(super) fn custom(&self) -> Option<&Custom> {
        match self {
            Self::Custom(custom) => Some(custom),
            Self::Envelope(_)
            | Self::Forwarded(_)
            | Self::Introspected(_)
            | Self::Jwt(_)
            | Self::Session(_) => None,
        }
    }

    /// Returns the id that the credential can be claimed by, and how long the claim has to be remembered.
    pub(super) fn replay_id<'a>(&'a self, tenant: &'a str) -> Option<(ReplayId<'a>, Timestamp)> {
        match self {
            Self::Custom(custom) => Some((
                ReplayId {
                    tenant,
                    issuer: custom.authenticator(),
                    jti: custom.replay_id()?,
                },
                custom.expires_at(),
            )),
            Self::Envelope(envelope) => Some((
                ReplayId {
                    tenant,
                    issuer: envelope::ISSUER,
                    jti: envelope.jti()?,
                },
                envelope.accepted_until(),
            )),
            Self::Jwt(claims) => Some((
                ReplayId {
                    tenant,
                    issuer: claims.issuer(),
                    jti: claims.jti()?,
                },
                claims.accepted_until(),
            )),
            // Sessions and access tokens are used many times, and Hydra tells no `jti`. Headers have no id.
            Self::Forwarded(_) | Self::Introspected(_) | Self::Session(_) => None,
        }
    }
}
