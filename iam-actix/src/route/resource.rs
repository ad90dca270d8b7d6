//! The resources of an application, as Actix Web's introspection lists them.

use actix_web::{
    dev::ResourceDef,
    http::Method,
    introspection::{IntrospectionNode, ResourceType},
};

/// A resource as the application was built, whether it announces a policy or not.
#[derive(Debug)]
pub(crate) struct Resource {
    definition: ResourceDef,
    /// The methods that guards ask for. Empty when no guard does.
    pub(crate) methods: Vec<Method>,
    /// The name of the resource. The route attributes of Actix Web give it the name of the handler.
    pub(crate) name: Option<String>,
    /// The full pattern.
    pub(crate) pattern: String,
}

impl Resource {
    fn of(node: &IntrospectionNode) -> Self {
        Self {
            definition: ResourceDef::new(node.full_path.as_str()),
            methods: node.methods.clone(),
            name: node.resource_name.clone(),
            pattern: node.full_path.clone(),
        }
    }

    /// Tells whether no guard refuses a method.
    pub(crate) fn serves(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|own| own.as_str() == method)
    }

    /// Tells whether the pattern matches a path.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        self.definition.is_match(path)
    }
}

/// Calls `visit` with every resource below `root`, and with the nodes on the way to it: the resource's own comes last.
pub(crate) fn visit_resources<'t>(
    root: &'t IntrospectionNode,
    visit: &mut impl FnMut(Resource, &[&'t IntrospectionNode]),
) {
    descend(root, &mut Vec::new(), visit);
}

fn descend<'t>(
    node: &'t IntrospectionNode,
    way: &mut Vec<&'t IntrospectionNode>,
    visit: &mut impl FnMut(Resource, &[&'t IntrospectionNode]),
) {
    way.push(node);
    if matches!(node.kind, ResourceType::Resource) {
        visit(Resource::of(node), way);
    }
    for child in &node.children {
        descend(child, way, visit);
    }
    way.pop();
}
