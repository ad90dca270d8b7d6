use std::{
    any::type_name,
    cell::{Cell, OnceCell},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use actix_web::{HttpRequest, http::Method, introspection::IntrospectionTree, web};

use crate::{
    route::resource::{Resource, visit_resources},
    state::State,
};

/// What the gate of one worker shares with its requests.
///
/// Requests hold it by an `Rc`: each counts a reference, and workers would share the cache line of an `Arc`'s counter.
pub(crate) struct GateContext {
    state: Arc<State>,
    /// Known with the first request.
    tree: OnceCell<Option<web::Data<IntrospectionTree>>>,
    routes: OnceCell<Vec<Route>>,
    /// Whether the gate stands directly around the router: then no middleware of the application hides its routes.
    is_around_router: bool,
    /// Whether any policy was announced before the gate decided.
    has_announced: Cell<bool>,
}

/// A route of the application.
pub(crate) struct Route {
    resource: Resource,
    /// Whether the name of the resource tells which handler it has: no other resource has that name.
    has_unique_name: bool,
}

impl GateContext {
    /// Makes the context of a gate around a service of type `S`.
    pub(crate) fn of<S>(state: &Arc<State>) -> Self {
        Self {
            // Actix Web does not export the type of its router. Only the log depends on the name.
            is_around_router: type_name::<S>().ends_with("::AppRouting"),
            has_announced: Cell::new(false),
            state: Arc::clone(state),
            tree: OnceCell::new(),
            routes: OnceCell::new(),
        }
    }

    /// Returns what all workers share.
    pub(crate) const fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Keeps the routes of the application that a request came to.
    pub(crate) fn see(&self, request: &HttpRequest) {
        self.tree
            .get_or_init(|| request.app_data::<web::Data<IntrospectionTree>>().cloned());
    }

    /// Notes that a policy was announced before the gate decided.
    pub(super) fn note_announcement(&self) {
        self.has_announced.set(true);
    }

    /// Returns the first route that a path fits, one of its method if there is one, for the event of a request that was refused
    /// before its route announced anything. Guards other than those for methods are not looked at: no decision rests on the result.
    pub(super) fn route_of(&self, method: &Method, path: &str) -> Option<&Route> {
        let mut of_other_method = None;

        for route in self.routes().iter().filter(|route| route.resource.is_match(path)) {
            if route.resource.serves(method.as_str()) {
                return Some(route);
            }
            of_other_method = of_other_method.or(Some(route));
        }
        of_other_method
    }

    /// Reports the policies that may be hidden from a route that was refused and had announced nothing.
    pub(super) fn report_hidden(&self, route: &Route, method: &str) {
        // A request of another method reaches no policy: none is hidden.
        if !route.resource.serves(method) {
            return;
        }
        let hidden = self.state.hidden_policies();

        match &route.resource.name {
            Some(name) if route.has_unique_name => hidden.report_for_handler(name),
            Some(_) | None if self.is_around_router || self.has_announced.get() => {}
            Some(_) | None => hidden.suspect(route.pattern()),
        }
    }

    fn routes(&self) -> &[Route] {
        self.routes.get_or_init(|| match self.tree.get() {
            Some(Some(tree)) => Route::all_of(tree),
            Some(None) | None => Vec::new(),
        })
    }
}

impl Route {
    /// Returns the full pattern.
    pub(super) fn pattern(&self) -> &str {
        &self.resource.pattern
    }

    /// Returns the routes of an application, and counts their names.
    fn all_of(tree: &IntrospectionTree) -> Vec<Self> {
        let mut resources = Vec::new();
        visit_resources(&tree.root, &mut |resource, _| resources.push(resource));
        let mut names = HashMap::<_, usize>::new();
        for name in resources.iter().filter_map(|resource| resource.name.clone()) {
            let count = names.entry(name).or_default();
            *count = count.saturating_add(1);
        }

        let route = |resource: Resource| Self {
            has_unique_name: resource.name.as_ref().and_then(|name| names.get(name)) == Some(&1),
            resource,
        };
        resources.into_iter().map(route).collect()
    }
}

impl fmt::Debug for GateContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateContext").finish_non_exhaustive()
    }
}
