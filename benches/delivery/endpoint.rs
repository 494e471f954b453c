//! The endpoints that are called: all of them are the sink, each of a customer of its own.

use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};

use crate::job::{CUSTOMER, ENDPOINT};

/// How an endpoint is configured.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its auth steps, for a sink at an address. They name the secret `key`.
    pub auth: fn(&str) -> Value,
    /// The secret.
    pub secret: &'static str,
    /// What else it says.
    pub more: fn() -> Value,
}

impl Default for Kind {
    /// Signed as Standard Webhooks says.
    fn default() -> Self {
        Self {
            auth: |_| json!([{"scheme": "standard_webhooks", "secret": "key"}]),
            secret: "whsec_c2VhbHBvc3QgYmVuY2htYXJrIGtleSAxMjM0NTY3ODk=",
            more: || json!({}),
        }
    }
}

/// Settings with which loopback may be called.
pub fn loopback() -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse()?];
    config.egress.ports = vec!["1-65535".parse()?];
    Ok(config)
}

/// Registers the endpoint of a customer at the sink.
pub async fn register(app: &App, number: usize, address: &str, kind: &Kind) -> anyhow::Result<()> {
    let (customer, url) = (format!("{CUSTOMER}{number}"), format!("http://{address}/"));
    app.vault
        .put(NewSecret {
            customer: customer.parse()?,
            secret: "key".parse()?,
            value: SecretBytes::new(kind.secret.as_bytes().to_vec()),
            origins: [url.parse()?].into(),
            overlap: None,
        })
        .await?;
    let mut endpoint = json!({"customerId": customer, "endpointId": ENDPOINT, "url": url,
                              "auth": (kind.auth)(address)});
    if let (Some(all), Value::Object(more)) = (endpoint.as_object_mut(), (kind.more)()) {
        all.extend(more);
    }
    let endpoint = Endpoint::from_json(&endpoint.to_string())?;
    app.endpoints.put(endpoint, None, app.clock.now()).await?;
    Ok(())
}
