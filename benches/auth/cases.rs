//! One auth step each, on a delivery of 1 KiB.

use std::collections::BTreeMap;

use sealpost::auth::{Call, Chain};
use sealpost::domain::endpoint::Method;
use sealpost::domain::ids::{CustomerId, EndpointId, JobId, SecretId};
use sealpost::domain::request::{HeaderValue, OutboundRequest};
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use serde_json::{Value, json};

/// Most microseconds of processor time for what computes a MAC.
const HMAC: f64 = 5.0;

/// Most microseconds of processor time for Ed25519 and ES256.
const CURVES: f64 = 60.0;
const WHSK: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const ED25519: &str = include_str!("../../fixtures/keys/ed25519.pem");
const P256: &str = include_str!("../../fixtures/keys/p256.pem");
const RSA: &str = include_str!("../../fixtures/keys/rsa2048.pem");

/// A step, and what it is applied to.
pub struct Case {
    pub name: String,
    /// Most microseconds, where there is a mark.
    pub mark: Option<f64>,
    chain: Chain,
    secrets: BTreeMap<SecretId, Vec<SecretBytes>>,
    request: OutboundRequest,
    ids: (CustomerId, EndpointId, JobId),
}

impl Case {
    fn new(name: &str, mark: Option<f64>, steps: Value, secret: &str) -> anyhow::Result<Self> {
        let steps: Vec<_> = serde_json::from_value(steps)?;
        let url = "https://hooks.acme.example/orders?version=2".parse()?;
        let body = format!(r#"{{"order":42,"note":"{}"}}"#, "x".repeat(1000));
        let mut request = OutboundRequest::new(Method::Post, url, body.into());
        for (name, value) in [
            ("user-agent", "sealpost"),
            ("webhook-id", "evt_1"),
            ("content-type", "application/json"),
        ] {
            request.set_header(name, HeaderValue::Plain(value.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            mark,
            chain: Chain::compile(&steps, std::iter::empty())?,
            secrets: [("s".parse()?, vec![SecretBytes::new(secret.as_bytes().to_vec())])].into(),
            request,
            ids: ("acme".parse()?, "orders".parse()?, "evt_1".parse()?),
        })
    }

    /// The request with the step applied, as for each delivery.
    pub fn apply(&self) -> anyhow::Result<OutboundRequest> {
        let mut request = self.request.clone();
        let call = Call {
            customer_id: &self.ids.0,
            endpoint_id: &self.ids.1,
            job_id: &self.ids.2,
            job_type: None,
            now: Timestamp::from_millis(1_800_000_000_000),
            nonce: &|| "0123456789abcdef0123456789abcdef".to_owned(),
            secrets: &self.secrets,
            grant: None,
        };
        self.chain.apply(&mut request, &call, &[])?;
        Ok(request)
    }
}

/// The request alone, which every other case holds too.
pub fn bare() -> anyhow::Result<Case> {
    Case::new("the request alone", None, json!([]), "")
}

/// Every case.
pub fn all() -> anyhow::Result<Vec<Case>> {
    let whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut cases = Vec::new();
    let mut case = |name: &str, mark, step: Value, secret: &str| {
        cases.push(Case::new(name, mark, json!([step]), secret)?);
        anyhow::Ok(())
    };
    case("bearer", None, json!({"scheme": "bearer", "secret": "s"}), "token")?;
    let step = json!({"scheme": "standard_webhooks", "secret": "s"});
    case("standard_webhooks, v1", Some(HMAC), step, whsec)?;
    let step = json!({"scheme": "standard_webhooks", "ed25519_secret": "s"});
    case("standard_webhooks, v1a", Some(CURVES), step, WHSK)?;
    for preset in ["stripe", "github", "slack", "shopify", "square", "vercel", "hubspot"] {
        let step = json!({"scheme": "hmac", "preset": preset, "secret": "s"});
        case(&format!("hmac, {preset}"), Some(HMAC), step, "a-signing-secret")?;
    }
    for (algorithm, mark, secret) in [
        ("HS256", Some(HMAC), "a-signing-secret-of-32-bytes----"),
        ("EdDSA", Some(CURVES), ED25519),
        ("ES256", Some(CURVES), P256),
        ("RS256", None, RSA),
    ] {
        let step =
            json!({"scheme": "jwt", "algorithm": algorithm, "secret": "s", "issuer": "acme"});
        case(&format!("jwt, {algorithm}"), mark, step, secret)?;
    }
    for (algorithm, mark, secret) in [
        ("hmac-sha256", Some(HMAC), "a-signing-secret-of-32-bytes----"),
        ("ed25519", Some(CURVES), ED25519),
        ("ecdsa-p256-sha256", Some(CURVES), P256),
    ] {
        let step = json!({"scheme": "http_message_signatures", "algorithm": algorithm, "secret": "s",
                          "key_id": "k"});
        case(&format!("http_message_signatures, {algorithm}"), mark, step, secret)?;
    }
    let step = json!({"scheme": "aws_sigv4", "region": "eu-west-1", "service": "execute-api",
                      "access_key_id": "AKIDEXAMPLE", "secret": "s"});
    case("aws_sigv4", Some(HMAC), step, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")?;
    Ok(cases)
}
