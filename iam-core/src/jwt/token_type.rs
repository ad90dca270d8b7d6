//! The types of tokens.

use std::{fmt, str::FromStr};

/// The type that a token declares in its header (`typ`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a type that is not known must not be taken for another one"
)]
pub enum TokenType {
    /// `at+jwt`: an access token of RFC 9068.
    AtJwt,
    /// `JWT`: what Oathkeeper and Hydra write.
    Jwt,
}

impl TokenType {
    /// All types.
    pub const ALL: [Self; 2] = [Self::AtJwt, Self::Jwt];

    /// Returns the type as headers and the configuration write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtJwt => "at+jwt",
            Self::Jwt => "JWT",
        }
    }

    /// Reads a `typ`. RFC 7515 §4.1.9: letter case makes no difference, and `application/` may be left out.
    pub(super) fn of_header(text: &str) -> Option<Self> {
        let start = text.get(..MEDIA_TYPE.len()).unwrap_or_default();
        let name = if start.eq_ignore_ascii_case(MEDIA_TYPE) {
            text.get(MEDIA_TYPE.len()..).unwrap_or_default()
        } else {
            text
        };

        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenType {
    type Err = UnknownTokenType;

    fn from_str(text: &str) -> Result<Self, UnknownTokenType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownTokenType)
    }
}

/// A text that names no type of token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected \"JWT\" or \"at+jwt\"")]
#[non_exhaustive]
pub struct UnknownTokenType;

const MEDIA_TYPE: &str = "application/";

#[cfg(test)]
mod tests {
    use super::*;

    /// R059
    #[test]
    fn type_is_read_in_any_letter_case_with_and_without_application() {
        for (text, expected) in [
            ("at+jwt", Some(TokenType::AtJwt)),
            ("AT+JWT", Some(TokenType::AtJwt)),
            ("application/at+jwt", Some(TokenType::AtJwt)),
            ("Application/AT+jwt", Some(TokenType::AtJwt)),
            ("JWT", Some(TokenType::Jwt)),
            ("jwt", Some(TokenType::Jwt)),
            ("application/jwt", Some(TokenType::Jwt)),
            ("", None),
            ("application/", None),
            ("application/application/jwt", None),
            ("at+jwt ", None),
            ("logout+jwt", None),
            ("é", None),
        ] {
            assert_eq!(TokenType::of_header(text), expected, "{text}");
        }
    }
}
