//! Asks a worker for a test call, and looks for its answer.
//!
//! Only workers may open secrets, so whoever wants to test an endpoint sends a message that a worker
//! answers through a store. How often that may be is limited here, for every customer apart: a test is a
//! real call, and nobody shall have a way to make many of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::domain::bucket::Bucket;
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::job::Job;
use crate::domain::limits::Rate;
use crate::domain::test_call::{MAX_DATA, TestCall, TestEvent, TestKind, TestRecord};
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::NewMessage;
use crate::ports::{Chance, Clock, Error, Queue, TestCalls};

/// How often the answer is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// Test calls of one customer in a minute, over all its endpoints.
pub const PER_MINUTE: u32 = 30;
/// How many of them may be made at once after a rest.
const BURST: u32 = 10;
/// Most customers that are counted.
const MOST_CUSTOMERS: usize = 10_000;

/// How often customers have tested of late, as this process knows.
#[derive(Debug, Default)]
pub struct TestRate(Mutex<HashMap<CustomerId, Bucket>>);

/// Why no test is made.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There were too many.
    #[error("more than {PER_MINUTE} tests a minute: try again at {0}")]
    TooMany(Timestamp),
    /// The event cannot be sent.
    #[error(transparent)]
    Refused(FieldError),
    /// The store or the queue failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

/// Asks for test calls.
pub struct TestCaller {
    /// Where workers take what they are asked.
    pub queue: Arc<dyn Queue>,
    /// Where they answer.
    pub test_calls: Arc<dyn TestCalls>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names.
    pub chance: Arc<dyn Chance>,
    /// How often each customer has asked.
    pub rate: Arc<TestRate>,
}

impl TestRate {
    /// Counts one test of a customer; when the next may be made, if there were too many.
    fn count(&self, customer: &CustomerId, now: Timestamp) -> Result<(), AskError> {
        let rate = Rate::new(PER_MINUTE, Duration::from_secs(60), Some(BURST));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Everybody begins anew then: it bounds the memory, and a burst more does no harm.
        if buckets.len() >= MOST_CUSTOMERS && !buckets.contains_key(customer) {
            buckets.clear();
        }
        let bucket = buckets.entry(customer.clone()).or_default();
        bucket.take(&rate, now, Duration::ZERO).map(drop).map_err(AskError::TooMany)
    }
}

/// A test of an endpoint with its job, which was looked at as workers do.
///
/// # Errors
/// With the path of what is wrong with the event.
pub fn prepared(call: &TestCall, event: &TestEvent) -> Result<String, FieldError> {
    let job = call.job(event).to_string();
    if job.len() > MAX_DATA {
        let problem = format!("the event is larger than {MAX_DATA} bytes: test with a smaller one");
        return Err(FieldError::new("data", problem));
    }
    Job::decode(job.as_bytes()).map_err(|wrong| wrong.error)?;
    Ok(job)
}

impl TestCaller {
    /// A new test of an endpoint, which nobody was asked for yet.
    pub fn call(&self, customer: &CustomerId, endpoint: &EndpointId, kind: TestKind) -> TestCall {
        let (token, now) = (self.chance.token(), self.clock.now());
        TestCall::new(token, customer.clone(), endpoint.clone(), kind, now)
    }

    /// Asks a worker to call an endpoint with an event, or to make its handshake.
    ///
    /// # Errors
    /// If the customer has tested too often, the event is wrong, or the store or the queue fails.
    pub async fn ask(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        kind: TestKind,
        event: &TestEvent,
    ) -> Result<TestRecord, AskError> {
        let call = self.call(customer, endpoint, kind);
        let job = prepared(&call, event).map_err(AskError::Refused)?;
        self.rate.count(customer, call.asked_at)?;
        let state = call.to_state().map_err(|e| Error::new("test_calls.ask", e))?;
        let record = TestRecord { call, report: None };
        // Before the message: an answer is never written over.
        self.test_calls.put(&record).await?;
        let (body, state) = (job.into(), Some(state.into()));
        let customer = Some(customer.clone());
        self.queue
            .send(vec![NewMessage { body, state, customer, ..NewMessage::default() }])
            .await?;
        Ok(record)
    }

    /// The test with its answer, once there is one; as it is when `patience` is over.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn wait_for(
        &self,
        mut record: TestRecord,
        patience: Duration,
    ) -> Result<TestRecord, Error> {
        let deadline = Instant::now() + patience;
        loop {
            let known = self.test_calls.get(&record.call.id, self.clock.now()).await?;
            record = known.unwrap_or(record);
            if record.report.is_some() || Instant::now() >= deadline {
                return Ok(record);
            }
            sleep(LOOK.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_who_tests_often_waits_and_the_others_do_not() {
        let rate = TestRate::default();
        let (one, other) = ("one".parse().unwrap(), "other".parse().unwrap());
        let now = Timestamp::from_millis(1_800_000_000_000);
        for _ in 0..BURST {
            rate.count(&one, now).unwrap();
        }
        let Err(AskError::TooMany(again)) = rate.count(&one, now) else { panic!() };
        assert_eq!(again, now.plus(Duration::from_secs(2)));
        rate.count(&other, now).unwrap();
        rate.count(&one, again).unwrap();
    }
}
