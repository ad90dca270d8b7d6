//! The stock and the bounded ledger of its changes, in memory.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

/// A change of the stock.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Adjust {
    /// The article.
    pub sku: String,
    /// The number of pieces that come in, or go out where it is negative.
    pub delta: i32,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The article.
    pub sku: String,
    /// The number of pieces that come in, or go out where it is negative.
    pub delta: i32,
    /// The number of pieces after the change.
    pub level: i64,
    /// The subject of the identity that made the change.
    pub actor: String,
}

/// The ledger of all changes.
#[derive(Debug, Default)]
pub struct Stock(RwLock<Vec<Entry>>);

/// The ledger is full.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StockFull;

impl Stock {
    /// Changes the stock of an article.
    ///
    /// # Errors
    ///
    /// When the ledger is full.
    pub fn adjust(&self, actor: &str, change: Adjust) -> Result<Entry, StockFull> {
        let mut ledger = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ledger.len() >= MOST_ENTRIES {
            return Err(StockFull);
        }
        let before = ledger
            .iter()
            .rev()
            .find(|entry| entry.sku == change.sku)
            .map_or(0, |entry| entry.level);
        let level = before.saturating_add(i64::from(change.delta));
        let entry = Entry {
            sku: change.sku,
            delta: change.delta,
            level,
            actor: actor.to_owned(),
        };
        ledger.push(entry.clone());
        Ok(entry)
    }

    /// Returns the number of pieces of each article.
    pub fn levels(&self) -> BTreeMap<String, i64> {
        let ledger = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ledger
            .iter()
            .map(|entry| (entry.sku.clone(), entry.level))
            .collect()
    }

    /// Returns the changes of one article, the oldest first.
    pub fn ledger(&self, sku: &str) -> Vec<Entry> {
        let ledger = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ledger.iter().filter(|entry| entry.sku == sku).cloned().collect()
    }
}

const MOST_ENTRIES: usize = 100_000;
