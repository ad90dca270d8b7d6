//! The attributes of this crate, and the attributes of Actix Web that make a route.

use proc_macro2::{Ident, Span};
use syn::Path;

/// An attribute of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Anonymous,
    Optional,
    Protected,
    Public,
    RequireAal,
    RequireFreshSession,
    RequirePermission,
    RequireRole,
    RequireScope,
    SingleUse,
    Tenant,
    Transport,
}

impl Attribute {
    const ALL: [Self; 12] = [
        Self::Anonymous,
        Self::Optional,
        Self::Protected,
        Self::Public,
        Self::RequireAal,
        Self::RequireFreshSession,
        Self::RequirePermission,
        Self::RequireRole,
        Self::RequireScope,
        Self::SingleUse,
        Self::Tenant,
        Self::Transport,
    ];

    /// Recognises an attribute of this crate by its bare name, or behind the name of the crate that exports it.
    ///
    /// A renamed import is not recognised: it expands by itself and becomes a wrapper of its own.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let mut names = path.segments.iter().map(|segment| &segment.ident);
        let first = names.next()?;

        let attribute = match names.next() {
            None if path.leading_colon.is_none() => first,
            Some(attribute) if first == "iam_actix" || first == "iam_macros" => attribute,
            _ => return None,
        };
        if names.next().is_some() {
            return None;
        }
        Self::ALL.into_iter().find(|known| attribute == known.name())
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Optional => "optional",
            Self::Protected => "protected",
            Self::Public => "public",
            Self::RequireAal => "require_aal",
            Self::RequireFreshSession => "require_fresh_session",
            Self::RequirePermission => "require_permission",
            Self::RequireRole => "require_role",
            Self::RequireScope => "require_scope",
            Self::SingleUse => "single_use",
            Self::Tenant => "tenant",
            Self::Transport => "transport",
        }
    }

    /// Returns an example of the attribute.
    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::Anonymous => "#[anonymous]",
            Self::Optional => "#[optional]",
            Self::Protected => "#[protected]",
            Self::Public => "#[public]",
            Self::RequireAal => "#[require_aal(\"aal2\")]",
            Self::RequireFreshSession => "#[require_fresh_session(\"15m\")]",
            Self::RequirePermission => {
                "#[require_permission(namespace = \"orders\", relation = \"view\", object = \"orders:{id}\")]"
            }
            Self::RequireRole => "#[require_role(\"admin\")]",
            Self::RequireScope => "#[require_scope(\"orders:read\")]",
            Self::SingleUse => "#[single_use]",
            Self::Tenant => "#[tenant(\"customer\")]",
            Self::Transport => "#[transport(\"cookie\")]",
        }
    }

    /// Returns the method of the route extension with the same effect.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous()",
            Self::Optional => "optional()",
            Self::Protected => "protected()",
            Self::Public => "public()",
            Self::RequireAal => "require_aal(…)",
            Self::RequireFreshSession => "require_fresh_session(…)",
            Self::RequirePermission => "require_permission(…)",
            Self::RequireRole => "require_role(…)",
            Self::RequireScope => "require_scope(…)",
            Self::SingleUse => "single_use()",
            Self::Tenant => "tenant(…)",
            Self::Transport => "transport(…)",
        }
    }

    /// Tells whether the attribute requires a principal.
    pub(crate) const fn is_requirement(self) -> bool {
        match self {
            Self::Protected
            | Self::RequireAal
            | Self::RequireFreshSession
            | Self::RequirePermission
            | Self::RequireRole
            | Self::RequireScope
            | Self::SingleUse => true,
            Self::Anonymous | Self::Optional | Self::Public | Self::Tenant | Self::Transport => false,
        }
    }

    /// Tells whether the attribute admits requests without a principal.
    pub(crate) const fn is_opening(self) -> bool {
        self.opens().is_some()
    }

    /// Returns what an attribute does that admits requests without a principal.
    pub(crate) const fn opens(self) -> Option<&'static str> {
        match self {
            Self::Anonymous => Some("lets only callers without a principal in"),
            Self::Optional => Some("lets callers without a credential in"),
            Self::Public => Some("opens the route to everybody"),
            Self::Protected
            | Self::RequireAal
            | Self::RequireFreshSession
            | Self::RequirePermission
            | Self::RequireRole
            | Self::RequireScope
            | Self::SingleUse
            | Self::Tenant
            | Self::Transport => None,
        }
    }
}

/// The attributes of Actix Web that take the path of a route.
const ROUTE_ATTRIBUTES: [&str; 11] = [
    "connect", "delete", "get", "head", "options", "patch", "post", "put", "query", "route", "trace",
];

/// Tells whether the name is that of an attribute that takes the path of a route.
pub(crate) fn is_route_name(name: &Ident) -> bool {
    ROUTE_ATTRIBUTES.iter().any(|known| name == known)
}

/// Tells whether the attribute takes the path of a route, written bare or behind a path.
pub(crate) fn is_route(written: &syn::Attribute) -> bool {
    written
        .path()
        .segments
        .last()
        .is_some_and(|last| is_route_name(&last.ident))
}

/// Tells whether the attribute is `#[routes]`, below which several route attributes stand.
pub(crate) fn is_routes(written: &syn::Attribute) -> bool {
    written
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "routes")
}

/// Returns the span of an attribute's name.
pub(crate) fn span_of(written: &syn::Attribute) -> Span {
    written
        .path()
        .segments
        .last()
        .map_or_else(Span::call_site, |last| last.ident.span())
}
