//! What happened to a delivery, moment by moment, out of what was recorded of it.

use serde::Serialize;

use crate::domain::delivery_record::{AttemptRow, DeliveryRecord, DeliveryStatus};
use crate::domain::outcome::Attempt;
use crate::domain::timestamp::Timestamp;

/// What happened at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The queue accepted the job, or a replay began the round.
    Accepted,
    /// A call was made.
    Attempt,
    /// Calls were made of which nothing is recorded.
    NotRecorded,
    /// The next call is due.
    RetryDue,
    /// The endpoint accepted it.
    Delivered,
    /// It was given up.
    DeadLettered,
}

impl Event {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Attempt => "attempt",
            Self::NotRecorded => "not_recorded",
            Self::RetryDue => "retry_due",
            Self::Delivered => "delivered",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

/// One moment in the life of a delivery's round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The number of the attempt, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The same in words.
    pub detail: String,
}

impl Moment {
    fn new(at: Timestamp, event: Event, detail: impl Into<String>) -> Self {
        Self { at, event, attempt: None, detail: detail.into() }
    }

    fn of(attempt: &Attempt) -> Self {
        let Attempt { number, at, duration_ms, address, outcome, .. } = attempt;
        let by = address.as_ref().map_or(String::new(), |address| format!(" at {address}"));
        let detail = format!("{outcome} after {duration_ms} ms{by}");
        Self { attempt: Some(*number), ..Self::new(*at, Event::Attempt, detail) }
    }
}

/// The moments of a round, in order: its attempts as they are recorded, oldest first, and what came
/// before and after.
pub fn timeline(record: &DeliveryRecord, attempts: &[AttemptRow]) -> Vec<Moment> {
    let begun = if record.round == 1 { "the queue accepted the job" } else { "a replay began" };
    let begun = format!("{begun}: round {}", record.round);
    let mut moments = vec![Moment::new(record.accepted_at, Event::Accepted, begun)];
    let mut next = 1;
    for AttemptRow { attempt, .. } in attempts {
        moments.extend(gap(next, attempt.number, attempt.at));
        moments.push(Moment::of(attempt));
        next = attempt.number.saturating_add(1);
    }
    moments.extend(gap(next, record.attempts.saturating_add(1), record.last_at));
    let last = attempts.last().filter(|row| row.attempt.number == record.attempts);
    let lasted = last.map_or(0, |row| row.attempt.duration_ms);
    let ended = record.last_at.plus(std::time::Duration::from_millis(lasted));
    moments.push(match (record.status, record.reason) {
        (DeliveryStatus::Delivered, _) => {
            Moment::new(ended, Event::Delivered, "the endpoint accepted it")
        }
        (DeliveryStatus::Retrying, _) => {
            let due = record.retry_at.unwrap_or(ended);
            Moment::new(due, Event::RetryDue, "the next attempt is due")
        }
        (DeliveryStatus::DeadLetter, Some(reason)) => {
            let detail = format!("{reason}: {}", reason.advice());
            Moment::new(ended, Event::DeadLettered, detail)
        }
        (DeliveryStatus::DeadLetter, None) => {
            Moment::new(ended, Event::DeadLettered, "it was given up")
        }
    });
    moments
}

/// The attempts from `next` on and before `number`, which are not recorded; the moment before which
/// they were made.
fn gap(next: u32, number: u32, before: Timestamp) -> Option<Moment> {
    let missing = number.checked_sub(next).filter(|missing| *missing > 0)?;
    let detail = match missing {
        1 => format!("attempt {next} was made before, and is not recorded"),
        _ => format!("attempts {next} to {} were made before, and are not recorded", number - 1),
    };
    Some(Moment::new(before, Event::NotRecorded, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::Disposition;
    use crate::domain::delivery::DeliveryKey;
    use crate::domain::outcome::AttemptOutcome;
    use crate::domain::reason::Reason;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + second * 1000)
    }

    fn row(number: u32, second: i64, status: u16) -> AttemptRow {
        let outcome = AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false };
        let attempt = Attempt {
            number,
            at: at(second),
            duration_ms: 1500,
            address: Some("192.0.2.1:443".to_owned()),
            outcome,
            detail: String::new(),
        };
        AttemptRow { attempt, request: String::new() }
    }

    fn told(last: &AttemptRow, then: Disposition, rows: &[AttemptRow]) -> Vec<String> {
        let key = DeliveryKey {
            customer_id: "c".parse().unwrap(),
            endpoint_id: "e".parse().unwrap(),
            job_id: "j".parse().unwrap(),
            round: 1,
            message_id: "m".to_owned(),
        };
        let record = DeliveryRecord::after(&key, None, at(0), &last.attempt, then);
        let moments = timeline(&record, rows);
        assert!(moments.is_sorted_by_key(|moment| moment.at), "{moments:?}");
        let second = |moment: &Moment| moment.at.since(at(0)).as_secs_f64();
        moments.iter().map(|m| format!("{} {} {}", second(m), m.event.name(), m.detail)).collect()
    }

    #[test]
    fn a_delivery_is_told_from_its_acceptance_to_its_end() {
        let rows = [row(1, 1, 503), row(2, 7, 204)];
        assert_eq!(
            told(&rows[1], Disposition::Done, &rows),
            [
                "0 accepted the queue accepted the job: round 1",
                "1 attempt status 503 after 1500 ms at 192.0.2.1:443",
                "7 attempt status 204 after 1500 ms at 192.0.2.1:443",
                "8.5 delivered the endpoint accepted it",
            ]
        );
        let waiting = told(&rows[0], Disposition::RetryAt(at(7)), &rows[..1]);
        assert_eq!(waiting.last().unwrap(), "7 retry_due the next attempt is due");
        let given_up = told(&rows[1], Disposition::DeadLetter(Reason::Rejected), &rows);
        assert!(given_up.last().unwrap().starts_with("8.5 dead_lettered rejected: see"));
    }

    #[test]
    fn attempts_that_are_not_recorded_are_told_as_missing() {
        let rows = [row(3, 9, 503)];
        let told = told(&row(5, 30, 204), Disposition::Done, &rows);
        assert_eq!(
            told[1],
            "9 not_recorded attempts 1 to 2 were made before, and are not recorded"
        );
        assert_eq!(
            told[3],
            "30 not_recorded attempts 4 to 5 were made before, and are not recorded"
        );
    }
}
