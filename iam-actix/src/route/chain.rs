//! The policies on the way to a route.
//!
//! Every wrapper on the way adds its policy to the chain of the wrappers around it. The wrappers around it are always the same, so
//! its chain is added up once and shared by all its requests.

use std::rc::Rc;

use iam_core::{
    decision::Refusal,
    requirement::{Conflict, EffectivePolicy, RoutePolicy},
};
use iam_grammar::RESERVED_PLACEHOLDERS;

/// The policies on the way to one wrapper, its own last, added up.
#[derive(Debug)]
pub(crate) struct Chain {
    parent: Option<Rc<Self>>,
    policy: Rc<RoutePolicy>,
    effective: Result<EffectivePolicy, Conflict>,
    requirements: Vec<String>,
    placeholders: Vec<String>,
    reserved: Vec<&'static str>,
}

impl Chain {
    /// Adds a policy to those around it.
    pub(crate) fn new(parent: Option<Rc<Self>>, policy: Rc<RoutePolicy>) -> Self {
        let mut policies: Vec<&RoutePolicy> = parent.iter().flat_map(|parent| parent.policies()).collect();
        policies.push(&policy);

        let effective = EffectivePolicy::merge(&policies);
        let requirements = effective
            .as_ref()
            .map(EffectivePolicy::requirements)
            .unwrap_or_default();
        let mut placeholders: Vec<String> = policies
            .iter()
            .flat_map(|policy| policy.placeholders())
            .filter(|name| !RESERVED_PLACEHOLDERS.contains(name))
            .map(str::to_owned)
            .collect();
        placeholders.sort();
        placeholders.dedup();
        let is_asked = |name: &&str| {
            policies
                .iter()
                .any(|policy| policy.placeholders().any(|asked| asked == *name))
        };
        let reserved = RESERVED_PLACEHOLDERS.into_iter().filter(is_asked).collect();

        Self {
            parent,
            policy,
            effective,
            requirements,
            placeholders,
            reserved,
        }
    }

    /// Tells whether the chain was made for this parent.
    pub(crate) fn continues(&self, parent: Option<&Rc<Self>>) -> bool {
        match (&self.parent, parent) {
            (None, None) => true,
            (Some(own), Some(parent)) => Rc::ptr_eq(own, parent),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// Returns the policy that was added last.
    pub(crate) fn policy(&self) -> &RoutePolicy {
        &self.policy
    }

    /// Returns the policies of the chain, added up.
    ///
    /// # Errors
    ///
    /// The refusal of every request, when the policies contradict each other.
    pub(crate) fn effective(&self) -> Result<&EffectivePolicy, Refusal> {
        self.effective
            .as_ref()
            .map_err(|conflict| Refusal::with_detail(conflict.reason(), conflict.code()))
    }

    /// Returns why every request is refused, if the policies contradict each other.
    pub(crate) fn conflict(&self) -> Option<Conflict> {
        self.effective.as_ref().err().copied()
    }

    /// Returns the requirements as an audit event writes them.
    pub(crate) fn requirements(&self) -> &[String] {
        &self.requirements
    }

    /// Returns the names of the path parameters that permissions on the way ask for.
    pub(crate) fn placeholders(&self) -> &[String] {
        &self.placeholders
    }

    /// Returns the reserved placeholders that permissions on the way ask for: the path may not have parameters of these names.
    pub(crate) fn reserved(&self) -> &[&'static str] {
        &self.reserved
    }

    /// Returns all policies of the chain, the innermost first.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &RoutePolicy> {
        std::iter::successors(Some(self), |chain| chain.parent.as_deref()).map(Self::policy)
    }
}
