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
    #[serde(skip_deserializing)]
    Bearer,
    /// A Kratos session cookie.
    #[serde(skip_deserializing)]
    Cookie,
    /// A Kratos session cookie or token.
    #[serde(skip_deserializing)]
    CookieOrBearer,
    /// A token that the gateway signed for this request.
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
