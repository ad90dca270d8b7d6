//! Which routes of a module does an attribute cover? Exactly those that Actix's `#[scope]` prefixes.
//!
//! `#[scope]` prefixes the route attributes of the functions that stand directly in the module, if they are written
//! bare. Every other route in the module would look as if the policy held for it, so it is an error.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Error, Item, ItemFn, ItemMod, LitStr, Meta, Result};

use crate::{
    args::Announcement,
    expand::append,
    words::{Word, is_route, is_route_name, is_routes, span_of},
};

/// Appends the wrapper to every route of the module and returns the module.
pub(crate) fn announce(
    mut module: ItemMod,
    attributes: &[Attribute],
    announcements: &[Announcement],
    wrap: &LitStr,
) -> Result<TokenStream> {
    let first = announcements
        .first()
        .map_or("public", |announcement| announcement.word.name());
    if !attributes.iter().any(is_scope) {
        return Err(Error::new(
            Span::call_site(),
            format!("`#[{first}]` on a module has to stand above `#[scope(\"/prefix\")]`"),
        ));
    }

    let requirement = announcements
        .iter()
        .map(|it| it.word)
        .find(|word| word.is_requirement());
    let mut routes = 0_usize;
    if let Some((_, items)) = &mut module.content {
        for item in items {
            if let Item::Fn(function) = item {
                refuse_opening(function, requirement)?;
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

fn is_scope(attribute: &Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "scope")
}

/// Tells whether `#[scope]` of Actix Web prefixes this attribute.
fn is_prefixed(attribute: &Attribute) -> bool {
    is_route(attribute) && attribute.path().get_ident().is_some() && matches!(attribute.meta, Meta::List(_))
}

fn cover(function: &mut ItemFn, wrap: &LitStr) -> usize {
    let routes = function
        .attrs
        .iter_mut()
        .filter(|attribute| is_prefixed(attribute));
    routes.map(|attribute| append(attribute, wrap)).count()
}

/// Refuses a route that says it is open in a module that says it is not: the requirement would win.
fn refuse_opening(function: &ItemFn, requirement: Option<Word>) -> Result<()> {
    let Some(requirement) = requirement else {
        return Ok(());
    };

    for attribute in &function.attrs {
        if let Some(word @ (Word::Public | Word::Optional)) = Word::of(attribute.path()) {
            let (name, requirement) = (word.name(), requirement.name());
            return Err(Error::new(
                span_of(attribute),
                format!(
                    "`#[{name}]` has no effect in a module with `#[{requirement}]`: move the function out"
                ),
            ));
        }
    }
    Ok(())
}

/// Returns what is left of a function when the attributes that are covered are taken away.
fn remainder(function: &ItemFn) -> TokenStream {
    let mut tokens = TokenStream::new();
    for attribute in function
        .attrs
        .iter()
        .filter(|it| !is_prefixed(it) && !is_routes(it))
    {
        attribute.to_tokens(&mut tokens);
    }
    function.block.to_tokens(&mut tokens);
    tokens
}

fn refuse_uncovered(tokens: &TokenStream, word: &str) -> Result<()> {
    let Some(span) = find_route(tokens, false) else {
        return Ok(());
    };
    Err(Error::new(
        span,
        format!(
            "`#[scope]` does not reach this route, and neither does `#[{word}]` of the module: they cover bare \
             attributes such as `#[get(\"/path\")]` of functions that stand directly in the module"
        ),
    ))
}

/// Finds an attribute that looks like that of a route: by its name, or by a path as its first argument.
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
                let attribute = after_pound && group.delimiter() == Delimiter::Bracket;
                let found = find_route(&group.stream(), attribute || in_attribute);
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

    // A renamed route attribute cannot be recognised by its name.
    is_route_name(name) || path.value().starts_with('/')
}
