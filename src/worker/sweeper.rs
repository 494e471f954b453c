//! Finds the dead letters that the queue made by itself, and puts them into the index.
//!
//! A message that crashes every worker which receives it can only be given up by the queue, and the
//! queue knows nothing of the index. The sweeper gives such a message its index record and its id,
//! so that it can be listed, replayed and purged like any other. It also removes old fences, and tells of
//! dead letters that will soon be gone.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::AbortHandle;

use super::ending::tell_of_ending_letters;
use crate::delivery::Pipeline;
use crate::ports::Result;
use crate::ports::deliveries::FENCES_KEPT;

/// How often the sweeper looks whether the number of dead letters has changed.
const PACE: Duration = Duration::from_secs(300);
/// After so many looks without a change it searches all the same: the number is approximate.
const LOOKS: u32 = 12;
/// Strays handled at once.
const PAGE: usize = 100;

/// Sweeps until it is dropped.
pub struct Sweeper {
    task: AbortHandle,
}

/// What the last search left behind.
#[derive(Debug, Default)]
struct LastSearch {
    dead: Option<u64>,
    looks: u32,
}

impl Sweeper {
    /// Begins.
    pub fn start(pipeline: Arc<Pipeline>) -> Self {
        let task = tokio::spawn(async move {
            let mut last = LastSearch::default();
            for look in 0u32.. {
                // With jitter, so that the workers of one queue do not look in step.
                tokio::time::sleep(PACE.mul_f64(0.5 + pipeline.chance.fraction())).await;
                if let Err(error) = last.look(&pipeline).await {
                    pipeline.tally.fault(&error, "sweeper");
                }
                if look % LOOKS == 0
                    && let Err(error) = tell_of_ending_letters(&pipeline).await
                {
                    pipeline.tally.fault(&error, "sweeper");
                }
                if let Err(error) = forget_old_fences(&pipeline).await {
                    pipeline.tally.fault(&error, "sweeper");
                }
                if let Err(error) = pipeline.records.forget(pipeline.clock.now()).await {
                    pipeline.tally.fault(&error, "sweeper");
                }
            }
        });
        Self { task: task.abort_handle() }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LastSearch {
    /// Sweeps if there may be something to find. A search receives every dead letter there is.
    async fn look(&mut self, pipeline: &Pipeline) -> Result<()> {
        let dead = pipeline.queue.depth().await?.dead;
        self.looks += 1;
        let unchanged = self.dead == Some(dead) && self.looks < LOOKS;
        if dead == 0 || unchanged {
            return Ok(());
        }
        sweep(pipeline).await?;
        *self = Self { dead: Some(dead), looks: 0 };
        Ok(())
    }
}

/// Forgets the fences of deliveries that are over.
///
/// # Errors
/// If the store fails.
pub async fn forget_old_fences(pipeline: &Pipeline) -> Result<()> {
    let before = pipeline.clock.now().minus(FENCES_KEPT);
    pipeline.deliveries.forget_fences(before).await.map(drop)
}

/// Puts every stray that is within reach into the index; returns how many there were.
///
/// # Errors
/// If one of them cannot be put; its lease runs out and a later sweep finds it again.
pub async fn sweep(pipeline: &Pipeline) -> Result<usize> {
    let mut swept = 0;
    loop {
        let strays = pipeline.queue.stray_dead_letters(PAGE).await?;
        // All at once, so that they go out in batches.
        let indexed = join_all(strays.iter().map(|stray| pipeline.index_stray(stray))).await;
        indexed.into_iter().collect::<Result<()>>()?;
        swept += strays.len();
        if strays.len() < PAGE {
            return Ok(swept);
        }
    }
}
