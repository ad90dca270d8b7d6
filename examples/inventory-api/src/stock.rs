//! What is in stock, and who changed it? In memory, bounded.

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
    /// Which article.
    pub sku: String,
    /// By how many pieces.
    pub by: i32,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Which article.
    pub sku: String,
    /// By how many pieces.
    pub by: i32,
    /// How many pieces there are since.
    pub level: i64,
    /// The subject of the identity that made the change.
    pub actor: String,
}

/// All articles and the ledger of their changes.
#[derive(Debug, Default)]
pub struct Stock(RwLock<Vec<Entry>>);

/// The ledger takes no more lines.
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
        let level = before.saturating_add(i64::from(change.by));
        let entry = Entry {
            sku: change.sku,
            by: change.by,
            level,
            actor: actor.to_owned(),
        };
        ledger.push(entry.clone());
        Ok(entry)
    }

    /// Returns how many pieces of each article there are.
    pub fn levels(&self) -> BTreeMap<String, i64> {
        let ledger = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ledger
            .iter()
            .map(|entry| (entry.sku.clone(), entry.level))
            .collect()
    }

    /// Returns the lines about one article, the oldest first.
    pub fn ledger(&self, sku: &str) -> Vec<Entry> {
        let ledger = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ledger.iter().filter(|entry| entry.sku == sku).cloned().collect()
    }
}

const MOST_ENTRIES: usize = 100_000;
