//! An endpoint and its secret, taken from the caches in which every delivery but the first finds them.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::Pipeline;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::{CustomerId, EndpointId, SecretId};
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::NewSecret;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::Stage;

const HOUR: Duration = Duration::from_secs(3600);

/// A pipeline on a data directory, whose endpoint and secret are in its caches.
pub struct Warm {
    pub pipeline: Pipeline,
    pub runtime: Runtime,
    ids: (CustomerId, EndpointId, SecretId),
    _folder: TempDir,
}

impl Warm {
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ids = ("acme".parse()?, "orders".parse()?, "signing".parse()?);
        let pipeline = runtime.block_on(async {
            let mut config = Config::default();
            (config.cache.soft, config.cache.hard) = (Some(HOUR), Some(HOUR));
            let app = App::embedded(folder.path(), config, Role::Command).await?;
            register(&app).await?;
            let pipeline = app.pipeline()?;
            let found = pipeline.endpoints.find(&ids.0, &ids.1, None).await;
            found.map_err(|e| anyhow::anyhow!("{e}"))?;
            let opened = pipeline.vault.open(&ids.0, &ids.2).await;
            opened.map_err(|e| anyhow::anyhow!("{e}"))?;
            anyhow::Ok(pipeline)
        })?;
        Ok(Self { pipeline, runtime, ids, _folder: folder })
    }

    // What is cached is there at once.

    fn endpoint(&self) -> Option<()> {
        let (customer, endpoint, _) = &self.ids;
        let found = self.pipeline.endpoints.find(customer, endpoint, None).now_or_never();
        found.and_then(Result::ok).map(drop)
    }

    fn secret(&self) -> Option<()> {
        let (customer, _, secret) = &self.ids;
        let opened = self.pipeline.vault.open(customer, secret).now_or_never();
        opened.and_then(Result::ok).map(drop)
    }
}

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let warm = Rc::new(Warm::new()?);
    warm.endpoint().context("the endpoint is not in the cache")?;
    warm.secret().context("the secret is not in the cache")?;
    let again = Rc::clone(&warm);
    Ok(vec![
        Stage::new("endpoint: from the cache", move || warm.endpoint()),
        Stage::new("secret: from the cache", move || again.secret()),
    ])
}

async fn register(app: &App) -> anyhow::Result<()> {
    let secret = NewSecret {
        customer: "acme".parse()?,
        secret: "signing".parse()?,
        value: SecretBytes::new(b"whsec_c2VhbHBvc3QgYmVuY2htYXJrIGtleSAxMjM0NTY3ODk=".to_vec()),
        origins: ["https://hooks.acme.example".parse()?].into(),
        overlap: None,
    };
    app.vault.put(secret).await?;
    let auth = json!([{"scheme": "standard_webhooks", "secret": "signing"}]);
    let endpoint = json!({"customerId": "acme", "endpointId": "orders", "auth": auth,
                          "url": "https://hooks.acme.example/orders"});
    let endpoint = Endpoint::from_json(&endpoint.to_string())?;
    app.endpoints.put(endpoint, None, app.clock.now()).await?;
    Ok(())
}
