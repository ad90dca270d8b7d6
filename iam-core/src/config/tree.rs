//! An untyped tree, the same for TOML, YAML, JSON and environment variables.
//!
//! Duplicate keys are refused here, in all formats. Nothing here prints a value, which may be a secret.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// A value of a configuration, with its tables in the order they were written.
#[derive(Clone, PartialEq)]
pub(super) enum Node {
    Absent,
    Bool(bool),
    Float(f64),
    Integer(i64),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
    Text(String),
    /// The value of an environment variable: text that is parsed as the type of its key.
    Variable(String),
}

impl Node {
    pub(super) fn table() -> Self {
        Self::Table(Vec::new())
    }

    /// Returns the entry `key` of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Table(entries) = self else {
            return None;
        };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Returns the entry `key` of a table, added if it is missing.
    pub(super) fn entry(&mut self, key: &str) -> Option<&mut Self> {
        if *self == Self::Absent {
            *self = Self::table();
        }
        let Self::Table(entries) = self else {
            return None;
        };

        let at = entries.iter().position(|(name, _)| name == key);
        let at = at.unwrap_or_else(|| {
            entries.push((key.to_owned(), Self::Absent));
            entries.len().saturating_sub(1)
        });
        entries.get_mut(at).map(|(_, node)| node)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node(redacted)")
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        i64::try_from(value)
            .map(Node::Integer)
            .map_err(|_| E::custom("integer too large"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Absent)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!(
                    "key `{}` occurs twice",
                    printable(&key)
                )));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Node::Table(entries))
    }
}

/// Returns the printable form of a key: short, on one line.
pub(super) fn printable(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}
