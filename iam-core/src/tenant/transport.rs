use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, EnumAccess, VariantAccess as _, Visitor},
};

/// How a credential travels.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
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
    /// A credential that an application's [`Authenticator`](crate::authenticate::Authenticator) of this name decides about.
    Custom(AuthenticatorName),
    /// A token or an envelope that the gateway signed, or headers that it set.
    Oathkeeper,
    /// An OAuth 2 access token in `Authorization: Bearer`.
    Oauth2,
}

impl Transport {
    /// All transports but those of applications.
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
            Self::Custom(_) | Self::Oathkeeper | Self::Oauth2 => false,
        }
    }

    /// Tells whether the transport reads the session cookie.
    pub const fn reads_cookie(self) -> bool {
        match self {
            Self::Cookie | Self::CookieOrBearer => true,
            Self::Bearer | Self::Custom(_) | Self::Oathkeeper | Self::Oauth2 => false,
        }
    }

    /// Tells whether the transport reads session tokens.
    pub const fn reads_session_token(self) -> bool {
        match self {
            Self::Bearer | Self::CookieOrBearer => true,
            Self::Cookie | Self::Custom(_) | Self::Oathkeeper | Self::Oauth2 => false,
        }
    }

    /// Tells whether a page of another site can make a browser send the credential: by itself, or at a gateway that turns the
    /// browser's cookie into it.
    pub const fn is_sent_by_browsers(self) -> bool {
        match self {
            // What an authenticator accepts may be a cookie: it says itself whether it needs the check.
            Self::Cookie | Self::CookieOrBearer | Self::Custom(_) | Self::Oathkeeper => true,
            Self::Bearer | Self::Oauth2 => false,
        }
    }

    /// Returns the name as the configuration writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
            Self::CookieOrBearer => "cookie-or-bearer",
            Self::Custom(name) => name.as_str(),
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
            .or_else(|| AuthenticatorName::of(text).map(Self::Custom))
            .ok_or(UnknownTransport)
    }
}

/// A text that names no transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected \"bearer\", \"cookie\", \"cookie-or-bearer\", \"oathkeeper\", \"oauth2\" or \"custom:\" and a name"
)]
#[non_exhaustive]
pub struct UnknownTransport;

impl<'de> Deserialize<'de> for Transport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Transport", &NAMES, TransportVisitor)
    }
}

/// Reads a transport where a derived implementation reads a variant.
struct TransportVisitor;

impl<'de> Visitor<'de> for TransportVisitor {
    type Value = Transport;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transport")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Transport, A::Error> {
        let (name, variant) = data.variant::<String>()?;
        variant.unit_variant()?;

        name.parse()
            .map_err(|UnknownTransport| de::Error::unknown_variant(&name, &NAMES))
    }
}

const NAMES: [&str; 6] = [
    "bearer",
    "cookie",
    "cookie-or-bearer",
    "oathkeeper",
    "oauth2",
    "custom:NAME",
];

/// The name of an application's authenticator, with the prefix `custom:`.
///
/// The prefix keeps a misspelt name of another transport from being taken for an authenticator.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct AuthenticatorName {
    /// Zeros fill the rest.
    bytes: [u8; Self::LONGEST],
}

impl AuthenticatorName {
    const PREFIX: &str = "custom:";
    const LONGEST: usize = 39;

    /// Reads `custom:NAME`: 1 to 32 lower-case letters, digits and hyphens that begin with a letter.
    fn of(text: &str) -> Option<Self> {
        let name = text.strip_prefix(Self::PREFIX)?;
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.bytes().all(is_allowed) {
            return None;
        }

        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes })
    }

    /// Reads the name that an authenticator tells, without the prefix.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::of(&[Self::PREFIX, name].concat())
    }

    /// Returns `custom:NAME`.
    pub fn as_str(&self) -> &str {
        let text = self.bytes.split(|&byte| byte == 0).next();
        // INVARIANT: all bytes are ASCII.
        text.and_then(|text| str::from_utf8(text).ok())
            .unwrap_or_default()
    }

    /// Returns the name without the prefix.
    pub fn name(&self) -> &str {
        self.as_str().strip_prefix(Self::PREFIX).unwrap_or_default()
    }
}

impl fmt::Debug for AuthenticatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthenticatorName").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_authenticators_are_read_and_written_alike() {
        let longest = format!("custom:{}", "a".repeat(32));
        for text in ["custom:api-key", "custom:a", longest.as_str()] {
            let transport: Transport = text.parse().unwrap();
            assert_eq!(transport.as_str(), text);
            assert_eq!(transport.to_string(), text);
            let Transport::Custom(name) = transport else {
                panic!("{text}");
            };
            assert_eq!(AuthenticatorName::named(name.name()), Some(name));
        }
    }

    #[test]
    fn other_texts_are_no_names_of_authenticators() {
        let long = format!("custom:{}", "a".repeat(33));
        for text in [
            "api-key",
            "custom:",
            "custom:-a",
            "custom:1",
            "custom:A",
            "custom:a b",
            "custom:a\0",
            "custom:ä",
            "Custom:a",
            "custom:custom:a",
            long.as_str(),
        ] {
            assert_eq!(text.parse::<Transport>(), Err(UnknownTransport), "{text}");
        }
    }
}
