//! A replay of everything, where the queue moves everything by itself: it is asked to, and watched.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Replayer, Result};
use crate::domain::replay::{Replay, Standing};

/// How often the queue is asked how far it is.
const LOOK: Duration = Duration::from_secs(2);

impl Replayer {
    /// Lets the queue move everything, or looks how far it is; `false` if this queue cannot.
    pub(super) async fn step_whole(
        &self,
        replay: &mut Replay,
        token: &str,
        stop: &CancellationToken,
    ) -> Result<bool> {
        if replay.cursor.is_some() || replay.done.gone + replay.in_pass.not_found > 0 {
            // It was begun page by page.
            return Ok(false);
        }
        if replay.move_task.is_none() {
            let Some(task) = self.queue.move_all(replay.request.rate).await? else {
                return Ok(false);
            };
            replay.in_pass = Default::default();
            replay.move_task = Some(task.name);
            replay.destination = Some(task.destination);
            self.save(replay, token).await?;
            return Ok(true);
        }
        let Some(progress) = self.queue.move_progress().await? else { return Ok(false) };
        let before = replay.done.replayed - replay.in_pass.replayed;
        replay.in_pass.replayed = progress.moved;
        replay.done.replayed = before + progress.moved;
        replay.problem = progress.problem;
        if progress.ended {
            replay.move_task = None;
            self.end_move(replay);
        }
        self.save(replay, token).await?;
        if !progress.ended {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(LOOK) => {}
            }
        }
        Ok(true)
    }

    /// What was not moved can be moved by going on.
    fn end_move(&self, replay: &mut Replay) {
        let now = self.clock.now();
        if replay.problem.is_none() {
            replay.end_pass(now);
        } else {
            // Refused only where it was ended meanwhile, which is as good.
            let _ = replay.steer(Standing::Paused, "the queue", now);
        }
    }

    /// Ends what the queue does for a replay that goes on no more, or not now.
    pub(super) async fn stop_move(&self, replay: &Replay) -> Result<()> {
        let Some(task) = &replay.move_task else { return Ok(()) };
        self.queue.cancel_move(task).await?;
        let mut stopped = replay.clone();
        stopped.version += 1;
        stopped.move_task = None;
        // If the work has written meanwhile, it finds the move ended.
        self.replays.put(&stopped).await?;
        Ok(())
    }
}
