//! Fences, lists of endpoints that jobs fan out to, and the index of dead letters.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::decide::Disposition;
use crate::domain::delivery::DeliveryKey;
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::EndpointId;
use crate::domain::outcome::Attempt;
use crate::domain::timestamp::Timestamp;

/// A request for the right to make one attempt.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Which round of which delivery.
    pub key: DeliveryKey,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Names the claimer; new for every claim.
    pub token: String,
    /// When it is asked.
    pub now: Timestamp,
    /// How long the claim holds without an outcome.
    pub lease: Duration,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The attempt is the caller's to make.
    Granted {
        /// An earlier claimer of this attempt left no outcome: it may have made the call.
        after_lost_claimer: bool,
    },
    /// Somebody holds the claim until then and has left no outcome yet.
    Held(Timestamp),
    /// The attempt was made; this follows, and the claimer may have died before doing it.
    Settled(AttemptRecord),
    /// A later attempt was claimed: this message is a leftover.
    Superseded,
}

/// An attempt with what was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// The attempt.
    pub attempt: Attempt,
    /// What follows.
    pub disposition: Disposition,
}

/// A replay's hold on dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterClaim {
    /// Which replay.
    pub replay_id: String,
    /// Until when no other replay takes them.
    pub until: Timestamp,
}

/// How long a fence is kept behind its lease, and a list of endpoints that a job fans out to: longer than
/// any delivery lives.
pub const FENCES_KEPT: Duration = Duration::from_secs(15 * 24 * 3600);
/// Most dead letters that one call of [`Deliveries::scan_dead_letters`] looks at.
pub const MOST_LETTERS_LOOKED_AT: usize = 1_000;

/// A page of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterPage {
    /// What matches, oldest first.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; `None` at the end. There may be one behind an empty page.
    pub next: Option<String>,
}

/// Claims on attempts, and dead letters. What a write has returned is durable.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Claims an attempt. Granted if the last claim was for an earlier one, or for the same one
    /// without an outcome and its lease has run out.
    async fn claim(&self, request: ClaimRequest) -> Result<Claim>;

    /// Records the outcome of a claimed attempt; `false`, and nothing written, if the claim is no
    /// longer `token`'s. Doing so again, as after an `Err`, gives the same answer.
    async fn record(&self, key: &DeliveryKey, token: &str, record: &AttemptRecord) -> Result<bool>;

    /// Gives a claim back whose call was not begun, if it is still `token`'s and has no outcome: the
    /// attempt can be claimed at once, and nobody is told of a lost claimer.
    async fn abandon(&self, key: &DeliveryKey, token: &str) -> Result<()>;

    /// The endpoints that a job fans out to, if that was fixed; read with all that was written before.
    async fn fan_out(&self, key: &FanOutKey, now: Timestamp) -> Result<Option<Vec<EndpointId>>>;

    /// Fixes the endpoints that a job fans out to, up to [`MAX_FAN_OUT`], if that was not done
    /// before; returns those that were fixed first. Kept for as long as fences are.
    ///
    /// [`MAX_FAN_OUT`]: crate::domain::fan_out::MAX_FAN_OUT
    async fn fix_fan_out(
        &self,
        key: &FanOutKey,
        endpoints: &[EndpointId],
        now: Timestamp,
    ) -> Result<Vec<EndpointId>>;

    /// Forgets fences whose last claim ended before `before`, and what jobs fanned out to before;
    /// returns how many of both. A store that removes old ones by itself does nothing.
    async fn forget_fences(&self, before: Timestamp) -> Result<u64>;

    /// Puts a dead letter into the index; one of the same id is replaced.
    async fn put_dead_letter(&self, letter: &DeadLetter) -> Result<()>;

    /// One dead letter.
    async fn get_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>>;

    /// Up to `limit` dead letters, oldest first, after `after`: the [`position`] of one, which is good
    /// when the letter is gone, or the id of one that is there. Looks at [`MOST_LETTERS_LOOKED_AT`] at
    /// most, so a page may be short or empty and still have a next one.
    ///
    /// [`position`]: DeadLetter::position
    async fn scan_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<LetterPage>;

    /// The same, however many it has to look at: less than `limit` are there only at the end.
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let (mut letters, mut after) = (Vec::new(), after.map(str::to_owned));
        while letters.len() < limit {
            let rest = limit - letters.len();
            let page = self.scan_dead_letters(filter, after.as_deref(), rest).await?;
            letters.extend(page.letters);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(letters)
    }

    /// Claims dead letters for a replay, as they were read; returns the ids of those that are its own
    /// now. A claim is granted where nobody has one, or it is the same replay's, or it has run out at
    /// `now`.
    async fn claim_dead_letters(
        &self,
        letters: &[DeadLetter],
        claim: &LetterClaim,
        now: Timestamp,
    ) -> Result<Vec<String>>;

    /// Takes dead letters out of the index, as they were read: one that was given up again since
    /// stays.
    async fn remove_dead_letters(&self, letters: &[DeadLetter]) -> Result<()>;

    /// Keeps the answer to a dry run until then; one of the same id is replaced.
    async fn put_dry_run(&self, id: &str, answer: &str, until: Timestamp) -> Result<()>;

    /// Takes the answer to a dry run out, if there is one and it is not yet `now` past its end. It
    /// holds a job's body, so it does not stay where it was read.
    async fn take_dry_run(&self, id: &str, now: Timestamp) -> Result<Option<String>>;
}
