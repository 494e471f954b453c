use super::*;
use crate::domain::leased::{Leased, Missing};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Workers that share one account.
struct Fleet {
    rate: Rate,
    account: Duration,
    workers: Vec<Leased>,
    leases: usize,
    refusals: usize,
}

impl Fleet {
    fn new(rate: Rate, workers: usize) -> Self {
        let workers = vec![Leased::default(); workers];
        Self { rate, account: Duration::ZERO, workers, leases: 0, refusals: 0 }
    }

    /// A worker takes a token, and leases some if it must; whether its answer comes later.
    fn take(
        &mut self,
        worker: usize,
        now: Timestamp,
        patience: Duration,
        later: Duration,
    ) -> Option<Timestamp> {
        let request = match self.workers[worker].take(&self.rate, now, patience) {
            Ok(at) => return Some(at),
            Err(Missing::Until(at)) => {
                assert!(at > now);
                return None;
            }
            Err(Missing::Lease(request)) => request,
        };
        let answer = request.carry_out(&mut self.account);
        match answer {
            LeaseAnswer::Granted { .. } => self.leases += 1,
            LeaseAnswer::Refused { .. } => self.refusals += 1,
        }
        let now = now.plus(later);
        self.workers[worker].answered(&request, &answer, now, 0.5);
        match self.workers[worker].take(&self.rate, now, patience) {
            Ok(at) => Some(at),
            Err(Missing::Until(_)) => None,
            Err(Missing::Lease(_)) => panic!("it was just answered: {answer:?}"),
        }
    }
}

fn after(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

/// How long the store's answers take at most: a token is used so much later than it was counted.
const LATER: u64 = 30;

/// In no span of time t are more than rate × t + burst.
fn keeps(rate: &Rate, used: &mut [Timestamp]) -> Result<(), TestCaseError> {
    used.sort();
    let per_second = f64::from(rate.count) / rate.per.as_secs_f64();
    for (first, from) in used.iter().enumerate() {
        for (last, to) in used.iter().enumerate().skip(first) {
            // A timestamp is a millisecond coarse.
            let span = to.since(*from) + Duration::from_millis(LATER + 1);
            let most = span.as_secs_f64() * per_second + f64::from(rate.burst);
            let found = (last - first + 1) as f64;
            prop_assert!(found <= most + 1e-6, "{found} in {span:?}, at most {most}");
        }
    }
    Ok(())
}

proptest! {
    /// However many workers ask, whenever, and whatever they leave unused.
    #[test]
    fn no_more_is_used_than_the_rate_and_a_burst(
        count in 1u32..2000, per in 1u64..20, burst in 1u32..60,
        steps in prop::collection::vec((0u64..300, 0usize..5, 0u64..1200, 0u64..=LATER, any::<bool>()), 1..400),
    ) {
        let rate = Rate::new(count, Duration::from_secs(per), Some(burst));
        let mut fleet = Fleet::new(rate, 5);
        let (mut used, mut now) = (Vec::new(), START);
        for (step, worker, patience, later, gives_back) in steps {
            now = now.plus(Duration::from_millis(step));
            let patience = Duration::from_millis(patience);
            match fleet.take(worker, now, patience, Duration::from_millis(later)) {
                Some(_) if gives_back => fleet.workers[worker].give_back(&rate),
                Some(at) => used.push(at),
                None => {}
            }
        }
        keeps(&rate, &mut used)?;
    }

    /// The account that a store keeps is the one that the rule says, whatever it held before.
    #[test]
    fn an_account_only_goes_forward_unless_it_was_astray(
        rate in (1u32..2000, 1u64..90_000, 1u32..60), ahead in 0u64..200_000_000, count in 1u32..50,
        patience in 0u64..2000,
    ) {
        let rate = Rate::new(rate.0, Duration::from_secs(rate.1), Some(rate.2));
        let terms = Terms::of(&rate);
        let mut account = since_epoch(after(ahead));
        let (patience, count) = (Duration::from_millis(patience), count.min(terms.most));
        let request = LeaseRequest { terms, now: START, count, patience, known: Duration::ZERO };
        let before = account;
        match (request.standing(before), request.carry_out(&mut account)) {
            (Standing::Ahead, LeaseAnswer::Refused { account: told }) => {
                prop_assert_eq!((told, account), (before, before));
                prop_assert!(terms.earliest(before, request.now()) > request.now() + patience.min(LONGEST_PATIENCE));
            }
            (Standing::Astray, LeaseAnswer::Granted { from, .. }) => {
                prop_assert!(from < before && account < request.furthest());
            }
            (Standing::Rested | Standing::Running, LeaseAnswer::Granted { from, .. }) => {
                prop_assert!(from >= before && account == from + terms.stretch(count));
                prop_assert!(terms.usable_at(from) <= request.now() + patience.min(LONGEST_PATIENCE));
            }
            (standing, answer) => prop_assert!(false, "{:?} {:?}", standing, answer),
        }
    }
}

/// What `workers` use in ten minutes when they want `demand` times the rate between them; how many
/// leases and refusals that costs.
fn ten_minutes(rate: Rate, workers: usize, demand: f64) -> (f64, usize, usize) {
    let mut fleet = Fleet::new(rate, workers);
    let (mut used, mut dice) = (0usize, 7u64);
    let seconds = 600.0 * (rate.per.as_secs_f64() / f64::from(rate.count)).max(1.0);
    let allowed = seconds * f64::from(rate.count) / rate.per.as_secs_f64();
    let asks = (allowed * demand) as usize;
    for ask in 0..asks {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let worker = (dice >> 33) as usize % workers;
        let now = after((seconds * 1000.0 * ask as f64 / asks as f64) as u64);
        let second = Duration::from_secs(1);
        used += usize::from(fleet.take(worker, now, second, Duration::from_millis(5)).is_some());
    }
    (used as f64 / allowed, fleet.leases, fleet.refusals)
}

#[test]
fn a_fleet_that_wants_more_than_the_rate_uses_nine_tenths_of_it_at_least() {
    for rate in ["1/s", "5/s", "10/s", "100/s", "1000/s", "30/m"] {
        let rate: Rate = rate.parse().unwrap();
        for (workers, demand) in [(1, 1.5), (3, 1.2), (3, 3.0), (10, 1.5), (40, 2.0)] {
            let (used, ..) = ten_minutes(rate, workers, demand);
            let what = format!("{rate:?}, {workers} workers who want {demand} times as much");
            assert!((0.9..=1.02).contains(&used), "{what}: {used}");
        }
    }
}

#[test]
fn a_fleet_that_wants_less_than_the_rate_gets_what_it_wants() {
    for (workers, demand) in [(1, 0.5), (3, 0.5), (3, 0.8), (10, 0.5)] {
        let (used, ..) = ten_minutes("100/s".parse().unwrap(), workers, demand);
        assert!(used >= demand * 0.98, "{workers} workers who want {demand}: {used}");
    }
}

#[test]
fn an_endpoint_in_use_costs_each_worker_about_one_lease_a_second_at_most() {
    for workers in [1, 3, 10, 40] {
        for (rate, demand) in [("100/s", 0.5), ("100/s", 3.0), ("1000/s", 2.0), ("10/s", 2.0)] {
            let (_, leases, refusals) = ten_minutes(rate.parse().unwrap(), workers, demand);
            let each = (leases + refusals) as f64 / workers as f64 / 600.0;
            assert!(each <= 2.0, "{workers} workers, {demand} times {rate}: {each} a second");
        }
    }
}
