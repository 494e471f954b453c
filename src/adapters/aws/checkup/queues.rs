//! The pair of queues.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::{Resources, unseen};
use crate::adapters::aws::sqs::QueueFacts;
use crate::adapters::aws::sqs::queue_check::{self, Trouble};
use crate::domain::check::{Check, Subject, look};

/// A renewal of a lease may take 15 s with its retries, and the first is made after a third of the lease.
const LEAST_LEASE: Duration = Duration::from_secs(30);
/// The most that a message may have ("Amazon SQS message quotas").
const LARGEST: usize = 1_048_576;

/// Looks at both.
pub async fn examine(client: &Client, resources: &Resources) -> Vec<Check> {
    let (jobs_url, dead_url) = (&resources.queue_url, &resources.dead_letter_queue_url);
    let (jobs, dead) =
        tokio::join!(QueueFacts::ask(client, jobs_url), QueueFacts::ask(client, dead_url));
    let mut checks = Vec::new();
    for (url, asked) in [(jobs_url, &jobs), (dead_url, &dead)] {
        let subject = look("queue.exists", url);
        checks.push(match asked {
            Ok(_) => subject.ok("it is there"),
            Err(failure) => unseen(subject, failure, "sqs:GetQueueAttributes"),
        });
    }
    if let Ok(jobs) = &jobs {
        checks.extend([visibility(jobs), size(jobs), encryption(jobs), delay(jobs)]);
        checks.push(senders(jobs, resources));
    }
    if let Ok(dead) = &dead {
        checks.extend([
            of("queue.retention", dead, "14 days", queue_check::retention(dead)),
            encryption(dead),
        ]);
    }
    match (&jobs, &dead) {
        (Ok(jobs), Ok(dead)) => checks.extend(together(jobs, dead, resources.max_receives)),
        (Err(_), _) | (_, Err(_)) => {
            let why = "one of the queues cannot be looked at";
            checks.push(look("queue.redrive", jobs_url).skipped(why));
        }
    }
    checks
}

/// What is right or wrong of both together.
fn together(jobs: &QueueFacts, dead: &QueueFacts, max_receives: u32) -> Vec<Check> {
    let in_order = jobs.keeps_order;
    if let Some((queue, expected)) = queue_check::kind(jobs, dead, in_order) {
        return vec![look("queue.kind", &queue.url).failed(
            if queue.keeps_order { "a FIFO queue" } else { "a standard queue" },
            expected,
            "both queues are of one kind: name another one in aws.dead_letter_queue_url",
        )];
    }
    let mut checks = vec![keeps_as_long(jobs, dead)];
    if in_order {
        let redrive = queue_check::redrive_in_order(jobs);
        checks.push(match redrive {
            None => look("queue.redrive", &jobs.url).ok("none, as on FIFO queues"),
            Some(Trouble { found, mend }) => {
                look("queue.redrive", &jobs.url).failed(found, "none on a FIFO queue", mend)
            }
        });
        let once = queue_check::deduplication(jobs);
        checks.push(of("queue.deduplication", jobs, "deduplication by id", once));
        let throughput = queue_check::throughput(jobs);
        checks.push(of("queue.throughput", jobs, "high throughput", throughput));
    } else {
        checks.push(redrive(jobs, dead, max_receives));
    }
    checks
}

/// A check of something that is either good or has a trouble that is warned of.
fn of(name: &'static str, queue: &QueueFacts, good: &str, trouble: Option<Trouble>) -> Check {
    let subject = look(name, &queue.url);
    match trouble {
        None => subject.ok(good),
        Some(Trouble { found, mend }) => subject.warning(found, good, mend),
    }
}

fn redrive(jobs: &QueueFacts, dead: &QueueFacts, max_receives: u32) -> Check {
    let expected = format!("to {} after at least 10 receipts", dead.url);
    let subject = look("queue.redrive", &jobs.url);
    if let Some(Trouble { found, mend }) = queue_check::redrive(jobs, &dead.url) {
        return subject.warning(found, expected, mend);
    }
    let most = jobs.redrives.as_ref().and_then(|policy| policy.most_receipts()).unwrap_or(0);
    let found = format!("after {most} receipts; worker.max_receives is {max_receives}");
    if most < u64::from(max_receives) {
        let expected = "maxReceiveCount not below worker.max_receives: SQS moves a message before the \
                        worker gives it up with its reason";
        let mend =
            format!("set maxReceiveCount to at least {max_receives}, or lower worker.max_receives");
        return subject.warning(found, expected, mend);
    }
    subject.ok(found)
}

fn visibility(jobs: &QueueFacts) -> Check {
    let (subject, lease) = (look("queue.visibility", &jobs.url), jobs.lease());
    let found = format!("VisibilityTimeout is {} s", lease.as_secs());
    let mend = "set the queue's VisibilityTimeout to 30, or on AWS Lambda to six times the function's \
                timeout";
    let expected = "at least 30 s: a renewal may take 15 s with its retries, and what is not renewed in \
                    time is delivered twice";
    match lease {
        Duration::ZERO => subject.failed(found, expected, mend),
        short if short < LEAST_LEASE => subject.warning(found, expected, mend),
        _ => subject.ok(found),
    }
}

fn size(jobs: &QueueFacts) -> Check {
    let (subject, limit) = (look("queue.message_size", &jobs.url), jobs.limit());
    let found = format!("MaximumMessageSize is {limit}");
    if limit < LARGEST {
        let expected = "1048576: state and body of a job travel in one message";
        return subject.warning(found, expected, "set MaximumMessageSize to 1048576");
    }
    subject.ok(found)
}

fn encryption(queue: &QueueFacts) -> Check {
    let subject = look("queue.encryption", &queue.url);
    if let Some(key) = queue.text(Name::KmsMasterKeyId).filter(|key| !key.is_empty()) {
        return subject.ok(format!("with the KMS key {key}"));
    }
    if queue.says(Name::SqsManagedSseEnabled, "true") {
        return subject.ok("with keys of SQS");
    }
    let mend = "set SqsManagedSseEnabled = true, or KmsMasterKeyId";
    subject.warning("not encrypted at rest", "encrypted: jobs hold your customers' data", mend)
}

fn delay(jobs: &QueueFacts) -> Check {
    let (subject, delay) = (look("queue.delay", &jobs.url), jobs.seconds(Name::DelaySeconds));
    match delay.filter(|delay| !delay.is_zero()) {
        None => subject.ok("none"),
        Some(delay) => subject.warning(
            format!("DelaySeconds is {}", delay.as_secs()),
            "0: every job waits for that long",
            "set DelaySeconds to 0; a job says `notBefore` itself",
        ),
    }
}

/// A message keeps the time at which it was sent when SQS moves it: what had waited for long is gone from a
/// dead-letter queue that keeps no longer ("Dead-letter queues", Amazon SQS Developer Guide).
fn keeps_as_long(jobs: &QueueFacts, dead: &QueueFacts) -> Check {
    let subject = look("queue.retentions", format!("{} and {}", jobs.url, dead.url));
    let days = |kept: Option<Duration>| kept.unwrap_or_default().as_secs() as f64 / 86_400.0;
    let (jobs_keep, dead_keeps) = (days(jobs.retention()), days(dead.retention()));
    let found = format!("{jobs_keep:.1} days; dead letters {dead_keeps:.1} days");
    if dead_keeps < jobs_keep {
        let expected = "dead letters are kept for as long as jobs: those that SQS moves are as old as the \
                        job";
        return subject.warning(found, expected, "set its MessageRetentionPeriod to 1209600");
    }
    subject.ok(found)
}

fn senders(jobs: &QueueFacts, resources: &Resources) -> Check {
    let subject: Subject = look("queue.senders", &jobs.url);
    match &resources.senders {
        Some(_) => subject.ok("producers are held to their customers (aws.senders)"),
        None => subject.ok("whoever may send to it may for every customer (no aws.senders)"),
    }
}
