//! The store of identities, sessions and flows: in memory and bounded.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use actix_web::http::StatusCode;
use uuid::Uuid;

use super::{
    answer::Refusal, clock::Moment, flow::Flow, identity::Identity, secret::Handle, session::Session,
};

/// The state of one Kratos. When the identity limit is reached, new identities are rejected. When the limit for sessions or
/// flows is reached, the oldest are evicted and count as unknown: it fails closed.
#[derive(Debug)]
pub(crate) struct Store {
    limits: Limits,
    identities: BTreeMap<Uuid, Arc<Identity>>,
    owners: HashMap<String, Uuid>,
    sessions: BTreeMap<u64, Session>,
    by_id: HashMap<Uuid, u64>,
    by_token: HashMap<String, u64>,
    by_handle: HashMap<Handle, u64>,
    flows: BTreeMap<u64, Flow>,
    flow_ids: HashMap<Uuid, u64>,
    next: u64,
}

/// The limits of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) identities: usize,
    pub(crate) sessions: usize,
    pub(crate) flows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            identities: 10_000,
            sessions: 20_000,
            flows: 4_096,
        }
    }
}

/// The key of a session in a request.
#[derive(Clone, Debug)]
pub(crate) enum SessionKey {
    Handle(Handle),
    Token(String),
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            identities: BTreeMap::new(),
            owners: HashMap::new(),
            sessions: BTreeMap::new(),
            by_id: HashMap::new(),
            by_token: HashMap::new(),
            by_handle: HashMap::new(),
            flows: BTreeMap::new(),
            flow_ids: HashMap::new(),
            next: 0,
        }
    }

    /// Adds an identity, unless one of its addresses or identifiers belongs to another.
    pub(crate) fn add_identity(&mut self, identity: Identity) -> Result<(), AddError> {
        if self.taken(&identity) {
            return Err(AddError::Taken);
        }
        if self.identities.len() >= self.limits.identities {
            return Err(AddError::Full);
        }
        self.own(&identity);
        self.identities.insert(identity.id, Arc::new(identity));
        Ok(())
    }

    /// Replaces an identity by its changed version, under the same rule.
    pub(crate) fn replace_identity(&mut self, identity: Arc<Identity>) -> Result<(), AddError> {
        if self.taken(&identity) {
            return Err(AddError::Taken);
        }
        self.owners.retain(|_, owner| *owner != identity.id);
        self.own(&identity);
        self.identities.insert(identity.id, identity);
        Ok(())
    }

    /// Removes an identity and its sessions.
    pub(crate) fn remove_identity(&mut self, id: Uuid) -> Option<Arc<Identity>> {
        let removed = self.identities.remove(&id)?;
        self.owners.retain(|_, owner| *owner != id);
        self.remove_sessions_of(id);
        Some(removed)
    }

    pub(crate) fn identity(&self, id: Uuid) -> Option<&Arc<Identity>> {
        self.identities.get(&id)
    }

    /// Returns the identity of an identifier; letter case is ignored.
    pub(crate) fn identified_by(&self, identifier: &str) -> Option<&Identity> {
        let owner = self.owners.get(&identifier.trim().to_lowercase())?;
        self.identity(*owner).map(Arc::as_ref)
    }

    /// Returns the identities after the id `after`, in the order of their ids.
    pub(crate) fn identities_after(&self, after: Uuid) -> impl Iterator<Item = &Identity> {
        self.identities
            .range((Bound::Excluded(after), Bound::Unbounded))
            .map(|(_, identity)| identity.as_ref())
    }

    pub(crate) fn add_session(&mut self, session: Session) {
        if self.sessions.len() >= self.limits.sessions
            && let Some(oldest) = self.sessions.keys().next().copied()
        {
            self.remove_session(oldest);
        }
        let number = self.number();
        self.by_id.insert(session.id, number);
        self.by_token.insert(session.token.clone(), number);
        if let Some(handle) = session.handle {
            self.by_handle.insert(handle, number);
        }
        self.sessions.insert(number, session);
    }

    /// Returns the session with its identity when both are active and the session has not expired.
    pub(crate) fn active_session(&self, key: &SessionKey, now: Moment) -> Option<(&Session, &Identity)> {
        let number = match key {
            SessionKey::Handle(handle) => self.by_handle.get(handle),
            SessionKey::Token(token) => self.by_token.get(token),
        };
        let session = self.sessions.get(number?)?;
        let identity = self.identities.get(&session.identity)?;
        (session.is_active(now) && identity.active).then_some((session, identity))
    }

    pub(crate) fn session(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(self.by_id.get(&id)?)
    }

    pub(crate) fn session_mut(&mut self, id: Uuid) -> Option<&mut Session> {
        self.sessions.get_mut(self.by_id.get(&id)?)
    }

    pub(crate) fn session_id_of(&self, token: &str) -> Option<Uuid> {
        self.sessions
            .get(self.by_token.get(token)?)
            .map(|session| session.id)
    }

    /// Returns all sessions, the newest first.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().rev()
    }

    /// Removes the sessions of an identity and returns how many there were.
    pub(crate) fn remove_sessions_of(&mut self, identity: Uuid) -> usize {
        let of = |(number, session): (&u64, &Session)| (session.identity == identity).then_some(*number);
        let numbers: Vec<_> = self.sessions.iter().filter_map(of).collect();
        for number in &numbers {
            self.remove_session(*number);
        }
        numbers.len()
    }

    pub(crate) fn add_flow(&mut self, flow: Flow) {
        if self.flows.len() >= self.limits.flows
            && let Some((_, oldest)) = self.flows.pop_first()
        {
            self.flow_ids.remove(&oldest.id);
        }
        let number = self.number();
        self.flow_ids.insert(flow.id, number);
        self.flows.insert(number, flow);
    }

    pub(crate) fn flow(&self, id: Uuid) -> Option<&Flow> {
        self.flows.get(self.flow_ids.get(&id)?)
    }

    pub(crate) fn flow_mut(&mut self, id: Uuid) -> Option<&mut Flow> {
        self.flows.get_mut(self.flow_ids.get(&id)?)
    }

    fn taken(&self, identity: &Identity) -> bool {
        identity
            .unique()
            .any(|text| self.owners.get(text).is_some_and(|owner| *owner != identity.id))
    }

    fn own(&mut self, identity: &Identity) {
        self.owners
            .extend(identity.unique().map(|text| (text.to_owned(), identity.id)));
    }

    fn remove_session(&mut self, number: u64) {
        if let Some(session) = self.sessions.remove(&number) {
            self.by_id.remove(&session.id);
            self.by_token.remove(&session.token);
            if let Some(handle) = session.handle {
                self.by_handle.remove(&handle);
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }
}

/// Why an identity was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddError {
    Full,
    Taken,
}

impl AddError {
    /// Returns the error of the admin interface.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Full => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "this stand-in keeps no more identities",
            ),
            Self::Taken => Refusal::new(
                StatusCode::CONFLICT,
                "The resource could not be created due to a conflict",
            )
            .reason("This identity conflicts with another identity that already exists."),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use serde_json::json;

    use super::{
        super::{clock::Clock, flow::Kind, schema::Schema},
        *,
    };
    use crate::config::{Document, Vars};

    const LIMITS: Limits = Limits {
        identities: 2,
        sessions: 2,
        flows: 2,
    };

    fn identity(email: &str) -> Identity {
        let text = include_str!("../../config/identity.schema.json");
        let document = Document::parse(Path::new("s.json"), text, &Vars::new("", "")).unwrap();
        let schema = Schema::read("default", &document, &mut Vec::new()).unwrap();
        Identity::new(&schema, json!({"email": email}), Clock::default().now())
    }

    fn session(identity: &Identity) -> Session {
        Session::new(
            identity.id,
            Clock::default().now(),
            Duration::from_secs(60),
            false,
        )
        .unwrap()
    }

    #[test]
    fn identifier_belongs_to_one_identity_whatever_its_case() {
        let mut store = Store::new(LIMITS);
        store.add_identity(identity("a@x.y")).unwrap();

        assert_eq!(store.add_identity(identity("A@X.Y")), Err(AddError::Taken));
        assert!(store.identified_by(" A@x.y").is_some());
    }

    #[test]
    fn changed_identifier_is_free_again_and_a_taken_one_is_not_stolen() {
        let mut store = Store::new(LIMITS);
        let (mut first, second) = (identity("a@x.y"), identity("b@x.y"));
        store.add_identity(first.clone()).unwrap();
        store.add_identity(second).unwrap();

        first.password_identifiers = vec!["b@x.y".into()];
        assert_eq!(
            store.replace_identity(Arc::new(first.clone())),
            Err(AddError::Taken)
        );
        let id = first.id;
        first = identity("c@x.y");
        first.id = id;
        store.replace_identity(Arc::new(first)).unwrap();

        assert!(store.identified_by("a@x.y").is_none());
        assert_eq!(store.identified_by("c@x.y").unwrap().id, id);
    }

    #[test]
    fn identities_are_refused_beyond_the_limit() {
        let mut store = Store::new(LIMITS);
        store.add_identity(identity("a@x.y")).unwrap();
        store.add_identity(identity("b@x.y")).unwrap();

        assert_eq!(store.add_identity(identity("c@x.y")), Err(AddError::Full));
    }

    #[test]
    fn oldest_session_is_forgotten_beyond_the_limit() {
        let mut store = Store::new(LIMITS);
        let owner = identity("a@x.y");
        store.add_identity(owner.clone()).unwrap();
        let sessions = [session(&owner), session(&owner), session(&owner)];
        let keys = sessions
            .each_ref()
            .map(|session| SessionKey::Token(session.token.clone()));
        for session in sessions {
            store.add_session(session);
        }

        let now = Clock::default().now();
        let known = keys
            .each_ref()
            .map(|key| store.active_session(key, now).is_some());
        assert_eq!(known, [false, true, true]);
        assert_eq!(
            (store.sessions.len(), store.by_id.len(), store.by_token.len()),
            (2, 2, 2)
        );
    }

    #[test]
    fn oldest_flow_is_forgotten_beyond_the_limit() {
        let mut store = Store::new(LIMITS);
        let now = Clock::default().now();
        let flows = [(); 3].map(|()| Flow::new(Kind::Login, now, Duration::from_secs(1), "http://x/".into()));
        let ids = flows.each_ref().map(|flow| flow.id);
        for flow in flows {
            store.add_flow(flow);
        }

        assert_eq!(ids.map(|id| store.flow(id).is_some()), [false, true, true]);
        assert_eq!((store.flows.len(), store.flow_ids.len()), (2, 2));
    }

    #[test]
    fn session_of_a_removed_or_inactive_identity_is_not_active() {
        let mut store = Store::new(LIMITS);
        let mut owner = identity("a@x.y");
        store.add_identity(owner.clone()).unwrap();
        let session = session(&owner);
        let key = SessionKey::Token(session.token.clone());
        store.add_session(session);
        let now = Clock::default().now();
        assert!(store.active_session(&key, now).is_some());
        assert!(
            store
                .active_session(&key, now.after(Duration::from_secs(61)))
                .is_none()
        );

        owner.active = false;
        store.replace_identity(Arc::new(owner.clone())).unwrap();
        assert!(store.active_session(&key, now).is_none());

        store.remove_identity(owner.id);
        assert!(store.active_session(&key, now).is_none());
        assert!(store.sessions.is_empty() && store.by_token.is_empty());
    }
}
