//! A token that is kept: what looking it up and setting its header costs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use sealpost::adapters::system::{SystemChance, SystemClock};
use sealpost::auth::need::{Grant, Need};
use sealpost::auth::{Call, Chain};
use sealpost::delivery::{Egress, Tokens};
use sealpost::domain::endpoint::Method;
use sealpost::domain::ids::{CustomerId, EndpointId, JobId, SecretId};
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use sealpost::egress::client::Client;
use sealpost::egress::guard::Guard;
use sealpost::egress::resolver::SystemResolver;
use sealpost::ports::Clock;
use sealpost::telemetry::Tally;
use serde_json::json;

/// Most microseconds of processor time.
pub const MARK: f64 = 1.0;

/// A token in hand.
pub struct Bench {
    tokens: Tokens,
    tally: Tally,
    chain: Chain,
    client: Client,
    key: (CustomerId, EndpointId, u64, usize),
    job_id: JobId,
    request: OutboundRequest,
    secrets: std::collections::BTreeMap<SecretId, Vec<SecretBytes>>,
}

impl Bench {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            let body = r#"{"access_token":"t","expires_in":86400}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            for mut stream in listener.incoming().flatten() {
                let mut buffer = [0; 4096];
                // One request, one packet; whatever goes wrong shows in the benchmark.
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let step = json!({"scheme": "oauth2_client_credentials", "client_id": "me", "secret": "s",
                          "token_url": format!("http://{address}/token")});
        let guard = Guard {
            allow_http: true,
            allow: vec!["127.0.0.1/32".parse()?],
            ports: vec!["1-65535".parse().map_err(|e| anyhow::anyhow!("{e}"))?],
            ..Guard::default()
        };
        let resolver = Arc::new(SystemResolver::new(&[])?);
        let bench = Self {
            tokens: Tokens::default(),
            tally: Tally::default(),
            chain: Chain::compile(&[serde_json::from_value(step)?], std::iter::empty())?,
            client: Client::with_roots(Arc::new(guard), resolver, None)?,
            key: ("acme".parse()?, "orders".parse()?, 1, 0),
            job_id: "evt_1".parse()?,
            request: OutboundRequest::new(Method::Post, "https://a.example/".parse()?, "".into()),
            secrets: [("s".parse()?, vec![SecretBytes::new(b"client-secret".to_vec())])].into(),
        };
        bench.get().await?;
        Ok(bench)
    }

    /// The token, as a delivery gets it.
    pub async fn get(&self) -> anyhow::Result<OutboundRequest> {
        let Some(Some(Need::Token(request))) = self.chain.needs().next() else {
            anyhow::bail!("no token is needed");
        };
        let call = Call {
            customer_id: &self.key.0,
            endpoint_id: &self.key.1,
            job_id: &self.job_id,
            job_type: None,
            now: SystemClock.now(),
            nonce: &String::new,
            secrets: &self.secrets,
            grant: None,
        };
        let egress = Egress {
            client: &self.client,
            clock: &SystemClock,
            chance: &SystemChance,
            tally: &self.tally,
        };
        let token = self.tokens.get(&self.key, request, &call, egress).await;
        let grant = Grant::Token(token.map_err(|e| anyhow::anyhow!("{e:?}"))?);
        let mut request = self.request.clone();
        self.chain.apply(&mut request, &call, &[Some(grant)])?;
        Ok(request)
    }

    /// The request alone, and the time of day, which every delivery asks for.
    pub fn bare(&self) -> anyhow::Result<(OutboundRequest, Timestamp)> {
        Ok((self.request.clone(), SystemClock.now()))
    }
}
