use super::Transport;
use crate::config::IamConfig;

const JWT: &str = "issuer = \"https://gateway.example/\"\naudience = [\"orders-api\"]\njwks.url = \"https://gateway.example/jwks.json\"";
const ENVELOPE: &str = "verifier = \"hmac\"\naudience = [\"orders-api\"]\nkeys = [\"base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"]";
const HEADERS: &str = "verifier = \"headers\"\ntrusted_peers = [\"127.0.0.1\"]";
const INTROSPECTION: &str = "admin_url = \"https://hydra-admin.example/\"";
const LOCAL: &str = "tokens = \"jwt\"\njwks.url = \"https://hydra.example/jwks.json\"";

/// Returns the transports of a tenant whose credentials may have an id, and those whose credentials may have scopes.
fn able(gateway: &str, hydra: &str) -> (Vec<Transport>, Vec<Transport>) {
    let settings = IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper", "oauth2", "cookie-or-bearer", "bearer", "cookie"]
        [tenants.default.oathkeeper]
        {gateway}
        [tenants.default.kratos]
        public_url = "https://kratos.example/"
        [tenants.default.hydra]
        issuer = "https://hydra.example/"
        audience = ["orders-api"]
        {hydra}
        "#
    ))
    .unwrap()
    .validate()
    .unwrap();
    let tenant = settings.registry().default_tenant();
    let custom: Transport = "custom:api-key".parse().unwrap();
    let all = Transport::ALL.into_iter().chain([custom]);

    let (ids, scopes): (Vec<_>, Vec<_>) = all
        .map(|it| {
            (
                tenant.may_have_replay_id(it).then_some(it),
                tenant.may_have_scopes(it).then_some(it),
            )
        })
        .unzip();
    (
        ids.into_iter().flatten().collect(),
        scopes.into_iter().flatten().collect(),
    )
}

/// R052
#[test]
fn transports_tell_whether_their_credentials_can_have_ids_and_scopes() {
    let custom: Transport = "custom:api-key".parse().unwrap();
    let (oathkeeper, oauth2) = (Transport::Oathkeeper, Transport::Oauth2);

    for gateway in [JWT, ENVELOPE] {
        assert_eq!(
            able(gateway, INTROSPECTION),
            (vec![oathkeeper, custom], vec![oathkeeper, oauth2, custom])
        );
        assert_eq!(
            able(gateway, LOCAL),
            (vec![oathkeeper, oauth2, custom], vec![oathkeeper, oauth2, custom])
        );
    }
    assert_eq!(able(HEADERS, INTROSPECTION), (vec![custom], vec![oauth2, custom]));
    assert_eq!(able(HEADERS, LOCAL), (vec![oauth2, custom], vec![oauth2, custom]));
}
