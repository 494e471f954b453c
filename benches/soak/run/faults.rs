//! What goes wrong meanwhile: workers die at random moments, stand still for longer than their leases
//! last, and AWS refuses calls, or carries them out and loses the answer.

use std::time::Duration;

use super::dice::Dice;
use super::form::{Cloud, Form};

/// The time between two faults, at most; half of it on average.
const GAP_MS: usize = 5000;
/// The only worker of a form is left alone for the last third, so that its memory can be watched.
const MORTAL: f64 = 2.0 / 3.0;
/// How long a worker stands still: leases on AWS last 6 s here.
const STANDSTILL: Duration = Duration::from_secs(8);

/// Strikes now and then.
pub struct Faults {
    dice: Dice,
    span: Duration,
    next: Duration,
    goes_on_at: Option<Duration>,
    /// SIGKILLs so far.
    pub kills: usize,
    /// Other faults so far.
    pub others: usize,
}

impl Faults {
    /// The first fault comes after a quarter of a short soak at the latest.
    pub fn new(mut dice: Dice, span: Duration) -> Self {
        let first = dice.below(GAP_MS.min(span.as_millis() as usize / 4).max(1));
        let next = Duration::from_millis(first as u64) + Duration::from_secs(1);
        Self { dice, span, next, goes_on_at: None, kills: 0, others: 0 }
    }

    /// Does what is due.
    pub async fn strike(&mut self, form: &mut Form, gone: Duration) {
        if self.goes_on_at.is_some_and(|at| gone >= at) {
            self.end(form);
        }
        if gone < self.next {
            return;
        }
        self.next = gone + Duration::from_millis(self.dice.below(GAP_MS) as u64);
        let may_kill = !form.is_mortal() || gone < self.span.mul_f64(MORTAL);
        // The first is a kill: a short soak has one, too.
        if may_kill && (self.kills == 0 || form.cloud.is_none() || self.dice.in_percent(50)) {
            form.kill_one();
            self.kills += 1;
        } else if let Some(cloud) = &form.cloud {
            let stands_still = self.dice.in_percent(20) && self.goes_on_at.is_none();
            if stands_still && self.span > STANDSTILL * 4 {
                form.signal_last("-STOP");
                self.goes_on_at = Some(gone + STANDSTILL);
            } else {
                fail(cloud, &mut self.dice);
            }
            self.others += 1;
        }
    }

    /// Nothing goes wrong any more.
    pub fn end(&mut self, form: &mut Form) {
        if self.goes_on_at.take().is_some() {
            form.signal_last("-CONT");
        }
    }
}

/// Some calls of an operation fail, or their answers are lost.
#[cfg(feature = "aws")]
fn fail(Cloud(emulator): &Cloud, dice: &mut Dice) {
    const OPERATIONS: [&str; 8] = [
        "ReceiveMessage",
        "SendMessageBatch",
        "DeleteMessageBatch",
        "ChangeMessageVisibilityBatch",
        "GetItem",
        "UpdateItem",
        "PutItem",
        "Decrypt",
    ];
    const FAILURES: [(u16, &str); 3] =
        [(400, "ThrottlingException"), (500, "InternalServerError"), (503, "ServiceUnavailable")];
    let operation = OPERATIONS[dice.below(OPERATIONS.len())];
    if dice.in_percent(30) {
        emulator.lose_answer(operation);
    } else {
        let (status, code) = FAILURES[dice.below(FAILURES.len())];
        let times = 1 + u32::try_from(dice.below(12)).unwrap_or(0);
        emulator.fail(operation, status, code, times);
    }
}

#[cfg(not(feature = "aws"))]
fn fail(Cloud(never): &Cloud, _: &mut Dice) {
    match *never {}
}
