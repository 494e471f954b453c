//! Counts those who hold one of a number of places, and tells the others when to come back.

use std::time::Duration;

use crate::domain::parking::{Line, growing};
use crate::domain::timestamp::Timestamp;

/// How long a call is taken to last before one has ended. Too short costs a park, too long idles.
const UNKNOWN: Duration = Duration::from_millis(100);
/// The first wait of whoever comes back and finds no place again.
pub const AGAIN: Duration = Duration::from_millis(50);
/// Nobody is told to come back sooner.
const SOONEST: Duration = Duration::from_millis(1);
/// The turns of a line leave a tenth of the places to those who come back a second time.
const SLACK: f64 = 1.1;
/// The weight of the latest call in the average.
const WEIGHT: f64 = 0.1;

/// A place that is free within so long is waited for, rather than coming back for it; unless nothing
/// has come back for so long, and for four times as long as usual.
const SOON: Duration = Duration::from_millis(250);

/// Where a job stands among those that wait beside the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has just come.
    New,
    /// It has waited, and a place may be free now.
    Called,
    /// It does not wait, or not any longer.
    Over,
}

/// Why no place is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// One will be free in a moment: wait beside the gate.
    Soon,
    /// Come back then.
    At(Timestamp),
}

/// A job that wants a place.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// When it asks.
    pub now: Timestamp,
    /// The last time at which it is of any use to come back.
    pub latest: Timestamp,
    /// How often in a row a limit put it back before. Over 0, it comes at a time that it was told.
    pub waits: u32,
    /// Where it stands.
    pub turn: Turn,
    /// A random number in `0.0..1.0`.
    pub chance: f64,
}

impl Ask {
    /// The time to come back: `turn`, and later with every time that it was put back.
    pub fn back_at(&self, turn: Timestamp) -> Timestamp {
        match self.waits.checked_sub(1) {
            None => turn,
            Some(again) => turn.max(self.now.plus(growing(AGAIN, again, self.chance))),
        }
    }
}

/// A number of places and who waits for one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gate {
    held: u32,
    /// How many wait beside it.
    beside: u32,
    average: Option<Duration>,
    quiet_since: Timestamp,
    first_time: Line,
    again: Line,
}

impl Gate {
    /// How many places are taken.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// How long a call takes, if one has ended.
    pub fn average(&self) -> Option<Duration> {
        self.average
    }

    /// Whether one of `places` is free for this job. Those who wait beside the gate go first; then
    /// whoever was told to come back; then, as long as half is taken, those who come for the first
    /// time.
    pub fn admit(&mut self, ask: &Ask, places: u32) -> Result<(), Later> {
        let line_is_his =
            ask.waits > 0 || !self.first_time.is_waiting(ask.now) || self.held < places.div_ceil(2);
        let in_turn = match ask.turn {
            Turn::New => self.beside == 0 && line_is_his,
            Turn::Called => true,
            Turn::Over => line_is_his,
        };
        if self.held < places && in_turn {
            return Ok(());
        }
        if ask.turn != Turn::Over && self.is_soon(ask.now, places) {
            return Err(Later::Soon);
        }
        let pace = self.pace(places).mul_f64(SLACK);
        let line = if ask.waits == 0 { &mut self.first_time } else { &mut self.again };
        let earliest = ask.now.plus(pace.max(SOONEST));
        Err(Later::At(ask.back_at(line.join(pace, earliest, ask.latest))))
    }

    /// How long it takes until one more place is free.
    fn pace(&self, places: u32) -> Duration {
        self.average.unwrap_or(UNKNOWN) / places.max(1)
    }

    fn is_soon(&self, now: Timestamp, places: u32) -> bool {
        let wait = self.pace(places).saturating_mul(self.beside + 1);
        let is_likely = self.average.is_none() || wait <= SOON;
        self.held > 0 && is_likely && !self.is_quiet(now, SOON)
    }

    /// One more waits beside the gate.
    pub fn wait(&mut self) {
        self.beside += 1;
    }

    /// One waits no longer.
    pub fn stop_waiting(&mut self) {
        self.beside = self.beside.saturating_sub(1);
    }

    /// Whether somebody waits beside the gate.
    pub fn is_waited_for(&self) -> bool {
        self.beside > 0
    }

    /// Takes a place.
    pub fn enter(&mut self, now: Timestamp) {
        if self.held == 0 {
            self.quiet_since = now;
        }
        self.held += 1;
    }

    /// Gives a place back.
    pub fn leave(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// A call came back after so long.
    pub fn came_back(&mut self, now: Timestamp, took: Duration) {
        self.quiet_since = now;
        self.average = Some(match self.average {
            None => took,
            Some(average) => average.mul_f64(1.0 - WEIGHT) + took.mul_f64(WEIGHT),
        });
    }

    /// Whether no call has come back for much longer than one takes, and for `least` at least.
    pub fn is_quiet(&self, now: Timestamp, least: Duration) -> bool {
        let long = self.average.unwrap_or_default().saturating_mul(4).max(least);
        self.held > 0 && now.since(self.quiet_since) > long
    }

    /// Forgets how long calls take.
    pub fn forget(&mut self) {
        self.average = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ask(waits: u32) -> Ask {
        Ask {
            now: NOW,
            latest: NOW.plus(Duration::from_secs(3600)),
            waits,
            turn: Turn::Over,
            chance: 1.0,
        }
    }

    fn after(millis: u64) -> Timestamp {
        NOW.plus(Duration::from_millis(millis))
    }

    fn full(places: u32, took: Duration) -> Gate {
        let mut gate = Gate::default();
        gate.came_back(NOW, took);
        (0..places).for_each(|_| gate.enter(NOW));
        gate
    }

    #[test]
    fn those_over_the_limit_come_back_at_the_pace_at_which_places_become_free() {
        let mut gate = full(10, Duration::from_secs(1));
        let told = [0; 3].map(|_| gate.admit(&ask(0), 10).unwrap_err());
        assert_eq!(told, [110, 220, 330].map(|millis| Later::At(after(millis))));
    }

    #[test]
    fn whoever_comes_back_goes_before_those_who_come_for_the_first_time() {
        let mut gate = full(10, Duration::from_secs(1));
        gate.admit(&ask(0), 10).unwrap_err();
        gate.leave();
        assert!(gate.admit(&ask(0), 10).is_err());
        assert!(gate.admit(&ask(1), 10).is_ok());
        (0..5).for_each(|_| gate.leave());
        assert!(gate.admit(&ask(0), 10).is_ok(), "places are not kept empty for them");
    }

    #[test]
    fn whoever_finds_no_place_again_waits_longer_every_time() {
        let told = |waits| full(1, Duration::ZERO).admit(&ask(waits), 1).unwrap_err();
        let expected = [50, 100, 200, 400].map(|millis| Later::At(after(millis)));
        assert_eq!([1, 2, 3, 4].map(told), expected);
        assert_eq!(told(1000), Later::At(NOW.plus(crate::domain::parking::LONGEST_PARK)));
    }

    #[test]
    fn a_place_that_is_free_in_a_moment_is_waited_for_in_turn() {
        let mut gate = full(10, Duration::from_millis(500));
        let new = |waits| Ask { turn: Turn::New, ..ask(waits) };
        for _ in 0..5 {
            assert_eq!(gate.admit(&new(0), 10), Err(Later::Soon));
            gate.wait();
        }
        // The sixth would have to wait for 300 ms.
        assert!(matches!(gate.admit(&new(0), 10), Err(Later::At(_))));
        gate.leave();
        assert!(gate.admit(&new(1), 10).is_err(), "others were before");
        assert_eq!(gate.admit(&Ask { turn: Turn::Called, ..ask(0) }, 10), Ok(()));
        gate.enter(NOW);
        gate.stop_waiting();
        let late = Ask { now: after(2001), ..new(0) };
        assert!(matches!(gate.admit(&late, 10), Err(Later::At(_))), "nothing comes back");
    }

    #[test]
    fn a_gate_is_quiet_when_nothing_has_come_back_for_long() {
        let second = Duration::from_secs(1);
        let mut gate = full(1, Duration::from_secs(2));
        assert!(!gate.is_quiet(after(8000), second) && gate.is_quiet(after(8001), second));
        gate.leave();
        assert!(!gate.is_quiet(after(9000), second), "nothing is out");
        gate.enter(after(60_000));
        assert!(!gate.is_quiet(after(61_000), second), "it was idle before");
    }

    proptest! {
        #[test]
        fn no_more_places_are_taken_than_there_are(
            places in 1u32..20, steps in prop::collection::vec((any::<bool>(), 0u32..4, 0usize..3, 0u64..500), 1..200),
        ) {
            let (mut gate, mut now, mut held) = (Gate::default(), NOW, 0u32);
            for (enter, waits, turn, step) in steps {
                let turn = [Turn::New, Turn::Called, Turn::Over][turn];
                now = now.plus(Duration::from_millis(step));
                if enter {
                    match gate.admit(&Ask { now, turn, ..ask(waits) }, places) {
                        Ok(()) => { gate.enter(now); held += 1; }
                        Err(Later::At(at)) => prop_assert!(at > now),
                        Err(Later::Soon) => prop_assert!(held > 0),
                    }
                } else if held > 0 {
                    gate.came_back(now, Duration::from_millis(step));
                    gate.leave();
                    held -= 1;
                }
                prop_assert!(held <= places && gate.held() == held);
            }
        }
    }
}
