//! Tenant keys in KMS: what they cost, and what writers need.

use std::sync::Arc;

use futures_util::future::join_all;
use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::Clock;
use sealpost::vault::{NewSecret, Sealing};
use serde_json::Value;

use crate::aws::Aws;
use crate::sqs::Sqs;

const SECRETS: usize = 100;

async fn app(aws: &Aws, clock: &Arc<Sqs>) -> App {
    let mut config = Config::default();
    config.secrets.sealing = Sealing::TenantKey;
    let shared: Arc<dyn Clock> = Arc::clone(clock) as _;
    App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap()
}

fn calls(clock: &Sqs, operation: &str) -> u64 {
    clock.emulator.calls_of("KMS").get(operation).and_then(Value::as_u64).unwrap_or(0)
}

#[tokio::test]
async fn a_hundred_secrets_of_a_customer_are_sealed_and_opened_with_one_call_of_kms_each() {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else { return println!("needs the emulator: skipped") };
    let writer = app(&aws, &clock).await;
    let customer: CustomerId = "acme".parse().unwrap();
    let id = |number: usize| -> SecretId { format!("s{number}").parse().unwrap() };
    for number in 0..SECRETS {
        let (customer, secret) = (customer.clone(), id(number));
        let value = SecretBytes::new(format!("value {number}").into());
        let origins = ["https://a.example".parse().unwrap()].into();
        let new = NewSecret { customer, secret, value, origins, overlap: None };
        writer.vault.put(new).await.unwrap();
    }
    let [encrypt, generate] = ["Encrypt", "GenerateDataKey"].map(|name| calls(&clock, name));
    assert_eq!((encrypt, generate, calls(&clock, "Decrypt")), (1, 0, 0), "writers open nothing");
    let worker = app(&aws, &clock).await;
    for round in 1..=2 {
        let all = (0..SECRETS).map(async |number| {
            let open = worker.vault.open(&customer, &id(number)).await;
            let origins = ["https://a.example".parse().unwrap()];
            let open = open.unwrap_or_else(|e| panic!("{e}"));
            let values = open.values_for(&origins, clock.now()).unwrap();
            values[0].expose_str().unwrap().to_owned()
        });
        let opened = join_all(all).await;
        assert!(
            opened.iter().enumerate().all(|(number, value)| *value == format!("value {number}"))
        );
        assert_eq!(calls(&clock, "Decrypt"), 1, "round {round}");
    }
}
