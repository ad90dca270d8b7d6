//! Strict reading of JSON from outside.
//!
//! One set of rules holds for every source: token headers and claims, key sets, answers of upstreams.
//! A member that occurs twice is refused at any depth (RFC 8259 §4 leaves the outcome open, RFC 7515 §4 and RFC 7519 §4
//! forbid it); so are a byte order mark, bytes that are not UTF-8, lone surrogates, trailing data, too many bytes and too
//! deep nesting. The grammar is `serde_json`'s.

mod borrowed;

use std::{borrow::Cow, cell::Cell, collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, value::RawValue};
use smallvec::SmallVec;

pub(crate) use self::borrowed::{Json, Members};

/// How much JSON is accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct JsonLimits {
    /// The longest text in bytes.
    pub max_bytes: usize,
    /// The deepest nesting of arrays and objects: a flat object has depth 1.
    pub max_depth: usize,
}

impl JsonLimits {
    /// Creates limits. `serde_json` itself reads no deeper than 127, also where `max_depth` is larger.
    pub const fn new(max_bytes: usize, max_depth: usize) -> Self {
        Self { max_bytes, max_depth }
    }
}

/// Why a text was not accepted as JSON. Holds nothing of its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// An object has two members of the same name.
    #[error("an object has two members of the same name")]
    DuplicateMember,
    /// Not JSON, or not encoded in UTF-8 without a byte order mark.
    #[error("not a JSON text in UTF-8")]
    Malformed,
    /// Arrays and objects are nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// The text is too long.
    #[error("too long")]
    TooLong,
    /// An object has more members than allowed.
    #[error("an object has too many members")]
    TooManyMembers,
    /// JSON, but not of the expected shape.
    #[error("not of the expected shape")]
    WrongShape,
}

/// Reads one JSON text.
///
/// ```
/// use iam_core::json::{self, JsonError, JsonLimits};
///
/// let limits = JsonLimits::new(1024, 4);
/// assert_eq!(json::parse(br#"{"a":1}"#, limits)?["a"], 1);
/// assert_eq!(json::parse(br#"{"a":1,"\u0061":2}"#, limits), Err(JsonError::DuplicateMember));
/// # Ok::<(), JsonError>(())
/// ```
///
/// # Errors
///
/// Any text that is not exactly one JSON value within the limits, every member name unique in its object.
pub fn parse(text: &[u8], limits: JsonLimits) -> Result<Value, JsonError> {
    let refusal = Cell::new(None);
    let strict = Strict {
        depth: limits.max_depth,
        objects: Objects::Whole,
        refusal: &refusal,
    };
    // The borrowed tree is converted to a `Value`. These texts come over a network, which costs more than the second tree.
    read(text, limits, &refusal, strict).map(Value::from)
}

/// Reads one JSON text that must be an object, as [`parse`] does.
///
/// # Errors
///
/// As [`parse`], and [`JsonError::WrongShape`] for anything but an object.
pub fn parse_object(text: &[u8], limits: JsonLimits) -> Result<Map<String, Value>, JsonError> {
    match parse(text, limits)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::WrongShape)
        }
    }
}

/// Reads an object whose member `list` is an array, and returns the texts of the array's elements unread, so that one bad
/// element does not spoil the others. Everything around them is read strictly.
pub(crate) fn elements<'a>(
    text: &'a [u8],
    list: &str,
    limits: JsonLimits,
) -> Result<Vec<&'a RawValue>, JsonError> {
    let refusal = Cell::new(None);
    let elements = Elements {
        list,
        depth: limits.max_depth,
        refusal: &refusal,
    };
    read(text, limits, &refusal, elements)?.ok_or(JsonError::WrongShape)
}

/// Reads an object of at most `most` members, strictly, as [`parse`] does. Meant for small objects that are read once for each
/// request: texts are borrowed, and the members come in the order of the text.
pub(crate) fn members(text: &[u8], limits: JsonLimits, most: usize) -> Result<Members<'_>, JsonError> {
    let mut members = Members::new();
    let reading = Reading {
        limits,
        most,
        objects: Objects::Whole,
    };
    each_member(text, reading, |name, value| {
        if members.iter().any(|(other, _)| *other == name) {
            return Err(JsonError::DuplicateMember);
        }
        members.push((name, value));
        Ok(())
    })?;
    Ok(members)
}

/// How an object is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) limits: JsonLimits,
    /// The largest number of members of the outermost object.
    pub(crate) most: usize,
    pub(crate) objects: Objects,
}

/// Reads an object as [`members`] does, and passes each member to `take`, which rejects duplicate names.
pub(crate) fn each_member<'a>(
    text: &'a [u8],
    reading: Reading,
    take: impl FnMut(Cow<'a, str>, Json<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let refusal = Cell::new(None);
    let strict = Strict {
        depth: reading.limits.max_depth,
        objects: reading.objects,
        refusal: &refusal,
    };
    let each = Each {
        most: reading.most,
        strict,
        take,
    };
    read(text, reading.limits, &refusal, each)
}

/// How objects are returned. All are read by the same rules.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Objects {
    /// Objects are returned without their members.
    Empty,
    Whole,
}

fn read<'de, S: DeserializeSeed<'de>>(
    text: &'de [u8],
    limits: JsonLimits,
    refusal: &Cell<Option<JsonError>>,
    seed: S,
) -> Result<S::Value, JsonError> {
    if text.len() > limits.max_bytes {
        return Err(JsonError::TooLong);
    }

    // Checking the whole text once is cheaper than checking each string.
    let text = str::from_utf8(text).map_err(|_err| JsonError::Malformed)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed
        .deserialize(&mut deserializer)
        .map_err(|_err| refusal.get().unwrap_or(JsonError::Malformed))?;
    deserializer.end().map_err(|_err| JsonError::Malformed)?;
    Ok(value)
}

/// Builds a value and rejects what `serde_json` would accept. The error is stored in the cell, because the deserializer's
/// own error is a text.
#[derive(Clone, Copy)]
struct Strict<'c> {
    depth: usize,
    objects: Objects,
    refusal: &'c Cell<Option<JsonError>>,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(self, refusal: JsonError) -> E {
        self.refusal.set(Some(refusal));
        E::custom(refusal)
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.refuse(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| self.refuse(JsonError::Malformed))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = SmallVec::<[_; FEW]>::new();
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(inner)?));
        }
        // Equal names are adjacent after sorting.
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if members
            .windows(2)
            .any(|pair| matches!(pair, [(one, _), (other, _)] if one == other))
        {
            return Err(self.refuse(JsonError::DuplicateMember));
        }
        Ok(Json::Object(match self.objects {
            Objects::Empty => Members::new(),
            Objects::Whole => members.into_vec(),
        }))
    }
}

/// Passes the members of the outermost object to a closure.
struct Each<'c, T> {
    most: usize,
    strict: Strict<'c>,
    take: T,
}

impl<'de, T> DeserializeSeed<'de> for Each<'_, T>
where
    T: FnMut(Cow<'de, str>, Json<'de>) -> Result<(), JsonError>,
{
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T> Visitor<'de> for Each<'_, T>
where
    T: FnMut(Cow<'de, str>, Json<'de>) -> Result<(), JsonError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.strict.deeper()?;
        let mut left = self.most;
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value_seed(inner)?;
            (self.take)(name, value).map_err(|err| self.strict.refuse(err))?;
            left = left
                .checked_sub(1)
                .ok_or_else(|| self.strict.refuse(JsonError::TooManyMembers))?;
        }
        Ok(())
    }
}

/// The name of a member, borrowed unless it contains escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The number of members for which no allocation is needed.
const FEW: usize = 4;

/// Collects the elements of the array in one member.
#[derive(Clone, Copy)]
struct Elements<'c> {
    list: &'c str,
    depth: usize,
    refusal: &'c Cell<Option<JsonError>>,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let strict = Strict {
            depth: self.depth,
            objects: Objects::Empty,
            refusal: self.refusal,
        }
        .deeper()?;
        let mut others = BTreeMap::new();
        let mut list = None;
        while let Some(name) = map.next_key_seed(Name)? {
            let repeated = if name == self.list {
                list.replace(map.next_value::<Vec<&RawValue>>()?).is_some()
            } else {
                others.insert(name, map.next_value_seed(strict)?).is_some()
            };
            if repeated {
                return Err(strict.refuse(JsonError::DuplicateMember));
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests;
