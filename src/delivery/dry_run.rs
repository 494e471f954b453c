//! Answers a dry run: the request of a job, masked, is written where the asker looks for it.

use super::{Pipeline, preview::PreviewError};
use crate::domain::dry_run::{DryRun, DryRunAnswer};
use crate::domain::shown_request::ShownRequest;
use crate::ports::queue::Received;
use crate::ports::{Error, Result};

impl Pipeline {
    /// Answers, and removes the message. What nobody waits for any more is only removed.
    pub(super) async fn answer_dry_run(&self, message: &Received, dry_run: &DryRun) -> Result<()> {
        let now = self.clock.now();
        if now < dry_run.until && message.receive_count <= self.max_receives {
            let answer = match self.preview(&message.body, dry_run.at.unwrap_or(now)).await {
                Ok(request) => DryRunAnswer::Request(ShownRequest::masked(&request)),
                // The worker's own trouble passes; the message comes back after its lease.
                Err(PreviewError::Ours(error)) => return Err(error),
                Err(
                    problem @ (PreviewError::DeadLetter { .. }
                    | PreviewError::Parked(..)
                    | PreviewError::FansOut(_)),
                ) => DryRunAnswer::Problem(problem.to_string()),
            };
            let answer =
                serde_json::to_string(&answer).map_err(|e| Error::new("dry_run.answer", e))?;
            self.deliveries.put_dry_run(&dry_run.id, &answer, dry_run.until).await?;
        }
        self.queue.acknowledge(&message.handle).await
    }
}
