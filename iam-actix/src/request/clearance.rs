//! May the principal do this?

use std::{rc::Rc, sync::Arc};

use iam_core::{
    authorize::{self, Verdict},
    decision::{Reason, Refusal},
    principal::Principal,
    tenant::{ReplayMode, Tenant},
};
use iam_grammar::RelationTuple;

use super::{Grant, RequestState, admission::Claim, event::Outcome};
use crate::{policy::chain::Chain, policy::params::PathValues};

impl RequestState {
    /// Holds the request to everything that stands on the way: roles, scopes, permissions, and last of all the claim.
    pub(crate) async fn authorize(&self, chain: &Chain, params: &PathValues) -> Result<(), Refusal> {
        // Whoever goes away while Keto is asked was allowed nothing.
        self.record.borrow_mut().outcome = Outcome::Undecided;
        let decided = self.enforce(chain, params).await;

        self.authorized.set(true);
        decided
    }

    async fn enforce(&self, chain: &Chain, params: &PathValues) -> Result<(), Refusal> {
        let policy = chain.effective()?;
        // Another tenant or access than the gate knew of, when the policy was announced late: decided anew.
        let admitted = self.authenticate_for(Some(policy)).await?;

        if let Some(principal) = admitted.principal() {
            let values = |name: &str| params.get(name);
            match authorize::authorize(principal, policy, admitted.tenant(), &values)? {
                Verdict::Allow => {}
                Verdict::Ask(question) => {
                    self.ask(admitted.tenant(), question.tuples(), |answers| {
                        question.answer(answers)
                    })
                    .await?;
                    self.grant(chain, params, question.tuples());
                }
            }
        } else if policy.has_requirements() {
            // INVARIANT: a policy with requirements is protected, so this cannot be. It is refused all the same.
            return Err(Refusal::new(Reason::MissingCredential));
        }

        self.claim(policy.is_single_use()).await?;
        // Everything since the gate may have taken long: what is in between, keys, Keto, the store.
        self.take_time();
        self.record.borrow_mut().outcome = Outcome::Allow;
        Ok(())
    }

    /// Holds the request to what the principal alone decides: for a scope that calls inward only then. Asks and claims
    /// nothing, since whoever stands further in does.
    pub(crate) async fn stand(&self, chain: &Chain) -> Result<(), Refusal> {
        let policy = chain.effective()?;
        let admitted = self.authenticate_for(Some(policy)).await?;

        match admitted.principal() {
            Some(principal) => authorize::standing(principal, policy, admitted.tenant()),
            None => Err(Refusal::new(Reason::MissingCredential)),
        }
    }

    /// Tells whether a wrapper has held the request to its policies, whatever came of it.
    pub(crate) fn is_authorized(&self) -> bool {
        self.authorized.get()
    }

    /// Asks, for a handler, whether the principal has `relation` to an object.
    pub(crate) async fn require(&self, namespace: &str, relation: &str, object: &str) -> Result<(), Refusal> {
        let result = match self
            .admitted()
            .and_then(|admitted| admitted.principal().zip(Some(admitted.tenant())))
        {
            None => Err(Refusal::new(Reason::MissingCredential)),
            Some((principal, tenant)) => {
                self.require_of(principal, tenant, [namespace, relation, object])
                    .await
            }
        };

        self.take_time();
        let mut record = self.record.borrow_mut();
        record.asked.push(format!("permission:{namespace}#{relation}"));
        record.outcome = match result {
            Ok(()) => Outcome::Allow,
            Err(refusal) => Outcome::Deny(refusal),
        };
        drop(record);
        // The event of the request is written already, as when a body is streamed.
        if self.over.get() {
            self.emit();
        }
        result
    }

    async fn require_of(
        &self,
        principal: &Principal,
        tenant: &Arc<Tenant>,
        [namespace, relation, object]: [&str; 3],
    ) -> Result<(), Refusal> {
        let tuple = authorize::tuple(principal, tenant, (namespace, relation), object)?;

        self.ask(tenant, &[tuple], |answers| match answers {
            [allowed] => Some(*allowed),
            [] | [_, ..] => None,
        })
        .await
    }

    async fn ask(
        &self,
        tenant: &Arc<Tenant>,
        tuples: &[RelationTuple],
        answer: impl FnOnce(&[bool]) -> Option<bool>,
    ) -> Result<(), Refusal> {
        let answers = self
            .engine
            .check_permissions(tenant, tuples, self.request_id.as_str())
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

    fn grant(&self, chain: &Chain, params: &PathValues, tuples: &[RelationTuple]) {
        let values = chain
            .placeholders()
            .iter()
            .filter_map(|name| Some((name.clone(), params.get(name)?.into_owned())))
            .collect();

        *self.granted.borrow_mut() = Some(Rc::new(Grant {
            values,
            tuples: tuples.to_vec(),
        }));
    }

    /// Uses up every credential that let the request get here and is accepted once only. Nothing is checked after this.
    pub(super) async fn claim(&self, single_use: bool) -> Result<(), Refusal> {
        for (tenant, caller) in self.attempts.callers() {
            let once = single_use || tenant.replay() == ReplayMode::Always;
            if !once || caller.claim.get() == Claim::Made {
                continue;
            }

            if let Err(refusal) = self.engine.claim(tenant, &caller.authenticated).await {
                caller.claim.set(Claim::Refused);
                self.attempts.admit_nobody();
                return Err(refusal);
            }
            caller.claim.set(Claim::Made);
            self.take_time();
        }
        Ok(())
    }
}
