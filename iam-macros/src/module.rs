//! Which routes of a module does an attribute cover? Exactly those that Actix's `#[scope]` prefixes.
//!
//! `#[scope]` prefixes the route attributes of the functions directly in the module, if they are written bare. Any other route in
//! the module is an error, because the policy would not apply to it.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Item, ItemFn, ItemMod, LitStr, Meta, Result};

use crate::{
    args::Announcement,
    attribute::{Attribute, is_route, is_route_name, is_routes, span_of},
    placeholder,
    wrapper::append,
};

/// Appends the wrapper to every route of the module and returns the module.
pub(crate) fn announce(
    mut module: ItemMod,
    attributes: &[syn::Attribute],
    announcements: &[Announcement],
    wrap: &LitStr,
) -> Result<TokenStream> {
    let first = announcements
        .first()
        .map_or("public", |announcement| announcement.attribute.name());
    if !attributes.iter().any(is_scope) {
        return Err(Error::new(
            Span::call_site(),
            format!("`#[{first}]` on a module has to stand above `#[scope(\"/prefix\")]`"),
        ));
    }

    let requirement = announcements
        .iter()
        .map(|it| it.attribute)
        .find(|attribute| attribute.is_requirement());
    let mut routes = 0_usize;
    if let Some((_, items)) = &mut module.content {
        for item in items {
            if let Item::Fn(function) = item {
                refuse_opening(function, requirement)?;
                for route in function.attrs.iter().filter(|written| is_prefixed(written)) {
                    placeholder::check(
                        announcements,
                        attributes.iter().filter(|it| is_scope(it)).chain([route]),
                    )?;
                }
                routes = routes.saturating_add(cover(function, wrap));
                refuse_uncovered(&remainder(function), first)?;
            } else {
                refuse_uncovered(&item.to_token_stream(), first)?;
            }
        }
    }

    if routes == 0 {
        return Err(Error::new(
            module.ident.span(),
            format!("`#[{first}]` covers no route here: this module has no function with a route attribute"),
        ));
    }
    Ok(module.into_token_stream())
}

fn is_scope(written: &syn::Attribute) -> bool {
    written
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "scope")
}

/// Tells whether `#[scope]` of Actix Web prefixes this attribute.
fn is_prefixed(written: &syn::Attribute) -> bool {
    is_route(written) && written.path().get_ident().is_some() && matches!(written.meta, Meta::List(_))
}

fn cover(function: &mut ItemFn, wrap: &LitStr) -> usize {
    let routes = function.attrs.iter_mut().filter(|written| is_prefixed(written));
    routes.map(|written| append(written, wrap)).count()
}

/// Refuses an open route in a module with a requirement, because the requirement would win.
fn refuse_opening(function: &ItemFn, requirement: Option<Attribute>) -> Result<()> {
    let Some(requirement) = requirement else {
        return Ok(());
    };

    for written in &function.attrs {
        if let Some(attribute) = Attribute::of(written.path()).filter(|attribute| attribute.is_opening()) {
            let (name, requirement) = (attribute.name(), requirement.name());
            return Err(Error::new(
                span_of(written),
                format!(
                    "`#[{name}]` has no effect in a module with `#[{requirement}]`: move the function out"
                ),
            ));
        }
    }
    Ok(())
}

/// Returns the tokens of a function without the attributes that are covered.
fn remainder(function: &ItemFn) -> TokenStream {
    let mut tokens = TokenStream::new();
    for written in function
        .attrs
        .iter()
        .filter(|it| !is_prefixed(it) && !is_routes(it))
    {
        written.to_tokens(&mut tokens);
    }
    function.block.to_tokens(&mut tokens);
    tokens
}

fn refuse_uncovered(tokens: &TokenStream, attribute: &str) -> Result<()> {
    let Some(span) = find_route(tokens, false) else {
        return Ok(());
    };
    Err(Error::new(
        span,
        format!(
            "`#[scope]` does not reach this route, and neither does `#[{attribute}]` of the module: they cover bare \
             attributes such as `#[get(\"/path\")]` of functions that stand directly in the module"
        ),
    ))
}

/// Finds a probable route attribute: by its name, or by a path as its first argument.
fn find_route(tokens: &TokenStream, in_attribute: bool) -> Option<Span> {
    let mut name: Option<Ident> = None;
    let mut after_pound = false;
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => {
                let arguments = in_attribute && group.delimiter() == Delimiter::Parenthesis;
                if let Some(name) = name.take().filter(|_| arguments)
                    && looks_like_route(&name, &group.stream())
                {
                    return Some(name.span());
                }
                let enters_attribute = after_pound && group.delimiter() == Delimiter::Bracket;
                let found = find_route(&group.stream(), enters_attribute || in_attribute);
                if found.is_some() {
                    return found;
                }
                after_pound = false;
            }
            TokenTree::Ident(ident) => {
                name = Some(ident);
                after_pound = false;
            }
            TokenTree::Punct(punct) => {
                name = None;
                after_pound = punct.as_char() == '#' || (after_pound && punct.as_char() == '!');
            }
            TokenTree::Literal(_) => {
                name = None;
                after_pound = false;
            }
        }
    }
    None
}

fn looks_like_route(name: &Ident, arguments: &TokenStream) -> bool {
    let Some(TokenTree::Literal(first)) = arguments.clone().into_iter().next() else {
        return false;
    };
    let Ok(path) = syn::parse2::<LitStr>(TokenTree::Literal(first).into_token_stream()) else {
        return false;
    };

    // A renamed route attribute has another name.
    is_route_name(name) || path.value().starts_with('/')
}
