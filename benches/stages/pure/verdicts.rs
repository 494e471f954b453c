//! What follows from an answer, and how long to wait before the next attempt.

use anyhow::ensure;
use sealpost::domain::backoff::delay;
use sealpost::domain::decide::{Disposition, Standing, decide};
use sealpost::domain::outcome::{AttemptOutcome, Phase};
use sealpost::domain::retry_policy::RetryPolicy;
use sealpost::domain::timestamp::Timestamp;

use super::Stage;

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let standing = Standing { attempt: 2, accepted_at: now, expires_at: None };
    let (policy, failed) =
        (RetryPolicy::default(), AttemptOutcome::Failed { phase: Phase::ResponseTimeout });
    let disposition = decide(&failed, standing, &policy, now, 0.5);
    ensure!(matches!(disposition, Disposition::RetryAt(_)), "{disposition:?}");
    let usual = policy.clone();
    Ok(vec![
        Stage::new("verdict: a failure is tried again", move || {
            decide(&failed, standing, &policy, now, 0.5)
        }),
        Stage::new("backoff", move || delay(&usual, 5, 0.5)),
    ])
}
