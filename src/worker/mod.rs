//! Runs the pipeline: takes messages as fast as there are permits, keeps their leases, and stops
//! cleanly.

pub mod batch;
mod clock_watch;
pub mod ending;
mod heartbeat;
pub mod lifecycle;
pub mod sweeper;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::delivery::Pipeline;
use crate::ports::Error;
use crate::ports::queue::Received;
use crate::telemetry::WorkerState;
use clock_watch::ClockWatch;
use heartbeat::Heartbeat;
use sweeper::Sweeper;

/// How long one receive waits for a message.
const LONG_POLL: Duration = Duration::from_secs(20);
/// How long the worker rests after the queue failed.
const REST: Duration = Duration::from_secs(1);

/// Of a backlog this part of all hands is filled at once, if so many are free within a moment: a receive
/// costs about as much as a delivery.
const SHARE: usize = 8;
const MOMENT: Duration = Duration::from_millis(2);

/// How much longer than its wait a receive may take before the loop counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The worker's settings.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most messages in hand at once.
    pub concurrency: usize,
    /// How long a stop waits for calls in progress.
    pub drain: Duration,
}

/// The signals to stop, from soft to hard.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Receive no more, finish what is in hand.
    pub soft: CancellationToken,
    /// Wait for no answer any more; settle and end.
    pub hard: CancellationToken,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything in hand was finished.
    Clean,
    /// Calls in progress were cut short; what could be settled was.
    CutShort,
}

/// Works until told to stop.
pub async fn run(pipeline: Arc<Pipeline>, limits: Limits, stop: Stop) -> Ended {
    // On a thread of the runtime's own: what it spawns then begins there, and wakes no other.
    let working = AbortOnDropHandle::new(tokio::spawn(work(pipeline, limits, stop)));
    match working.await {
        Ok(ended) => ended,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is going down.
            Err(_) => Ended::CutShort,
        },
    }
}

async fn work(pipeline: Arc<Pipeline>, limits: Limits, stop: Stop) -> Ended {
    let permits = Arc::new(Semaphore::new(limits.concurrency));
    let (tasks, heartbeat) = (TaskTracker::new(), Heartbeat::start(Arc::clone(&pipeline)));
    let _sweeper = Sweeper::start(Arc::clone(&pipeline));
    let _clock_watch = ClockWatch::start(Arc::clone(&pipeline));
    pipeline.tally.worker_is(WorkerState::Receiving);
    let mut is_backlog = false;
    loop {
        // Every place may be taken for as long as the longest call lasts.
        pipeline.tally.receiving.rest();
        let permit = tokio::select! {
            biased;
            () = stop.soft.cancelled() => break,
            permit = free_hands(&permits, limits.concurrency, is_backlog) => permit,
        };
        let Some(mut permit) = permit else { break };
        pipeline.tally.receiving.expect(LONG_POLL + PATIENCE);
        let received = tokio::select! {
            biased;
            () = stop.soft.cancelled() => break,
            received = pipeline.queue.receive(permit.num_permits(), LONG_POLL) => received,
        };
        let messages = match received {
            Ok(messages) => {
                pipeline.tally.worker_is(WorkerState::Receiving);
                messages
            }
            Err(error) => {
                pipeline.tally.worker_is(WorkerState::Failing);
                pipeline.tally.fault(&error, "queue");
                tokio::select! {
                    () = stop.soft.cancelled() => break,
                    () = tokio::time::sleep(REST) => continue,
                }
            }
        };
        pipeline.tally.counters.received.add(messages.len() as u64);
        is_backlog = messages.len() == permit.num_permits();
        for message in messages {
            // As many permits as messages were asked for.
            let Some(own) = permit.split(1) else { break };
            let (pipeline, hard) = (Arc::clone(&pipeline), stop.hard.clone());
            let lease = heartbeat.keep(message.handle.clone());
            let in_hand = pipeline.tally.counters.in_hand.begin();
            // Boxed: what a task is made of is moved half a dozen times, and this is several kilobytes.
            tasks.spawn(Box::pin(async move {
                deliver(&pipeline, &message, &hard).await;
                drop((lease, own, in_hand));
            }));
        }
    }
    pipeline.tally.receiving.rest();
    pipeline.tally.worker_is(WorkerState::Stopped);
    let (ended, ()) =
        tokio::join!(drain(&tasks, limits.drain, &stop), pipeline.queue.stop_receiving());
    // What was delivered and is not noted in this time comes back when its lease has run out.
    if let Ok(Err(error)) = tokio::time::timeout(FLUSH, pipeline.queue.flush()).await {
        pipeline.tally.fault(&error, "queue");
    }
    if let Some(recorder) = &pipeline.recorder {
        // What is not written in this time is not recorded.
        let _ = tokio::time::timeout(RECORDS_END, recorder.flush()).await;
    }
    if let Some(tracer) = &pipeline.tracer {
        // Nor are the spans exported.
        let _ = tokio::time::timeout(RECORDS_END, tracer.flush()).await;
    }
    ended
}

/// Permits for what is received next, all that are free; `None` never, for nobody closes the semaphore.
/// Receive only what there are permits for: nothing sits in hand while its lease runs.
async fn free_hands(
    permits: &Arc<Semaphore>,
    concurrency: usize,
    is_backlog: bool,
) -> Option<OwnedSemaphorePermit> {
    let mut permit = Arc::clone(permits).acquire_owned().await.ok()?;
    if is_backlog {
        // More is waiting than there are hands: those that are free in a moment go along.
        let some = u32::try_from(concurrency / SHARE).unwrap_or(u32::MAX);
        let more = Arc::clone(permits).acquire_many_owned(some);
        if let Ok(Ok(more)) = tokio::time::timeout(MOMENT, more).await {
            permit.merge(more);
        }
    }
    let free = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
    if let Ok(rest) = Arc::clone(permits).try_acquire_many_owned(free) {
        permit.merge(rest);
    }
    Some(permit)
}

/// Delivers a message. A bug that panics ends nothing but this delivery: the message is not settled, and
/// comes back when its lease has run out, which counts as a crash.
async fn deliver(pipeline: &Pipeline, message: &Received, stop: &CancellationToken) {
    let delivery = AssertUnwindSafe(pipeline.deliver(message, stop));
    if delivery.catch_unwind().await.is_err() {
        // What it was about is on standard error; it is none of the log's.
        let error = Error::new("delivery", "it panicked, which is a bug");
        pipeline.tally.fault(&error, &message.message_id);
    }
}

/// How long a stop waits until acknowledgements are durable.
const FLUSH: Duration = Duration::from_secs(3);
/// How long a stop waits for the recording of attempts.
const RECORDS_END: Duration = Duration::from_secs(3);

/// Lets the calls in progress end; then cuts them short; then lets them settle.
async fn drain(tasks: &TaskTracker, patience: Duration, stop: &Stop) -> Ended {
    tasks.close();
    tokio::select! {
        () = tasks.wait() => return Ended::Clean,
        () = stop.hard.cancelled() => {}
        () = tokio::time::sleep(patience) => {}
    }
    stop.hard.cancel();
    // What cannot be settled in this time comes back when its lease has run out.
    let _ = tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await;
    Ended::CutShort
}
