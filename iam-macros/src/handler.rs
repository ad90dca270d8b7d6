//! The item below the attributes. The signature is parsed, the body is kept as tokens.

use proc_macro2::{Span, TokenStream};
use syn::{
    Error, ItemMod, Result, Signature, Token, Visibility,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

use crate::attribute::Attribute;

/// The item below the attributes.
#[derive(Debug)]
pub(crate) enum Annotated {
    Handler(Handler),
    Module(ItemMod),
}

/// A function that may be a handler.
#[derive(Debug)]
pub(crate) struct Handler {
    signature: Signature,
}

impl Annotated {
    /// Reads an item without its attributes.
    pub(crate) fn read(attribute: Attribute, item: &TokenStream) -> Result<Self> {
        let read = |input: ParseStream<'_>| {
            let ahead = input.fork();
            ahead.parse::<Visibility>()?;
            if ahead.peek(Token![mod]) || ahead.peek2(Token![mod]) {
                return input.parse().map(Self::Module);
            }

            input.parse::<Visibility>()?;
            let Ok(signature) = input.parse() else {
                return Err(Error::new(Span::call_site(), misplaced(attribute)));
            };
            input.parse::<TokenStream>()?;
            Ok(Self::Handler(Handler { signature }))
        };
        read.parse2(item.clone())
    }

    /// Returns the name under which the policy is reported.
    pub(crate) fn name(&self) -> String {
        let ident = match self {
            Self::Handler(handler) => &handler.signature.ident,
            Self::Module(module) => &module.ident,
        };
        ident.unraw().to_string()
    }
}

impl Handler {
    /// Refuses a function that Actix could not call as a handler.
    pub(crate) fn check(&self, attribute: Attribute) -> Result<()> {
        if self.signature.asyncness.is_some() {
            return Ok(());
        }
        let (name, handler) = (attribute.name(), &self.signature.ident);
        Err(Error::new(
            self.signature.fn_token.span,
            format!("`#[{name}]` belongs on a handler, which is an `async fn`: write `async fn {handler}`"),
        ))
    }

    /// Returns the error about a function without a route attribute.
    pub(crate) fn without_route(&self, attribute: Attribute) -> Error {
        let (name, method, handler) = (attribute.name(), attribute.method(), &self.signature.ident);
        Error::new(
            Span::call_site(),
            format!(
                "`#[{name}]` has to stand above the route attribute, as in `{} #[get(\"/path\")] async fn {handler}`; \
                 a handler without a route attribute gets its policy where it is registered: `web::get().to({handler}).{method}`",
                attribute.example(),
            ),
        )
    }
}

fn misplaced(attribute: Attribute) -> String {
    format!(
        "`#[{}]` belongs above the route attribute of an `async fn`, or above `#[scope(\"/prefix\")]` of a module",
        attribute.name()
    )
}
