use super::*;
use crate::domain::gate::Turn;
use crate::domain::limits::BreakerPolicy;
use crate::domain::parking::most_parks;
use crate::domain::{breaker, gate};
use simulation::Simulation;

#[path = "limiter_simulation.rs"]
mod simulation;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LATEST: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn ask(now: Timestamp) -> Ask {
    Ask { now, latest: LATEST, waits: 0, turn: Turn::Over, chance: 0.5 }
}

fn after(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

fn ended(now: Timestamp, took: Duration, verdict: Verdict) -> Ended {
    Ended { now, took, verdict, chance: 0.5 }
}

fn why(asked: Result<Leave, Refusal>) -> &'static str {
    match asked.unwrap_err() {
        Refusal::Until(_, why) => why.words(),
        Refusal::Soon => "soon",
        Refusal::Lease(_) => "lease",
    }
}

fn limits(json: &str) -> Limits {
    let limits: Limits = serde_json::from_str(json).unwrap();
    limits.check().unwrap();
    limits
}

fn works_at_once(_: f64) -> (Duration, Verdict) {
    (Duration::from_millis(5), Verdict::Works)
}

#[test]
fn a_backlog_over_the_rate_comes_back_in_order_and_at_the_rate_with_one_park_a_job() {
    let mut backlog = Simulation::new(limits(r#"{"rate":{"count":100,"burst":1}}"#), 2000);
    backlog.run(LATEST, works_at_once);
    assert_eq!(backlog.done.len(), 2000);
    assert!(backlog.done.is_sorted(), "in order");
    let took = backlog.calls.last().unwrap().since(START).as_secs_f64();
    assert!((19.9..20.2).contains(&took), "{took}");
    assert!(backlog.mean_parks() <= 1.0, "{}", backlog.mean_parks());
    assert!(backlog.calls.windows(2).all(|w| w[1].since(w[0]) >= Duration::from_millis(9)));
}

#[test]
fn a_queue_that_counts_in_whole_seconds_keeps_the_rate_too() {
    for burst in [1, 20, 100] {
        let json = format!(r#"{{"rate":{{"count":100,"burst":{burst}}},"adaptive":false}}"#);
        let mut backlog = Simulation::new(limits(&json), 5000);
        backlog.whole_seconds = true;
        backlog.run(LATEST, works_at_once);
        let took = backlog.calls.last().unwrap().since(START).as_secs_f64();
        assert!((49.0..53.0).contains(&took), "burst {burst}: {took} s");
        assert!(backlog.mean_parks() < 1.2, "burst {burst}: {}", backlog.mean_parks());
        for (first, from) in backlog.calls.iter().enumerate().step_by(50) {
            let in_a_second = backlog.calls[first..].iter().take_while(|c| c.since(*from) < SECOND);
            assert!(in_a_second.count() <= 101 + burst);
        }
    }
}

#[test]
fn workers_that_share_a_rate_work_a_backlog_off_at_the_rate_with_few_parks_a_job() {
    for (workers, burst, span) in
        [(1, 100, 0), (3, 100, 0), (3, 1, 50), (10, 100, 50), (40, 100, 50)]
    {
        let json = format!(r#"{{"rate":{{"count":100,"burst":{burst}}},"adaptive":false}}"#);
        let mut backlog = Simulation::of_many(limits(&json), 10_000, workers, SECOND * span);
        backlog.whole_seconds = true;
        backlog.run(LATEST, works_at_once);
        let what = format!("{workers} workers, burst {burst}");
        let window = after(10_000)..after(80_000);
        let in_window = backlog.calls.iter().filter(|call| window.contains(call)).count();
        println!("{what}: {in_window}, {} parks, {} leases", backlog.mean_parks(), backlog.leases);
        assert_eq!(backlog.done.len(), 10_000);
        assert!((6_300..=7_100).contains(&in_window), "{what}: {in_window} in 70 s");
        assert!(backlog.mean_parks() < 5.0, "{what}: {} parks", backlog.mean_parks());
        backlog.calls.sort();
        for (first, from) in backlog.calls.iter().enumerate().step_by(50) {
            let in_a_second = backlog.calls[first..].iter().take_while(|c| c.since(*from) < SECOND);
            assert!(in_a_second.count() <= 101 + burst, "{what}");
        }
    }
}

#[test]
fn a_worker_that_was_away_does_not_call_faster_afterwards() {
    let mut backlog = Simulation::new(limits(r#"{"rate":{"count":10,"burst":5}}"#), 600);
    backlog.run(after(1000), works_at_once);
    backlog.now = after(61_000);
    backlog.run(LATEST, works_at_once);
    let late: Vec<_> = backlog.calls.iter().filter(|call| **call > after(2000)).collect();
    let span = late.last().unwrap().since(*late[0]).as_secs_f64();
    assert!(late.len() as f64 <= span * 10.0 + 6.0, "{} in {span} s", late.len());
    assert!(span < 66.0 && backlog.mean_parks() < 4.0, "{span} {}", backlog.mean_parks());
}

#[test]
fn a_backlog_over_the_concurrency_keeps_all_places_busy_with_few_parks() {
    let mut backlog = Simulation::new(limits(r#"{"concurrency":10}"#), 2000);
    let call = |chance: f64| (Duration::from_millis(100 + (200.0 * chance) as u64), Verdict::Works);
    backlog.run(LATEST, call);
    assert_eq!((backlog.done.len(), backlog.most_at_once), (2000, 10));
    // 2,000 calls of 200 ms, ten at a time.
    let took = backlog.now.since(START).as_secs_f64();
    assert!(took < 40.0 * 1.3, "{took} s");
    assert!(backlog.mean_parks() < 3.0, "{}", backlog.mean_parks());
}

#[test]
fn a_dead_endpoint_s_backlog_costs_no_more_parks_than_the_formula_says_and_recovers() {
    let mut backlog = Simulation::new(Limits::default(), 2000);
    let days = Duration::from_secs(3 * 24 * 3600);
    let dead = |_: f64| (Duration::from_millis(10), Verdict::TooMuch);
    backlog.run(START.plus(days), dead);
    let most = 1 + most_parks(gate::AGAIN, days);
    assert!(backlog.parks.iter().all(|parks| *parks <= most));
    let mean = backlog.mean_parks();
    assert!((300.0..350.0).contains(&mean), "{mean} parks a job");
    // The first to notice, and then probes: one in 4.4 minutes.
    assert!(backlog.calls.len() < 256 + 1100, "{} calls", backlog.calls.len());

    let back = backlog.now;
    backlog.run(LATEST, works_at_once);
    assert_eq!(backlog.done.len(), 2000);
    let took = backlog.now.since(back).as_secs_f64();
    assert!(took <= 3600.0 + 2.0 * 900.0, "{took} s until all were delivered");
}

#[test]
fn a_hanging_endpoint_is_given_few_calls_once_it_has_been_quiet_for_a_second() {
    let (mut limiter, limits) = (Limiter::default(), Limits::default());
    let ask_at = |limiter: &mut Limiter, millis| limiter.ask(1, &limits, &ask(after(millis)));
    for call in 0..20 {
        assert!(ask_at(&mut limiter, call * 50).is_ok());
    }
    assert_eq!(why(ask_at(&mut limiter, 1001)), "concurrency limit");
    let timeout = ended(after(15_000), SECOND * 15, Verdict::TooMuch);
    let leave =
        Leave { at: START, is_probe: false, has_token: false, has_room: false, change: None };
    for _ in 0..20 {
        limiter.ended(&limits, &leave, &timeout);
        limiter.leave(&limits, &leave, Used::Ended);
    }
    assert_eq!(why(ask_at(&mut limiter, 15_001)), "endpoint left alone");
}

#[test]
fn a_slow_endpoint_is_not_taken_for_a_hanging_one() {
    let (mut limiter, limits) = (Limiter::default(), Limits::default());
    let leave = limiter.ask(1, &limits, &ask(START)).unwrap();
    limiter.ended(&limits, &leave, &ended(after(3000), SECOND * 3, Verdict::Works));
    for second in 3..14 {
        assert!(limiter.ask(1, &limits, &ask(after(second * 1000))).is_ok());
    }
}

#[test]
fn too_much_halves_the_calls_at_once_unless_the_endpoint_is_not_adaptive() {
    for (json, expected) in [("{}", 16), (r#"{"adaptive":false}"#, 256)] {
        let (mut limiter, limits) = (Limiter::default(), limits(json));
        let leave = limiter.ask(1, &limits, &ask(START)).unwrap();
        limiter.ended(&limits, &leave, &ended(after(1), Duration::ZERO, Verdict::TooMuch));
        limiter.leave(&limits, &leave, Used::Ended);
        let mut leaves = 0;
        while limiter.ask(1, &limits, &ask(after(1))).is_ok() {
            leaves += 1;
        }
        assert_eq!(leaves, expected);
    }
}

#[test]
fn after_it_has_recovered_an_endpoint_is_called_gently_at_first() {
    let (mut limiter, limits) = (Limiter::default(), limits(r#"{"adaptive":false}"#));
    let policy = BreakerPolicy::default();
    let mut now = START;
    let call = |limiter: &mut Limiter, verdict, now| {
        let leave = limiter.ask(1, &limits, &ask(now)).unwrap();
        limiter.ended(&limits, &leave, &ended(now, Duration::ZERO, verdict));
        limiter.leave(&limits, &leave, Used::Ended);
    };
    (0..policy.failures).for_each(|_| call(&mut limiter, Verdict::Fails, START));
    now = now.plus(policy.wait);
    (0..breaker::PROBES).for_each(|_| call(&mut limiter, Verdict::Works, now));
    assert!(limiter.ask(1, &limits, &ask(now)).is_ok());
    assert_eq!(why(limiter.ask(1, &limits, &ask(now))), "concurrency limit");
}

#[test]
fn a_leave_that_is_not_used_gives_everything_back() {
    let limits = limits(r#"{"rate":"1/m","concurrency":1,"breaker":{"failures":1}}"#);
    let mut limiter = Limiter::default();
    let leave = limiter.ask(1, &limits, &ask(START)).unwrap();
    limiter.leave(&limits, &leave, Used::Not);
    let leave = limiter.ask(1, &limits, &ask(START)).unwrap();
    limiter.ended(&limits, &leave, &ended(START, Duration::ZERO, Verdict::Fails));
    limiter.leave(&limits, &leave, Used::Ended);
    let later = after(60_000);
    let probe = limiter.ask(1, &limits, &ask(later)).unwrap();
    assert!(probe.is_probe && limiter.ask(1, &limits, &ask(later)).is_err());
    limiter.leave(&limits, &probe, Used::Not);
    let probe = limiter.ask(1, &limits, &ask(later)).unwrap();
    assert!(probe.is_probe);
    // What was cut short may have been made: its token is used, and its probe is not waited for.
    limiter.leave(&limits, &probe, Used::CutShort);
    assert_eq!(why(limiter.ask(1, &limits, &ask(later))), "rate limit");
    assert!(limiter.ask(1, &limits, &ask(after(120_000))).unwrap().is_probe);
}

#[test]
fn a_new_version_begins_anew_but_for_what_is_out() {
    let limits = limits(r#"{"concurrency":2,"breaker":{"failures":1}}"#);
    let mut limiter = Limiter::default();
    let _out = limiter.ask(1, &limits, &ask(START)).unwrap();
    let leave = limiter.ask(1, &limits, &ask(START)).unwrap();
    limiter.ended(&limits, &leave, &ended(START, Duration::ZERO, Verdict::Fails));
    limiter.leave(&limits, &leave, Used::Ended);
    assert_eq!(why(limiter.ask(1, &limits, &ask(START))), "endpoint left alone");
    assert!(limiter.ask(2, &limits, &ask(START)).is_ok());
    assert_eq!(why(limiter.ask(2, &limits, &ask(START))), "concurrency limit");
}

#[test]
fn only_what_the_endpoint_does_wrong_speaks_against_it() {
    let answered = |status| {
        Verdict::of(&AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false })
    };
    for status in [200, 204, 301, 400, 401, 403, 404, 409, 410, 422, 600] {
        assert_eq!(answered(status), Verdict::Works, "{status}");
    }
    for status in [500, 501, 502, 504, 599] {
        assert_eq!(answered(status), Verdict::Fails, "{status}");
    }
    assert_eq!([answered(429), answered(503)], [Verdict::TooMuch; 2]);
    let failed = |phase| Verdict::of(&AttemptOutcome::Failed { phase });
    assert_eq!(failed(Phase::ResponseTimeout), Verdict::TooMuch);
    assert_eq!([failed(Phase::Dns), failed(Phase::Tls)], [Verdict::Fails; 2]);
}
