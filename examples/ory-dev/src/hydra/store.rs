//! The store of clients, tokens, codes and consents: in memory and bounded.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use actix_web::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    answer::Refusal,
    client::Client,
    flow::{BrowserSession, Consent, Flow},
};
use crate::kratos::clock::Moment;

/// The state of one Hydra. When the client limit is reached, new clients are rejected. When the limit for tokens, codes or
/// flows is reached, the oldest are evicted and count as unknown: it fails closed.
#[derive(Debug, Default)]
pub(crate) struct Store {
    clients: BTreeMap<String, Arc<Client>>,
    tokens: Ring<Token>,
    codes: Ring<Code>,
    flows: BTreeMap<u64, Flow>,
    sessions: Ring<BrowserSession>,
    pub(crate) consents: Vec<Consent>,
    next: u64,
}

/// One grant, shared by the tokens that were issued for it.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) id: Uuid,
    pub(crate) client: String,
    pub(crate) subject: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    /// Claims that the consent application adds to access tokens.
    pub(crate) ext: Map<String, Value>,
    /// The claims of the ID token and of the userinfo endpoint; `None` without a person.
    pub(crate) id_claims: Option<Map<String, Value>>,
}

/// One access or refresh token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) grant: Arc<Grant>,
    pub(crate) kind: TokenKind,
    pub(crate) issued_at: Moment,
    pub(crate) expires_at: Option<Moment>,
    /// False for a used refresh token. It is kept to detect reuse.
    pub(crate) active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Access,
    Refresh,
}

/// One authorization code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) grant: Arc<Grant>,
    pub(crate) redirect_uri: String,
    /// The code challenge (RFC 7636), the SHA-256 hash of the verifier.
    pub(crate) challenge: Option<String>,
    /// Whether the challenge was checked. It can be checked only once.
    pub(crate) is_challenge_spent: bool,
    pub(crate) is_used: bool,
    pub(crate) expires_at: Moment,
}

impl Token {
    /// Returns whether the token may be used.
    pub(crate) fn is_active(&self, now: Moment) -> bool {
        self.active && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl TokenKind {
    /// Returns the name in `token_use`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

impl Store {
    pub(crate) fn add_client(&mut self, client: Client) -> Result<(), Refusal> {
        if self.clients.contains_key(&client.id) {
            let text =
                "Unable to insert or update resource because a resource with that value exists already";
            return Err(Refusal::admin(StatusCode::CONFLICT, text, ""));
        }
        if self.clients.len() >= MAX_CLIENTS {
            let text = "this stand-in keeps no more clients";
            return Err(Refusal::admin(StatusCode::SERVICE_UNAVAILABLE, text, ""));
        }
        self.clients.insert(client.id.clone(), Arc::new(client));
        Ok(())
    }

    pub(crate) fn replace_client(&mut self, client: Client) {
        self.clients.insert(client.id.clone(), Arc::new(client));
    }

    /// Removes a client with its codes, tokens and consents.
    pub(crate) fn remove_client(&mut self, id: &str) -> bool {
        self.tokens.retain(|token| token.grant.client != id);
        self.codes.retain(|code| code.grant.client != id);
        self.consents.retain(|consent| consent.client != id);
        self.flows.retain(|_, flow| flow.request.client != id);
        self.clients.remove(id).is_some()
    }

    pub(crate) fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients.get(id)
    }

    /// Returns the clients after the id `after`, in the order of their ids.
    pub(crate) fn clients_after(&self, after: &str) -> impl Iterator<Item = &Arc<Client>> {
        let after = after.to_owned();
        let behind = move |(id, _): &(&String, &Arc<Client>)| **id > after;
        self.clients.iter().filter(behind).map(|(_, client)| client)
    }

    pub(crate) fn add_token(&mut self, text: String, token: Token) {
        self.tokens.insert(text, token, MAX_TOKENS);
    }

    pub(crate) fn token(&self, text: &str) -> Option<&Token> {
        self.tokens.get(text)
    }

    /// Marks a refresh token as used.
    pub(crate) fn spend_refresh_token(&mut self, text: &str) {
        if let Some(token) = self.tokens.get_mut(text) {
            token.active = false;
        }
    }

    /// Removes the access tokens that were issued for an authorization.
    pub(crate) fn remove_access_tokens_of(&mut self, grant: Uuid) {
        let is_other = |token: &Token| token.grant.id != grant || token.kind != TokenKind::Access;
        self.tokens.retain(is_other);
    }

    /// Removes every token that was issued for an authorization.
    pub(crate) fn revoke_grant(&mut self, grant: Uuid) {
        self.tokens.retain(|token| token.grant.id != grant);
    }

    /// Removes the access tokens of a client.
    pub(crate) fn remove_access_tokens_of_client(&mut self, client: &str) {
        let is_other = |token: &Token| token.grant.client != client || token.kind != TokenKind::Access;
        self.tokens.retain(is_other);
    }

    /// Removes the consents of a subject, for one client or for all, and the tokens issued for them.
    pub(crate) fn revoke_consents(&mut self, subject: &str, client: Option<&str>) {
        let is_meant = |own_subject: &str, own_client: &str| {
            own_subject == subject && client.is_none_or(|client| client == own_client)
        };
        self.consents
            .retain(|consent| !is_meant(&consent.subject, &consent.client));
        self.tokens.retain(|token| {
            token.grant.id_claims.is_none() || !is_meant(&token.grant.subject, &token.grant.client)
        });
        self.codes
            .retain(|code| !is_meant(&code.grant.subject, &code.grant.client));
    }

    pub(crate) fn add_code(&mut self, text: String, code: Code) {
        self.codes.insert(text, code, MAX_CODES);
    }

    pub(crate) fn code_mut(&mut self, text: &str) -> Option<&mut Code> {
        self.codes.get_mut(text)
    }

    pub(crate) fn add_flow(&mut self, flow: Flow) {
        if self.flows.len() >= MAX_FLOWS {
            self.flows.pop_first();
        }
        self.next = self.next.saturating_add(1);
        self.flows.insert(self.next, flow);
    }

    /// Returns the flow that `is_it` matches, unless it has expired.
    pub(crate) fn flow_mut(&mut self, now: Moment, is_it: impl Fn(&Flow) -> bool) -> Option<&mut Flow> {
        let lives = |flow: &&mut Flow| now < flow.expires_at && is_it(flow);
        self.flows.values_mut().find(lives)
    }

    /// Removes a finished flow.
    pub(crate) fn remove_flow(&mut self, id: Uuid) {
        self.flows.retain(|_, flow| flow.id != id);
    }

    pub(crate) fn add_session(&mut self, cookie: String, session: BrowserSession) {
        self.sessions.insert(cookie, session, MAX_SESSIONS);
    }

    pub(crate) fn session(&self, cookie: &str, now: Moment) -> Option<&BrowserSession> {
        self.sessions
            .get(cookie)
            .filter(|session| now < session.expires_at)
    }

    /// Removes the login sessions of a subject.
    pub(crate) fn remove_sessions_of(&mut self, subject: &str) {
        self.sessions.retain(|session| session.subject != subject);
    }

    /// Stores a consent, and replaces an earlier one of the same subject for the same client.
    pub(crate) fn add_consent(&mut self, consent: Consent) {
        self.consents
            .retain(|own| own.subject != consent.subject || own.client != consent.client);
        if self.consents.len() >= MAX_CONSENTS {
            self.consents.remove(0);
        }
        self.consents.push(consent);
    }
}

/// A bounded map that evicts its oldest entries.
#[derive(Debug)]
struct Ring<T> {
    items: BTreeMap<u64, (String, T)>,
    numbers: HashMap<String, u64>,
    next: u64,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
        }
    }
}

impl<T> Ring<T> {
    fn insert(&mut self, key: String, item: T, limit: usize) {
        if self.items.len() >= limit
            && let Some((_, (oldest, _))) = self.items.pop_first()
        {
            self.numbers.remove(&oldest);
        }
        self.next = self.next.saturating_add(1);
        self.numbers.insert(key.clone(), self.next);
        self.items.insert(self.next, (key, item));
    }

    fn get(&self, key: &str) -> Option<&T> {
        self.items.get(self.numbers.get(key)?).map(|(_, item)| item)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.items.get_mut(self.numbers.get(key)?).map(|(_, item)| item)
    }

    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.items.retain(|_, (_, item)| keep(item));
        let items = &self.items;
        self.numbers.retain(|_, number| items.contains_key(number));
    }
}

const MAX_CLIENTS: usize = 1_000;
const MAX_TOKENS: usize = 20_000;
const MAX_CODES: usize = 4_096;
const MAX_FLOWS: usize = 1_024;
const MAX_SESSIONS: usize = 4_096;
const MAX_CONSENTS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_forgets_its_oldest_entry_beyond_the_limit() {
        let mut ring = Ring::default();
        for key in ["a", "b", "c"] {
            ring.insert(key.to_owned(), key, 2);
        }

        assert_eq!(
            ["a", "b", "c"].map(|key| ring.get(key).is_some()),
            [false, true, true]
        );
        ring.retain(|item| *item != "b");
        assert!(ring.get("b").is_none() && ring.numbers.len() == 1);
    }
}
