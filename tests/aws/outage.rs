//! A key that cannot be used for a while: its jobs wait, nobody's attempt is spent, and the log names
//! what has to be mended.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::queue::NewMessage;
use sealpost::ports::{Alarm, Clock};
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::receiver::{Call, listen};
use crate::sqs::Sqs;

struct Bench {
    app: App,
    clock: Arc<Sqs>,
    aws: Aws,
    calls: UnboundedReceiver<Call>,
}

/// One endpoint with one secret, and one job for it.
async fn bench() -> Option<Bench> {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return None;
    };
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap();
    let (origin, calls) = listen(|_| (204, String::new())).await;
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin,
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let (value, origins) = (SecretBytes::new(b"v".to_vec()), [origin.parse().unwrap()].into());
    app.vault.put(NewSecret { customer, secret, value, origins, overlap: None }).await.unwrap();
    let body = r#"{"customerId":"c","endpointId":"e","data":1}"#.into();
    app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
    Some(Bench { app, clock, aws, calls })
}

impl Bench {
    async fn deliver_due(&self) -> usize {
        let messages = self.app.queue.receive(10, Duration::ZERO).await.unwrap();
        for message in &messages {
            let pipeline = self.app.pipeline().unwrap();
            pipeline.deliver(message, &CancellationToken::new()).await;
        }
        messages.len()
    }
}

/// What is logged, a line for each event.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn alarms(&self) -> Vec<String> {
        let text = self.text();
        let events = text.lines().map(serde_json::from_str::<serde_json::Value>);
        let faults = events.map(Result::unwrap).filter(|event| event["event"] == "fault");
        faults.map(|event| event["alarm"].as_str().unwrap_or("-").to_owned()).collect()
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_raises_its_alarm_and_costs_no_attempt_until_it_is_mended() {
    for alarm in [Alarm::KeyDisabled, Alarm::KeyPendingDeletion, Alarm::KeyAccessDenied] {
        let Some(mut bench) = bench().await else { return };
        let (kms, key) = (&bench.aws.clients.kms, bench.aws.config.kms_key_id.as_str());
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let lines = lines.with_writer(move || writer.clone()).finish();
        let _logging = tracing::subscriber::set_default(lines);
        match alarm {
            Alarm::KeyDisabled => drop(kms.disable_key().key_id(key).send().await.unwrap()),
            Alarm::KeyPendingDeletion => {
                drop(kms.schedule_key_deletion().key_id(key).send().await.unwrap());
            }
            // As often as the SDK makes one call.
            _ => bench.clock.emulator.fail("Decrypt", 400, "AccessDeniedException", 3),
        }
        assert_eq!(bench.deliver_due().await, 1);
        let counts = bench.app.tally.counts();
        assert_eq!((counts.faults, counts.delivered, counts.retried), (1, 0, 0), "{alarm:?}");
        assert_eq!(log.alarms(), [alarm.name()]);
        match alarm {
            Alarm::KeyDisabled => drop(kms.enable_key().key_id(key).send().await.unwrap()),
            Alarm::KeyPendingDeletion => {
                drop(kms.cancel_key_deletion().key_id(key).send().await.unwrap());
                drop(kms.enable_key().key_id(key).send().await.unwrap());
            }
            _ => {}
        }
        bench.clock.advance(Duration::from_secs(10));
        assert_eq!(bench.deliver_due().await, 1, "{alarm:?}");
        let counts = bench.app.tally.counts();
        assert_eq!((counts.faults, counts.delivered), (1, 1), "the same worker: {alarm:?}");
        assert!(bench.calls.try_recv().is_ok() && bench.calls.try_recv().is_err(), "one call");
        let all = DeadLetterFilter::default();
        let dead = bench.app.deliveries.list_dead_letters(&all, None, 9).await;
        assert!(dead.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_thousand_jobs_at_once_cost_one_call_of_kms() {
    let Some(bench) = bench().await else { return };
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let all = (0..1000).map(|_| bench.app.vault.open(&customer, &secret));
    let opened = futures_util::future::join_all(all).await;
    assert!(opened.iter().all(Result::is_ok));
    let calls = bench.clock.emulator.calls_of("KMS");
    assert_eq!(calls.get("Decrypt").and_then(serde_json::Value::as_u64), Some(1));
}
