//! From a tree to types, reporting every problem.
//!
//! serde stops at the first error. So each error is listed with its path, its node is removed, and the rest is read again,
//! until no error is left. Each removed node is a problem on the list, never a silent default.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use strsim::damerau_levenshtein;

use super::{
    error::Problem,
    tree::{Node, printable},
};

/// The largest number of reported problems.
const MAX_PROBLEMS: usize = 100;

/// Reads `tree` as a `T`, and lists the unreadable keys and values.
pub(super) fn read<T: for<'de> Deserialize<'de> + Default>(mut tree: Node) -> (T, Vec<Problem>) {
    let mut problems = Vec::new();
    while problems.len() < MAX_PROBLEMS {
        let error = match T::deserialize(Reader {
            node: &tree,
            path: Vec::new(),
        }) {
            Ok(value) => return (value, problems),
            Err(error) => error,
        };

        let path = error.path.unwrap_or_default();
        problems.push(Problem::new(print(&path), error.message));
        if path.is_empty() || !take_out(&mut tree, &path) {
            break;
        }
    }
    (T::default(), problems)
}

/// Returns the keys that a `T` expects where `tree` holds an unknown one; none where no table is expected.
pub(super) fn known_keys<T: for<'de> Deserialize<'de>>(tree: &Node) -> &'static [&'static str] {
    let read = T::deserialize(Reader {
        node: tree,
        path: Vec::new(),
    });
    read.err().map_or(&[], |error| error.known)
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Index(usize),
    Key(String),
}

fn print(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&printable(key));
            }
        }
    }
    text
}

fn take_out(tree: &mut Node, path: &[Step]) -> bool {
    let Some((last, above)) = path.split_last() else {
        return false;
    };
    let mut node = tree;
    for step in above {
        let Some(below) = child(node, step) else {
            return false;
        };
        node = below;
    }

    match (node, last) {
        (Node::Table(entries), Step::Key(key)) => {
            let before = entries.len();
            entries.retain(|(name, _)| name != key);
            entries.len() < before
        }
        (Node::List(nodes), Step::Index(index)) => match nodes.get_mut(*index) {
            // Stays as a gap, so that the other elements keep their numbers.
            Some(node) if *node != Node::Absent => {
                *node = Node::Absent;
                true
            }
            _ => false,
        },
        _ => false,
    }
}

fn child<'a>(node: &'a mut Node, step: &Step) -> Option<&'a mut Node> {
    match (node, step) {
        (Node::Table(entries), Step::Key(key)) => entries
            .iter_mut()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node),
        (Node::List(nodes), Step::Index(index)) => nodes.get_mut(*index),
        _ => None,
    }
}

/// Why a node is unreadable. Never holds its value.
#[derive(Debug)]
struct ReadError {
    /// The keys of the table with an unknown key.
    known: &'static [&'static str],
    message: String,
    path: Option<Vec<Step>>,
}

impl ReadError {
    fn at(mut self, path: &[Step]) -> Self {
        self.path.get_or_insert_with(|| path.to_vec());
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            known: &[],
            message: message.to_string(),
            path: None,
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let meant =
            nearest(variant, expected).map_or_else(String::new, |it| format!("; did you mean \"{it}\"?"));
        Self::custom(match expected {
            [only] => format!("expected \"{only}\"{meant}"),
            several => format!("expected one of \"{}\"{meant}", several.join("\", \"")),
        })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let meant = nearest(field, expected).map_or_else(String::new, |it| format!("did you mean `{it}`? "));
        Self {
            known: expected,
            message: format!("unknown key; {meant}known here: {}", expected.join(", ")),
            path: None,
        }
    }
}

/// Returns the candidate that a misspelt word was probably meant to be.
pub(super) fn nearest<'a, T: AsRef<str> + ?Sized>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a T>,
) -> Option<&'a T> {
    // Long enough for any key. The distance costs the product of both lengths.
    if word.len() > 200 {
        return None;
    }
    let fold = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let word = fold(word);
    candidates
        .into_iter()
        .map(|candidate| (damerau_levenshtein(&word, &fold(candidate.as_ref())), candidate))
        .filter(|(distance, _)| distance.saturating_mul(4) <= word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

struct Reader<'de> {
    node: &'de Node,
    path: Vec<Step>,
}

impl<'de> Reader<'de> {
    fn below(&self, node: &'de Node, step: Step) -> Self {
        let mut path = self.path.clone();
        path.push(step);
        Self { node, path }
    }

    /// Returns the value of a variable of the environment, if it is one and can be read as a `T`.
    fn variable<T: FromStr>(&self) -> Option<T> {
        let Node::Variable(text) = self.node else {
            return None;
        };
        text.trim().parse().ok()
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.variable::<$type>() {
                Some(value) => visitor.$visit(value).map_err(|err: ReadError| err.at(&self.path)),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node {
            Node::Absent => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Node::List(nodes) => visitor.visit_seq(Elements {
                nodes,
                reader: &self,
                next: 0,
            }),
            Node::Table(entries) => visitor.visit_map(Entries {
                rest: entries,
                reader: &self,
                value: None,
            }),
            Node::Text(text) | Node::Variable(text) => visitor.visit_borrowed_str(text),
        }
        .map_err(|err: ReadError| err.at(&self.path))
    }

    scalars! {
        deserialize_bool visit_bool bool;
        deserialize_f64 visit_f64 f64;
        deserialize_i64 visit_i64 i64;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if *self.node == Node::Absent {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    /// A list in the environment is written with commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Node::Variable(text) = self.node else {
            return self.deserialize_any(visitor);
        };

        let elements = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        visitor
            .visit_seq(SeqDeserializer::new(elements))
            .map_err(|err: ReadError| err.at(&self.path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let (Node::Text(text) | Node::Variable(text)) = self.node else {
            return Err(ReadError::unknown_variant("", variants).at(&self.path));
        };

        visitor
            .visit_enum(StrDeserializer::new(text))
            .map_err(|err: ReadError| err.at(&self.path))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct Elements<'r, 'de> {
    nodes: &'de [Node],
    reader: &'r Reader<'de>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        while let Some(node) = self.nodes.get(self.next) {
            let below = self.reader.below(node, Step::Index(self.next));
            self.next = self.next.saturating_add(1);
            if *node == Node::Absent {
                continue;
            }

            let path = below.path.clone();
            return seed.deserialize(below).map(Some).map_err(|err| err.at(&path));
        }
        Ok(None)
    }
}

struct Entries<'r, 'de> {
    rest: &'de [(String, Node)],
    reader: &'r Reader<'de>,
    value: Option<Reader<'de>>,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(((key, node), rest)) = self.rest.split_first() else {
            return Ok(None);
        };

        self.rest = rest;
        let below = self.reader.below(node, Step::Key(key.clone()));
        let path = below.path.clone();
        self.value = Some(below);
        seed.deserialize(StrDeserializer::new(key))
            .map(Some)
            .map_err(|err: ReadError| err.at(&path))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let below = self
            .value
            .take()
            .ok_or_else(|| ReadError::custom("value before key"))?;
        let path = below.path.clone();
        seed.deserialize(below).map_err(|err| err.at(&path))
    }
}
