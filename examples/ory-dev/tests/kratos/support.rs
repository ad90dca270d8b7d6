//! A new Kratos on its own ports, and a client that follows no redirects.

use std::path::Path;

use actix_web::http::{Method, header::HeaderMap};
use ory_dev::{
    config::Vars,
    kratos::{Clock, Kratos, KratosConfig, authenticator_code},
};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "Corr3ct-Horse-Battery";

pub(crate) struct Stand {
    pub(crate) kratos: Kratos,
    pub(crate) clock: Clock,
    client: awc::Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn config() -> KratosConfig {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let file = format!("{folder}/kratos.yml");
    Kratos::from_files(Path::new(&file), &Vars::new(folder, "/state"))
        .unwrap()
        .ports(0, 0)
}

/// Returns the shipped configuration with some texts replaced.
pub(crate) fn config_with(replaced: &[(&str, &str)]) -> KratosConfig {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let mut text = include_str!("../../config/kratos.yml").to_owned();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let id = uuid::Uuid::new_v4();
    let file = std::env::temp_dir().join(format!("kratos-{id}.yml"));
    std::fs::write(&file, text).unwrap();
    let state = std::env::temp_dir().join(format!("kratos-{id}"));
    let config = Kratos::from_files(&file, &Vars::new(folder, state));
    std::fs::remove_file(&file).unwrap();
    config.unwrap().ports(0, 0)
}

impl Stand {
    pub(crate) fn start() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: KratosConfig) -> Self {
        let clock = Clock::default();
        let kratos = Kratos::start(config.clock(&clock)).unwrap();
        let client = awc::Client::builder()
            .no_default_headers()
            .disable_redirects()
            .finish();
        Self {
            kratos,
            clock,
            client,
        }
    }

    pub(crate) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.kratos.public_url())
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("{}{path}", self.kratos.admin_url())
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url);
        for header in headers {
            request = request.append_header(*header);
        }
        let sent = if body.is_empty() {
            request.send()
        } else {
            request.send_body(body.to_vec())
        };
        let mut answer = sent.await.unwrap();
        let bytes = answer.body().limit(4 * 1024 * 1024).await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: bytes.to_vec(),
        }
    }

    pub(crate) async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", url, headers, b"").await
    }

    pub(crate) async fn json(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, url, &all, body.to_string().as_bytes()).await
    }

    /// Starts a native flow and returns the URL to submit it to.
    pub(crate) async fn native_flow(&self, kind: &str) -> String {
        let flow = self
            .get(&self.public(&format!("self-service/{kind}/api")), &[])
            .await;
        assert_eq!(flow.status, 200);
        flow.value()["ui"]["action"].as_str().unwrap().to_owned()
    }

    /// Registers natively and returns the answer: identity, session and token.
    pub(crate) async fn register(&self, email: &str) -> Value {
        let action = self.native_flow("registration").await;
        let body = json!({"method": "password", "password": PASSWORD, "traits": {"email": email}});
        let answer = self.json("POST", &action, &[], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.value()
    }

    /// Logs in natively.
    pub(crate) async fn log_in(&self, identifier: &str, password: &str) -> Answer {
        let action = self.native_flow("login").await;
        let body = json!({"method": "password", "identifier": identifier, "password": password});
        self.json("POST", &action, &[], &body).await
    }

    /// Links an authenticator app and returns its secret.
    pub(crate) async fn set_up_totp(&self, token: &str) -> String {
        let headers = [("x-session-token", token)];
        let flow = self
            .get(&self.public("self-service/settings/api"), &headers)
            .await;
        assert_eq!(flow.status, 200, "{}", flow.text());
        let (flow, secret) = (flow.value(), totp_secret(&flow.value()));
        let body = json!({"method": "totp", "totp_code": self.code(&secret)});
        let action = flow["ui"]["action"].as_str().unwrap();
        let answer = self.json("POST", action, &headers, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        secret
    }

    /// Returns the current code of an authenticator app.
    pub(crate) fn code(&self, secret: &str) -> String {
        authenticator_code(secret, &self.clock).unwrap()
    }

    pub(crate) async fn whoami(&self, token: &str) -> Answer {
        self.get(&self.public("sessions/whoami"), &[("x-session-token", token)])
            .await
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
        let mut jar: Vec<(String, String)> = Vec::new();
        let kept = before.split("; ").map(ToOwned::to_owned);
        let new = self
            .set_cookies()
            .into_iter()
            .map(|cookie| cookie.split(';').next().unwrap().to_owned());
        for pair in kept.chain(new).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            jar.retain(|(known, _)| known != name);
            jar.push((name.to_owned(), value.to_owned()));
        }
        jar.retain(|(_, value)| !value.is_empty());
        jar.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Returns the secret that a settings form shows.
pub(crate) fn totp_secret(flow: &Value) -> String {
    let nodes = flow["ui"]["nodes"].as_array().unwrap();
    let node = nodes
        .iter()
        .find(|node| node["attributes"]["id"] == "totp_secret_key")
        .unwrap();
    node["attributes"]["text"]["text"].as_str().unwrap().to_owned()
}

/// Returns a node of a flow's form.
pub(crate) fn node<'f>(flow: &'f Value, name: &str) -> &'f Value {
    let nodes = flow["ui"]["nodes"].as_array().unwrap();
    nodes
        .iter()
        .find(|node| node["attributes"]["name"] == name)
        .unwrap_or(&Value::Null)
}
