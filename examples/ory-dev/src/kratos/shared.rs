//! What do all workers share?

use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use super::clock::Moment;
use super::config::KratosConfig;
use super::csrf;
use super::schema::Schema;
use super::secret::CookieKeys;
use super::store::{Limits, Store};

/// The state of one Kratos.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: KratosConfig,
    pub(crate) public_url: Url,
    pub(crate) admin_url: Url,
    pub(crate) csrf_cookie: String,
    pub(crate) cookie_keys: CookieKeys,
    /// A hash that no password fits: an unknown identifier costs as much time as a wrong password.
    pub(crate) no_password: String,
    store: Mutex<Store>,
}

impl Shared {
    pub(crate) fn new(config: KratosConfig, public_url: Url, admin_url: Url, no_password: String) -> Self {
        Self {
            csrf_cookie: csrf::cookie_name(public_url.as_str()),
            cookie_keys: CookieKeys::new(&config.cookie_secrets),
            store: Mutex::new(Store::new(Limits::default())),
            config,
            public_url,
            admin_url,
            no_password,
        }
    }

    /// Locks the store. The guard is never held across an `await`.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        // A panic while the lock was held would have left the maps as they were between two statements.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        self.config.clock.now()
    }

    /// Returns the schema of new identities; the configuration check has seen that it exists.
    pub(crate) fn default_schema(&self) -> Option<&Schema> {
        self.config.schema(&self.config.default_schema)
    }
}
