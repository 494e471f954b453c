//! One auth step each, on a delivery of 1 KiB.

use std::collections::HashMap;

use sealpost::auth::{Call, Chain};
use sealpost::domain::endpoint::Method;
use sealpost::domain::ids::{CustomerId, EndpointId, JobId, SecretId};
use sealpost::domain::request::{HeaderValue, OutboundRequest};
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use serde_json::{Value, json};

/// Most microseconds of processor time for what computes a MAC.
const HMAC: f64 = 5.0;

/// A step, and what it is applied to.
pub struct Case {
    pub name: String,
    /// Most microseconds, where there is a mark.
    pub mark: Option<f64>,
    chain: Chain,
    secrets: HashMap<SecretId, Vec<SecretBytes>>,
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
    let mut case = |name, mark, step: Value, secret: &str| {
        cases.push(Case::new(name, mark, json!([step]), secret)?);
        anyhow::Ok(())
    };
    case("bearer", None, json!({"scheme": "bearer", "secret": "s"}), "token")?;
    let step = json!({"scheme": "standard_webhooks", "secret": "s"});
    case("standard_webhooks, v1", Some(HMAC), step, whsec)?;
    Ok(cases)
}
