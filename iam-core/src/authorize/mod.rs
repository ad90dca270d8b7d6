//! Does the principal meet the requirements of the route?
//!
//! The cheapest checks come first: tenant, roles, scopes. Permissions become a query for the permission server, which the caller
//! sends.

use std::borrow::Cow;

use iam_grammar::{Permission, PermissionQuery, RelationTuple, ResolveError, Subject};

use crate::{
    authenticate::CLOCK_TOLERANCE,
    clock::Timestamp,
    decision::{Reason, Refusal, StepUp},
    principal::Principal,
    requirement::EffectivePolicy,
    tenant::Tenant,
};

/// The decision as far as it can be made without the network.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a verdict that is not known must not be taken for another one"
)]
#[must_use]
pub enum Verdict {
    /// All requirements are met.
    Allow,
    /// All other requirements are met; the permission server has to answer this query.
    Ask(PermissionQuery),
}

/// Decides everything that can be decided without the network. `params` are the values of the path's placeholders, as the
/// handler will see them.
///
/// # Errors
///
/// A [`Refusal`] for the first requirement that is not met, or cannot be checked.
pub fn authorize<'v>(
    principal: &'v Principal,
    policy: &EffectivePolicy,
    tenant: &Tenant,
    params: &dyn Fn(&str) -> Option<Cow<'v, str>>,
    now: Timestamp,
) -> Result<Verdict, Refusal> {
    check_local(principal, policy, tenant, now)?;

    match policy.permission() {
        None => Ok(Verdict::Allow),
        Some(permission) => question(principal, permission, tenant, params).map(Verdict::Ask),
    }
}

/// Checks the requirements that need no values of the path: the tenant, the level and age of the session, roles and scopes.
///
/// # Errors
///
/// A [`Refusal`] for the first requirement that is not met.
pub fn check_local(
    principal: &Principal,
    policy: &EffectivePolicy,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<(), Refusal> {
    same_tenant(principal, tenant)?;
    check_session(principal, policy.step_up(), now)?;
    if !policy
        .roles()
        .all(|any_of| any_of.iter().any(|role| principal.has_role(role)))
    {
        return Err(Reason::RoleDeny.into());
    }
    if !policy.scopes().all(|scope| principal.has_scope(scope)) {
        return Err(Reason::ScopeDeny.into());
    }
    Ok(())
}

/// Turns one permission into the question for one request.
///
/// # Errors
///
/// A [`Refusal`] when the principal is of another tenant, or cannot be asked about; also when a placeholder of the permission
/// stands for the principal and is the name of a path parameter as well, because either could be meant.
pub fn question<'v>(
    principal: &'v Principal,
    permission: &Permission,
    tenant: &Tenant,
    params: &dyn Fn(&str) -> Option<Cow<'v, str>>,
) -> Result<PermissionQuery, Refusal> {
    let subject = default_subject(principal, tenant)?;
    // `/users/{user}` with `users:{user}` would ask about the caller, while the handler loads what the path names.
    if permission
        .placeholders()
        .any(|name| is_reserved(name) && params(name).is_some())
    {
        return Err(Refusal::with_detail(
            Reason::InvalidRequirement,
            "reserved_placeholder_in_path",
        ));
    }

    // What a client's id is written for is not asked about a person, nor the other way round.
    let values = |name: &str| {
        if is_reserved(name) {
            reserved(principal, name).map(Cow::Borrowed)
        } else {
            params(name)
        }
    };
    permission.resolve(&values, &subject).map_err(unresolved)
}

/// Makes the tuple to check for an object that is known in the handler only.
///
/// # Errors
///
/// A [`Refusal`] when the principal is of another tenant or its id cannot be part of a tuple, and when the namespace, the relation
/// or the object is invalid. The object is held to the rules of a value of the path: see [`iam_grammar::template`].
pub fn tuple(
    principal: &Principal,
    tenant: &Tenant,
    (namespace, relation): (&str, &str),
    object: &str,
) -> Result<RelationTuple, Refusal> {
    let subject = default_subject(principal, tenant)?;
    let invalid = |detail| Refusal::with_detail(Reason::InvalidRequirement, detail);
    iam_grammar::check_namespace(namespace).map_err(|_| invalid("namespace"))?;
    iam_grammar::check_relation(relation).map_err(|_| invalid("relation"))?;

    iam_grammar::check_value(object).map_err(unresolved)?;

    RelationTuple::new(namespace, object, relation, subject)
        .map_err(|_| Refusal::with_detail(Reason::InvalidObject, "object"))
}

/// Checks the level and the age of the session.
///
/// R111: a principal without a session has proved nothing of what a session proves. The refusal names everything that is required:
/// a client that steps up for the level only would be refused again for the age.
///
/// # Errors
///
/// [`Reason::InsufficientLevel`].
pub fn check_session(principal: &Principal, required: StepUp, now: Timestamp) -> Result<(), Refusal> {
    if required == StepUp::default() {
        return Ok(());
    }
    let Some(session) = principal.session() else {
        return Err(Refusal::insufficient(required, "no_session"));
    };
    if required.level.is_some_and(|level| session.aal() < level) {
        return Err(Refusal::insufficient(required, "level"));
    }

    let authenticated_at = session.authenticated_at();
    let is_fresh = |max_age| {
        authenticated_at <= now.saturating_add(CLOCK_TOLERANCE)
            && now.duration_since(authenticated_at) <= max_age
    };
    if !required.max_age.is_none_or(is_fresh) {
        return Err(Refusal::insufficient(required, "age"));
    }
    Ok(())
}

fn same_tenant(principal: &Principal, tenant: &Tenant) -> Result<(), Refusal> {
    if principal.tenant() == tenant.name() {
        Ok(())
    } else {
        Err(Refusal::with_detail(
            Reason::TenantMismatch,
            "principal_of_other_tenant",
        ))
    }
}

fn default_subject(principal: &Principal, tenant: &Tenant) -> Result<Subject, Refusal> {
    same_tenant(principal, tenant)?;
    let keto = tenant.keto().ok_or(Refusal::with_detail(
        Reason::InvalidRequirement,
        "no_permission_server",
    ))?;

    // The credential is good: a new login would bring the same id again.
    keto.subject(principal)
        .map_err(|_| unresolved(ResolveError::Subject))
}

fn is_reserved(name: &str) -> bool {
    iam_grammar::RESERVED_PLACEHOLDERS.contains(&name)
}

fn reserved<'v>(principal: &'v Principal, name: &str) -> Option<&'v str> {
    match (principal, name) {
        (Principal::Client(client), "client_id") => Some(client.client_id()),
        (Principal::Identity(identity), "sub" | "user") => Some(identity.subject()),
        (Principal::Client(_) | Principal::Identity(_), _) => None,
    }
}

fn unresolved(error: ResolveError) -> Refusal {
    let (reason, detail) = match error {
        ResolveError::Ambiguous => (Reason::InvalidObject, "ambiguous"),
        ResolveError::Blank => (Reason::InvalidObject, "blank"),
        ResolveError::Control => (Reason::InvalidObject, "control_character"),
        ResolveError::DotSegment => (Reason::InvalidObject, "dot_segment"),
        ResolveError::Empty => (Reason::InvalidObject, "empty"),
        ResolveError::Inapplicable => (Reason::PermissionDeny, "other_kind_of_principal"),
        ResolveError::Missing => (Reason::InvalidRequirement, "placeholder_missing"),
        ResolveError::Subject => (Reason::PermissionDeny, "subject_unaskable"),
        ResolveError::TooLong => (Reason::InvalidObject, "too_long"),
        ResolveError::Undecodable => (Reason::InvalidObject, "not_utf8"),
    };
    Refusal::with_detail(reason, detail)
}

#[cfg(test)]
mod tests;
