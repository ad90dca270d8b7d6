//! OAuth 2 clients and their access tokens.

use std::{collections::BTreeMap, io, net::SocketAddr};

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::expect;
use crate::{
    client::{Request, Response},
    text,
};

/// A Hydra.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hydra {
    /// The public port.
    pub public: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
}

/// An OAuth 2 client with a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OauthClient {
    /// The client's id.
    pub id: String,
    secret: String,
}

impl OauthClient {
    /// RFC 6749 §2.3.1.
    fn authenticate(&self, request: Request) -> Request {
        let pair = STANDARD.encode(format!("{}:{}", self.id, self.secret));
        request.header("authorization", format!("Basic {pair}"))
    }
}

impl Hydra {
    /// Returns a Hydra on its two ports.
    pub fn new(public: SocketAddr, admin: SocketAddr) -> Self {
        Self { public, admin }
    }

    /// Registers a client that may ask for the scopes and the audiences.
    ///
    /// # Errors
    ///
    /// When Hydra refuses.
    pub async fn client(&self, scope: &str, audience: &[&str]) -> io::Result<OauthClient> {
        let client = json!({
            "grant_types": ["client_credentials", "authorization_code", "refresh_token"],
            "response_types": ["code"],
            "redirect_uris": [CALLBACK],
            "scope": scope,
            "audience": audience,
        });
        let made = expect(
            &Request::post("/admin/clients", &client).send(self.admin).await?,
            201,
        )?;
        Ok(OauthClient {
            id: text(&made, "/client_id")?,
            secret: text(&made, "/client_secret")?,
        })
    }

    /// Returns an access token of the client itself (RFC 6749 §4.4).
    ///
    /// # Errors
    ///
    /// When Hydra refuses.
    pub async fn client_token(
        &self,
        client: &OauthClient,
        scope: &str,
        audience: &str,
    ) -> io::Result<String> {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("audience", audience),
        ];
        self.token(client, &fields)
            .await
            .and_then(|body| text(&body, "/access_token"))
    }

    /// Returns the token response for a person who acts through the client: authorization code with PKCE (RFC 6749 §4.1, RFC 7636). Plays
    /// the login and the consent application.
    ///
    /// # Errors
    ///
    /// When Hydra refuses.
    pub async fn user_tokens(
        &self,
        client: &OauthClient,
        subject: &str,
        scope: &str,
        audience: &str,
    ) -> io::Result<Value> {
        let verifier = [Uuid::new_v4(), Uuid::new_v4()]
            .map(|id| id.simple().to_string())
            .concat();
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        let start = Url::parse_with_params(
            &format!("http://{}/oauth2/auth", self.public),
            [
                ("response_type", "code"),
                ("client_id", &client.id),
                ("redirect_uri", CALLBACK),
                ("scope", scope),
                ("audience", audience),
                ("state", &verifier),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        )
        .map_err(io::Error::other)?;

        let mut browser = Browser::default();
        let login = browser
            .follow(self.public, start.as_str(), "login_challenge")
            .await?;
        let accepted = json!({ "subject": subject });
        let next = self.accept("login", &login, &accepted).await?;
        let consent = browser.follow(self.public, &next, "consent_challenge").await?;
        let scopes: Vec<_> = scope.split(' ').collect();
        let granted = json!({ "grant_scope": scopes, "grant_access_token_audience": [audience] });
        let next = self.accept("consent", &consent, &granted).await?;
        let code = browser.follow(self.public, &next, "code").await?;

        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.as_str()),
        ];
        self.token(client, &fields).await
    }

    /// Revokes a token (RFC 7009).
    ///
    /// # Errors
    ///
    /// When Hydra refuses.
    pub async fn revoke(&self, client: &OauthClient, token: &str) -> io::Result<()> {
        let request = client.authenticate(Request::new("POST", "/oauth2/revoke").form(&[("token", token)]));
        expect(&request.send(self.public).await?, 200).map(|_| ())
    }

    async fn token(&self, client: &OauthClient, fields: &[(&str, &str)]) -> io::Result<Value> {
        let request = client.authenticate(Request::new("POST", "/oauth2/token").form(fields));
        expect(&request.send(self.public).await?, 200)
    }

    /// Accepts a login or a consent request. Returns the URL that the browser goes to next.
    async fn accept(&self, step: &str, challenge: &str, body: &Value) -> io::Result<String> {
        let url = Url::parse_with_params(
            &format!("http://{}/admin/oauth2/auth/requests/{step}/accept", self.admin),
            [(format!("{step}_challenge"), challenge)],
        )
        .map_err(io::Error::other)?;
        let answer = Request::new("PUT", target(&url))
            .json(body)
            .send(self.admin)
            .await?;
        text(&expect(&answer, 200)?, "/redirect_to")
    }
}

/// The cookies of a browser.
#[derive(Default)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    /// Goes to a URL of Hydra, and returns a parameter of the URL that the answer redirects to.
    async fn follow(&mut self, hydra: SocketAddr, url: &str, parameter: &str) -> io::Result<String> {
        let url = Url::parse(url).map_err(io::Error::other)?;
        let cookies: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::get(target(&url));
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let answer = request.send(hydra).await?;
        self.keep(&answer);

        let location = answer.header("location").unwrap_or_default();
        Url::parse(location)
            .ok()
            .and_then(|url| {
                let mut pairs = url.query_pairs();
                pairs.find_map(|(name, value)| (name == parameter).then(|| value.into_owned()))
            })
            .ok_or_else(|| io::Error::other(format!("no {parameter} in {} {location}", answer.status())))
    }

    fn keep(&mut self, answer: &Response) {
        for (name, value) in answer
            .cookies()
            .split("; ")
            .filter_map(|pair| pair.split_once('='))
        {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Returns path and query.
fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Nothing listens there: the code is read from the redirect.
const CALLBACK: &str = "http://127.0.0.1:3003/callback";
