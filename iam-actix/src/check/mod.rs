//! Which routes are open, and does what they say make sense?
//!
//! [`Iam::check`](crate::Iam::check) builds the application as a worker would, then routes one sample request to every
//! route that Actix Web's introspection knows and reads what was announced. No future is polled beyond the gate: no
//! handler, no extractor, no inner middleware's asynchronous part runs.
//!
//! # Limits
//!
//! - Exact for what was sampled: what a request to that path gets. A route that a guard other than its method's tells apart,
//!   one inside of a scope that is [protected](crate::ScopeExt::protected) or behind a middleware that answers asynchronously
//!   inside the gate, one whose pattern no sample fits, and one whose every sample another route takes are not; their policies,
//!   and the routes where the map would be silent or wrong, are listed as *unsampled*.
//! - The methods that no guard of a pattern asks for have a line, with `*`, only where they are open and others are not. What
//!   there is to be found may be a 404.
//! - Where two patterns match one path and the route that Actix Web chooses says nothing, it is taken for either.
//! - Default services have no pattern, so they are not in the map. They are protected unless a scope around them is open.
//! - What a handler asks by itself, with [`Access`](crate::Access), is in its body, which is not run.
//! - Middleware *outside* the gate runs for each sample.

mod map;
mod sample;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    rc::Rc,
    sync::Arc,
};

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    Error, HttpMessage as _, HttpRequest,
    dev::{AppConfig, ResourceDef, Service, ServiceFactory, ServiceResponse},
    introspection::IntrospectionTree,
    test::TestRequest,
    web,
};
use iam_core::{
    requirement::{Access, EffectivePolicy, RoutePolicy},
    tenant::TenantRegistry,
};

pub use self::map::{AccessMap, CheckError, Declaration, Mode, Problem, RouteAccess};
use self::sample::{Resource, Target};
use crate::{iam::State, policy::chain::Chain, policy::params::PathValues, request::RequestState};

thread_local! {
    /// How many checks run on this thread. Requests look for a probe only while there is one.
    static CHECKS: Cell<usize> = const { Cell::new(0) };
    /// The wrappers that were built on this thread while a check ran.
    static BUILT: RefCell<Vec<Rc<RoutePolicy>>> = const { RefCell::new(Vec::new()) };
}

/// Marks a sample request and takes what is seen of it.
#[derive(Clone)]
struct Probe {
    /// Whose gate is looked for.
    state: Arc<State>,
    seen: Rc<RefCell<Seen>>,
}

#[derive(Default)]
struct Seen {
    reached_gate: bool,
    tree: Option<IntrospectionTree>,
    chain: Option<Rc<Chain>>,
    /// The pattern of the route that was chosen, if it announces a policy.
    route: Option<Rc<str>>,
    params: BTreeSet<String>,
}

/// Remembers that a wrapper was built.
pub(crate) fn register(policy: &Rc<RoutePolicy>) {
    if CHECKS.get() != 0 {
        BUILT.with_borrow_mut(|built| built.push(Rc::clone(policy)));
    }
}

/// Tells, before it is routed, whether a request is a sample.
pub(crate) fn probe_of(state: &Arc<State>, request: &HttpRequest) -> Option<GateProbe> {
    if CHECKS.get() == 0 {
        return None;
    }
    let probe = request.extensions().get::<Probe>().cloned()?;

    if Arc::ptr_eq(&probe.state, state) {
        let mut seen = probe.seen.borrow_mut();
        seen.reached_gate = true;
        seen.tree = request
            .app_data::<web::Data<IntrospectionTree>>()
            .map(|tree| IntrospectionTree::clone(tree));
    }
    Some(GateProbe(probe))
}

/// Shows the parameters that a wrapper can resolve placeholders from. The innermost wrapper comes last.
pub(crate) fn observe_params(request: &HttpRequest, params: &PathValues) {
    if CHECKS.get() == 0 {
        return;
    }

    if let Some(probe) = request.extensions().get::<Probe>() {
        probe.seen.borrow_mut().params = params.names().map(str::to_owned).collect();
    }
}

/// A sample request at the gate.
pub(crate) struct GateProbe(Probe);

impl GateProbe {
    /// Shows what was announced for the sample.
    pub(crate) fn observe(&self, request: &RequestState) {
        let mut seen = self.0.seen.borrow_mut();
        seen.chain = request.chain();
        seen.route = request.pattern();
    }
}

/// Checks the application that `factory` builds.
pub(crate) async fn check<F, I, S, B>(state: &Arc<State>, factory: F) -> Result<AccessMap, CheckError>
where
    F: FnOnce() -> I,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error>,
    S::InitError: fmt::Debug,
{
    let _running = Running::start();
    let service = factory()
        .into_factory()
        .new_service(AppConfig::default())
        .await
        .map_err(|_| CheckError::one(Problem::Init))?;
    let built = BUILT.take();

    let mut application = Application {
        state,
        service,
        is_gate_late: false,
    };
    let mut root = application.see(TestRequest::default().to_request()).await;
    if !root.reached_gate {
        application.is_gate_late = true;
        root = application.see(TestRequest::default().to_request()).await;
    }
    let (true, Some(tree)) = (root.reached_gate, root.tree) else {
        return Err(CheckError::one(Problem::NoGate));
    };

    let mut map = AccessMap::default();
    let mut problems = Vec::new();
    let mut sampled: Vec<*const RoutePolicy> = Vec::new();
    let resources = sample::resources(&tree.root);
    for resource in &resources {
        for target in resource.targets() {
            let reached = application.reach(&target, &resources).await;
            if resource.is_guarded || reached.is_none() {
                map.push_unsampled(&target);
            }
            let Some(seen) = reached else { continue };

            if !seen.reached_gate {
                problems.push(Problem::OutsideGate {
                    route: target.to_string(),
                });
                continue;
            }
            if let Some(chain) = &seen.chain {
                sampled.extend(chain.policies().map(std::ptr::from_ref));
                find_problems(state, chain, &seen, target.pattern, &mut problems);
            }
            map.push(RouteAccess::new(state, &target, seen.chain.as_deref()));
        }

        if let Some(target) = resource.other_methods()
            && let Some(seen) = application.reach(&target, &resources).await
        {
            map.push_if_open_beside_closed(RouteAccess::new(state, &target, seen.chain.as_deref()));
        }
    }

    map.set_unsampled(
        built
            .iter()
            .filter(|policy| !sampled.contains(&Rc::as_ptr(policy)))
            .map(|policy| Declaration::of(policy)),
    );
    if problems.is_empty() {
        Ok(map)
    } else {
        Err(CheckError::new(problems))
    }
}

/// The application that is looked at.
struct Application<'e, S> {
    state: &'e Arc<State>,
    service: S,
    /// Set when the gate is reached only as a middleware outside of it goes on. Else a route that did not reach it at once never
    /// does, and its handler would run.
    is_gate_late: bool,
}

impl<S, B> Application<'_, S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
{
    /// Sends samples until one is not taken by another pattern's route, and returns what was seen of it.
    async fn reach(&self, target: &Target<'_>, resources: &[Resource]) -> Option<Seen> {
        // A resource of several patterns goes by the first one's name. Then that does not match the path.
        let is_of_another = |route: &str, path: &str| {
            route != target.pattern
                && resources.iter().any(|resource| resource.pattern == route)
                && ResourceDef::new(route).is_match(path)
        };

        for path in target.samples() {
            let request = TestRequest::with_uri(&path)
                .method(target.method.clone())
                .to_request();
            let seen = self.see(request).await;
            if !seen
                .route
                .as_deref()
                .is_some_and(|route| is_of_another(route, &path))
            {
                return Some(seen);
            }
        }
        None
    }

    /// Sends one sample through the application and returns what was seen of it.
    async fn see(&self, request: Request) -> Seen {
        let probe = Probe {
            state: Arc::clone(self.state),
            seen: Rc::default(),
        };
        request.extensions_mut().insert(probe.clone());

        let answer = self.service.call(request);
        // The gate answers samples itself; what outer middleware makes of that answer is of no interest.
        if self.is_gate_late && !probe.seen.borrow().reached_gate {
            drop(answer.await);
        }
        probe.seen.take()
    }
}

fn find_problems(state: &Arc<State>, chain: &Chain, seen: &Seen, pattern: &str, problems: &mut Vec<Problem>) {
    let declared = || Declaration::of(chain.policy());

    if let Some(conflict) = chain.conflict() {
        problems.push(Problem::Conflict {
            conflict,
            declared: declared(),
            pattern: pattern.to_owned(),
        });
    }
    for name in chain
        .placeholders()
        .iter()
        .filter(|name| !seen.params.contains(*name))
    {
        problems.push(Problem::Placeholder {
            name: name.clone(),
            declared: declared(),
            pattern: pattern.to_owned(),
        });
    }
    for name in chain
        .reserved()
        .iter()
        .filter(|name| seen.params.contains(**name))
    {
        problems.push(Problem::ReservedParameter {
            name: (*name).to_owned(),
            declared: declared(),
            pattern: pattern.to_owned(),
        });
    }
    if let Ok(policy) = chain.effective() {
        problems.extend(find_problems_of_tenant(
            state.registry(),
            policy,
            &declared(),
            pattern,
        ));
    }
}

/// Finds what the route asks for and its tenant does not have.
fn find_problems_of_tenant(
    registry: &TenantRegistry,
    policy: &EffectivePolicy,
    declared: &Declaration,
    pattern: &str,
) -> Vec<Problem> {
    let tenant = match policy.tenant() {
        None => registry.default_tenant(),
        Some(name) => match registry.get(name) {
            Some(tenant) => tenant,
            None => {
                return vec![Problem::Tenant {
                    name: name.to_owned(),
                    declared: declared.clone(),
                    pattern: pattern.to_owned(),
                }];
            }
        },
    };

    // Where everybody may come, no credential is looked for.
    let transport = policy
        .transport()
        .filter(|transport| policy.access() != Access::Public && !tenant.transports().contains(transport))
        .map(|transport| Problem::Transport {
            declared: declared.clone(),
            pattern: pattern.to_owned(),
            tenant: tenant.name().to_owned(),
            transport,
        });
    let permissions = policy
        .permissions()
        .filter(|_| tenant.keto().is_none())
        .map(|permission| Problem::NoPermissionServer {
            declared: declared.clone(),
            pattern: pattern.to_owned(),
            requirement: format!("permission:{permission}"),
            tenant: tenant.name().to_owned(),
        });
    transport.into_iter().chain(permissions).collect()
}

/// Counts the checks of this thread, whatever ends them.
struct Running;

impl Running {
    fn start() -> Self {
        CHECKS.set(CHECKS.get().saturating_add(1));
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CHECKS.set(CHECKS.get().saturating_sub(1));
        if CHECKS.get() == 0 {
            BUILT.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else every wrapper that is built later would be kept, and every request looked at.
    #[test]
    fn whatever_ends_a_check_leaves_nothing_behind() {
        let policy = || Rc::new(RoutePolicy::new("here", "public").public());
        let left = || (CHECKS.get(), BUILT.with_borrow(Vec::len));
        let outer = Running::start();
        register(&policy());

        drop(Running::start());
        assert_eq!(left(), (1, 1));
        drop(outer);
        assert_eq!(left(), (0, 0));

        register(&policy());
        assert_eq!(left(), (0, 0));
    }
}
