//! A replay: dead letters that are sent again, as a record that outlives whoever works on it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::ids::EndpointId;
use crate::domain::reason::Reason;
use crate::domain::recovery::KeptPlace;
use crate::domain::timestamp::Timestamp;

/// Letters a second that a replay without a cap is taken to move: what SQS moves at most by itself
/// (Amazon SQS API Reference, "StartMessageMoveTask").
pub const PACE: u64 = 500;
/// Most ids of letters without a job that a record names.
const NAMED: usize = 20;
/// Most lines of a record's audit: the first, and the last of them.
const LINES: usize = 50;

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Letters are sent, or are to be as soon as somebody works on it.
    Running,
    /// Nothing is sent until it is resumed.
    Paused,
    /// It was given up. What was sent stays sent.
    Cancelled,
    /// Everything that it was for was tried.
    Finished,
}

impl Standing {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a replay would send: the answer to a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// How many dead letters.
    pub count: u64,
    /// The bytes of their jobs together.
    pub bytes: u64,
    /// How many of each reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// When the oldest of them was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
}

impl Plan {
    /// Adds a letter.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        self.bytes += letter.job_size as u64;
        *self.reasons.entry(letter.reason).or_default() += 1;
        self.oldest = Some(self.oldest.map_or(letter.dead_at, |at| at.min(letter.dead_at)));
    }

    /// How long it takes about to put them back into the queue.
    pub fn estimate(&self, rate: Option<NonZeroU32>) -> Duration {
        let pace = rate.map_or(PACE, |rate| u64::from(rate.get()));
        Duration::from_secs(self.count.div_ceil(pace))
    }
}

/// What was counted of a replay so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Sent again.
    pub replayed: u64,
    /// Ordered to be sent again from their kept jobs: they had no dead letter any more.
    #[serde(default)]
    pub resent: u64,
    /// The bytes of their jobs together.
    pub bytes: u64,
    /// Had been sent already, or removed: only their index records were left.
    pub gone: u64,
    /// Were in the hand of another replay, which sends them.
    pub held: u64,
    /// Were no job, so that they cannot go to another endpoint. They stay in the list.
    pub unfit: u64,
    /// Their jobs were not found, in the last pass. They stay in the list.
    pub not_found: u64,
}

/// Who works on a replay just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Names the work; new for every beginning.
    pub token: String,
    /// Until when nobody else begins by itself.
    pub until: Timestamp,
}

/// Who did what to a replay, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// What: `start`, `pause`, `resume`, `cancel` or `finish`.
    pub what: String,
}

/// What is asked of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// Which dead letters.
    #[serde(default)]
    pub filter: DeadLetterFilter,
    /// Another endpoint of the customer that they go to, instead of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<EndpointId>,
    /// Most letters sent in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
    /// Whether failures that have no dead letter any more are sent again from their kept jobs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept_bodies: bool,
}

impl Request {
    /// Whether it is for every dead letter there is, as it is.
    pub fn is_whole(&self) -> bool {
        self.filter == DeadLetterFilter::default() && self.to.is_none() && !self.kept_bodies
    }
}

/// The record of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Its name. Later replays have later names.
    pub id: String,
    /// How often the record was written.
    pub version: u64,
    /// What was asked.
    #[serde(flatten)]
    pub request: Request,
    /// Who asked for it.
    pub who: String,
    /// Where it stands.
    pub state: Standing,
    /// When it was asked for. Only what was given up before is sent, so that nothing is sent twice.
    pub created_at: Timestamp,
    /// When the record was last written.
    pub updated_at: Timestamp,
    /// What there was to send when it began.
    pub planned: Plan,
    /// What was done.
    pub done: Counts,
    /// Which pass over the letters this is, from 1: what was not found is looked for once more.
    pub pass: u32,
    /// What was done in this pass.
    pub in_pass: Counts,
    /// The place in the list of the letter that was dealt with last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Some of the letters whose jobs were not found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// How far it has come over the recorded deliveries, where kept jobs are asked for.
    #[serde(default, skip_serializing_if = "KeptPlace::is_start")]
    pub kept: KeptPlace,
    /// The queue's own name for its work, where the queue moves everything by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_task: Option<String>,
    /// Where the queue moves it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Who did what.
    pub audit: Vec<AuditLine>,
}

/// What is asked of a replay cannot be done as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the replay is {0}: it cannot be changed any more")]
pub struct Ended(pub Standing);

impl Replay {
    /// A replay that begins.
    pub fn begin(id: String, request: Request, who: &str, planned: Plan, now: Timestamp) -> Self {
        let audit = AuditLine { at: now, who: who.to_owned(), what: "start".to_owned() };
        Self {
            id,
            version: 0,
            request,
            who: who.to_owned(),
            state: Standing::Running,
            created_at: now,
            updated_at: now,
            planned,
            done: Counts::default(),
            pass: 1,
            in_pass: Counts::default(),
            cursor: None,
            missing: Vec::new(),
            kept: KeptPlace::Start,
            move_task: None,
            destination: None,
            runner: None,
            problem: None,
            audit: vec![audit],
        }
    }

    /// The letters that are meant: none that was given up since it began.
    pub fn filter(&self) -> DeadLetterFilter {
        self.request.filter.clone().before(self.created_at)
    }

    /// Whether somebody works on it.
    pub fn is_worked_on(&self, now: Timestamp) -> bool {
        self.runner.as_ref().is_some_and(|runner| now < runner.until)
    }

    /// Whether the work of that name is still its work.
    pub fn is_run_by(&self, token: &str) -> bool {
        let is_own = self.runner.as_ref().is_some_and(|runner| runner.token == token);
        is_own && self.state == Standing::Running
    }

    /// Changes where it stands.
    ///
    /// # Errors
    /// If it has ended.
    pub fn steer(&mut self, to: Standing, who: &str, now: Timestamp) -> Result<(), Ended> {
        let what = match (self.state, to) {
            (ended @ (Standing::Cancelled | Standing::Finished), _) => return Err(Ended(ended)),
            (_, Standing::Running) => "resume",
            (_, Standing::Paused) => "pause",
            (_, Standing::Cancelled) => "cancel",
            (_, Standing::Finished) => "finish",
        };
        if self.state == to {
            return Ok(());
        }
        self.state = to;
        self.runner = None;
        self.log(what, who, now);
        Ok(())
    }

    /// Adds a line to the audit.
    pub fn log(&mut self, what: &str, who: &str, now: Timestamp) {
        if self.audit.len() >= LINES {
            // Who began it is never forgotten.
            self.audit.remove(1);
        }
        self.audit.push(AuditLine { at: now, who: who.to_owned(), what: what.to_owned() });
    }

    /// Counts orders to send again what is kept.
    pub fn count_resent(&mut self, orders: u64) {
        self.done.resent += orders;
    }

    /// Counts what became of a page of letters.
    pub fn count(&mut self, page: Counts, missing: Vec<String>) {
        for counts in [&mut self.done, &mut self.in_pass] {
            counts.replayed += page.replayed;
            counts.resent += page.resent;
            counts.bytes += page.bytes;
            counts.gone += page.gone;
            counts.held += page.held;
            counts.unfit += page.unfit;
            counts.not_found += page.not_found;
        }
        let room = NAMED.saturating_sub(self.missing.len());
        self.missing.extend(missing.into_iter().take(room));
    }

    /// Ends a pass: begins another if that may find what this one did not; otherwise it is finished.
    /// Whether it is.
    pub fn end_pass(&mut self, now: Timestamp) -> bool {
        let may_find_more = self.in_pass.not_found > 0 && self.in_pass.replayed > 0;
        if may_find_more {
            self.pass += 1;
            // They are met again, and counted again.
            self.done.not_found -= self.in_pass.not_found;
            self.done.held -= self.in_pass.held;
            self.done.unfit -= self.in_pass.unfit;
            self.in_pass = Counts::default();
            self.missing.clear();
            self.cursor = None;
            return false;
        }
        self.state = Standing::Finished;
        self.runner = None;
        let who = self.who.clone();
        self.log("finish", &who, now);
        true
    }

    /// Brings what the work has changed into the record as it was changed by others meanwhile.
    pub fn merge_progress(&mut self, worked: &Self) {
        self.done = worked.done;
        self.pass = worked.pass;
        self.in_pass = worked.in_pass;
        self.cursor.clone_from(&worked.cursor);
        self.missing.clone_from(&worked.missing);
        self.kept.clone_from(&worked.kept);
        self.move_task.clone_from(&worked.move_task);
        self.destination.clone_from(&worked.destination);
        self.problem.clone_from(&worked.problem);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn replay() -> Replay {
        let request = Request::default();
        Replay::begin("rp_1".to_owned(), request, "ops-1", Plan::default(), NOW)
    }

    #[test]
    fn what_has_ended_is_not_begun_again() {
        for end in [Standing::Cancelled, Standing::Finished] {
            let mut replay = replay();
            replay.steer(Standing::Paused, "ops-1", NOW).unwrap();
            replay.steer(end, "ops-2", NOW).unwrap();
            assert_eq!(replay.steer(Standing::Running, "ops-1", NOW), Err(Ended(end)));
            assert_eq!(replay.state, end);
        }
    }

    #[test]
    fn the_audit_says_who_did_what_and_never_forgets_who_began() {
        let mut replay = replay();
        for _ in 0..LINES {
            replay.steer(Standing::Paused, "ops-2", NOW).unwrap();
            replay.steer(Standing::Running, "ops-3", NOW).unwrap();
        }
        assert_eq!(replay.audit.len(), LINES);
        let line = |n: usize| (&*replay.audit[n].who, &*replay.audit[n].what);
        assert_eq!((line(0), line(LINES - 1)), (("ops-1", "start"), ("ops-3", "resume")));
    }

    #[test]
    fn only_a_pass_that_found_something_and_missed_something_is_followed_by_another() {
        for (replayed, not_found, again) in [(1, 1, true), (0, 1, false), (1, 0, false)] {
            let mut replay = replay();
            let counts = Counts { replayed, not_found, ..Counts::default() };
            replay.count(counts, vec!["dl_1".to_owned()]);
            assert_eq!(replay.end_pass(NOW), !again);
            assert_eq!(replay.state == Standing::Running, again);
            assert_eq!(replay.done.not_found, if again { 0 } else { not_found });
        }
    }

    proptest! {
        #[test]
        fn an_estimate_is_never_faster_than_the_cap(count in any::<u32>(), rate in 1..1000u32) {
            let plan = Plan { count: u64::from(count), ..Plan::default() };
            let seconds = plan.estimate(NonZeroU32::new(rate)).as_secs();
            prop_assert!(seconds * u64::from(rate) >= plan.count);
            prop_assert!(plan.count == 0 || (seconds - 1) * u64::from(rate) < plan.count);
        }
    }
}
