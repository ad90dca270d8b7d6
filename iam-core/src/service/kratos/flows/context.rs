use http::{HeaderValue, header, request::Builder};

use crate::{
    credential::{self, Cookie},
    request::RequestHead,
};

/// The kind of client that shows a flow.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "Kratos knows two kinds")]
pub enum FlowKind {
    /// A browser: Kratos protects it with cookies and CSRF tokens.
    Browser,
    /// A native application: Kratos returns a session token and sets no cookies.
    #[default]
    Native,
}

/// The parts of a client's request that are forwarded to Kratos. `Debug` omits credentials.
#[derive(Clone)]
pub struct FlowContext {
    kind: FlowKind,
    credential: Option<HeaderValue>,
    request_id: String,
}

impl FlowContext {
    /// Extracts the credentials of a flow of this kind from a request: Kratos's cookies from a browser's request, or
    /// `X-Session-Token` from a native client's. Repeated and unreadable credentials are omitted.
    pub fn new(kind: FlowKind, head: &RequestHead<'_>) -> Self {
        let credential = match kind {
            FlowKind::Browser => cookies(head),
            FlowKind::Native => head.single("x-session-token").ok().flatten().and_then(passable),
        };

        Self {
            kind,
            credential: credential.map(|mut value| {
                value.set_sensitive(true);
                value
            }),
            request_id: String::new(),
        }
    }

    /// Sets the id of the request that causes the call to Kratos.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = request_id.into();
        self
    }

    /// Returns the kind of client.
    pub const fn kind(&self) -> FlowKind {
        self.kind
    }

    pub(super) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(super) fn credential(&self, request: Builder) -> Builder {
        match (&self.credential, self.kind) {
            (None, _) => request,
            (Some(cookies), FlowKind::Browser) => request.header(header::COOKIE, cookies),
            (Some(token), FlowKind::Native) => request.header("x-session-token", token),
        }
    }
}

impl std::fmt::Debug for FlowContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowContext")
            .field("kind", &self.kind)
            .field("has_credential", &self.credential.is_some())
            .finish_non_exhaustive()
    }
}

/// Returns Kratos's cookies unchanged: a cookie is never decoded.
fn cookies(head: &RequestHead<'_>) -> Option<HeaderValue> {
    let kept: Vec<Cookie<'_>> = credential::cookies(head)
        .filter(|cookie| is_of_kratos(cookie.name))
        .collect();
    // More cookies are not forwarded. This is checked first, because each cookie is compared with each other.
    if kept.len() > MAX_COOKIES || kept.iter().map(|cookie| cookie.pair.len()).sum::<usize>() > MAX_CREDENTIAL
    {
        return None;
    }
    // If two cookies have one name, neither is forwarded, because Kratos would have to guess which one counts.
    let repeated = |cookie: &Cookie<'_>| {
        kept.iter()
            .filter(|other| other.name == cookie.name)
            .nth(1)
            .is_some()
    };
    let sole: Vec<&[u8]> = kept
        .iter()
        .filter(|cookie| !repeated(cookie))
        .map(|cookie| cookie.pair)
        .collect();

    let value = sole.join(b"; ".as_slice());
    passable(&value)
}

/// Returns a credential that can be forwarded: not empty, plain ASCII, and not too long.
fn passable(credential: &[u8]) -> Option<HeaderValue> {
    let is_plain = credential.iter().all(|byte| matches!(byte, b' '..=b'~'));

    ((1..=MAX_CREDENTIAL).contains(&credential.len()) && is_plain)
        .then(|| HeaderValue::from_bytes(credential).ok())
        .flatten()
}

fn is_of_kratos(name: &[u8]) -> bool {
    KRATOS_COOKIES.contains(&name) || is_against_csrf(name)
}

/// Tells whether a cookie has the name of a Kratos anti-CSRF cookie: a hash, and possibly one of the prefixes that bind a
/// cookie to its host.
fn is_against_csrf(name: &[u8]) -> bool {
    let name = ["__Host-", "__HOST-", "__Secure-"]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix.as_bytes()))
        .unwrap_or(name);

    name.strip_prefix(b"csrf_token_")
        .is_some_and(|hash| !hash.is_empty() && hash.iter().all(u8::is_ascii_hexdigit))
}

/// Kratos's cookies other than the anti-CSRF cookies, whose names contain a hash.
const KRATOS_COOKIES: [&[u8]; 2] = [b"ory_kratos_session", b"ory_kratos_continuity"];

/// Kratos sets one cookie of each kind, and a browser may still hold some older ones.
const MAX_COOKIES: usize = 64;

/// The longest forwarded cookie or session token, in bytes.
const MAX_CREDENTIAL: usize = 16 << 10;
