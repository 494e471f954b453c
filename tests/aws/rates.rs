//! The rate of an endpoint that several workers call: one account in DynamoDB, which they lease from.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sealpost::adapters::aws::dynamodb::{DynamoHealth, DynamoRates};
use sealpost::delivery::{Limiters, SharedRates};
use sealpost::domain::endpoint::Health;
use sealpost::domain::gate::{Ask, Turn};
use sealpost::domain::health::HealthRecord;
use sealpost::domain::ids::{CustomerId, EndpointId};
use sealpost::domain::limiter::Used;
use sealpost::domain::limits::{Limits, Rate};
use sealpost::domain::rate_lease::{LeaseAnswer, LeaseRequest, Terms};
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::{Clock, HealthStore, Rates};
use sealpost::telemetry::Tally;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn after(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

fn ids() -> (CustomerId, EndpointId) {
    ("c".parse().unwrap(), "e".parse().unwrap())
}

fn rates(aws: &Aws) -> DynamoRates {
    DynamoRates::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str())
}

#[tokio::test]
async fn an_account_stands_after_every_lease_where_the_rule_says_whatever_the_worker_believed() {
    let aws = Aws::start().await;
    let (rates, (customer, endpoint)) = (rates(&aws), ids());
    let (mut account, mut seen) = (Duration::ZERO, [0; 3]);
    let slow = Rate::new(1, SECOND * 3600, None);
    let quick: Rate = "10/s".parse().unwrap();
    let fine = Rate::new(3, SECOND, Some(7));
    // When, at which rate, how many, with how much patience.
    let asks = [
        (0, quick, 3, 0),
        (0, quick, 10, 0),
        (10, quick, 10, 1000),
        (20, quick, 10, 1000),
        (30, quick, 1, 0),
        (2500, quick, 1, 0),
        (2500, fine, 3, 500),
        (90_000, slow, 1, 0),
        (90_500, slow, 1, 1000),
        // The rate was set anew meanwhile: an hour ahead is further than it could bring an account.
        (91_000, quick, 5, 1000),
        (99_999, fine, 2, 0),
    ];
    for (millis, rate, count, patience) in asks {
        let terms = Terms::of(&rate);
        let patience = Duration::from_millis(patience);
        for known in [account, Duration::ZERO, account + SECOND * 5000] {
            let request = LeaseRequest { terms, now: after(millis), count, patience, known };
            let (was, expected) = (account, request.carry_out(&mut account));
            let answer = rates.lease(&customer, &endpoint, &request).await.unwrap();
            assert_eq!(answer, expected, "{request:?} on {was:?}");
            match answer {
                LeaseAnswer::Granted { from, before } if from >= before => seen[0] += 1,
                LeaseAnswer::Granted { .. } => seen[1] += 1,
                LeaseAnswer::Refused { .. } => seen[2] += 1,
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen > 0), "granted, astray, refused: {seen:?}");
}

#[tokio::test]
async fn of_many_who_ask_at_once_each_is_granted_tokens_of_its_own() {
    let aws = Aws::start().await;
    let (rates, (customer, endpoint)) = (rates(&aws), ids());
    let terms = Terms::of(&"100/s".parse().unwrap());
    let known = Duration::ZERO;
    let request = LeaseRequest { terms, now: START, count: 10, patience: SECOND, known };
    let all = (0..30).map(|_| rates.lease(&customer, &endpoint, &request));
    let answers = futures_util::future::join_all(all).await;
    let mut begun = Vec::new();
    for answer in answers {
        if let Ok(LeaseAnswer::Granted { from, .. }) = answer {
            begun.push(from);
        }
    }
    begun.sort();
    // The half of the burst that is lent at once, and one second ahead.
    assert!(begun.len() >= 10 && begun.len() <= 15, "{}", begun.len());
    assert!(begun.windows(2).all(|w| w[1] - w[0] >= terms.stretch(10)), "{begun:?}");
}

#[tokio::test]
async fn an_account_says_nothing_of_an_endpoint_s_health_and_outlives_it() {
    let aws = Aws::start().await;
    let (rates, (customer, endpoint)) = (rates(&aws), ids());
    let health = DynamoHealth::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let terms = Terms::of(&"1/m".parse().unwrap());
    let known = Duration::ZERO;
    let request = LeaseRequest { terms, now: START, count: 1, patience: SECOND, known };
    let granted = rates.lease(&customer, &endpoint, &request).await.unwrap();
    assert!(matches!(granted, LeaseAnswer::Granted { .. }));
    assert_eq!(health.read(&customer, &endpoint, 1).await.unwrap(), HealthRecord::default());
    assert_eq!(health.list(&customer).await.unwrap(), []);
    let seen = HealthRecord::default();
    assert!(health.change(&customer, &endpoint, 1, &seen, &seen.well()).await.unwrap());
    let gone = Health::Disabled { why: "gone".to_owned() };
    assert!(health.set(&customer, &endpoint, 2, &gone).await.unwrap());
    let refused = rates.lease(&customer, &endpoint, &request).await.unwrap();
    assert!(matches!(refused, LeaseAnswer::Refused { .. }), "it was called before the edit, too");
    assert_eq!(health.get(&customer, &endpoint, 2).await.unwrap(), gone);
}

struct StandingClock(AtomicI64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Three workers that call one endpoint as often as they may.
struct Fleet {
    aws: Aws,
    workers: Vec<(Limiters, Arc<Tally>)>,
    clock: StandingClock,
    limits: Limits,
    dice: u64,
}

impl Fleet {
    async fn start(rate: &str) -> Self {
        let aws = Aws::start().await;
        let worker = || {
            let tally = Arc::<Tally>::default();
            let shared = SharedRates { rates: Arc::new(rates(&aws)), tally: Arc::clone(&tally) };
            (Limiters::new(256).sharing(Some(shared)), tally)
        };
        let workers = (0..3).map(|_| worker()).collect();
        let limits = serde_json::from_value(serde_json::json!({"rate": rate})).unwrap();
        let clock = StandingClock(AtomicI64::new(START.as_millis()));
        Self { aws, workers, clock, limits, dice: 7 }
    }

    /// Calls for so long, each worker up to three times in 20 ms; when the calls were allowed.
    async fn call_for(&mut self, span: Duration) -> Vec<Timestamp> {
        let mut calls = Vec::new();
        for _ in 0..span.as_millis() / 20 {
            self.clock.0.fetch_add(20, Ordering::SeqCst);
            for worker in 0..self.workers.len() {
                self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                for _ in 0..(self.dice >> 33) % 4 {
                    calls.extend(self.call(worker).await);
                }
            }
        }
        calls
    }

    async fn call(&self, worker: usize) -> Option<Timestamp> {
        let (customer, endpoint) = ids();
        let meter = self.workers[worker].0.of(&customer, &endpoint).await;
        let now = self.clock.now();
        let latest = now.plus(SECOND * 3600);
        // It was told to come back, and waits up to a second for a token.
        let ask = Ask { now, latest, waits: 1, turn: Turn::New, chance: 0.5 };
        let stop = CancellationToken::new();
        let asked = meter.leave_to_call(1, &self.limits, ask, &self.clock, &stop).await;
        let leave = asked.ok()?;
        meter.leave(&self.limits, &leave, Used::Ended);
        Some(leave.at)
    }

    /// Writes so far.
    fn writes(&self) -> Option<u64> {
        let calls = self.aws.emulated.as_ref()?.emulator.calls_of("DynamoDB");
        Some(calls.get("UpdateItem").and_then(serde_json::Value::as_u64).unwrap_or(0))
    }
}

#[tokio::test]
async fn three_workers_at_one_endpoint_keep_its_rate_within_a_tenth_and_write_twice_a_second_each()
{
    let mut fleet = Fleet::start("100/s").await;
    let mut calls = fleet.call_for(SECOND * 30).await;
    calls.sort();
    let in_window = calls.iter().filter(|at| **at >= after(5000) && **at < after(30_000)).count();
    assert!((2250..=2500 + 100).contains(&in_window), "{in_window} in 25 s");
    for (first, from) in calls.iter().enumerate() {
        let in_a_second = calls[first..].iter().take_while(|at| at.since(*from) < SECOND).count();
        assert!(in_a_second <= 201, "{in_a_second} in a second: the rate and a burst");
    }
    if let Some(writes) = fleet.writes() {
        assert!((30..=3 * 2 * 30).contains(&writes), "{writes} writes");
    }
    assert!(fleet.workers.iter().all(|(_, tally)| tally.counts().faults == 0));
}

#[tokio::test]
async fn in_an_outage_of_the_table_the_fleet_goes_on_at_no_more_than_the_rate() {
    let mut fleet = Fleet::start("100/s").await;
    let Some(sqs) = fleet.aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return;
    };
    fleet.call_for(SECOND * 10).await;
    sqs.emulator.fail("UpdateItem", 500, "InternalServerError", 1000);
    let mut calls = fleet.call_for(SECOND * 10).await;
    calls.retain(|at| *at >= after(12_000));
    let span = calls.iter().max().unwrap().since(*calls.iter().min().unwrap()).as_secs_f64();
    let allowed = span * 100.0;
    let found = calls.len() as f64;
    assert!(found <= allowed * 1.1 + 100.0, "{found} in {span} s");
    assert!(found >= allowed * 0.8, "{found} in {span} s");
    for (_, tally) in &fleet.workers {
        assert!((1..=3).contains(&tally.counts().faults), "told once in five seconds");
    }
}
