//! What queues have to be like. What would lose jobs or their order is refused when a worker starts; the
//! rest is warned of. `sealpost doctor` asks the same.

use std::fmt;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use tracing::warn;

use super::batched::refused;
use super::facts::QueueFacts;
use crate::adapters::aws::Failure;

/// The longest that SQS keeps a message (Amazon SQS Developer Guide, "Amazon SQS message quotas").
const LONGEST_RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);
/// Fewer receipts than this are soon used up by workers that are stopped hard.
const LEAST_RECEIPTS: u64 = 10;

/// Something that a queue should be otherwise: what it is, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What was found.
    pub found: String,
    /// How to mend it.
    pub mend: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.found, self.mend)
    }
}

fn trouble(found: impl Into<String>, mend: impl Into<String>) -> Option<Trouble> {
    Some(Trouble { found: found.into(), mend: mend.into() })
}

/// Looks at both queues, as a worker does that is about to use them.
pub fn check(jobs: &QueueFacts, dead: &QueueFacts, in_order: bool) -> Result<(), Failure> {
    if let Some((queue, expected)) = kind(jobs, dead, in_order) {
        let problem = format!("expected {expected}: both queues are of one kind");
        return Err(refused(format!("queue {}: {problem}", queue.url)));
    }
    if let Some(trouble) = retention(dead) {
        warn!(event = "retention", queue = dead.url, "{trouble}");
    }
    if !in_order {
        if let Some(trouble) = redrive(jobs, &dead.url) {
            warn!(event = "redrive_policy", queue = jobs.url, "redrive policy: {trouble}");
        }
        return Ok(());
    }
    if let Some(trouble) = redrive_in_order(jobs) {
        return Err(refused(format!("queue {}: {trouble}", jobs.url)));
    }
    for trouble in deduplication(jobs).into_iter().chain(throughput(jobs)) {
        warn!(event = "fifo_queue", queue = jobs.url, "{trouble}");
    }
    Ok(())
}

/// The queue that is of another kind than it has to be, and which kind that is.
pub fn kind<'q>(
    jobs: &'q QueueFacts,
    dead: &'q QueueFacts,
    in_order: bool,
) -> Option<(&'q QueueFacts, &'static str)> {
    let wrong = [jobs, dead].into_iter().find(|queue| queue.keeps_order != in_order)?;
    Some((wrong, if in_order { "a FIFO queue" } else { "a standard queue" }))
}

/// On a FIFO queue, receipts count returns, too, and those of the messages that only wait behind others.
pub fn redrive_in_order(jobs: &QueueFacts) -> Option<Trouble> {
    jobs.redrives.as_ref()?;
    trouble(
        "it has a redrive policy, by which SQS would move jobs that only wait for others of their group",
        "remove its RedrivePolicy (the worker itself gives up what crashes it)",
    )
}

/// A FIFO queue that takes jobs of the same bytes for one.
pub fn deduplication(jobs: &QueueFacts) -> Option<Trouble> {
    if !jobs.says(Name::ContentBasedDeduplication, "true") {
        return None;
    }
    trouble(
        "ContentBasedDeduplication is on: of jobs of the same bytes that are sent without a deduplication id \
         within five minutes, SQS keeps one",
        "turn it off, or give every job an id",
    )
}

/// A FIFO queue that is slow.
pub fn throughput(jobs: &QueueFacts) -> Option<Trouble> {
    if jobs.says(Name::FifoThroughputLimit, "perMessageGroupId") {
        return None;
    }
    trouble(
        "SQS takes 300 calls of a kind a second",
        "set DeduplicationScope = messageGroup and FifoThroughputLimit = perMessageGroupId for more",
    )
}

/// A redrive policy under which a message that crashes the worker comes for ever, is given up after a
/// crash or two that are not its doing, or ends where nobody looks.
pub fn redrive(jobs: &QueueFacts, dead_letter_queue_url: &str) -> Option<Trouble> {
    match &jobs.redrives {
        None => {
            trouble("it has none", "set its dead-letter queue and a maxReceiveCount of at least 10")
        }
        Some(policy) if !policy.leads_to(dead_letter_queue_url) => trouble(
            "it names another queue than dead_letter_queue_url",
            "what goes there is not indexed: let it name that queue",
        ),
        Some(policy) if policy.most_receipts().is_none_or(|count| count < LEAST_RECEIPTS) => {
            trouble(
                "its maxReceiveCount is under 10",
                "a few restarts may dead-letter what is in hand: set it to at least 10",
            )
        }
        Some(_) => None,
    }
}

/// A dead-letter queue that forgets before the list of dead letters does.
pub fn retention(dead: &QueueFacts) -> Option<Trouble> {
    let retention = dead.retention().filter(|kept| *kept < LONGEST_RETENTION)?;
    let days = retention.as_secs() / (24 * 3600);
    trouble(
        format!("dead letters are gone after {days} days"),
        "set the dead-letter queue's MessageRetentionPeriod to 1209600 (14 days)",
    )
}
