//! The state that all workers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use url::Url;
use uuid::Uuid;

use super::{
    answer::Refusal,
    clock::Moment,
    config::KratosConfig,
    csrf,
    identity::Identity,
    schema::Schema,
    secret::CookieKeys,
    store::{AddError, Limits, Store},
};

/// The state of one Kratos.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: KratosConfig,
    pub(crate) public_url: Url,
    pub(crate) admin_url: Url,
    pub(crate) csrf_cookie: String,
    pub(crate) cookie_keys: CookieKeys,
    /// A hash that matches no password, so that an unknown identifier takes as long as a wrong password.
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

    /// Changes an identity and returns the changed one. The store is not locked while `change` runs. If another request has
    /// changed the identity meanwhile, `change` runs again, so that no update is lost.
    pub(crate) fn change_identity(
        &self,
        id: Uuid,
        change: impl Fn(&Identity) -> Result<Identity, Refusal>,
    ) -> Result<Arc<Identity>, Refusal> {
        for _ in 0..MAX_ATTEMPTS {
            let before = self.store().identity(id).map(Arc::clone);
            let before = before.ok_or_else(Refusal::not_found)?;
            let after = Arc::new(change(&before)?);

            let mut store = self.store();
            if store
                .identity(id)
                .is_some_and(|stored| Arc::ptr_eq(stored, &before))
            {
                store
                    .replace_identity(Arc::clone(&after))
                    .map_err(AddError::refusal)?;
                return Ok(after);
            }
        }
        let text = "The resource could not be updated due to a conflict";
        Err(Refusal::new(StatusCode::CONFLICT, text)
            .reason("This identity was changed by others again and again."))
    }

    pub(crate) fn now(&self) -> Moment {
        self.config.clock.now()
    }

    /// Returns the schema of new identities. The configuration check guarantees that it exists.
    pub(crate) fn default_schema(&self) -> Option<&Schema> {
        self.config.schema(&self.config.default_schema)
    }
}

/// How often a conflicting change is retried before the request fails.
const MAX_ATTEMPTS: usize = 16;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::config::Vars;

    fn shared() -> (Shared, Uuid) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
        let file = format!("{folder}/kratos.yml");
        let config = KratosConfig::from_files(file.as_ref(), &Vars::new(folder, "/state")).unwrap();
        let url = config.error_url.clone();
        let shared = Shared::new(config, url.clone(), url, String::new());
        let traits = json!({"email": "ann@example.com"});
        let identity = Identity::new(shared.default_schema().unwrap(), traits, shared.now());
        let id = identity.id;
        shared.store().add_identity(identity).unwrap();
        (shared, id)
    }

    fn deactivate(shared: &Shared, id: Uuid) {
        let mut store = shared.store();
        let mut other = Identity::clone(store.identity(id).unwrap());
        other.active = false;
        store.replace_identity(Arc::new(other)).unwrap();
    }

    fn with_metadata(before: &Identity) -> Identity {
        Identity {
            metadata_public: json!("ours"),
            ..before.clone()
        }
    }

    #[test]
    fn change_that_others_always_forestall_is_a_conflict_and_changes_nothing() {
        let (shared, id) = shared();
        let asked = Cell::new(0);

        let refused = shared.change_identity(id, |before| {
            asked.set(asked.get() + 1);
            deactivate(&shared, id);
            Ok(with_metadata(before))
        });

        let status = actix_web::ResponseError::status_code(&refused.unwrap_err());
        assert_eq!((status, asked.get()), (StatusCode::CONFLICT, MAX_ATTEMPTS));
        assert!(shared.store().identity(id).unwrap().metadata_public.is_null());
    }

    #[test]
    fn change_that_others_forestall_once_is_made_again_and_loses_nothing() {
        let (shared, id) = shared();

        let changed = shared.change_identity(id, |before| {
            if before.active {
                deactivate(&shared, id);
            }
            Ok(with_metadata(before))
        });

        let stored = Arc::clone(shared.store().identity(id).unwrap());
        assert!(!stored.active && stored.metadata_public == json!("ours"));
        assert!(Arc::ptr_eq(&stored, &changed.unwrap()));
    }

    #[test]
    fn identity_that_is_deleted_meanwhile_stays_deleted() {
        let (shared, id) = shared();

        let refused = shared.change_identity(id, |before| {
            shared.store().remove_identity(id);
            Ok(with_metadata(before))
        });

        let status = actix_web::ResponseError::status_code(&refused.unwrap_err());
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(shared.store().identity(id).is_none());
    }
}
