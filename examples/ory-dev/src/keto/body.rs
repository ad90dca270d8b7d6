//! What does the body say?

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use serde::de::DeserializeOwned;

use super::MAX_BODY;
use super::answer::Refusal;

/// What actix read of the body.
pub(super) type Read = Result<Bytes, actix_web::Error>;

/// Returns the bytes of the body.
///
/// # Errors
///
/// When it is larger than [`MAX_BODY`], or ended early.
pub(super) fn bytes(read: Read) -> Result<Bytes, Refusal> {
    read.map_err(|err| {
        if err.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is larger than {MAX_BODY} bytes");
            return Refusal::with_status(StatusCode::PAYLOAD_TOO_LARGE, &message, None);
        }
        Refusal::malformed("unexpected EOF")
    })
}

/// Decodes the body. Members that nobody knows are passed over, as Keto does; one that is there twice is refused, where
/// Keto would take the last.
///
/// # Errors
///
/// When it is not JSON, has another type, or is nested too deeply.
pub(super) fn json<T: DeserializeOwned>(read: Read, prefix: &str) -> Result<T, Refusal> {
    let bytes = bytes(read)?;
    serde_json::from_slice(&bytes).map_err(|err| {
        let problem = match (err.is_eof(), bytes.iter().all(u8::is_ascii_whitespace)) {
            (_, true) => "EOF".to_owned(),
            (true, false) => "unexpected EOF".to_owned(),
            (false, false) => err.to_string(),
        };
        Refusal::malformed(&format!("{prefix}{problem}"))
    })
}
