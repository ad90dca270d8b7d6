//! One policy and one wrapper for all attributes of one item.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute, Error, LitStr, Meta, Result,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

use crate::{
    args::{Announcement, Clause, PermissionExpr},
    check::contradictions,
    handler::Target,
    module,
    words::{Word, is_route, is_routes, span_of},
};

/// Expands the first of our attributes on an item, together with those below it.
///
/// On error the item stays as it is, without our attributes, so that nothing else is reported than the mistake.
pub(crate) fn expand(word: Word, arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let read = |input: ParseStream<'_>| {
        let attributes = input.call(Attribute::parse_outer)?;
        Ok((attributes, input.parse::<TokenStream>()?))
    };
    let (attributes, rest) = match read.parse2(item.clone()) {
        Ok(parts) => parts,
        Err(err) => return with_error(item, &err),
    };

    let first_route = attributes.iter().position(|it| is_route(it) || is_routes(it));
    let own = Announcement::read(word, Span::call_site(), arguments);
    let (siblings, mut attributes) = take_siblings(attributes, first_route);
    let named: TokenStream = siblings.iter().filter_map(naming).collect();
    match announce(word, own, siblings, &rest, &mut attributes) {
        Ok(rest) => quote! { #named #(#attributes)* #rest },
        Err(err) => with_error(&quote! { #named #(#attributes)* #rest }, &err),
    }
}

/// One of our attributes below the one that expands.
struct Sibling {
    word: Word,
    attribute: Attribute,
    below_route: bool,
}

/// Separates our attributes from everybody else's.
fn take_siblings(attributes: Vec<Attribute>, first_route: Option<usize>) -> (Vec<Sibling>, Vec<Attribute>) {
    let mut siblings = Vec::new();
    let mut others = Vec::new();
    for (index, attribute) in attributes.into_iter().enumerate() {
        match Word::of(attribute.path()) {
            Some(word) => {
                let below_route = first_route.is_some_and(|route| route < index);
                siblings.push(Sibling {
                    word,
                    attribute,
                    below_route,
                });
            }
            None => others.push(attribute),
        }
    }
    (siblings, others)
}

/// Appends the wrapper and returns what replaces the item, apart from its attributes.
fn announce(
    word: Word,
    own: Result<Announcement>,
    siblings: Vec<Sibling>,
    rest: &TokenStream,
    attributes: &mut [Attribute],
) -> Result<TokenStream> {
    let target = Target::read(word, rest)?;
    let announcements = read_all(own, siblings)?;
    contradictions(&announcements)?;

    let wrap = wrapper(&announcements, &target.name());
    match target {
        Target::Handler(handler) => {
            handler.check(word)?;
            if !attributes.iter().any(is_route) {
                return Err(handler.without_route(word));
            }
            for attribute in attributes.iter_mut().filter(|attribute| is_route(attribute)) {
                append(attribute, &wrap);
            }
            Ok(rest.clone())
        }
        Target::Module(module) => module::announce(module, attributes, &announcements, &wrap),
    }
}

/// Reads all attributes and reports the mistakes of all of them at once.
fn read_all(own: Result<Announcement>, siblings: Vec<Sibling>) -> Result<Vec<Announcement>> {
    let mut announcements = Vec::new();
    let mut errors: Option<Error> = None;
    let read = siblings.into_iter().map(Sibling::read);
    for announcement in std::iter::once(own).chain(read) {
        match announcement {
            Ok(announcement) => announcements.push(announcement),
            Err(err) => match &mut errors {
                Some(errors) => errors.combine(err),
                None => errors = Some(err),
            },
        }
    }

    errors.map_or(Ok(announcements), Err)
}

impl Sibling {
    fn read(self) -> Result<Announcement> {
        let at = span_of(&self.attribute);
        if self.below_route {
            let name = self.word.name();
            return Err(Error::new(
                at,
                format!("`#[{name}]` has no effect below a route attribute: move it above"),
            ));
        }

        let arguments = match self.attribute.meta {
            Meta::Path(_) => TokenStream::new(),
            Meta::List(list) => list.tokens,
            Meta::NameValue(pair) => {
                let example = self.word.example();
                return Err(Error::new(pair.value.span(), format!("write `{example}`")));
            }
        };
        Announcement::read(self.word, at, arguments)
    }
}

/// Imports a consumed attribute under no name: it has to exist, and its own import is in use.
fn naming(sibling: &Sibling) -> Option<TokenStream> {
    let path = sibling.attribute.path();
    (path.segments.len() == 1).then(|| {
        quote_spanned! { span_of(&sibling.attribute)=>
            const _: () = {
                #[allow(unused_imports)]
                use #path as _;
            };
        }
    })
}

/// Returns the expression of the wrapper, as the text that a route attribute takes.
fn wrapper(announcements: &[Announcement], name: &str) -> LitStr {
    let clauses = announcements
        .iter()
        .map(|announcement| clause(&announcement.clause));
    let expression = quote! {
        ::iam_actix::__private::Enforce::new(
            ::iam_actix::__private::RoutePolicy::new(
                ::core::concat!(::core::file!(), ":", ::core::line!()),
                #name
            ) #(#clauses)*
        )
    };

    LitStr::new(&expression.to_string(), Span::call_site())
}

fn clause(clause: &Clause) -> TokenStream {
    match clause {
        Clause::Optional => quote! { .optional() },
        Clause::Public => quote! { .public() },
        Clause::RequirePermission(asked) => {
            let asked = permission(asked);
            quote! { .require_permission(#asked) }
        }
        Clause::RequireRole(roles) => quote! { .require_role([#(#roles),*]) },
        Clause::RequireScope(scopes) => quote! { .require_scope([#(#scopes),*]) },
        Clause::SingleUse => quote! { .single_use() },
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

/// Appends the wrapper to a route attribute. The last wrapper is the outermost, so ours runs before the user's own.
pub(crate) fn append(attribute: &mut Attribute, wrap: &LitStr) {
    // Without arguments the route attribute itself reports what is missing.
    if let Meta::List(list) = &mut attribute.meta
        && let Some(last) = list.tokens.clone().into_iter().last()
    {
        let comma = (last.to_string() != ",").then(|| quote! { , });
        quote! { #comma wrap = #wrap }.to_tokens(&mut list.tokens);
    }
}

fn with_error(item: &TokenStream, err: &Error) -> TokenStream {
    let err = err.to_compile_error();
    quote! { #item #err }
}
