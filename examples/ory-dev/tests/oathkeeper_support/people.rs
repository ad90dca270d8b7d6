//! People with sessions at the embedded Kratos.

use std::net::SocketAddr;

use ory_dev::{config::Vars, kratos::Kratos};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::{Answer, Login, ask, shipped};

/// The embedded Kratos, and what its users need from it.
pub(crate) struct People {
    kratos: Kratos,
}

impl People {
    pub(crate) fn start() -> Self {
        let folder = shipped("");
        let vars = Vars::new(&folder, &folder);
        let config = Kratos::from_files(&shipped("kratos.yml"), &vars).expect("a configuration");
        Self {
            kratos: Kratos::start(config.ports(0, 0)).expect("a Kratos"),
        }
    }

    pub(crate) fn public_url(&self) -> &Url {
        self.kratos.public_url()
    }

    /// Registers a person natively for the token, and logs in with a browser for the cookie.
    pub(crate) async fn log_in(&self, metadata_public: &Value) -> Login {
        let (public, json_wanted) = (
            self.kratos.public_addr(),
            [("Accept", "application/json".to_owned())],
        );
        let email = format!("{}@example.com", Uuid::new_v4().simple());
        let password = "Corr3ct-Horse-Battery";

        let flow = ask(public, "GET", "/self-service/registration/api", &[], None)
            .await
            .json();
        let path = format!(
            "/self-service/registration?flow={}",
            flow["id"].as_str().expect("an id")
        );
        let form = json!({"method": "password", "traits": {"email": email}, "password": password});
        let registered = submit(public, &path, &form, &[]).await.json();
        let token = registered["session_token"].as_str().expect("a token").to_owned();
        let identity = registered["identity"]["id"].as_str().expect("an id").to_owned();

        if !metadata_public.is_null() {
            let change = json!([{"op": "add", "path": "/metadata_public", "value": metadata_public}]);
            let path = format!("/admin/identities/{identity}");
            let headers = [("Content-Type", "application/json".to_owned())];
            let admin = self.kratos.admin_addr();
            let patched = ask(admin, "PATCH", &path, &headers, Some(&change.to_string())).await;
            assert_eq!(patched.status, 200, "{}", patched.text());
        }

        let begun = ask(public, "GET", "/self-service/login/browser", &json_wanted, None).await;
        let flow = begun.json();
        let nodes = flow["ui"]["nodes"].as_array().expect("nodes").clone();
        let csrf = nodes
            .iter()
            .find(|node| node["attributes"]["name"] == "csrf_token")
            .expect("a node");
        let path = format!("/self-service/login?flow={}", flow["id"].as_str().expect("an id"));
        let form = json!({
            "method": "password",
            "identifier": email,
            "password": password,
            "csrf_token": csrf["attributes"]["value"],
        });
        let cookies: Vec<String> = begun
            .cookies()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let logged_in = submit(public, &path, &form, &[("Cookie", cookies.join("; "))]).await;
        let cookie = logged_in.cookies().find(|(name, _)| name == "ory_kratos_session");
        let (_, cookie) = cookie.unwrap_or_else(|| panic!("no session: {}", logged_in.text()));
        Login {
            token,
            cookie,
            identity,
        }
    }

    /// Revokes all sessions of a person.
    pub(crate) async fn revoke(&self, login: &Login) {
        let path = format!("/admin/identities/{}/sessions", login.identity);
        let answer = ask(self.kratos.admin_addr(), "DELETE", &path, &[], None).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
}

async fn submit(addr: SocketAddr, path: &str, form: &Value, headers: &[(&str, String)]) -> Answer {
    let json_headers = ["Accept", "Content-Type"].map(|name| (name, "application/json".to_owned()));
    let headers = [&json_headers, headers].concat();
    let answer = ask(addr, "POST", path, &headers, Some(&form.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}
