//! The work on a replay: page by page, until it is finished, steered or taken over.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Error, PAGE, Replayer, Result, told};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::replay::{Counts, Replay, Runner, Standing};
use crate::domain::timestamp::Timestamp;
use crate::ports;
use crate::ports::deliveries::LetterClaim;
use crate::ports::queue::Redrive;
use crate::telemetry::metrics::label::Replayed;

/// How long work is somebody's without a word: longer than the longest search of a queue.
const LEASE: Duration = Duration::from_secs(600);
/// How often a process looks for replays that wait.
const LOOK: Duration = Duration::from_secs(2);
/// How long it rests after a failure.
const REST: Duration = Duration::from_secs(30);

pub(super) fn runner(token: &str, now: Timestamp) -> Runner {
    Runner { token: token.to_owned(), until: now.plus(LEASE) }
}

/// Works on the replays that wait, one after the other, until told to stop.
pub async fn keep_running(replayer: Replayer, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let rest = match work_off(&replayer, &stop).await {
            Ok(()) => LOOK,
            Err(error) => {
                match &error {
                    Error::Ours(error) => replayer.tally.fault(error, "replays"),
                    Error::Unknown(_) | Error::Refused(_) => {
                        warn!(event = "replay", what = "refused", "{error}");
                    }
                }
                REST
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(rest) => {}
        }
    }
}

async fn work_off(replayer: &Replayer, stop: &CancellationToken) -> Result<()> {
    for id in replayer.waiting().await? {
        let token = replayer.token();
        if let Some(replay) = replayer.take(&id, &token).await? {
            replayer.run(replay, &token, stop, |_| {}).await?;
        }
    }
    Ok(())
}

impl Replayer {
    /// Takes the work on a replay that waits; `None` if it does not wait any more.
    async fn take(&self, id: &str, token: &str) -> Result<Option<Replay>> {
        let (mut replay, now) = (self.get(id).await?, self.clock.now());
        if !super::is_waiting(&replay, now) {
            return Ok(None);
        }
        replay.runner = Some(runner(token, now));
        replay.version += 1;
        Ok(self.replays.put(&replay).await?.then_some(replay))
    }

    /// Works on a replay under the name `token`, which its record has; tells `progress` of every
    /// step. Returns the record as it is when nothing is left to do, or it was steered or taken over,
    /// or `stop` was pulled.
    ///
    /// # Errors
    /// If the queue or a store fails. The record says so, if it can be written; somebody else may go
    /// on.
    pub async fn run(
        &self,
        mut replay: Replay,
        token: &str,
        stop: &CancellationToken,
        mut progress: impl FnMut(&Replay),
    ) -> Result<Replay> {
        let _running = self.tally.counters.replays_running.begin();
        while replay.is_run_by(token) {
            progress(&replay);
            if stop.is_cancelled() {
                replay.runner = None;
                self.save(&mut replay, token).await?;
                break;
            }
            if let Err(error) = self.step(&mut replay, token, stop).await {
                replay.problem = Some(error.to_string());
                replay.runner = None;
                // What cannot be written now is told by the error alone.
                let _ = self.save(&mut replay, token).await;
                return Err(error);
            }
        }
        progress(&replay);
        if replay.state == Standing::Finished {
            told("finish", &replay.who, &replay);
        }
        Ok(replay)
    }

    async fn step(&self, replay: &mut Replay, token: &str, stop: &CancellationToken) -> Result<()> {
        replay.problem = None;
        if replay.request.is_whole() && self.step_whole(replay, token, stop).await? {
            return Ok(());
        }
        // First, while it is known which of them have a dead letter.
        if replay.request.kept_bodies && self.step_kept(replay, token, stop).await? {
            return Ok(());
        }
        let begun = Instant::now();
        let page = self.next_page(replay).await?;
        match page.last() {
            None => {
                replay.end_pass(self.clock.now());
            }
            Some(last) => {
                self.send(replay, &page).await?;
                replay.cursor = Some(last.position());
            }
        }
        self.save(replay, token).await?;
        keep_pace(replay, begun, page.len(), stop).await;
        Ok(())
    }

    async fn next_page(&self, replay: &Replay) -> Result<Vec<DeadLetter>> {
        let (filter, after) = (replay.filter(), replay.cursor.as_deref());
        Ok(self.deliveries.list_dead_letters(&filter, after, page_size(replay)).await?)
    }

    /// Claims the letters of a page, moves them, and takes them out of the index.
    async fn send(&self, replay: &mut Replay, page: &[DeadLetter]) -> Result<()> {
        let now = self.clock.now();
        let (fit, redrives) = redrives(replay, page, now)?;
        let claim = LetterClaim { replay_id: replay.id.clone(), until: now.plus(LEASE) };
        let own = self.deliveries.claim_dead_letters(&fit, &claim, now).await?;
        let own: HashSet<String> = own.into_iter().collect();
        let wanted = redrives.into_iter().filter(|r| own.contains(&r.dead_letter_id)).collect();
        let sought = self.queue.redrive(wanted).await?;
        let (found, unknown): (HashSet<_>, HashSet<_>) =
            (sought.found.iter().collect(), sought.unknown.iter().collect());
        let settled =
            |letter: &&DeadLetter| own.contains(&letter.id) && !unknown.contains(&letter.id);
        let settled: Vec<DeadLetter> = fit.iter().filter(settled).cloned().collect();
        // The messages are back in the queue: only now may the index forget them.
        self.deliveries.remove_dead_letters(&settled).await?;
        let sizes = settled.iter().filter(|l| found.contains(&l.id)).map(|l| l.job_size as u64);
        let counts = Counts {
            replayed: found.len() as u64,
            resent: 0,
            bytes: sizes.sum(),
            gone: settled.len().saturating_sub(found.len()) as u64,
            held: (fit.len() - own.len()) as u64,
            unfit: (page.len() - fit.len()) as u64,
            not_found: unknown.len() as u64,
        };
        let replayed = &self.tally.counters.replayed;
        for (label, count) in [
            (Replayed::Sent, counts.replayed),
            (Replayed::Gone, counts.gone),
            (Replayed::Held, counts.held),
            (Replayed::Unfit, counts.unfit),
            (Replayed::NotFound, counts.not_found),
        ] {
            replayed.of(label).add(count);
        }
        replay.count(counts, sought.unknown);
        Ok(())
    }

    /// Writes what the work has done, beside what others have changed meanwhile.
    pub(super) async fn save(&self, worked: &mut Replay, token: &str) -> Result<()> {
        loop {
            let now = self.clock.now();
            let mut next = worked.clone();
            next.version += 1;
            next.updated_at = now;
            if next.is_run_by(token) {
                next.runner = Some(runner(token, now));
            }
            if self.replays.put(&next).await? {
                *worked = next;
                return Ok(());
            }
            let mut fresh = self.get(&worked.id).await?;
            if fresh.runner.as_ref().is_some_and(|runner| runner.token != token) {
                // Somebody else works on it, from what was written last.
                *worked = fresh;
                return Ok(());
            }
            fresh.merge_progress(worked);
            *worked = fresh;
        }
    }
}

/// The letters that can be sent as it is asked, and how each begins its next round.
fn redrives(
    replay: &Replay,
    page: &[DeadLetter],
    now: Timestamp,
) -> Result<(Vec<DeadLetter>, Vec<Redrive>)> {
    let (mut fit, mut redrives) = (Vec::with_capacity(page.len()), Vec::with_capacity(page.len()));
    for letter in page {
        let state = match &replay.request.to {
            None => letter.replayed(now),
            Some(to) => match letter.replayed_to(to, now) {
                Some(state) => Some(state),
                None => continue,
            },
        };
        let state = state.map(|state| serde_json::to_vec(&state)).transpose();
        let state = state.map_err(|e| Error::Ours(ports::Error::new("replay.state", e)))?;
        let dead_letter_id = letter.id.clone();
        redrives.push(Redrive { dead_letter_id, state: state.map(Into::into) });
        fit.push(letter.clone());
    }
    Ok((fit, redrives))
}

/// Letters handled at once.
pub(super) fn page_size(replay: &Replay) -> usize {
    let cap = replay.request.rate.and_then(|rate| usize::try_from(rate.get()).ok());
    cap.map_or(PAGE, |cap| cap.min(PAGE))
}

/// Waits until so many letters may have been sent since then.
pub(super) async fn keep_pace(
    replay: &Replay,
    begun: Instant,
    letters: usize,
    stop: &CancellationToken,
) {
    let Some(rate) = replay.request.rate else { return };
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep_until(begun + pause(letters, rate.get())) => {}
    }
}

/// How long so many letters take at that rate.
fn pause(letters: usize, rate: u32) -> Duration {
    Duration::from_secs(1).mul_f64(letters as f64 / f64::from(rate))
}
