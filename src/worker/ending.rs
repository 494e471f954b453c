//! Tells of dead letters that the queue will soon forget: SQS keeps a message for 14 days at most, and a
//! replay after that finds nothing.

use std::time::Duration;

use crate::delivery::Pipeline;
use crate::domain::dead_letter::DeadLetterFilter;
use crate::ports::Result;

/// How long before its end a dead letter is told of; of a short life, a quarter.
const NOTICE: Duration = Duration::from_secs(2 * 24 * 3600);
/// Most that are counted.
const MOST: usize = 100;

/// Tells how many there are, and which is the first to go.
///
/// # Errors
/// If the index cannot be read.
pub async fn tell_of_ending_letters(pipeline: &Pipeline) -> Result<()> {
    let Some(kept) = pipeline.queue.dead_letters_kept() else { return Ok(()) };
    // A dead letter is sent to its queue when it is given up.
    let ended = pipeline.clock.now().minus(kept);
    let filter = DeadLetterFilter {
        since: Some(ended),
        until: Some(ended.plus(NOTICE.min(kept / 4))),
        ..DeadLetterFilter::default()
    };
    let letters = pipeline.deliveries.list_dead_letters(&filter, None, MOST).await?;
    if let Some(first) = letters.first() {
        pipeline.tally.ending(letters.len(), &first.id, first.dead_at.plus(kept));
    }
    Ok(())
}
