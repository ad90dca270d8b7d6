//! The arguments of one attribute, checked by the grammar that the core uses at run time.

use iam_grammar::{
    GrammarError, NameError, Permission, check_role, check_scope, check_tenant, permission::MAX_DEPTH,
};
use proc_macro2::{Span, TokenStream};
use syn::{
    Error, Ident, LitStr, Result, Token,
    ext::IdentExt,
    parenthesized,
    parse::{ParseStream, Parser},
};

use crate::attribute::Attribute;

/// An attribute of this crate with its arguments.
#[derive(Debug)]
pub(crate) struct Announcement {
    pub(crate) attribute: Attribute,
    pub(crate) at: Span,
    pub(crate) call: PolicyCall,
}

/// The method of the route policy that an attribute calls, with its arguments.
#[derive(Debug)]
pub(crate) enum PolicyCall {
    Anonymous,
    Optional,
    Protected,
    Public,
    RequireAal(LitStr),
    /// The longest age in seconds.
    RequireFreshSession(u64),
    RequirePermission(RequiredPermission),
    RequireRole(Vec<LitStr>),
    RequireScope(Vec<LitStr>),
    SingleUse,
    Tenant(LitStr),
    Transport(Vec<LitStr>),
}

/// A permission as written, and whether Keto is asked anew for each request.
#[derive(Debug)]
pub(crate) struct RequiredPermission {
    pub(crate) permission: PermissionExpr,
    pub(crate) is_fresh: bool,
}

/// A permission as written.
#[derive(Debug)]
pub(crate) enum PermissionExpr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Object {
        namespace: LitStr,
        relation: LitStr,
        object: LitStr,
    },
    Tuple(LitStr),
}

impl Announcement {
    pub(crate) fn read(attribute: Attribute, at: Span, arguments: TokenStream) -> Result<Self> {
        let call = match attribute {
            Attribute::Anonymous => nothing(attribute, arguments).map(|()| PolicyCall::Anonymous),
            Attribute::Optional => nothing(attribute, arguments).map(|()| PolicyCall::Optional),
            Attribute::Protected => nothing(attribute, arguments).map(|()| PolicyCall::Protected),
            Attribute::Public => nothing(attribute, arguments).map(|()| PolicyCall::Public),
            Attribute::RequireAal => {
                one(attribute, at, arguments, |text| listed(text, LEVELS)).map(PolicyCall::RequireAal)
            }
            Attribute::RequireFreshSession => {
                let written = one(attribute, at, arguments, |text| seconds(text).map(drop))?;
                seconds(&written.value())
                    .map(PolicyCall::RequireFreshSession)
                    .map_err(|err| Error::new(written.span(), err))
            }
            Attribute::RequirePermission => permission(at, arguments).map(PolicyCall::RequirePermission),
            Attribute::RequireRole => {
                names(attribute, at, arguments, check_role).map(PolicyCall::RequireRole)
            }
            Attribute::RequireScope => {
                names(attribute, at, arguments, check_scope).map(PolicyCall::RequireScope)
            }
            Attribute::SingleUse => nothing(attribute, arguments).map(|()| PolicyCall::SingleUse),
            Attribute::Tenant => one(attribute, at, arguments, |text| {
                check_tenant(text).map_err(|err| format!("this tenant {err}"))
            })
            .map(PolicyCall::Tenant),
            Attribute::Transport => texts(attribute, at, arguments, ("transport", "transports"), transport)
                .map(PolicyCall::Transport),
        }?;

        Ok(Self { attribute, at, call })
    }
}

fn nothing(attribute: Attribute, arguments: TokenStream) -> Result<()> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(Error::new_spanned(
        arguments,
        format!(
            "`#[{}]` takes no arguments: write `{}`",
            attribute.name(),
            attribute.example()
        ),
    ))
}

/// Reads one text.
fn one(
    attribute: Attribute,
    at: Span,
    arguments: TokenStream,
    check: impl Fn(&str) -> std::result::Result<(), String>,
) -> Result<LitStr> {
    let wrong = |span| {
        Error::new(
            span,
            format!(
                "`#[{}]` takes one text in quotes: write `{}`",
                attribute.name(),
                attribute.example()
            ),
        )
    };
    if arguments.is_empty() {
        return Err(wrong(at));
    }

    let read = |input: ParseStream<'_>| {
        let text = input.parse::<LitStr>().map_err(|err| wrong(err.span()))?;
        if !input.is_empty() {
            return Err(wrong(input.span()));
        }
        Ok(text)
    };
    let text = read.parse2(arguments)?;
    check(&text.value()).map_err(|err| Error::new(text.span(), err))?;
    Ok(text)
}

fn listed(text: &str, known: &[&str]) -> std::result::Result<(), String> {
    if known.contains(&text) {
        return Ok(());
    }
    Err(format!("expected one of `{}`", known.join("`, `")))
}

/// Checks the name of a transport, or of an application's authenticator behind `custom:`.
fn transport(text: &str) -> std::result::Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_custom = text.strip_prefix("custom:").is_some_and(|name| {
        (1..=32).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(is_allowed)
    });

    if is_custom {
        return Ok(());
    }
    listed(text, TRANSPORTS).map_err(|err| format!("{err}, or `custom:` and the name of an authenticator"))
}

/// Reads a time in whole seconds, minutes or hours.
fn seconds(text: &str) -> std::result::Result<u64, String> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        _ => 0,
    };
    let number = text.trim_end_matches(['s', 'm', 'h']);
    let is_number =
        text.len() == number.len().saturating_add(1) && number.bytes().all(|it| it.is_ascii_digit());

    let seconds = number.parse::<u64>().ok().filter(|_| is_number);
    seconds
        .and_then(|number| number.checked_mul(unit))
        .filter(|seconds| (1..=LONGEST).contains(seconds))
        .ok_or_else(|| "expected a time from one second to a year, such as `15m`, `90s` or `24h`".to_owned())
}

/// A year, in seconds.
const LONGEST: u64 = 366 * 24 * 60 * 60;

/// The assurance levels that a session can be asked for.
const LEVELS: &[&str] = &["aal1", "aal2", "aal3"];

/// The transports, as the configuration writes them.
const TRANSPORTS: &[&str] = &["bearer", "cookie", "cookie-or-bearer", "oathkeeper", "oauth2"];

/// Reads a list of roles or of scopes.
fn names(
    attribute: Attribute,
    at: Span,
    arguments: TokenStream,
    check: fn(&str) -> std::result::Result<(), NameError>,
) -> Result<Vec<LitStr>> {
    let words = if attribute == Attribute::RequireScope {
        ("scope", "scopes")
    } else {
        ("role", "roles")
    };
    texts(attribute, at, arguments, words, |text| {
        check(text).map_err(|err| {
            let hint = match words.0 {
                "scope" if text.contains(' ') => ": write each scope in quotes of its own",
                "role" if text.contains(',') => ": write each role in quotes of its own",
                _ => "",
            };
            format!("this {} {err}{hint}", words.0)
        })
    })
}

/// Reads a list of texts, each written once.
fn texts(
    attribute: Attribute,
    at: Span,
    arguments: TokenStream,
    (kind, kinds): (&str, &str),
    check: impl Fn(&str) -> std::result::Result<(), String>,
) -> Result<Vec<LitStr>> {
    if arguments.is_empty() {
        let example = attribute.example();
        return Err(Error::new(
            at,
            format!(
                "`#[{}]` needs at least one {kind}: write `{example}`",
                attribute.name()
            ),
        ));
    }

    let read = |input: ParseStream<'_>| {
        list(input, |input| {
            input.parse::<LitStr>().map_err(|err| {
                Error::new(
                    err.span(),
                    format!(
                        "`#[{}]` accepts {kinds} in quotes: write `{}`",
                        attribute.name(),
                        attribute.example()
                    ),
                )
            })
        })
    };
    let names = read.parse2(arguments)?;

    for (index, name) in names.iter().enumerate() {
        check(&name.value()).map_err(|err| Error::new(name.span(), err))?;
        if names
            .iter()
            .take(index)
            .any(|earlier| earlier.value() == name.value())
        {
            return Err(Error::new(
                name.span(),
                format!("this {kind} is listed twice: remove one"),
            ));
        }
    }
    Ok(names)
}

const PERMISSION_FORMS: &str = "`#[require_permission]` accepts `namespace = \"…\", relation = \"…\", object = \"…\"`, \
                                a tuple `\"namespace:object#relation@subject\"`, `any(…)` or `all(…)`, and behind it `fresh`";

/// Reads the permission that an attribute requires.
fn permission(at: Span, arguments: TokenStream) -> Result<RequiredPermission> {
    if arguments.is_empty() {
        return Err(Error::new(at, PERMISSION_FORMS));
    }

    let read = |input: ParseStream<'_>| {
        let first = input.fork().call(Ident::parse_any);
        if first.is_ok() && !input.peek2(syn::token::Paren) {
            return named(at, input);
        }

        let (permission, _) = tree(input, 0)?;
        let is_fresh = fresh_at_the_end(input)?;
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
        }
        if let Ok(word) = input.fork().call(Ident::parse_any)
            && !input.peek2(syn::token::Paren)
        {
            let mistake = if word == FRESH {
                "`fresh` is given twice: remove one".to_owned()
            } else {
                format!("unknown argument `{word}`: accepted behind the permission is `fresh`")
            };
            return Err(Error::new(word.span(), mistake));
        }
        if !input.is_empty() {
            return Err(input.error(
                "`#[require_permission]` takes one tuple: write `any(…)` if one of several is enough, or `all(…)` if not",
            ));
        }
        Ok(RequiredPermission { permission, is_fresh })
    };
    read.parse2(arguments)
}

/// Reads `, fresh` if it is there.
fn fresh_at_the_end(input: ParseStream<'_>) -> Result<bool> {
    let ahead = input.fork();
    let is_there = ahead.parse::<Token![,]>().is_ok()
        && ahead.call(Ident::parse_any).is_ok_and(|word| word == FRESH)
        && (ahead.is_empty() || ahead.peek(Token![,]));
    if is_there {
        input.parse::<Token![,]>()?;
        input.call(Ident::parse_any)?;
    }
    Ok(is_there)
}

const FRESH: &str = "fresh";

/// Reads `namespace = "…", relation = "…", object = "…"` and perhaps `fresh`, in any order.
fn named(at: Span, input: ParseStream<'_>) -> Result<RequiredPermission> {
    let mut is_fresh = false;
    let mut namespace = None;
    let mut relation = None;
    let mut object = None;
    list(input, |input| {
        let key = input
            .call(Ident::parse_any)
            .map_err(|err| Error::new(err.span(), PERMISSION_FORMS))?;
        let slot = match key.to_string().as_str() {
            FRESH if is_fresh => {
                return Err(Error::new(key.span(), "`fresh` is given twice: remove one"));
            }
            FRESH if input.is_empty() || input.peek(Token![,]) => {
                is_fresh = true;
                return Ok(());
            }
            FRESH => return Err(Error::new(key.span(), "`fresh` takes no value: write `fresh`")),
            "namespace" => &mut namespace,
            "relation" => &mut relation,
            "object" => &mut object,
            other => {
                let accepted = "`namespace`, `relation`, `object` and `fresh`";
                return Err(Error::new(
                    key.span(),
                    format!("unknown argument `{other}`: accepted are {accepted}"),
                ));
            }
        };
        if slot.is_some() {
            return Err(Error::new(
                key.span(),
                format!("`{key}` is given twice: remove one"),
            ));
        }

        let written = format!("write `{key} = \"…\"`");
        input
            .parse::<Token![=]>()
            .map_err(|err| Error::new(err.span(), &written))?;
        *slot = Some(
            input
                .parse::<LitStr>()
                .map_err(|err| Error::new(err.span(), written))?,
        );
        Ok(())
    })?;

    let missing = |name: &str| Error::new(at, format!("`#[require_permission]` lacks `{name} = \"…\"`"));
    let namespace = namespace.ok_or_else(|| missing("namespace"))?;
    let relation = relation.ok_or_else(|| missing("relation"))?;
    let object = object.ok_or_else(|| missing("object"))?;
    check_object(&namespace, &relation, &object)?;
    Ok(RequiredPermission {
        permission: PermissionExpr::Object {
            namespace,
            relation,
            object,
        },
        is_fresh,
    })
}

/// Checks each part alone, so that the error is at the right one.
fn check_object(namespace: &LitStr, relation: &LitStr, object: &LitStr) -> Result<()> {
    let refused = |literal: &LitStr, kind: &str, err: &dyn std::fmt::Display| {
        Error::new(literal.span(), format!("this {kind} {err}"))
    };

    iam_grammar::check_namespace(&namespace.value()).map_err(|err| refused(namespace, "namespace", &err))?;
    iam_grammar::check_relation(&relation.value()).map_err(|err| refused(relation, "relation", &err))?;
    iam_grammar::Template::parse(&object.value())
        .map_err(|err| Error::new(object.span(), format!("invalid object template: {err}")))
        .map(drop)
}

/// Reads a tuple, `any(…)` or `all(…)`, as written and as the grammar reads it.
fn tree(input: ParseStream<'_>, depth: usize) -> Result<(PermissionExpr, Permission)> {
    if input.peek(LitStr) {
        let literal = input.parse::<LitStr>()?;
        let permission = Permission::tuple(&literal.value())
            .map_err(|err| Error::new(literal.span(), format!("invalid relation tuple: {err}")))?;
        return Ok((PermissionExpr::Tuple(literal), permission));
    }

    let combinator = input
        .call(Ident::parse_any)
        .map_err(|err| Error::new(err.span(), PERMISSION_FORMS))?;
    let any = match combinator.to_string().as_str() {
        "any" => true,
        "all" => false,
        other => {
            return Err(Error::new(
                combinator.span(),
                format!("unknown combination `{other}`: accepted are `any(…)` and `all(…)`"),
            ));
        }
    };
    // Before the members are read, because reading them takes the compiler's stack. The grammar has the stricter bound.
    if MAX_DEPTH < depth {
        return Err(Error::new(
            combinator.span(),
            "`any` and `all` are nested too deeply",
        ));
    }

    let content;
    parenthesized!(content in input);
    let members = list(&content, |input| tree(input, depth.saturating_add(1)))?;
    let (asked, permissions): (Vec<_>, Vec<_>) = members.into_iter().unzip();

    let refused = |err: GrammarError| Error::new(combinator.span(), err.kind());
    let permissions = permissions.into_iter().map(Ok);
    if any {
        Ok((
            PermissionExpr::Any(asked),
            Permission::any(permissions).map_err(refused)?,
        ))
    } else {
        Ok((
            PermissionExpr::All(asked),
            Permission::all(permissions).map_err(refused)?,
        ))
    }
}

/// Reads a list with commas between its members and perhaps one at its end.
fn list<T>(input: ParseStream<'_>, mut member: impl FnMut(ParseStream<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut members = Vec::new();
    while !input.is_empty() {
        members.push(member(input)?);
        if input.is_empty() {
            break;
        }
        input
            .parse::<Token![,]>()
            .map_err(|err| Error::new(err.span(), "expected `,`"))?;
    }
    Ok(members)
}
