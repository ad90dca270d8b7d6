//! Reads JSON bodies.

use std::{fmt, marker::PhantomData};

use actix_web::{http::StatusCode, web::Bytes};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer,
};

use super::{MAX_BODY, answer::Refusal};

/// The body as actix read it.
pub(super) type Read = Result<Bytes, actix_web::Error>;

/// Returns the bytes of the body.
///
/// # Errors
///
/// When the body is larger than [`MAX_BODY`], or ended early.
pub(super) fn bytes(read: Read) -> Result<Bytes, Refusal> {
    read.map_err(|err| {
        if err.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is larger than {MAX_BODY} bytes");
            return Refusal::with_status(StatusCode::PAYLOAD_TOO_LARGE, &message, None);
        }
        Refusal::malformed("unexpected EOF")
    })
}

/// Decodes the body. Unknown members are ignored, as Keto does. Duplicate members are rejected; Keto would take the last.
///
/// # Errors
///
/// When the body is not JSON, has another type, or is nested too deeply.
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

/// A value that must be written as a JSON object. Derived code alone would also accept an array of the members' values.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Reads a member that is an object, null, or absent.
pub(super) fn optional<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}
