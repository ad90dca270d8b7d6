//! What does the token say about its own signature?

use serde_json::{Map, Value};

use super::{Algorithm, TokenFault, compact::decode};
use crate::json::{self, JsonLimits};

/// The members that change how a token would have to be processed, or offer a key of the token's own. A token that bears one
/// is refused, whatever its value:
///
/// - `crit` (RFC 7515 §4.1.11): no extension is implemented here, so whatever it lists cannot be honoured;
/// - `b64` (RFC 7797) and `zip`: another payload than the one that is read;
/// - `cty` (RFC 7519 §5.2): a nested token;
/// - `jku`, `jwk`, `x5u`, `x5c`: a key from a stranger (RFC 8725 §3.10).
///
/// The thumbprints `x5t` and `x5t#S256` only name a key; they are ignored, as all other members are.
const REFUSED: [&str; 8] = ["crit", "b64", "zip", "cty", "jku", "jwk", "x5u", "x5c"];

const LIMITS: JsonLimits = JsonLimits::new(4 * 1024, 16);

/// The longest `kid`, in a token and in a key set.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// A JOSE header: unverified, and believed only in so far as it narrows what is tried.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

impl Header {
    pub(super) fn parse(segment: &[u8]) -> Result<Self, TokenFault> {
        let text = decode(segment)?;
        let mut members = json::parse_object(&text, LIMITS).map_err(|_err| TokenFault::HeaderUnreadable)?;
        if members.keys().any(|name| REFUSED.contains(&name.as_str())) {
            return Err(TokenFault::HeaderMember);
        }

        let algorithm = algorithm(&members)?;
        check_type(&members)?;
        let kid = key_id(&mut members)?;
        Ok(Self { algorithm, kid })
    }
}

fn algorithm(members: &Map<String, Value>) -> Result<Algorithm, TokenFault> {
    let Some(Value::String(name)) = members.get("alg") else {
        return Err(TokenFault::AlgorithmMissing);
    };

    name.parse().map_err(|_err| TokenFault::AlgorithmNotAllowed)
}

/// RFC 8725 §3.11: another kind of token must not pass as this one. RFC 7515 §4.1.9: `application/` may be left out.
fn check_type(members: &Map<String, Value>) -> Result<(), TokenFault> {
    let Some(kind) = members.get("typ") else {
        return Ok(());
    };

    match kind.as_str() {
        Some(kind) if kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("application/jwt") => {
            Ok(())
        }
        _ => Err(TokenFault::TypeOther),
    }
}

/// A `kid` that is no string is malformed, not absent (RFC 7515 §4.1.4).
fn key_id(members: &mut Map<String, Value>) -> Result<Option<String>, TokenFault> {
    match members.remove("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES && !kid.chars().any(char::is_control) => {
            Ok(Some(kid))
        }
        Some(_) => Err(TokenFault::KeyIdType),
    }
}
