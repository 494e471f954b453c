//! The AWS form behind a proxy that makes faults, with endpoint `e` of customer `c` and its secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::app::App;
use sealpost::config::Config;
use sealpost::delivery::{Fencing, Pipeline};
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::Clock;
use sealpost::ports::queue::Received;
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::fault_proxy::FaultProxy;
use crate::receiver::{Call, listen};
use crate::sqs::{LEASE, Sqs};

pub const MINUTE: Duration = Duration::from_secs(60);

pub struct Bench {
    pub aws: Aws,
    pub app: App,
    pub pipeline: Arc<Pipeline>,
    pub clock: Arc<Sqs>,
    pub proxy: Arc<FaultProxy>,
    pub calls: UnboundedReceiver<Call>,
    pub origin: String,
}

/// Every attempt is claimed.
pub fn config() -> Config {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    config.worker.fence = Fencing::All;
    config
}

impl Bench {
    /// With an endpoint that answers the calls of each job with these statuses, and then with 204.
    /// `None` on real AWS, whose clock and faults nobody makes.
    pub async fn start(statuses: &'static [u16]) -> Option<Self> {
        Self::with(statuses, |clients| clients.clients()).await
    }

    pub async fn with(
        statuses: &'static [u16],
        clients: impl FnOnce(&FaultProxy) -> sealpost::adapters::aws::Clients,
    ) -> Option<Self> {
        let aws = Aws::start().await;
        let Some(clock) = aws.emulated.clone() else {
            println!("needs the emulator: skipped");
            return None;
        };
        let proxy = FaultProxy::before(&clock.emulator.url()).await;
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let app = App::over_aws(&clients(&proxy), &aws.config, config(), shared).await.unwrap();
        let seen: Mutex<HashMap<String, usize>> = Mutex::default();
        let (origin, calls) = listen(move |call| {
            let mut seen = seen.lock().unwrap();
            let number = seen.entry(call.header("webhook-id").to_owned()).or_default();
            *number += 1;
            (statuses.get(*number - 1).copied().unwrap_or(204), String::new())
        })
        .await;
        let pipeline = Arc::new(app.pipeline().unwrap());
        let bench = Self { aws, app, pipeline, clock, proxy, calls, origin };
        bench.put_endpoint("e", "s").await;
        Some(bench)
    }

    pub async fn put_endpoint(&self, id: &str, secret: &str) {
        let origins = [self.origin.parse().unwrap()].into();
        let (customer, secret_id) = ("c".parse().unwrap(), secret.parse().unwrap());
        let value = SecretBytes::new(b"v".to_vec());
        let new = NewSecret { customer, secret: secret_id, value, origins, overlap: None };
        self.app.vault.put(new).await.unwrap();
        let endpoint = json!({"customerId": "c", "endpointId": id, "url": self.origin,
                              "auth": [{"scheme": "bearer", "secret": secret}]});
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        self.app.endpoints.put(endpoint, None, self.app.clock.now()).await.unwrap();
    }

    /// Enqueues jobs `job-0`, `job-1` and so on, as a producer of its own does.
    pub async fn enqueue(&self, count: usize) {
        for n in 0..count {
            self.enqueue_for("e", &format!("job-{n}")).await;
        }
    }

    pub async fn enqueue_for(&self, endpoint: &str, id: &str) {
        let job = json!({"id": id, "customerId": "c", "endpointId": endpoint, "data": 1});
        let send = self.clock.client.send_message().queue_url(&self.clock.jobs);
        send.message_body(job.to_string()).send().await.unwrap();
    }

    pub async fn receive(&self) -> Vec<Received> {
        self.app.queue.receive(10, Duration::ZERO).await.unwrap_or_default()
    }

    pub async fn deliver(&self, message: &Received) {
        self.pipeline.deliver(message, &CancellationToken::new()).await;
    }

    /// Delivers what is due until nothing is left; time goes on between.
    pub async fn deliver_all(&self) {
        for _ in 0..40 {
            let messages = self.receive().await;
            let deliveries = messages.iter().map(|message| self.deliver(message));
            futures_util::future::join_all(deliveries).await;
            if messages.is_empty() && self.pending().await == 0 {
                return;
            }
            self.clock.advance(LEASE);
        }
        panic!("{} messages are left", self.pending().await);
    }

    /// How many messages there are, whatever the proxy does.
    pub async fn pending(&self) -> u64 {
        let url = &self.clock.jobs;
        let get = self.clock.client.get_queue_attributes().queue_url(url);
        let all = aws_sdk_sqs::types::QueueAttributeName::All;
        let found = get.attribute_names(all).send().await.unwrap().attributes.unwrap();
        let counts =
            found.iter().filter(|(name, _)| name.as_str().starts_with("ApproximateNumber"));
        counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
    }

    /// How often each job was called so far.
    pub fn called(&mut self) -> HashMap<String, usize> {
        let mut called = HashMap::new();
        while let Ok(call) = self.calls.try_recv() {
            *called.entry(call.header("webhook-id").to_owned()).or_default() += 1;
        }
        called
    }

    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let all = DeadLetterFilter::default();
        self.app.deliveries.list_dead_letters(&all, None, 9).await.unwrap()
    }
}
