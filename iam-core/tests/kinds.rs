//! R020: no kind of credential passes as another one (RFC 8725 §2.8 and §3.12).
//!
//! Each kind is sent to each verifier, once where the kind has its own place, and once where the verifier looks. Only a verifier of that
//! kind lets it in. The tests print the table: `cargo test -p iam-core --test kinds -- --nocapture`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail"
)]

use std::sync::Arc;

use aws_lc_rs::{
    hmac::{self, HMAC_SHA256},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use iam_core::{
    authenticate::{Authentication, Lookup, authenticate},
    clock::Timestamp,
    config::{HydraConfig, IamConfig, KratosConfig, OathkeeperConfig, Settings, TenantConfig},
    decision::Refusal,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
    request::RequestHead,
    secret::Secret,
    service::{hydra::introspect, kratos::whoami},
    tenant::Transport,
};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const GATEWAY: &str = "https://gateway.example/";
const HYDRA: &str = "https://hydra.example/";
const KRATOS: &str = "https://kratos.example/";
/// The audience of everything, so that it tells no kinds apart. A client of this name makes it the audience of ID tokens, too.
const AUDIENCE: &str = "orders-api";
const ENVELOPE_KEY: &[u8; 32] = b"the gateway and the service know";
const PROOF: &str = "only-the-gateway-knows-this-secret";
const COOKIE_VALUE: &str = "MTc5NTMyODY2OXxrcmF0b3Nfc2Vzc2lvbl9jb29raWU";
const SESSION_TOKEN: &str = "ory_st_QM4k25NbUCRhsyAIRcfZx0qieFgHZCet";
const ACCESS_TOKEN: &str = "ory_at_1CNq-ZNorQ2KKtrIf5EEBr5VR67-IYv0.FNBwQe7E_tJFlZJcQKicepxmfQx3";
const REFRESH_TOKEN: &str = "ory_rt_7CNq-ZNorQ2KKtrIf5EEBr5VR67-IYv0.FNBwQe7E_tJFlZJcQKicepxmfQx3";

/// What is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    GatewayToken,
    Envelope,
    Headers,
    SessionCookie,
    SessionToken,
    OpaqueAccessToken,
    JwtAccessToken,
    AtJwt,
    RefreshToken,
    IdToken,
    LogoutToken,
    TokenizedSession,
    /// A JWT with the key of envelopes: RFC 7515 signs it in the same way.
    HmacToken,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::GatewayToken,
        Self::Envelope,
        Self::Headers,
        Self::SessionCookie,
        Self::SessionToken,
        Self::OpaqueAccessToken,
        Self::JwtAccessToken,
        Self::AtJwt,
        Self::RefreshToken,
        Self::IdToken,
        Self::LogoutToken,
        Self::TokenizedSession,
        Self::HmacToken,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::GatewayToken => "gateway's JWT",
            Self::Envelope => "envelope",
            Self::Headers => "headers",
            Self::SessionCookie => "session cookie",
            Self::SessionToken => "session token",
            Self::OpaqueAccessToken => "access token",
            Self::JwtAccessToken => "JWT access token",
            Self::AtJwt => "at+jwt",
            Self::RefreshToken => "refresh token",
            Self::IdToken => "ID token",
            Self::LogoutToken => "logout token",
            Self::TokenizedSession => "tokenized session",
            Self::HmacToken => "HS256 JWT",
        }
    }
}

/// What looks at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Check {
    Jwt,
    Hmac,
    Headers,
    Cookie,
    Bearer,
    CookieOrBearer,
    Introspection,
    LocalJwt,
    LocalAtJwt,
}

impl Check {
    const ALL: [Self; 9] = [
        Self::Jwt,
        Self::Hmac,
        Self::Headers,
        Self::Cookie,
        Self::Bearer,
        Self::CookieOrBearer,
        Self::Introspection,
        Self::LocalJwt,
        Self::LocalAtJwt,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "oathkeeper jwt",
            Self::Hmac => "oathkeeper hmac",
            Self::Headers => "oathkeeper headers",
            Self::Cookie => "cookie",
            Self::Bearer => "bearer",
            Self::CookieOrBearer => "cookie-or-bearer",
            Self::Introspection => "oauth2 introspect",
            Self::LocalJwt => "oauth2 jwt",
            Self::LocalAtJwt => "oauth2 at+jwt",
        }
    }

    /// The diagonal.
    fn is_for(self, kind: Kind) -> bool {
        let kinds: &[Kind] = match self {
            Self::Jwt => &[Kind::GatewayToken],
            Self::Hmac => &[Kind::Envelope],
            Self::Headers => &[Kind::Headers],
            Self::Cookie => &[Kind::SessionCookie],
            Self::Bearer => &[Kind::SessionToken],
            Self::CookieOrBearer => &[Kind::SessionCookie, Kind::SessionToken],
            // Their issuer knows access tokens of every form.
            Self::Introspection => &[Kind::OpaqueAccessToken, Kind::JwtAccessToken, Kind::AtJwt],
            Self::LocalJwt => &[Kind::JwtAccessToken],
            Self::LocalAtJwt => &[Kind::AtJwt],
        };
        kinds.contains(&kind)
    }
}

/// The keys of everybody who signs JWTs.
struct Keys {
    gateway: Ed25519KeyPair,
    hydra: Ed25519KeyPair,
    kratos: Ed25519KeyPair,
}

impl Keys {
    fn different() -> Self {
        let [gateway, hydra, kratos] =
            [1, 2, 3].map(|seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
        Self {
            gateway,
            hydra,
            kratos,
        }
    }

    /// What must never be, and must not be what everything rests on.
    fn one_for_all() -> Self {
        let [gateway, hydra, kratos] =
            [1; 3].map(|seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
        Self {
            gateway,
            hydra,
            kratos,
        }
    }
}

fn kid(key: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(key.public_key())
}

fn jwk(key: &Ed25519KeyPair) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid(key), "x": kid(key)})
}

fn parts(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn jwt(key: &Ed25519KeyPair, typ: &str, more: &Value) -> String {
    let mut claims = json!({
        "sub": "alice", "aud": [AUDIENCE], "iat": NOW, "nbf": NOW, "exp": NOW + 60, "jti": "j-1",
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let signed = parts(&json!({"alg": "EdDSA", "kid": kid(key), "typ": typ}), &claims);
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn mac(text: &str) -> String {
    STANDARD.encode(hmac::sign(
        &hmac::Key::new(HMAC_SHA256, ENVELOPE_KEY),
        text.as_bytes(),
    ))
}

/// One credential: the header lines in its own place, and its text and what proves it.
struct Credential {
    own: Vec<(&'static str, String)>,
    text: String,
    proof: String,
}

impl Credential {
    fn bearer(text: impl Into<String>) -> Self {
        let text = text.into();
        let proof = text.rsplit('.').next().unwrap().to_owned();
        Self {
            own: vec![("authorization", format!("Bearer {text}"))],
            text,
            proof,
        }
    }

    fn of(kind: Kind, keys: &Keys) -> Self {
        match kind {
            Kind::GatewayToken => Self::bearer(jwt(
                &keys.gateway,
                "JWT",
                &json!({"iss": GATEWAY, "tenant": "default"}),
            )),
            Kind::Envelope => {
                let members = json!({"sub": "alice", "aud": AUDIENCE, "exp": NOW + 60, "tenant": "default"});
                let text = STANDARD.encode(members.to_string());
                let proof = mac(&text);
                Self {
                    own: vec![("x-user", text.clone()), ("x-user-signature", proof.clone())],
                    text,
                    proof,
                }
            }
            Kind::Headers => Self {
                own: vec![
                    ("x-user-id", "alice".to_owned()),
                    ("x-gateway-secret", PROOF.to_owned()),
                ],
                text: "alice".to_owned(),
                proof: PROOF.to_owned(),
            },
            Kind::SessionCookie => Self {
                own: vec![("cookie", format!("ory_kratos_session={COOKIE_VALUE}"))],
                text: COOKIE_VALUE.to_owned(),
                proof: COOKIE_VALUE.to_owned(),
            },
            Kind::SessionToken => Self::bearer(SESSION_TOKEN),
            Kind::OpaqueAccessToken => Self::bearer(ACCESS_TOKEN),
            Kind::JwtAccessToken => Self::bearer(jwt_access_token(keys)),
            Kind::AtJwt => Self::bearer(at_jwt(keys)),
            Kind::RefreshToken => Self::bearer(REFRESH_TOKEN),
            // Recorded of Hydra: the same `typ` as its access tokens, no `client_id`, the client as audience.
            Kind::IdToken => Self::bearer(jwt(
                &keys.hydra,
                "JWT",
                &json!({"iss": HYDRA, "aud": [AUDIENCE], "at_hash": "x", "auth_time": NOW, "sid": "s-1"}),
            )),
            // OpenID Connect Back-Channel Logout 1.0 §2.4.
            Kind::LogoutToken => Self::bearer(jwt(
                &keys.hydra,
                "logout+jwt",
                &json!({"iss": HYDRA, "sid": "s-1", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
            )),
            Kind::TokenizedSession => {
                Self::bearer(jwt(&keys.kratos, "JWT", &json!({"iss": KRATOS, "sid": "s-1"})))
            }
            Kind::HmacToken => {
                let claims = json!({
                    "iss": GATEWAY, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 60, "tenant": "default",
                });
                let signed = parts(&json!({"alg": "HS256", "typ": "JWT"}), &claims);
                let proof = mac(&signed);
                let signature = URL_SAFE_NO_PAD.encode(STANDARD.decode(&proof).unwrap());
                Self {
                    own: vec![("authorization", format!("Bearer {signed}.{signature}"))],
                    // Where envelopes are read, what is signed and its signature stand apart.
                    text: signed,
                    proof,
                }
            }
        }
    }

    /// The header lines where a verifier looks.
    fn at(&self, check: Check) -> Vec<(&'static str, String)> {
        let bearer = || {
            let own = self.own.iter().find(|(name, _)| *name == "authorization");
            own.map_or_else(|| format!("Bearer {}", self.text), |(_, value)| value.clone())
        };
        match check {
            Check::Hmac => vec![
                ("x-user", self.text.clone()),
                ("x-user-signature", self.proof.clone()),
            ],
            Check::Headers => vec![
                ("x-user-id", self.text.clone()),
                ("x-gateway-secret", self.proof.clone()),
            ],
            Check::Cookie | Check::CookieOrBearer => {
                vec![("cookie", format!("ory_kratos_session={}", self.text))]
            }
            Check::Jwt | Check::Bearer | Check::Introspection | Check::LocalJwt | Check::LocalAtJwt => {
                vec![("authorization", bearer())]
            }
        }
    }
}

/// As recorded: `typ` is `JWT`, `scp` is a list.
fn jwt_access_token(keys: &Keys) -> String {
    jwt(
        &keys.hydra,
        "JWT",
        &json!({"iss": HYDRA, "client_id": "web", "scp": ["orders:read"], "ext": {}}),
    )
}

fn at_jwt(keys: &Keys) -> String {
    jwt(
        &keys.hydra,
        "at+jwt",
        &json!({"iss": HYDRA, "client_id": "web", "scope": "orders:read"}),
    )
}

/// Kratos and Hydra: they know what they have issued, and call nothing else active.
#[derive(Debug)]
struct Upstreams {
    access_tokens: Vec<String>,
}

impl Upstreams {
    fn of(keys: &Keys) -> Arc<dyn HttpClient> {
        Arc::new(Self {
            access_tokens: vec![ACCESS_TOKEN.to_owned(), jwt_access_token(keys), at_jwt(keys)],
        })
    }

    fn session(request: &http::Request<Bytes>) -> (u16, Value) {
        let cookie = request
            .headers()
            .get("cookie")
            .map(|value| value.to_str().unwrap());
        let token = request
            .headers()
            .get("x-session-token")
            .map(|value| value.to_str().unwrap());
        let is_known =
            cookie == Some(&format!("ory_kratos_session={COOKIE_VALUE}")) || token == Some(SESSION_TOKEN);
        if !is_known {
            return (401, json!({"error": {"code": 401, "status": "Unauthorized"}}));
        }
        let time = |secs| Timestamp::from_secs(secs).to_rfc3339();
        let identity = json!({"id": "alice", "schema_id": "default", "state": "active", "traits": {}});
        (
            200,
            json!({
                "id": "s-1", "active": true, "authenticated_at": time(NOW), "expires_at": time(NOW + 60),
                "authenticator_assurance_level": "aal1", "identity": identity,
            }),
        )
    }

    fn introspection(&self, request: &http::Request<Bytes>) -> Value {
        let token = str::from_utf8(request.body())
            .unwrap()
            .strip_prefix("token=")
            .unwrap();
        let token_use = if self.access_tokens.iter().any(|known| known == token) {
            "access_token"
        } else if token == REFRESH_TOKEN {
            "refresh_token"
        } else {
            return json!({"active": false});
        };
        json!({
            "active": true, "iss": HYDRA, "sub": "alice", "client_id": "web", "aud": [AUDIENCE], "iat": NOW, "nbf": NOW,
            "exp": NOW + 60, "token_type": "Bearer", "token_use": token_use, "scope": "orders:read",
        })
    }
}

impl HttpClient for Upstreams {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        let (status, body) = match request.uri().path() {
            "/sessions/whoami" => Self::session(&request),
            "/admin/oauth2/introspect" => (200, self.introspection(&request)),
            path => panic!("{path}"),
        };
        let response = http::Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))
            .unwrap();
        Box::pin(async { Ok(response) })
    }
}

fn settings(check: Check, keys: &Keys) -> Settings {
    let sessions = |transport| {
        let mut tenant = TenantConfig::with_sessions(KratosConfig::new(KRATOS));
        tenant.transports = vec![transport];
        tenant
    };
    let oauth2 = |hydra: HydraConfig| {
        let mut tenant = TenantConfig::default().hydra(hydra);
        tenant.transports = vec![Transport::Oauth2];
        tenant
    };
    let local = |typ: &str| {
        let mut hydra = HydraConfig::jwt(HYDRA, [AUDIENCE]);
        hydra.algorithms = Some(vec!["EdDSA".to_owned()]);
        hydra.typ = Some(vec![typ.to_owned()]);
        hydra.jwks.keys = vec![jwk(&keys.hydra)];
        oauth2(hydra)
    };

    let tenant = match check {
        Check::Jwt => {
            let mut gateway = OathkeeperConfig::new(GATEWAY, [AUDIENCE]).key(jwk(&keys.gateway));
            gateway.algorithms = vec!["EdDSA".to_owned()];
            TenantConfig::behind(gateway)
        }
        Check::Hmac => {
            let key = Secret::new(format!("base64:{}", STANDARD.encode(ENVELOPE_KEY)));
            TenantConfig::behind(OathkeeperConfig::hmac([AUDIENCE], [key]))
        }
        Check::Headers => {
            let mut gateway = OathkeeperConfig::headers();
            gateway.proof_secret = Some(Secret::new(PROOF));
            TenantConfig::behind(gateway)
        }
        Check::Cookie => sessions(Transport::Cookie),
        Check::Bearer => sessions(Transport::Bearer),
        Check::CookieOrBearer => sessions(Transport::CookieOrBearer),
        Check::Introspection => oauth2(HydraConfig::new("https://hydra-admin.example", HYDRA, [AUDIENCE])),
        Check::LocalJwt => local("JWT"),
        Check::LocalAtJwt => local("at+jwt"),
    };
    IamConfig::new().tenant("default", tenant).validate().unwrap()
}

fn send(
    settings: &Settings,
    upstreams: &Arc<dyn HttpClient>,
    lines: &[(&str, String)],
) -> Result<(), Refusal> {
    let target = settings.registry().resolve(None)?;
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let head = RequestHead {
        method: "GET",
        authority: Some(b"orders.example"),
        headers: &lines,
        peer: None,
    };
    let (tenant, now) = (target.tenant(), Timestamp::from_secs(NOW));

    let lookup = match authenticate(&target, &head, now)? {
        Authentication::Known(authenticated) => {
            assert_eq!(authenticated.principal().subject(), "alice");
            return Ok(());
        }
        Authentication::Ask(lookup) => lookup,
    };
    let authenticated = match lookup {
        Lookup::Custom(_) => panic!("no tenant has an authenticator"),
        Lookup::Key(lookup) => lookup.conclude(tenant, Ok(()), now),
        Lookup::Session(lookup) => {
            let answer = whoami(tenant.kratos().unwrap(), upstreams, lookup.credential(), "r-1");
            lookup.conclude(tenant, answer.now_or_never().unwrap(), now)
        }
        Lookup::Token(lookup) => {
            let answer = introspect(tenant.hydra().unwrap(), upstreams, lookup.token(), "r-1");
            lookup.conclude(tenant, answer.now_or_never().unwrap(), now)
        }
    }?;
    assert_eq!(authenticated.principal().subject(), "alice");
    Ok(())
}

/// The answer as the table shows it.
fn cell(answer: &Result<(), Refusal>) -> String {
    match answer {
        Ok(()) => "**200**".to_owned(),
        Err(refusal) => format!("{} {}", refusal.reason.class().status(), refusal.reason.code()),
    }
}

/// The answers to each kind, in the order of the verifiers.
fn table(
    keys: &Keys,
    lines: impl Fn(&Credential, Check) -> Vec<(&'static str, String)>,
) -> Vec<(Kind, Vec<String>)> {
    let upstreams = Upstreams::of(keys);
    let columns = Check::ALL.map(|check| (check, settings(check, keys)));

    let row = |kind| {
        let credential = Credential::of(kind, keys);
        let answers = columns.iter().map(|(check, settings)| {
            let answer = send(settings, &upstreams, &lines(&credential, *check));
            assert_eq!(
                answer.is_ok(),
                check.is_for(kind),
                "{kind:?} {check:?} {answer:?}"
            );
            let status = answer
                .as_ref()
                .err()
                .map(|refusal| refusal.reason.class().status());
            assert!(
                matches!(status, None | Some(400 | 401)),
                "{kind:?} {check:?} {answer:?}"
            );
            cell(&answer)
        });
        (kind, answers.collect())
    };
    Kind::ALL.map(row).into()
}

/// Prints a table and compares it with the expected one.
#[expect(clippy::print_stdout, reason = "the table is what a reader wants to see")]
fn compare(title: &str, table: &[(Kind, Vec<String>)]) {
    let header = format!("|  | {} |", Check::ALL.map(Check::name).join(" | "));
    let line = format!("|{}", "---|".repeat(1 + Check::ALL.len()));
    let rows = table
        .iter()
        .map(|(kind, cells)| format!("| {} | {} |", kind.name(), cells.join(" | ")));
    let table: Vec<_> = [format!("## {title}"), String::new(), header, line]
        .into_iter()
        .chain(rows)
        .collect();
    let table = table.join("\n");

    println!("{table}\n");
    assert!(
        EXPECTED.contains(&format!("{table}\n")),
        "another answer than in recordings/kinds.md"
    );
}

const EXPECTED: &str = include_str!("recordings/kinds.md");

#[test]
fn each_kind_in_its_own_place_passes_its_own_verifier_only() {
    for (keys, title) in [
        (Keys::different(), "In its own place"),
        (Keys::one_for_all(), "In its own place, with one key for all JWTs"),
    ] {
        let table = table(&keys, |credential, _| credential.own.clone());
        compare(title, &table);
    }
}

#[test]
fn each_kind_where_another_is_looked_for_is_refused() {
    for (keys, title) in [
        (Keys::different(), "Where the verifier looks"),
        (
            Keys::one_for_all(),
            "Where the verifier looks, with one key for all JWTs",
        ),
    ] {
        let table = table(&keys, |credential, check| {
            // A session token has no cookie of its own.
            if check == Check::CookieOrBearer && credential.text == SESSION_TOKEN {
                credential.own.clone()
            } else {
                credential.at(check)
            }
        });
        compare(title, &table);
    }
}
