//! The wrapper that a route attribute gets: an expression that a user could write by hand.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{LitStr, Meta};

use crate::args::{Announcement, PermissionExpr, PolicyCall};

/// Returns the expression of the wrapper, as the text that a route attribute takes.
pub(crate) fn wrapper(announcements: &[Announcement], name: &str) -> LitStr {
    let calls = announcements.iter().map(|announcement| call(&announcement.call));
    let expression = quote! {
        ::iam_actix::__private::Enforce::new(
            ::iam_actix::__private::RoutePolicy::new(
                ::core::concat!(::core::file!(), ":", ::core::line!()),
                #name
            ) #(#calls)*
        )
    };

    LitStr::new(&expression.to_string(), Span::call_site())
}

fn call(call: &PolicyCall) -> TokenStream {
    match call {
        PolicyCall::Anonymous => quote! { .anonymous() },
        PolicyCall::Optional => quote! { .optional() },
        PolicyCall::Protected => quote! { .protected() },
        PolicyCall::Public => quote! { .public() },
        PolicyCall::RequireAal(level) => quote! { .require_aal_named(#level) },
        PolicyCall::RequireFreshSession(seconds) => {
            quote! { .require_fresh_session(::core::time::Duration::from_secs(#seconds)) }
        }
        PolicyCall::RequirePermission(required) => {
            let asked = permission(&required.permission);
            if required.is_fresh {
                quote! { .require_fresh_permission(#asked) }
            } else {
                quote! { .require_permission(#asked) }
            }
        }
        PolicyCall::RequireRole(roles) => quote! { .require_role([#(#roles),*]) },
        PolicyCall::RequireScope(scopes) => quote! { .require_scope([#(#scopes),*]) },
        PolicyCall::SingleUse => quote! { .single_use() },
        PolicyCall::Tenant(name) => quote! { .tenant(#name) },
        PolicyCall::Transport(names) => quote! { .transports_named([#(#names),*]) },
    }
}

fn permission(asked: &PermissionExpr) -> TokenStream {
    match asked {
        PermissionExpr::All(members) => {
            let members = members.iter().map(permission);
            quote! { ::iam_actix::__private::Permission::all([#(#members),*]) }
        }
        PermissionExpr::Any(members) => {
            let members = members.iter().map(permission);
            quote! { ::iam_actix::__private::Permission::any([#(#members),*]) }
        }
        PermissionExpr::Object {
            namespace,
            relation,
            object,
        } => {
            quote! { ::iam_actix::__private::Permission::new(#namespace, #relation, #object) }
        }
        PermissionExpr::Tuple(tuple) => quote! { ::iam_actix::__private::Permission::tuple(#tuple) },
    }
}

/// Appends the wrapper to a route attribute. The last wrapper is the outermost, so it runs before those of the user.
pub(crate) fn append(written: &mut syn::Attribute, wrap: &LitStr) {
    // Without arguments the route attribute itself reports what is missing.
    if let Meta::List(list) = &mut written.meta
        && let Some(last) = list.tokens.clone().into_iter().last()
    {
        let comma = (last.to_string() != ",").then(|| quote! { , });
        quote! { #comma wrap = #wrap }.to_tokens(&mut list.tokens);
    }
}
