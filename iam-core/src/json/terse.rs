//! What does a text hold that is written tersely?
//!
//! So is nearly every token's payload: no white space between values, no escapes, no fractions, no negative numbers, no object in
//! it with more than a few members. Such a text is read here in a fraction of the time. What any other text means, and what is
//! wrong with it, this reader does not know: the strict one tells.
//!
//! # Security
//!
//! INVARIANT: what is read here the strict reader reads as the same, and what that one refuses is not read here. Held by the
//! property test below and by the fuzz target `claims`.

use std::borrow::Cow;

use memchr::memchr;
use smallvec::SmallVec;

use super::{Json, JsonError, Objects, Reading};
use crate::ascii;

/// Reads an object as [`each_member`](super::each_member) does, as long as the objects in it are wanted without their members.
/// `None` when the text is not terse, is refused, or is refused by `take`: then nothing is known about it, and what `take` was
/// given is to be forgotten.
pub(crate) fn each_member<'a>(
    text: &'a [u8],
    reading: Reading,
    mut take: impl FnMut(Cow<'a, str>, Json<'a>) -> Result<(), JsonError>,
) -> Option<()> {
    if text.len() > reading.limits.max_bytes || reading.objects == Objects::Whole {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    // Without escapes, and without what may only stand there as one, a string ends at the next quotation mark.
    if !ascii::all(text, |byte| byte >= b' ' && byte != b'\\') {
        return None;
    }

    let inner = reading.limits.max_depth.min(SERDE_JSON_DEPTH).checked_sub(1)?;
    let mut left = reading.most;
    let mut reader = Reader { text, at: 0 };
    reader.each(b'{', b'}', |reader| {
        left = left.checked_sub(1)?;
        let name = reader.name()?;
        take(name.into(), reader.value(inner)?).ok()
    })?;
    reader.peek().is_none().then_some(())
}

/// Stands at a place in a text. Whatever is not terse there ends the reading.
struct Reader<'a> {
    text: &'a str,
    /// INVARIANT: no further than the text's end, for each step is over bytes that were seen.
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        Some(match self.peek()? {
            b'"' => Json::Text(self.string()?.into()),
            b'0'..=b'9' => Json::Number(self.number()?.into()),
            b'[' => {
                let mut values = Vec::new();
                self.each_element(depth, |reader, inner| {
                    values.push(reader.value(inner)?);
                    Some(())
                })?;
                Json::Array(values)
            }
            b'{' => {
                self.skip_object(depth)?;
                Json::Object(Vec::new())
            }
            _ => self.literal()?,
        })
    }

    /// Passes over a value, by the same rules as if somebody asked for it.
    fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'[' => self.each_element(depth, Self::skip),
            b'{' => self.skip_object(depth),
            _ => self.value(depth).map(drop),
        }
    }

    /// Passes over an object. INVARIANT: no two of its members have one name.
    fn skip_object(&mut self, depth: usize) -> Option<()> {
        let inner = depth.checked_sub(1)?;
        let mut names = SmallVec::<[&str; MOST_COMPARED]>::new();
        self.each(b'{', b'}', |reader| {
            let name = reader.name()?;
            if names.len() == MOST_COMPARED || names.contains(&name) {
                return None;
            }
            names.push(name);
            reader.skip(inner)
        })
    }

    /// Reads the elements of an array, each with the depth that is left for it.
    fn each_element(
        &mut self,
        depth: usize,
        mut one: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        let inner = depth.checked_sub(1)?;

        self.each(b'[', b']', |reader| one(reader, inner))
    }

    /// Reads what stands between two brackets, separated by commas.
    fn each(&mut self, open: u8, close: u8, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.eat(open)?;
        if self.eat(close).is_some() {
            return Some(());
        }
        loop {
            one(self)?;
            if self.eat(b',').is_none() {
                return self.eat(close);
            }
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        let name = self.string()?;
        self.eat(b':')?;
        Some(name)
    }

    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let text = self.step(memchr(b'"', self.rest())?)?;
        self.eat(b'"')?;
        Some(text)
    }

    fn number(&mut self) -> Option<u64> {
        let length = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let digits = self.step(length)?;
        let is_padded = length > 1 && digits.starts_with('0');
        // What else may follow a digit makes another number of it.
        if is_padded || !matches!(self.peek(), Some(b',' | b']' | b'}')) {
            return None;
        }

        digits.parse().ok()
    }

    fn literal(&mut self) -> Option<Json<'a>> {
        let literals = [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
        ];
        let (literal, value) = literals
            .into_iter()
            .find(|(literal, _)| self.rest().starts_with(literal.as_bytes()))?;

        self.step(literal.len())?;
        Some(value)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        if self.peek() != Some(byte) {
            return None;
        }

        self.at = self.at.wrapping_add(1);
        Some(())
    }

    /// Passes over so many bytes, and returns them.
    fn step(&mut self, length: usize) -> Option<&'a str> {
        let end = self.at.checked_add(length)?;
        let passed = self.text.get(self.at..end)?;

        self.at = end;
        Some(passed)
    }
}

/// The deepest nesting that `serde_json` reads.
const SERDE_JSON_DEPTH: usize = 127;

/// How many members an object may have whose names are compared with each other, one by one.
const MOST_COMPARED: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::{self, JsonLimits};

    const READING: Reading = Reading {
        limits: JsonLimits::new(256, 4),
        most: 8,
        objects: Objects::Empty,
    };

    type Taken<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

    fn tersely(text: &str) -> Option<Taken<'_>> {
        let mut taken = Vec::new();
        each_member(text.as_bytes(), READING, |name, value| {
            take(&mut taken, name, value)
        })
        .map(|()| taken)
    }

    fn strictly(text: &str) -> Result<Taken<'_>, JsonError> {
        let mut taken = Vec::new();
        json::each_member(text.as_bytes(), READING, |name, value| {
            take(&mut taken, name, value)
        })
        .map(|()| taken)
    }

    fn take<'a>(taken: &mut Taken<'a>, name: Cow<'a, str>, value: Json<'a>) -> Result<(), JsonError> {
        if taken.iter().any(|(other, _)| *other == name) {
            return Err(JsonError::DuplicateMember);
        }
        taken.push((name, value));
        Ok(())
    }

    #[test]
    fn payload_as_oathkeeper_writes_it_is_terse() {
        let text = r#"{"aud":["a","b"],"exp":1795328690,"metadata":{"roles":["x"],"n":null,"o":{}},"ok":true,"sub":"ü 1"}"#;

        assert_eq!(tersely(text), Some(strictly(text).unwrap()));
        assert!(tersely("{}").is_some());
    }

    #[test]
    fn what_is_just_within_the_limits_is_terse() {
        let members = |count: usize| {
            let members: Vec<_> = (0..count).map(|name| format!("\"{name}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        let texts = [
            format!(r#"{{"a":"{}"}}"#, "a".repeat(248)),
            r#"{"a":[[[1]]]}"#.to_owned(),
            r#"{"a":{"a":{"a":{}}}}"#.to_owned(),
            r#"{"o":{"a":[[1],2]}}"#.to_owned(),
            members(8),
            format!(r#"{{"o":{}}}"#, members(MOST_COMPARED)),
            format!(r#"{{"a":{}}}"#, u64::MAX),
        ];

        for text in texts {
            assert_eq!(tersely(&text), Some(strictly(&text).unwrap()), "{text}");
        }
    }

    /// R022, R026: where the strict reader refuses, this one must not know an answer.
    #[test]
    fn what_is_refused_is_never_terse() {
        let refused = [
            "",
            "{",
            "}",
            "[]",
            "1",
            "{}x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[1}"#,
            r#"{"a":{]}"#,
            r#"{"a":"}"#,
            r#"{"a":nul}"#,
            r#"{"a":truefalse}"#,
            r#"{"a":nullnull}"#,
            r#"{"a":01}"#,
            r#"{"a":00}"#,
            r#"{"a":1a}"#,
            r#"{"a":+1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"o":{"a":1,"a":2}}"#,
            r#"{"o":[{"a":1,"b":[],"a":2}]}"#,
            r#"{"a":[[[[1]]]]}"#,
            r#"{"a":{"a":{"a":{"a":{}}}}}"#,
            r#"{"o":{"a":[[[1]]]}}"#,
            r#"{"o":{"a":[1,]}}"#,
            r#"{"o":{"a":[{"a":1,"a":2}]}}"#,
            r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1}"#,
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
        ];
        for text in refused {
            assert_eq!(tersely(text), None, "{text}");
            assert!(strictly(text).is_err(), "{text}");
        }
        let too_long = format!(r#"{{"a":"{}"}}"#, "a".repeat(249));
        assert_eq!(
            (tersely(&too_long), strictly(&too_long)),
            (None, Err(JsonError::TooLong))
        );
    }

    #[test]
    fn what_only_the_strict_reader_knows_is_not_terse() {
        let others = [
            "{} ",
            r#" {"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":"\u0061"}"#,
            r#"{"\u0061":1}"#,
        ];
        for text in others {
            assert_eq!(tersely(text), None, "{text}");
            assert!(strictly(text).is_ok(), "{text}");
        }
        let whole = Reading {
            objects: Objects::Whole,
            ..READING
        };
        assert_eq!(each_member(b"{}", whole, |_, _| Ok(())), None);
        let names: Vec<_> = (0..=MOST_COMPARED).map(|name| format!("\"{name}\":1")).collect();
        let many = format!(r#"{{"o":{{{}}}}}"#, names.join(","));
        assert_eq!(tersely(&many), None);
        assert!(strictly(&many).is_ok());
    }

    /// Pieces that are often put together well.
    fn texts() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\":", "\"a\":1", "1", "0", "10", "true", "null",
            " ", "\\", "ü", "-",
        ]);
        let value = proptest::sample::select(vec![
            "1",
            "\"x\"",
            "[]",
            "[1,2]",
            "{}",
            "{\"a\":1}",
            "{\"a\":{\"a\":[{}]}}",
            "{\"a\":1,\"a\":2}",
            "null",
            "01",
            "1.5",
        ]);
        let name = proptest::sample::select(vec!["a", "b", "c", "a\\u0062", "ab"]);
        let member = (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
            proptest::collection::vec(member, 0..10).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_terse_means_the_same_to_the_strict_reader(text in texts()) {
            if let Some(taken) = tersely(&text) {
                prop_assert_eq!(Ok(taken), strictly(&text));
            }
        }
    }
}
