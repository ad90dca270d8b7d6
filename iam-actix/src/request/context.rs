use std::{
    any::type_name,
    cell::{Cell, OnceCell},
    fmt,
    sync::Arc,
};

use actix_web::{
    HttpRequest,
    dev::ResourceDef,
    http::Method,
    introspection::{IntrospectionNode, IntrospectionTree, ResourceType},
    web,
};

use crate::state::State;

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

/// A route as the application was built, whether it announces a policy or not.
pub(crate) struct Route {
    definition: ResourceDef,
    /// Empty when any method is served.
    methods: Vec<Method>,
    /// The resource's name: that of the handler, where a route attribute made it.
    pub(crate) name: Option<String>,
    /// The full pattern.
    pub(crate) pattern: String,
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

    /// Notes that a policy was announced before the gate decided.
    pub(super) fn note_announcement(&self) {
        self.has_announced.set(true);
    }

    /// Reports the policies that may be hidden from a route that was refused and had announced nothing.
    pub(super) fn report_hidden(&self, route: &Route) {
        let hidden = self.state.hidden_policies();
        let same_name = |other: &&Route| other.name == route.name;

        match &route.name {
            Some(name) if self.routes().iter().filter(same_name).count() == 1 => {
                hidden.report_for_handler(name);
            }
            Some(_) | None if self.is_around_router || self.has_announced.get() => {}
            Some(_) | None => hidden.suspect(&route.pattern),
        }
    }

    /// Keeps the routes of the application that a request came to.
    pub(crate) fn see(&self, request: &HttpRequest) {
        self.tree
            .get_or_init(|| request.app_data::<web::Data<IntrospectionTree>>().cloned());
    }

    /// Returns the first route that a path fits, one of its method if there is one, for the event of a request that was refused
    /// before its route announced anything. Guards other than those for methods are not looked at: no decision rests on the result.
    pub(super) fn route_of(&self, method: &Method, path: &str) -> Option<&Route> {
        let fitting = || {
            self.routes()
                .iter()
                .filter(|route| route.definition.is_match(path))
        };
        fitting()
            .find(|route| route.methods.is_empty() || route.methods.contains(method))
            .or_else(|| fitting().next())
    }
}

impl GateContext {
    fn routes(&self) -> &[Route] {
        self.routes.get_or_init(|| {
            let mut routes = Vec::new();
            if let Some(Some(tree)) = self.tree.get() {
                collect(&tree.root, &mut routes);
            }
            routes
        })
    }
}

fn collect(node: &IntrospectionNode, routes: &mut Vec<Route>) {
    if matches!(node.kind, ResourceType::Resource) {
        routes.push(Route {
            definition: ResourceDef::new(node.full_path.as_str()),
            methods: node.methods.clone(),
            name: node.resource_name.clone(),
            pattern: node.full_path.clone(),
        });
    }
    for child in &node.children {
        collect(child, routes);
    }
}

impl fmt::Debug for GateContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateContext").finish_non_exhaustive()
    }
}
