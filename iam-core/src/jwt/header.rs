//! The header of a token.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;

use super::{Algorithm, TokenFault, TokenType, compact::decode};
use crate::{
    ascii,
    json::{self, Json, JsonLimits},
};

/// The members that change how a token would have to be processed, or offer a key of the token's own. A token with one of them is
/// refused, also where its value is harmless:
///
/// - `crit` (RFC 7515 §4.1.11): no extension is implemented, so the listed ones cannot be honoured;
/// - `b64` (RFC 7797) and `zip`: another payload than the one that is read;
/// - `cty` (RFC 7519 §5.2): a nested token;
/// - `jku`, `jwk`, `x5u`, `x5c`: a key from a stranger (RFC 8725 §3.10).
///
/// The thumbprints `x5t` and `x5t#S256` only name a key; they are ignored, as all other members are.
const REFUSED: [&str; 8] = ["crit", "b64", "zip", "cty", "jku", "jwk", "x5u", "x5c"];

const LIMITS: JsonLimits = JsonLimits::new(4 * 1024, 16);

/// More than any header has, and few enough for comparing all names with each other.
const MAX_MEMBERS: usize = 64;

/// The longest `kid`, in a token and in a key set.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// A JOSE header. It is unverified: it selects among the allowed algorithms and the known keys, and nothing else.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// `typ`; nothing where the token has none.
    pub(super) token_type: Option<TokenType>,
}

/// The header of the last genuine token. An issuer writes the same one until it changes its key, so it is read once. A header is
/// stored only after a signature over it has been verified, so forged tokens cannot replace it.
#[derive(Default)]
pub(super) struct LastHeader(ArcSwapOption<Written>);

struct Written {
    segment: Box<[u8]>,
    header: Arc<Header>,
}

impl LastHeader {
    /// Returns the header that is written in exactly these bytes, if it is the last one.
    pub(super) fn find(&self, segment: &[u8]) -> Option<Arc<Header>> {
        let last = self.0.load();

        last.as_ref()
            .filter(|last| *last.segment == *segment)
            .map(|last| Arc::clone(&last.header))
    }

    /// Takes over the header of a token whose signature has just been verified.
    pub(super) fn remember(&self, segment: &[u8], header: Arc<Header>) {
        self.0.store(Some(Arc::new(Written {
            segment: segment.into(),
            header,
        })));
    }
}

impl fmt::Debug for LastHeader {
    /// Prints no header, which is a part of a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastHeader").finish_non_exhaustive()
    }
}

impl Header {
    pub(super) fn parse(segment: &[u8]) -> Result<Self, TokenFault> {
        let text = decode(segment)?;
        let members =
            json::members(&text, LIMITS, MAX_MEMBERS).map_err(|_err| TokenFault::HeaderUnreadable)?;
        if members.iter().any(|(name, _)| REFUSED.contains(&name.as_ref())) {
            return Err(TokenFault::HeaderMember);
        }

        let (mut algorithm, mut kid, mut token_type) = (Err(TokenFault::AlgorithmMissing), None, None);
        for (name, value) in members {
            match name.as_ref() {
                "alg" => algorithm = read_algorithm(&value),
                "typ" => token_type = Some(read_type(&value)?),
                "kid" => kid = Some(read_key_id(&value)?),
                // RFC 7515 §4: members that are not understood are ignored.
                _ => {}
            }
        }
        Ok(Self {
            algorithm: algorithm?,
            kid,
            token_type,
        })
    }
}

fn read_algorithm(value: &Json<'_>) -> Result<Algorithm, TokenFault> {
    let name = value.as_str().ok_or(TokenFault::AlgorithmMissing)?;

    name.parse().map_err(|_err| TokenFault::AlgorithmNotAllowed)
}

/// RFC 8725 §3.11: another kind of token must not pass as this one.
fn read_type(value: &Json<'_>) -> Result<TokenType, TokenFault> {
    value
        .as_str()
        .and_then(TokenType::of_header)
        .ok_or(TokenFault::TypeOther)
}

/// A `kid` that is no string is malformed, not absent (RFC 7515 §4.1.4).
fn read_key_id(value: &Json<'_>) -> Result<String, TokenFault> {
    match value.as_str() {
        Some(kid) if kid.len() <= MAX_KID_BYTES && !ascii::has_control(kid) => Ok(kid.to_owned()),
        _ => Err(TokenFault::KeyIdType),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::{
        clock::Timestamp,
        testing::{Mint, NOW, tenants_of},
    };

    fn segment(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.encode(text).into_bytes()
    }

    /// R008, R013: nothing that a remembered header was spared is spared another.
    #[test]
    fn only_the_very_bytes_of_the_last_header_are_found() {
        let last = LastHeader::default();
        let good = segment(r#"{"alg":"RS256","kid":"a"}"#);
        last.remember(&good, Arc::new(Header::parse(&good).unwrap()));

        assert_eq!(last.find(&good).unwrap().kid.as_deref(), Some("a"));
        for other in [
            segment(r#"{"alg":"RS256","kid":"a","crit":[]}"#),
            segment(r#"{"alg":"none","kid":"a"}"#),
            segment(r#"{"alg":"RS256","kid":"b"}"#),
            good.split_last().unwrap().1.to_vec(),
            Vec::new(),
        ] {
            assert!(last.find(&other).is_none());
        }
    }

    /// Otherwise forged tokens could replace the issuer's header.
    #[test]
    fn header_of_a_forged_token_is_not_remembered() {
        let mint = Mint::new("a");
        let settings = tenants_of(&mint, &["default"], |_| {});
        let verifier = settings.registry().default_tenant().verifier().unwrap();
        let now = Timestamp::from_secs(NOW);
        let genuine = mint.token(&json!({}));
        let header = |token: &str| token.split('.').next().unwrap().as_bytes().to_vec();
        let other = segment(r#"{"kid":"a","alg":"EdDSA"}"#);
        let (_, rest) = genuine.split_once('.').unwrap();
        let forged = [&other, rest.as_bytes()].join(&b'.');

        assert!(verifier.verify(&forged, now).is_err());
        assert!(verifier.last_header.find(&other).is_none());
        verifier.verify(genuine.as_bytes(), now).unwrap();
        assert!(verifier.last_header.find(&header(&genuine)).is_some());
        assert!(verifier.verify(&forged, now).is_err());
        assert!(verifier.last_header.find(&header(&genuine)).is_some());
    }

    #[test]
    fn headers_are_read_strictly() {
        let fault = |text| Header::parse(&segment(text)).err();

        assert_eq!(
            fault(r#"{"alg":"RS256","kid":"a","crit":[]}"#),
            Some(TokenFault::HeaderMember)
        );
        assert_eq!(
            fault(r#"{"alg":"none","kid":"a"}"#),
            Some(TokenFault::AlgorithmNotAllowed)
        );
        assert_eq!(Header::parse(b"eyJ").err(), Some(TokenFault::Encoding));
    }
}
