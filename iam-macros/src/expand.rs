//! Expands all attributes of this crate on one item to one policy and one wrapper.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Error, Meta, Result,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

use crate::{
    args::Announcement,
    attribute::{Attribute, is_route, is_routes, span_of},
    check::contradictions,
    handler::Annotated,
    module, placeholder,
    wrapper::{append, wrapper},
};

/// Expands the first attribute of this crate on an item, together with those below it.
///
/// On error the item is emitted without these attributes, so that only the mistake is reported.
pub(crate) fn expand(attribute: Attribute, arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let read = |input: ParseStream<'_>| {
        let attributes = input.call(syn::Attribute::parse_outer)?;
        Ok((attributes, input.parse::<TokenStream>()?))
    };
    let (attributes, rest) = match read.parse2(item.clone()) {
        Ok(parts) => parts,
        Err(err) => return with_error(item, &err),
    };

    let first_route = attributes.iter().position(|it| is_route(it) || is_routes(it));
    let own = Announcement::read(attribute, Span::call_site(), arguments);
    let (siblings, mut attributes) = take_siblings(attributes, first_route);
    let named: TokenStream = siblings.iter().filter_map(naming).collect();
    match announce(attribute, own, siblings, &rest, &mut attributes) {
        Ok(rest) => quote! { #named #(#attributes)* #rest },
        Err(err) => with_error(&quote! { #named #(#attributes)* #rest }, &err),
    }
}

/// An attribute of this crate below the one that expands.
struct Sibling {
    attribute: Attribute,
    written: syn::Attribute,
    below_route: bool,
}

/// Separates the attributes of this crate from the others.
fn take_siblings(
    attributes: Vec<syn::Attribute>,
    first_route: Option<usize>,
) -> (Vec<Sibling>, Vec<syn::Attribute>) {
    let mut siblings = Vec::new();
    let mut others = Vec::new();
    for (index, written) in attributes.into_iter().enumerate() {
        match Attribute::of(written.path()) {
            Some(attribute) => {
                let below_route = first_route.is_some_and(|route| route < index);
                siblings.push(Sibling {
                    attribute,
                    written,
                    below_route,
                });
            }
            None => others.push(written),
        }
    }
    (siblings, others)
}

/// Appends the wrapper, and returns the item without its attributes.
fn announce(
    attribute: Attribute,
    own: Result<Announcement>,
    siblings: Vec<Sibling>,
    rest: &TokenStream,
    attributes: &mut [syn::Attribute],
) -> Result<TokenStream> {
    let annotated = Annotated::read(attribute, rest)?;
    let announcements = read_all(own, siblings)?;
    contradictions(&announcements)?;

    let wrap = wrapper(&announcements, &annotated.name());
    match annotated {
        Annotated::Handler(handler) => {
            handler.check(attribute)?;
            if !attributes.iter().any(is_route) {
                return Err(handler.without_route(attribute));
            }
            for written in attributes.iter_mut().filter(|written| is_route(written)) {
                placeholder::check(&announcements, [&*written])?;
                append(written, &wrap);
            }
            Ok(rest.clone())
        }
        Annotated::Module(module) => module::announce(module, attributes, &announcements, &wrap),
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
        let at = span_of(&self.written);
        if self.below_route {
            let name = self.attribute.name();
            return Err(Error::new(
                at,
                format!("`#[{name}]` has no effect below a route attribute: move it above"),
            ));
        }

        let arguments = match self.written.meta {
            Meta::Path(_) => TokenStream::new(),
            Meta::List(list) => list.tokens,
            Meta::NameValue(pair) => {
                let example = self.attribute.example();
                return Err(Error::new(pair.value.span(), format!("write `{example}`")));
            }
        };
        Announcement::read(self.attribute, at, arguments)
    }
}

/// Imports a consumed attribute under no name, so that it has to exist and its import counts as used.
fn naming(sibling: &Sibling) -> Option<TokenStream> {
    let path = sibling.written.path();
    (path.segments.len() == 1).then(|| {
        quote_spanned! { span_of(&sibling.written)=>
            const _: () = {
                #[allow(unused_imports)]
                use #path as _;
            };
        }
    })
}

fn with_error(item: &TokenStream, err: &Error) -> TokenStream {
    let err = err.to_compile_error();
    quote! { #item #err }
}
