//! The whole AWS form for one test: queues, tables of its own and a key.
//!
//! On the emulator by default, whose clock the test moves. With `SEALPOST_TEST_AWS=1` on real AWS, as
//! the environment's credentials and region allow: every test makes tables and queues under
//! `SEALPOST_TEST_AWS_PREFIX` (default `sealpost-test-`), uses the key `SEALPOST_TEST_AWS_KMS_KEY_ID`,
//! and removes what it made. Nobody moves AWS's clock, so only what goes by the clock that the
//! adapters are handed (the tables and the keys) can be tested there.

#![allow(dead_code, reason = "each suite uses its part")]

use std::sync::Arc;

use sealpost::adapters::aws::Clients;
use sealpost::adapters::aws::dynamodb::tables;
use sealpost::adapters::system::SystemChance;
use sealpost::config::AwsConfig;
use sealpost::ports::Chance;

use crate::sqs::Sqs;

/// Queues, tables and a key.
pub struct Aws {
    /// The emulator with its clock; `None` on real AWS.
    pub emulated: Option<Arc<Sqs>>,
    pub clients: Clients,
    pub config: AwsConfig,
}

/// Whether the tests run on real AWS.
pub fn is_real() -> bool {
    std::env::var("SEALPOST_TEST_AWS").is_ok_and(|set| set == "1")
}

impl Aws {
    pub async fn start() -> Self {
        let aws = if is_real() { Self::real().await } else { Self::emulator().await };
        let (dynamodb, prefix) = (&aws.clients.dynamodb, aws.config.table_prefix.as_str());
        tables::create(dynamodb, prefix).await.unwrap();
        aws
    }

    async fn emulator() -> Self {
        let sqs = Sqs::start().await;
        let clients = sqs.emulator.clients();
        let key = clients.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
        let config = config(&sqs.jobs, &sqs.dead, "test-", &key);
        Self { emulated: Some(sqs), clients, config }
    }

    async fn real() -> Self {
        let set = |name: &str| std::env::var(format!("SEALPOST_TEST_AWS_{name}")).ok();
        let base = set("PREFIX").unwrap_or_else(|| "sealpost-test-".to_owned());
        let key =
            set("KMS_KEY_ID").unwrap_or_else(|| panic!("SEALPOST_TEST_AWS_KMS_KEY_ID is not set"));
        let clients = Clients::load().await.unwrap();
        let prefix = format!("{base}{}-", &SystemChance.token()[..8]);
        eprintln!("on real AWS, under {prefix}");
        let mut urls = Vec::new();
        for name in ["jobs", "dead"] {
            let made = clients.sqs.create_queue().queue_name(format!("{prefix}{name}"));
            urls.push(made.send().await.unwrap().queue_url.unwrap());
        }
        let config = config(&urls[0], &urls[1], &prefix, &key);
        Self { emulated: None, clients, config }
    }
}

fn config(jobs: &str, dead: &str, prefix: &str, key: &str) -> AwsConfig {
    let json = serde_json::json!({"queue_url": jobs, "dead_letter_queue_url": dead,
                                  "table_prefix": prefix, "kms_key_id": key});
    serde_json::from_value(json).unwrap()
}

impl Aws {
    /// Another key of the account, with which other programs seal; the program is told of it.
    pub async fn add_legacy_key(&mut self) -> String {
        let made = self.clients.kms.create_key().send().await.unwrap();
        let key = made.key_metadata.unwrap().key_id;
        self.config.legacy_kms_key_ids.push(key.clone().try_into().unwrap());
        key
    }
}

async fn remove(config: AwsConfig) {
    // The test's own connections belong to a runtime that waits for this.
    let clients = Clients::load().await.unwrap();
    for table in tables::ALL {
        let name = format!("{}{}", config.table_prefix, table.name);
        let _ = clients.dynamodb.delete_table().table_name(name).send().await;
    }
    for queue in [config.queue_url, config.dead_letter_queue_url] {
        let _ = clients.sqs.delete_queue().queue_url(queue.as_str()).send().await;
    }
}

impl Drop for Aws {
    /// An emulator takes everything with it; real AWS is left as it was found.
    fn drop(&mut self) {
        if self.emulated.is_none() {
            let work = remove(self.config.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = std::thread::spawn(move || runtime.unwrap().block_on(work)).join();
        }
    }
}
