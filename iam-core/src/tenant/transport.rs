use std::{fmt, str::FromStr};

use serde::Deserialize;

/// How a credential travels.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "each transport must be read and challenged in its own way"
)]
pub enum Transport {
    /// A Kratos session token in `Authorization` or `X-Session-Token`.
    Bearer,
    /// A Kratos session cookie.
    Cookie,
    /// A Kratos session cookie or token.
    CookieOrBearer,
    /// A token or an envelope that the gateway signed, or headers that it set.
    Oathkeeper,
    /// An OAuth 2 access token in `Authorization: Bearer`.
    Oauth2,
}

impl Transport {
    /// All transports.
    pub const ALL: [Self; 5] = [
        Self::Bearer,
        Self::Cookie,
        Self::CookieOrBearer,
        Self::Oathkeeper,
        Self::Oauth2,
    ];

    /// Tells whether the transport carries sessions of Kratos.
    pub const fn is_of_sessions(self) -> bool {
        match self {
            Self::Bearer | Self::Cookie | Self::CookieOrBearer => true,
            Self::Oathkeeper | Self::Oauth2 => false,
        }
    }

    /// Tells whether the transport reads the session cookie.
    pub const fn reads_cookie(self) -> bool {
        match self {
            Self::Cookie | Self::CookieOrBearer => true,
            Self::Bearer | Self::Oathkeeper | Self::Oauth2 => false,
        }
    }

    /// Tells whether the transport reads session tokens.
    pub const fn reads_session_token(self) -> bool {
        match self {
            Self::Bearer | Self::CookieOrBearer => true,
            Self::Cookie | Self::Oathkeeper | Self::Oauth2 => false,
        }
    }

    /// Tells whether a page of another site can make a browser send the credential: by itself, or at a gateway that turns the
    /// browser's cookie into it.
    pub const fn is_sent_by_browsers(self) -> bool {
        match self {
            Self::Cookie | Self::CookieOrBearer | Self::Oathkeeper => true,
            Self::Bearer | Self::Oauth2 => false,
        }
    }

    /// Returns the name as the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
            Self::CookieOrBearer => "cookie-or-bearer",
            Self::Oathkeeper => "oathkeeper",
            Self::Oauth2 => "oauth2",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, UnknownTransport> {
        Self::ALL
            .into_iter()
            .find(|transport| transport.as_str() == text)
            .ok_or(UnknownTransport)
    }
}

/// A text that names no transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected \"bearer\", \"cookie\", \"cookie-or-bearer\", \"oathkeeper\" or \"oauth2\"")]
#[non_exhaustive]
pub struct UnknownTransport;
