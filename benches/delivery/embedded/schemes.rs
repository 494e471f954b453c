//! Schemes end to end: those that differ most in what they do. `cargo bench --bench auth` measures every
//! scheme alone.

use serde_json::{Value, json};

use super::stage::{Plan, Stage};
use crate::endpoint::Kind;
use crate::run::Run;

const WHSK: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const ED25519: &str = include_str!("../../../fixtures/keys/ed25519.pem");

/// A scheme's name, its auth steps for a sink at an address, its secret.
type Scheme = (&'static str, fn(&str) -> Value, &'static str);

const SCHEMES: [Scheme; 9] = [
    ("none", |_| json!([]), "unused"),
    ("basic", |_| json!([{"scheme": "basic", "username": "acme", "secret": "key"}]), "password"),
    (
        "api_key",
        |_| json!([{"scheme": "api_key", "in": "header", "name": "x-api-key", "secret": "key"}]),
        "a-key",
    ),
    ("hmac", |_| json!([{"scheme": "hmac", "preset": "github", "secret": "key"}]), "a-secret"),
    (
        "standard_webhooks_v1",
        |_| json!([{"scheme": "standard_webhooks", "secret": "key"}]),
        "whsec_c2VhbHBvc3QgYmVuY2htYXJrIGtleSAxMjM0NTY3ODk=",
    ),
    (
        "standard_webhooks_v1a",
        |_| json!([{"scheme": "standard_webhooks", "ed25519_secret": "key"}]),
        WHSK,
    ),
    (
        "http_message_signatures_ed25519",
        |_| {
            json!([{"scheme": "http_message_signatures", "algorithm": "ed25519", "secret": "key",
                    "key_id": "k"}])
        },
        ED25519,
    ),
    (
        "aws_sigv4",
        |_| {
            json!([{"scheme": "aws_sigv4", "region": "eu-west-1", "service": "execute-api",
                    "access_key_id": "AKIDEXAMPLE", "secret": "key"}])
        },
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    ),
    (
        "oauth2_client_credentials",
        |address| {
            json!([{"scheme": "oauth2_client_credentials", "client_id": "me", "secret": "key",
                    "token_url": format!("http://{address}/token")}])
        },
        "client-secret",
    ),
];

/// Processor time and rate. The token of OAuth 2 is kept: one is fetched in a run.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (name, auth, secret) in SCHEMES {
        let plan = Plan { kind: Kind { auth, secret, ..Kind::default() }, ..Plan::default() };
        let done = Stage::set(run, plan)?.work_off(run.jobs)?;
        run.add_work(&format!("schemes.{name}"), plan.load(), done.cpu_us, done.per_second)?;
    }
    Ok(())
}
