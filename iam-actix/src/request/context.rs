use std::{cell::OnceCell, fmt, sync::Arc};

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
    pub(crate) fn new(state: &Arc<State>) -> Self {
        Self {
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

    /// Returns the first route that a path fits, one of its method if there is one, for the event of a request that was refused
    /// before its route announced anything. Guards other than those for methods are not looked at: no decision rests on the result.
    pub(super) fn route_of(&self, method: &Method, path: &str) -> Option<&Route> {
        let routes = self.routes.get_or_init(|| {
            let mut routes = Vec::new();
            if let Some(Some(tree)) = self.tree.get() {
                collect(&tree.root, &mut routes);
            }
            routes
        });

        let fitting = || routes.iter().filter(|route| route.definition.is_match(path));
        fitting()
            .find(|route| route.methods.is_empty() || route.methods.contains(method))
            .or_else(|| fitting().next())
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
