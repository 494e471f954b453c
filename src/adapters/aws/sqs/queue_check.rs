//! What queues have to be like. What would lose jobs or their order is refused; the rest is warned of.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use tracing::warn;

use super::batched::{BatchedQueue, refused};
use crate::adapters::aws::Failure;

/// The longest that SQS keeps a message (Amazon SQS Developer Guide, "Amazon SQS message quotas").
const LONGEST_RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);
/// Fewer receipts than this are soon used up by workers that are stopped hard.
const LEAST_RECEIPTS: u64 = 10;

/// Looks at both queues.
pub fn check(jobs: &BatchedQueue, dead: &BatchedQueue, in_order: bool) -> Result<(), Failure> {
    if jobs.keeps_order != in_order || dead.keeps_order != in_order {
        let kind = if in_order { "a FIFO queue" } else { "a standard queue" };
        let wrong = if jobs.keeps_order == in_order { dead } else { jobs };
        return Err(refused(format!(
            "queue {}: expected {kind}: both queues are of one kind",
            wrong.url
        )));
    }
    check_retention(dead);
    if in_order {
        return check_fifo(jobs);
    }
    check_redrive_policy(jobs, &dead.url);
    Ok(())
}

/// On a FIFO queue, receipts count returns, too, and those of the messages that only wait behind others.
fn check_fifo(jobs: &BatchedQueue) -> Result<(), Failure> {
    if jobs.redrives.is_some() {
        let problem = format!(
            "queue {}: it has a redrive policy, by which SQS would move jobs that only wait for others of their \
             group: remove its RedrivePolicy (the worker itself gives up what crashes it)",
            jobs.url
        );
        return Err(refused(problem));
    }
    let says = |name, value: &str| jobs.attributes.get(&name).is_some_and(|said| said == value);
    if says(Name::ContentBasedDeduplication, "true") {
        warn!(
            event = "fifo_queue",
            queue = jobs.url,
            "ContentBasedDeduplication is on: of jobs of the same bytes that are sent without a deduplication id within five minutes, SQS keeps one"
        );
    }
    if !says(Name::FifoThroughputLimit, "perMessageGroupId") {
        warn!(
            event = "fifo_queue",
            queue = jobs.url,
            "SQS takes 300 calls of a kind a second: set DeduplicationScope = messageGroup and FifoThroughputLimit = perMessageGroupId for more"
        );
    }
    Ok(())
}

/// Warns of a redrive policy under which a message that crashes the worker comes for ever, is given
/// up after a crash or two that are not its doing, or ends where nobody looks.
fn check_redrive_policy(jobs: &BatchedQueue, dead_letter_queue_url: &str) {
    let problem = match &jobs.redrives {
        None => "it has none: set its dead-letter queue and a maxReceiveCount of at least 10",
        Some(policy) if !policy.leads_to(dead_letter_queue_url) => {
            "it names another queue than dead_letter_queue_url: what goes there is not indexed"
        }
        Some(policy) if policy.most_receipts().is_none_or(|count| count < LEAST_RECEIPTS) => {
            "its maxReceiveCount is under 10: a few restarts may dead-letter what is in hand"
        }
        Some(_) => return,
    };
    warn!(event = "redrive_policy", queue = jobs.url, "redrive policy: {problem}");
}

/// Warns of a dead-letter queue that forgets before the list of dead letters does.
fn check_retention(dead: &BatchedQueue) {
    if let Some(retention) = dead.retention.filter(|kept| *kept < LONGEST_RETENTION) {
        let days = retention.as_secs() / (24 * 3600);
        warn!(
            event = "retention",
            queue = dead.url,
            days,
            "dead letters are gone after {days} days: set the dead-letter queue's MessageRetentionPeriod to 14 days"
        );
    }
}
