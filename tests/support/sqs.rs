//! A queue of jobs with its dead-letter queue on an emulator, and a clock that moves both.

#![allow(dead_code, reason = "each suite uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use sealpost::adapters::aws::dynamodb::{MessageStates, tables};
use sealpost::adapters::aws::sqs::SqsQueue;
use sealpost::adapters::system::SystemChance;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;

use crate::emulator::{BEGINNING, Emulator};

/// What a message is leased for.
pub const LEASE: Duration = Duration::from_secs(30);
/// Receipts after which the queue moves a message to the dead letters by itself.
pub const MOST_RECEIPTS: u32 = 10;

/// The emulator, its two queues, and the time.
pub struct Sqs {
    pub emulator: Emulator,
    pub client: aws_sdk_sqs::Client,
    pub jobs: String,
    pub dead: String,
    /// Of FIFO queues, where the states of their messages lie.
    pub states: Option<MessageStates>,
    now: AtomicI64,
}

impl Clock for Sqs {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
}

impl Sqs {
    pub async fn start() -> Arc<Self> {
        let emulator = Emulator::start();
        let client = emulator.sqs();
        let size = (Name::MaximumMessageSize, "1048576".to_owned());
        let create = |name: &str| client.create_queue().queue_name(name);
        let dead = create("dead").attributes(size.0.clone(), &size.1).send().await.unwrap();
        let dead = dead.queue_url.unwrap();
        let policy = format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":{MOST_RECEIPTS}}}"#
        );
        let jobs = create("jobs")
            .attributes(size.0, size.1)
            .attributes(Name::VisibilityTimeout, LEASE.as_secs().to_string())
            .attributes(Name::RedrivePolicy, policy)
            .send()
            .await
            .unwrap();
        let now = AtomicI64::new(BEGINNING);
        let (jobs, states) = (jobs.queue_url.unwrap(), None);
        Arc::new(Self { emulator, client, jobs, dead, states, now })
    }

    /// A pair of FIFO queues, and the tables beside them.
    pub async fn start_fifo() -> Arc<Self> {
        let emulator = Emulator::start();
        let clients = emulator.clients();
        tables::create(&clients.dynamodb, "test-").await.unwrap();
        let states = Some(MessageStates::new(&clients.dynamodb, "test-"));
        let client = clients.sqs;
        let create = async |name: &str| {
            let made = client
                .create_queue()
                .queue_name(name)
                .attributes(Name::FifoQueue, "true")
                .attributes(Name::MaximumMessageSize, "1048576")
                .attributes(Name::VisibilityTimeout, LEASE.as_secs().to_string());
            made.send().await.unwrap().queue_url.unwrap()
        };
        let (jobs, dead) = (create("jobs.fifo").await, create("dead.fifo").await);
        Arc::new(Self { emulator, client, jobs, dead, states, now: AtomicI64::new(BEGINNING) })
    }

    /// The queue as a worker opens it.
    pub async fn open(self: &Arc<Self>) -> SqsQueue {
        self.try_open().await.unwrap()
    }

    /// The same, where it may be refused.
    pub async fn try_open(self: &Arc<Self>) -> sealpost::ports::Result<SqsQueue> {
        let (clock, chance) = (Arc::clone(self) as Arc<dyn Clock>, Arc::new(SystemChance));
        let (client, jobs, dead) = (self.client.clone(), &*self.jobs, &*self.dead);
        match self.states.clone() {
            None => SqsQueue::open(client, jobs, dead, clock, chance).await,
            Some(states) => SqsQueue::open_fifo(client, jobs, dead, clock, chance, states).await,
        }
    }

    /// Moves the time on, for the queue and for its users.
    pub fn advance(&self, by: Duration) {
        self.emulator.advance(by);
        self.now.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}
