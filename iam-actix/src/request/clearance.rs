use std::{rc::Rc, sync::Arc};

use iam_core::{
    authorize::{self, Verdict},
    clock::Timestamp,
    decision::{Reason, Refusal},
    principal::Principal,
    requirement::Freshness,
    tenant::{ReplayMode, Tenant, Transport},
};
use iam_grammar::RelationTuple;

use super::{
    RequestState,
    admission::{Admission, ClaimState},
};
use crate::route::{chain::Chain, params::PathValues};

/// The request fulfils everything on the way to its route.
#[derive(Clone, Debug)]
pub(super) struct Clearance {
    pub(super) at: Timestamp,
    grant: Option<Rc<Grant>>,
    /// Set when policies were announced: their requirements were enforced.
    pub(super) is_enforced: bool,
}

/// The request was refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) at: Timestamp,
    /// The tuples that Keto was asked about, when its answer is the reason.
    pub(super) tuples: Option<Rc<str>>,
}

/// The permission that a principal was granted.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The path parameters that the permissions ask for, with the values they were checked with.
    pub(crate) values: Vec<(String, String)>,
    /// The tuples that Keto was asked.
    pub(crate) tuples: Vec<RelationTuple>,
}

impl RequestState {
    /// Enforces the policies of a chain: roles, scopes, permissions, and last of all single use.
    ///
    /// # Errors
    ///
    /// The refusal to answer with.
    pub(crate) async fn clear(&self, chain: &Chain, params: &PathValues) -> Result<(), Refusal> {
        // A caller that goes away while Keto is asked was not cleared.
        self.conclude(None);
        let grant = self.enforce(chain, params).await?;

        self.conclude(Some(Ok(Clearance {
            at: self.shared().now(),
            grant,
            is_enforced: true,
        })));
        Ok(())
    }

    /// Clears a request whose route announces no policy: an authenticated principal is all it asks for.
    pub(super) async fn clear_unannounced(&self) -> Result<(), Refusal> {
        self.claim(false).await?;

        self.conclude(Some(Ok(Clearance {
            at: self.shared().now(),
            grant: None,
            is_enforced: false,
        })));
        Ok(())
    }

    /// Records that the request is cleared or refused; `None` while that is open, or open again. Nothing else writes it.
    pub(super) fn conclude(&self, conclusion: Option<Result<Clearance, Refused>>) {
        *self.clearance.borrow_mut() = conclusion;
    }

    /// Dates a refusal, and attaches the tuples of the denial that was noted last.
    pub(super) fn refused(&self, refusal: Refusal) -> Refused {
        let is_denial = matches!(
            refusal.reason,
            Reason::PermissionDeny | Reason::PermissionUnavailable
        );
        let denied = self.questions.borrow().denied.clone();

        Refused {
            refusal,
            at: self.shared().now(),
            tuples: denied.filter(|_| is_denial),
        }
    }

    /// Enforces what the principal alone decides, for a scope that calls inward only then. Asks and claims nothing: a wrapper
    /// further in does.
    ///
    /// # Errors
    ///
    /// The refusal to answer with.
    pub(crate) async fn check_local(&self, chain: &Chain) -> Result<(), Refusal> {
        let policy = chain.effective()?;
        let admission = self.admit_for(Some(policy)).await?;

        match admission.principal() {
            Some(principal) => {
                authorize::check_local(principal, policy, admission.tenant(), self.shared().now())
            }
            None => Err(Refusal::new(Reason::MissingCredential)),
        }
    }

    /// Returns what the principal was granted on the way to the handler.
    pub(crate) fn grant(&self) -> Option<Rc<Grant>> {
        let clearance = self.clearance.borrow();
        clearance.as_ref()?.as_ref().ok()?.grant.clone()
    }

    /// Asks, for a handler, whether the principal has `relation` to an object.
    ///
    /// # Errors
    ///
    /// The refusal, which the handler may turn into a response.
    pub(crate) async fn require(
        &self,
        [namespace, relation, object]: [&str; 3],
        freshness: Freshness,
    ) -> Result<(), Refusal> {
        let admission = self.admission();
        let result = match admission.as_ref().and_then(Admission::principal) {
            None => Err(Refusal::new(Reason::MissingCredential)),
            Some(principal) => {
                let tenant = admission.as_ref().map(Admission::tenant);
                self.require_of(principal, tenant, [namespace, relation, object], freshness)
                    .await
            }
        };

        self.note_question(format!("permission:{namespace}#{relation}"), result);
        result
    }

    async fn require_of(
        &self,
        principal: &Principal,
        tenant: Option<&Arc<Tenant>>,
        [namespace, relation, object]: [&str; 3],
        freshness: Freshness,
    ) -> Result<(), Refusal> {
        let tenant = tenant.ok_or(Reason::UnknownTenant)?;
        let tuple = authorize::tuple(principal, tenant, (namespace, relation), object)?;

        self.ask(tenant, &[tuple], freshness, |answers| match answers {
            [allowed] => Some(*allowed),
            [] | [_, ..] => None,
        })
        .await
    }

    async fn enforce(&self, chain: &Chain, params: &PathValues) -> Result<Option<Rc<Grant>>, Refusal> {
        let policy = chain.effective()?;
        let admission = self.admit_for(Some(policy)).await?;

        let grant = match admission.principal() {
            Some(principal) => {
                self.authorize(principal, chain, params, admission.tenant())
                    .await?
            }
            // INVARIANT: a policy with requirements is protected, so it has a principal. It is refused all the same.
            None if policy.has_requirements() => return Err(Refusal::new(Reason::MissingCredential)),
            None => None,
        };
        self.claim(policy.is_single_use()).await?;
        Ok(grant)
    }

    async fn authorize(
        &self,
        principal: &Principal,
        chain: &Chain,
        params: &PathValues,
        tenant: &Arc<Tenant>,
    ) -> Result<Option<Rc<Grant>>, Refusal> {
        let values = |name: &str| params.get(name);
        let policy = chain.effective()?;
        let now = self.shared().now();
        let query = match authorize::authorize(principal, policy, tenant, &values, now)? {
            Verdict::Allow => return Ok(None),
            Verdict::Ask(query) => query,
        };

        self.ask(tenant, query.tuples(), policy.freshness(), |answers| {
            query.answer(answers)
        })
        .await?;
        Ok(Some(Rc::new(Grant {
            values: params.of_names(chain.placeholders()),
            tuples: query.tuples().to_vec(),
        })))
    }

    async fn ask(
        &self,
        tenant: &Arc<Tenant>,
        tuples: &[RelationTuple],
        freshness: Freshness,
        answer: impl FnOnce(&[bool]) -> Option<bool>,
    ) -> Result<(), Refusal> {
        let result = self.answer_of(tenant, tuples, freshness, answer).await;
        // Read before the caller yields, so the denial of a question that is asked side by side does not take its place.
        self.note_denied(tuples, result);
        result
    }

    async fn answer_of(
        &self,
        tenant: &Arc<Tenant>,
        tuples: &[RelationTuple],
        freshness: Freshness,
        answer: impl FnOnce(&[bool]) -> Option<bool>,
    ) -> Result<(), Refusal> {
        let answers = self
            .shared()
            .runtime(tenant)?
            .check_permissions(tuples, freshness, self.request_id.as_str())
            .await?;

        match answer(&answers) {
            Some(true) => Ok(()),
            Some(false) => Err(Refusal::new(Reason::PermissionDeny)),
            None => Err(Refusal::with_detail(
                Reason::PermissionUnavailable,
                "answer_count",
            )),
        }
    }

    /// Claims every credential of this request that is accepted once only. Nothing is checked after this.
    async fn claim(&self, single_use: bool) -> Result<(), Refusal> {
        for attempt in self.attempts.all() {
            let Some(authenticated) = attempt.authenticated() else {
                continue;
            };
            // `oathkeeper.replay` is about the gateway's tokens. An access token is made to be used again.
            let always = attempt.used() == Some(Transport::Oathkeeper)
                && attempt.tenant().replay() == ReplayMode::Always;
            let once = single_use || always;
            if !once || attempt.claim() == ClaimState::Made {
                continue;
            }

            let claimed = self
                .shared()
                .claim(attempt.tenant(), attempt.used(), authenticated)
                .await;
            if let Err(refusal) = claimed {
                attempt.set_claim(ClaimState::Refused);
                self.withdraw_admission();
                return Err(refusal);
            }
            attempt.set_claim(ClaimState::Made);
        }
        Ok(())
    }
}
