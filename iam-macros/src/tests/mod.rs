//! What the attributes expand to, and what they refuse, over token streams.

mod expansion;
mod refusal;
mod attribute;

use proc_macro2::{TokenStream, TokenTree};

use crate::{attribute::Attribute, expand::expand};

/// Expands the attribute `word(arguments)` on `item`.
pub(super) fn expanded(word: Attribute, arguments: &str, item: &str) -> TokenStream {
    expand(word, arguments.parse().unwrap(), &item.parse().unwrap())
}

/// Returns the texts of all `compile_error!`s.
pub(super) fn errors(expansion: &TokenStream) -> Vec<String> {
    let mut errors = Vec::new();
    let mut armed = false;
    for token in expansion.clone() {
        match token {
            TokenTree::Ident(ident) if ident == "compile_error" => armed = true,
            TokenTree::Group(group) if armed => {
                let literal: syn::LitStr = syn::parse2(group.stream()).unwrap();
                errors.push(literal.value());
                armed = false;
            }
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    errors
}

/// Returns the `wrap = "…"` texts of the expansion in their order, at any depth.
pub(super) fn wraps(expansion: &TokenStream) -> Vec<String> {
    let mut wraps = Vec::new();
    let mut after_wrap = 0;
    for token in expansion.clone() {
        match token {
            TokenTree::Ident(ident) => after_wrap = u8::from(ident == "wrap"),
            TokenTree::Punct(punct) => {
                after_wrap = if after_wrap == 1 && punct.as_char() == '=' {
                    2
                } else {
                    0
                }
            }
            TokenTree::Literal(literal) => {
                if after_wrap == 2 {
                    let literal: syn::LitStr = syn::parse_str(&literal.to_string()).unwrap();
                    wraps.push(literal.value());
                }
                after_wrap = 0;
            }
            TokenTree::Group(group) => {
                after_wrap = 0;
                wraps.extend(self::wraps(&group.stream()));
            }
        }
    }
    wraps
}

/// Prints tokens without the spaces that only the printer puts in.
pub(super) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
