//! A new Hydra on its own ports, and a client that follows no redirects.

use std::path::Path;

use actix_web::http::{Method, header::HeaderMap};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ory_dev::{
    config::Vars,
    hydra::{Hydra, HydraConfig},
    kratos::Clock,
};
use serde_json::{Value, json};

pub(crate) struct Stand {
    pub(crate) hydra: Hydra,
    pub(crate) clock: Clock,
    client: awc::Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn config() -> HydraConfig {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let file = format!("{folder}/hydra.yml");
    Hydra::from_files(Path::new(&file), &Vars::new(folder, "/state"))
        .unwrap()
        .ports(0, 0)
}

/// Returns the shipped configuration with the options of `variant`.
pub(crate) fn config_with(variant: &str) -> HydraConfig {
    let shipped = include_str!("../../config/hydra.yml");
    let file = std::env::temp_dir().join(format!("hydra-{}.yml", uuid::Uuid::new_v4()));
    std::fs::write(&file, format!("{shipped}\n{variant}")).unwrap();
    let config = Hydra::from_files(&file, &Vars::new("/config", "/state"));
    std::fs::remove_file(&file).unwrap();
    config.unwrap().ports(0, 0)
}

impl Stand {
    pub(crate) fn start() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: HydraConfig) -> Self {
        let clock = Clock::default();
        let hydra = Hydra::start(config.clock(&clock)).unwrap();
        let client = awc::Client::builder()
            .no_default_headers()
            .disable_redirects()
            .finish();
        Self { hydra, clock, client }
    }

    pub(crate) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.hydra.public_url())
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("{}{path}", self.hydra.admin_url())
    }

    pub(crate) async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url);
        for header in headers {
            request = request.append_header(*header);
        }
        let sent = if body.is_empty() {
            request.send()
        } else {
            request.send_body(body.to_owned())
        };
        let mut answer = sent.await.unwrap();
        let bytes = answer.body().limit(1 << 20).await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: bytes.to_vec(),
        }
    }

    pub(crate) async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", url, headers, "").await
    }

    pub(crate) async fn json(&self, method: &str, url: &str, body: &Value) -> Answer {
        self.send(
            method,
            url,
            &[("content-type", "application/json")],
            &body.to_string(),
        )
        .await
    }

    pub(crate) async fn form(&self, url: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send("POST", url, &all, &body).await
    }

    /// Creates a client and returns it with its secret.
    pub(crate) async fn client(&self, body: &Value) -> Value {
        let made = self.json("POST", &self.admin("admin/clients"), body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.value()
    }

    /// Creates a client that may ask for `orders:read` and the audience `orders-api`.
    pub(crate) async fn worker(&self) -> Value {
        self.client(&json!({
            "grant_types": ["client_credentials"], "scope": "orders:read orders:write", "audience": ["orders-api"],
        }))
        .await
    }

    pub(crate) async fn token(&self, client: &Value, fields: &[(&str, &str)]) -> Answer {
        let basic = basic(client);
        self.form(&self.public("oauth2/token"), &[("authorization", &basic)], fields)
            .await
    }

    /// Returns an access token of the client credentials grant.
    pub(crate) async fn access_token(&self, client: &Value) -> String {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", "orders:read"),
            ("audience", "orders-api"),
        ];
        let answer = self.token(client, &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.value()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn introspect(&self, token: &str) -> Value {
        let answer = self
            .form(&self.admin("admin/oauth2/introspect"), &[], &[("token", token)])
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.value()
    }
}

impl Answer {
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| self.text().into())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        self.headers
            .get_all("set-cookie")
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the browser's `Cookie` header after this answer, given the header `before`.
    pub(crate) fn jar(&self, before: &str) -> String {
        let new = self.set_cookies();
        let new = new.iter().map(|cookie| cookie.split(';').next().unwrap());
        let mut jar: Vec<(&str, &str)> = Vec::new();
        for pair in before.split("; ").chain(new).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            jar.retain(|(known, _)| *known != name);
            jar.push((name, value));
        }
        let pairs: Vec<_> = jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    /// Returns a query value of the `Location` header.
    pub(crate) fn in_location(&self, name: &str) -> Option<String> {
        in_query(self.header("location")?, name)
    }
}

/// Returns a value in the query of a URL.
pub(crate) fn in_query(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.query_pairs()
        .find(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned())
}

/// Returns the `Authorization` header of a client.
pub(crate) fn basic(client: &Value) -> String {
    let (id, secret) = (&client["client_id"], &client["client_secret"]);
    let pair = format!("{}:{}", id.as_str().unwrap(), secret.as_str().unwrap_or_default());
    format!("Basic {}", STANDARD.encode(pair))
}

/// Returns header and claims of a JWT, unverified.
pub(crate) fn decoded(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    });
    (parts.next().unwrap(), parts.next().unwrap())
}
