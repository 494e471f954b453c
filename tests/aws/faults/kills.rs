//! SIGKILL at each step of the AWS form that a call marks: the proxy holds the call's answer, the worker is
//! killed, and another one goes on.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use sealpost::adapters::aws::dynamodb::tables;
use sealpost::app::App;
use sealpost::config::AwsConfig;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio::time::timeout;

use super::bench::config;
use crate::emulator::Emulator;
use crate::fault_proxy::{Fault, FaultProxy};
use crate::receiver::{Call, listen};

const JOBS: usize = 10;

/// Where the worker is killed.
struct Step {
    name: &'static str,
    operation: &'static str,
    /// What the call holds.
    about: &'static str,
    /// What each job is answered first.
    statuses: &'static [u16],
    /// How many of these calls are held before the kill.
    held: usize,
    /// Most calls of all jobs together.
    most: usize,
}

/// The claim of an attempt that is not made keeps others out for a while, so none is held here.
const STEPS: [Step; 7] = [
    Step {
        name: "received",
        operation: "ReceiveMessage",
        about: "",
        statuses: &[],
        held: 1,
        most: JOBS,
    },
    Step {
        name: "endpoint read",
        operation: "GetItem",
        about: "endpoints",
        statuses: &[],
        held: 1,
        most: JOBS,
    },
    Step { name: "opened", operation: "Decrypt", about: "", statuses: &[], held: 1, most: JOBS },
    // The outcome of every call was written.
    Step {
        name: "outcome written",
        operation: "UpdateItem",
        about: "SET #record",
        statuses: &[],
        held: JOBS,
        most: JOBS,
    },
    Step {
        name: "retry sent",
        operation: "SendMessageBatch",
        about: "",
        statuses: &[503],
        held: 1,
        most: 2 * JOBS,
    },
    Step {
        name: "deletes sent",
        operation: "DeleteMessageBatch",
        about: "",
        statuses: &[],
        held: 1,
        most: JOBS,
    },
    Step {
        name: "deletes answered",
        operation: "ReceiveMessage",
        about: "after-the-first",
        statuses: &[],
        held: 1,
        most: JOBS,
    },
];

/// An AWS form on the machine's clock, and what its endpoint has seen.
struct World {
    emulator: Emulator,
    proxy: Arc<FaultProxy>,
    aws: AwsConfig,
    file: tempfile::NamedTempFile,
    seen: Arc<Mutex<HashMap<String, usize>>>,
}

impl World {
    async fn start(statuses: &'static [u16]) -> Self {
        let emulator = Emulator::on_the_machines_clock();
        let clients = emulator.clients();
        let create = |name: &str| clients.sqs.create_queue().queue_name(name);
        let dead = create("dead").send().await.unwrap().queue_url.unwrap();
        let jobs = create("jobs").attributes(Name::VisibilityTimeout, "3");
        let jobs = jobs.send().await.unwrap().queue_url.unwrap();
        let key = clients.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
        tables::create(&clients.dynamodb, "kill-").await.unwrap();
        let aws = json!({"queue_url": jobs, "dead_letter_queue_url": dead, "table_prefix": "kill-",
                         "kms_key_id": key});
        let aws: AwsConfig = serde_json::from_value(aws).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = format!(
            "[aws]\nqueue_url = '{jobs}'\ndead_letter_queue_url = '{dead}'\ntable_prefix = 'kill-'\n\
             kms_key_id = '{key}'\n[worker]\nfence = 'all'\n[egress]\nallow_http = true\n\
             allow = ['127.0.0.1/32']\nports = ['1-65535']\n"
        );
        std::fs::write(file.path(), settings).unwrap();
        let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let (origin, _) = listen(move |call: &Call| {
            let mut seen = noted.lock().unwrap();
            let number = seen.entry(call.header("webhook-id").to_owned()).or_default();
            *number += 1;
            (statuses.get(*number - 1).copied().unwrap_or(204), String::new())
        })
        .await;
        let proxy = FaultProxy::before(&emulator.url()).await;
        let world = Self { emulator, proxy, aws, file, seen };
        world.register(&origin).await;
        world
    }

    async fn register(&self, origin: &str) {
        let clock = Arc::new(sealpost::adapters::system::SystemClock);
        let clients = self.emulator.clients();
        let app = App::over_aws(&clients, &self.aws, config(), clock).await.unwrap();
        let new = NewSecret {
            customer: "c".parse().unwrap(),
            secret: "s".parse().unwrap(),
            value: SecretBytes::new(b"v".to_vec()),
            origins: [origin.parse().unwrap()].into(),
            overlap: None,
        };
        app.vault.put(new).await.unwrap();
        let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin, "timeout": "2s",
                              "auth": [{"scheme": "bearer", "secret": "s"}],
                              "retry": {"baseDelay": "50ms", "maxDelay": "100ms"}});
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
        for n in 0..JOBS {
            let job = json!({"id": format!("job-{n}"), "customerId": "c", "endpointId": "e"});
            let send = clients.sqs.send_message().queue_url(self.aws.queue_url.as_str());
            send.message_body(job.to_string()).send().await.unwrap();
        }
    }

    fn worker(&self, url: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.arg("worker").arg("--config").arg(self.file.path()).env("AWS_ENDPOINT_URL", url);
        command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "test");
        command.env("AWS_SECRET_ACCESS_KEY", "test").env("NO_PROXY", "127.0.0.1");
        command.env("SEALPOST_LOG_LEVEL", "error").stderr(Stdio::null()).spawn().unwrap()
    }

    /// How many messages there are, dead ones too.
    async fn left(&self) -> u64 {
        let clients = self.emulator.clients();
        let mut left = 0;
        for url in [self.aws.queue_url.as_str(), self.aws.dead_letter_queue_url.as_str()] {
            let get = clients.sqs.get_queue_attributes().queue_url(url);
            let found = get.attribute_names(Name::All).send().await.unwrap().attributes.unwrap();
            let counts = found.iter().filter(|(n, _)| n.as_str().starts_with("ApproximateNumber"));
            left += counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum::<u64>();
        }
        left
    }

    fn called(&self) -> usize {
        self.seen.lock().unwrap().values().sum()
    }
}

async fn kill_at(step: &Step) {
    let name = step.name;
    let world = World::start(step.statuses).await;
    if step.about == "after-the-first" {
        // The receipt after everything was deleted.
        let mut first = world.worker(&world.proxy.url());
        while world.left().await > 0 {
            tokio::task::yield_now().await;
        }
        first.kill().unwrap();
        first.wait().unwrap();
    } else {
        world.proxy.plan_about(step.about, step.operation, usize::MAX, Fault::Hold);
        let mut first = world.worker(&world.proxy.url());
        timeout(Duration::from_secs(60), world.proxy.holds(step.held)).await.unwrap();
        if step.operation == "DeleteMessageBatch" {
            // A first batch may be deleted while the outcomes of others are not written.
            let all_are_deleted = async { while world.left().await > 0 {} };
            timeout(Duration::from_secs(60), all_are_deleted).await.unwrap();
        }
        first.kill().unwrap();
        first.wait().unwrap();
    }
    let before = world.called();
    // Another worker, past the proxy.
    let mut second = world.worker(&world.emulator.url());
    let all_is_done = async {
        while world.left().await > 0 || world.seen.lock().unwrap().len() < JOBS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(90), all_is_done).await.unwrap_or_else(|_| panic!("{name}"));
    second.kill().unwrap();
    second.wait().unwrap();
    let called = world.called();
    assert!(
        (JOBS..=step.most).contains(&called),
        "{name}: {called} calls, {before} before the kill"
    );
    println!("{name}: {before} calls before the kill, {called} in all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_past_its_leases_and_goes_on_repeats_no_call_and_loses_nothing() {
    if crate::aws::is_real() {
        println!("needs the emulator: skipped");
        return;
    }
    let world = World::start(&[]).await;
    // Every call is made, and no outcome written: the first worker still has its attempts.
    world.proxy.plan_about("SET #record", "UpdateItem", JOBS, Fault::Stall);
    let mut first = world.worker(&world.proxy.url());
    timeout(Duration::from_secs(60), world.proxy.holds(JOBS)).await.unwrap();
    let signal = |signal: &str| {
        let told = Command::new("kill").args([signal, &first.id().to_string()]).status();
        assert!(told.unwrap().success());
    };
    signal("-STOP");
    let mut second = world.worker(&world.emulator.url());
    // Its leases run out; the second worker gets the messages, and puts them back.
    let parked = async {
        while world.emulator.calls("SendMessageBatch") == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), parked).await.unwrap();
    assert_eq!(world.called(), JOBS);
    signal("-CONT");
    world.proxy.release();
    let all_is_done = async {
        while world.left().await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(90), all_is_done).await.unwrap();
    for worker in [&mut first, &mut second] {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    assert_eq!(world.called(), JOBS, "each job once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_each_step_of_aws_loses_nothing_and_repeats_no_attempt_that_has_an_outcome()
 {
    if crate::aws::is_real() {
        println!("needs the emulator: skipped");
        return;
    }
    futures_util::future::join_all(STEPS.iter().map(kill_at)).await;
}
