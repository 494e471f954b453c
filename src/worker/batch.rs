//! Delivers one batch that somebody else has received, within a time: AWS Lambda's way to work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::Pipeline;
use crate::ports::queue::Received;

/// The end of the time, in which what was cut short is settled (half of it), what is to be recorded is
/// written (a quarter), and the caller still answers.
pub const SETTLING: Duration = Duration::from_secs(3);

/// Delivers the messages, at most `concurrency` at once, until `deadline`. Calls that have not ended
/// [`SETTLING`] before it are cut short, and what has not begun by then is left as it is.
pub async fn deliver_batch(
    pipeline: &Arc<Pipeline>,
    messages: Vec<Received>,
    concurrency: usize,
    deadline: Instant,
) {
    let (tasks, hard) = (TaskTracker::new(), CancellationToken::new());
    let permits = Arc::new(Semaphore::new(concurrency));
    for message in messages {
        let (pipeline, hard, permits) = (Arc::clone(pipeline), hard.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            let permit = tokio::select! {
                biased;
                () = hard.cancelled() => return,
                permit = permits.acquire() => permit,
            };
            pipeline.deliver(&message, &hard).await;
            drop(permit);
        });
    }
    tasks.close();
    let last = deadline.checked_sub(SETTLING).unwrap_or(deadline);
    tokio::select! {
        () = tasks.wait() => {}
        () = sleep_until(last) => {
            hard.cancel();
            let _ = timeout(SETTLING / 2, tasks.wait()).await;
        }
    }
    if let Some(recorder) = &pipeline.recorder {
        // Nothing runs between two events: what is not written now may never be.
        let _ = timeout(SETTLING / 4, recorder.flush()).await;
    }
}
