use super::*;
use crate::domain::gate::Turn;
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn policy() -> BreakerPolicy {
    BreakerPolicy { failures: 3, percent: 50, calls: 10, ..BreakerPolicy::default() }
}

fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn ask(now: Timestamp) -> Ask {
    Ask { now, latest: after(1_000_000), waits: 0, turn: Turn::Over, chance: 1.0 }
}

fn fail(breaker: &mut Breaker, now: Timestamp) -> Option<Change> {
    breaker.ended(&policy(), false, true, now, 1.0)
}

/// A breaker that has opened at the start.
fn open() -> Breaker {
    let mut breaker = Breaker::default();
    assert_eq!((fail(&mut breaker, START), fail(&mut breaker, START)), (None, None));
    assert_eq!(fail(&mut breaker, START), Some(Change::Opened { probe_at: after(15) }));
    breaker
}

fn probe(breaker: &mut Breaker, now: Timestamp, failed: bool) -> Option<Change> {
    assert_eq!(breaker.ask(&policy(), &ask(now)), Pass::Probe);
    breaker.probe();
    breaker.ended(&policy(), true, failed, now, 1.0)
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let mut breaker = Breaker::default();
    for failed in [true, true, false, true, true, false] {
        assert_eq!(breaker.ended(&policy(), false, failed, START, 1.0), None);
    }
    assert_eq!(breaker.ask(&policy(), &ask(START)), Pass::Free);
    open();
}

#[test]
fn a_share_of_failures_among_the_last_calls_opens_it_once_there_were_enough() {
    let mut breaker = Breaker::default();
    for call in 0..9 {
        assert_eq!(breaker.ended(&policy(), false, call % 2 == 0, START, 1.0), None, "{call}");
    }
    // Five of the last ten.
    let opened = breaker.ended(&policy(), false, false, START, 1.0);
    assert!(matches!(opened, Some(Change::Opened { .. })));
}

#[test]
fn while_it_is_open_one_job_is_told_to_probe_and_the_others_come_back_later_and_spread() {
    let mut breaker = open();
    assert_eq!(breaker.ask(&policy(), &ask(after(1))), Pass::Wait(after(15)));
    assert_eq!(breaker.ask(&policy(), &ask(after(1))), Pass::Wait(after(16)));
    let spread = Ask { chance: 0.5, waits: 2, ..ask(after(1)) };
    let wait = Duration::from_millis(52_500);
    assert_eq!(breaker.ask(&policy(), &spread), Pass::Wait(after(1).plus(wait)));
}

#[test]
fn one_probe_goes_out_at_a_time_and_three_that_go_well_close_it() {
    let mut breaker = open();
    assert_eq!(breaker.ask(&policy(), &ask(after(15))), Pass::Probe);
    assert_eq!(breaker.probe(), Some(Change::HalfOpened));
    assert_eq!(breaker.ask(&policy(), &ask(after(15))), Pass::Wait(after(16)));
    assert_eq!(breaker.ended(&policy(), true, false, after(16), 1.0), None);
    assert_eq!(probe(&mut breaker, after(16), false), None);
    assert_eq!(probe(&mut breaker, after(16), false), Some(Change::Closed));
    assert_eq!(breaker.ask(&policy(), &ask(after(16))), Pass::Free);
}

#[test]
fn a_probe_that_fails_doubles_the_wait_up_to_the_longest() {
    let (mut breaker, mut now) = (open(), after(15));
    for wait in [30, 60, 120, 240, 300, 300] {
        let until = now.plus(Duration::from_secs(wait));
        assert_eq!(probe(&mut breaker, now, true), Some(Change::Opened { probe_at: until }));
        now = until;
    }
    let closed = [(); 3].map(|()| probe(&mut breaker, now, false));
    assert_eq!(closed, [None, None, Some(Change::Closed)]);
    (0..2).for_each(|_| assert_eq!(fail(&mut breaker, now), None));
    let until = now.plus(Duration::from_secs(15));
    assert_eq!(fail(&mut breaker, now), Some(Change::Opened { probe_at: until }), "as at first");
}

#[test]
fn a_probe_that_makes_no_call_leaves_its_place_to_the_next_job() {
    let mut breaker = open();
    breaker.probe();
    breaker.gave_up_probe();
    assert_eq!(breaker.ask(&policy(), &ask(after(15))), Pass::Probe);
}

#[test]
fn calls_that_were_out_when_it_opened_change_nothing() {
    let mut breaker = open();
    for failed in [true, false] {
        assert_eq!(breaker.ended(&policy(), false, failed, after(1), 1.0), None);
        assert!(matches!(breaker.ask(&policy(), &ask(after(1))), Pass::Wait(_)));
    }
    breaker.probe();
    assert_eq!(breaker.ended(&policy(), false, true, after(16), 1.0), None);
    assert!(matches!(breaker.ask(&policy(), &ask(after(16))), Pass::Wait(_)));
}

#[test]
fn a_clock_that_is_set_back_does_not_put_the_probe_off_for_longer_than_the_longest_wait() {
    let mut breaker = open();
    let earlier = START.minus(Duration::from_secs(86_400));
    let until = earlier.plus(policy().max_wait);
    assert_eq!(breaker.ask(&policy(), &ask(earlier)), Pass::Wait(until));
}

proptest! {
    /// Whatever happens: at most one probe is out, nobody else gets through a breaker that is not
    /// closed, and enough calls that go well close it.
    #[test]
    fn one_probe_at_a_time_and_closed_in_the_end(
        steps in prop::collection::vec((0u8..4, 0u64..40, 0.0f64..1.0), 0..300),
    ) {
        let (mut breaker, mut now) = (Breaker::default(), START);
        let (mut probes, mut calls, mut is_open) = (0, 0, false);
        for (step, seconds, chance) in steps {
            now = now.plus(Duration::from_secs(seconds));
            let mut ended = |probe, failed| {
                let change = breaker.ended(&policy(), probe, failed, now, chance);
                is_open = match change {
                    Some(Change::Opened { .. }) => true,
                    Some(Change::Closed) => false,
                    Some(Change::HalfOpened) | None => is_open,
                };
            };
            match step {
                0 => match breaker.ask(&policy(), &Ask { chance, ..ask(now) }) {
                    Pass::Free => { prop_assert!(!is_open); calls += 1; }
                    Pass::Probe => {
                        prop_assert!(is_open && probes == 0);
                        breaker.probe();
                        probes = 1;
                    }
                    Pass::Wait(until) => prop_assert!(is_open && until > now),
                },
                1 if probes > 0 => { probes = 0; breaker.gave_up_probe(); }
                2 | 3 if probes > 0 => { probes = 0; ended(true, step == 2); }
                _ if calls > 0 => { calls -= 1; ended(false, step == 2); }
                _ => {}
            }
        }
        if probes > 0 {
            breaker.gave_up_probe();
        }
        for _ in 0..PROBES {
            now = now.plus(policy().max_wait);
            if breaker.ask(&policy(), &ask(now)) == Pass::Probe {
                breaker.probe();
                breaker.ended(&policy(), true, false, now, 1.0);
            }
        }
        prop_assert_eq!(breaker.ask(&policy(), &ask(now)), Pass::Free);
    }
}
