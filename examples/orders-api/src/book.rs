//! A bounded order book in memory.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The body of a request that places an order.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Wanted {
    /// The article.
    pub sku: String,
    /// The number of pieces. Defaults to one.
    #[serde(default = "one")]
    pub quantity: u32,
}

/// An order that was placed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Order {
    /// The order's id.
    pub id: String,
    /// The subject of the identity that placed the order.
    pub owner: String,
    /// The ordered article and quantity.
    #[serde(flatten)]
    pub wanted: Wanted,
}

/// All orders.
#[derive(Debug, Default)]
pub struct OrderBook(RwLock<BTreeMap<String, Order>>);

/// The book is full.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BookFull;

impl OrderBook {
    /// Places an order.
    ///
    /// # Errors
    ///
    /// When the book is full.
    pub fn place(&self, owner: &str, wanted: Wanted) -> Result<Order, BookFull> {
        let mut orders = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= MOST_ORDERS {
            return Err(BookFull);
        }
        let order = Order {
            id: Uuid::new_v4().to_string(),
            owner: owner.to_owned(),
            wanted,
        };
        orders.insert(order.id.clone(), order.clone());
        Ok(order)
    }

    /// Returns an order by its id.
    pub fn find(&self, id: &str) -> Option<Order> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// Returns the orders of an owner, a hundred at most.
    pub fn of(&self, owner: &str) -> Vec<Order> {
        let orders = self.0.read().unwrap_or_else(PoisonError::into_inner);
        orders
            .values()
            .filter(|order| order.owner == owner)
            .take(100)
            .cloned()
            .collect()
    }
}

fn one() -> u32 {
    1
}

const MOST_ORDERS: usize = 100_000;
