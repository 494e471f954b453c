use super::*;

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

fn rate() -> Rate {
    Rate::new(10, SECOND, Some(10))
}

fn leases(leased: &mut Leased, millis: u64) -> LeaseRequest {
    match leased.take(&rate(), after(millis), Duration::ZERO) {
        Err(Missing::Lease(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// Grants what a worker asks for, from an account of its own.
fn grant(leased: &mut Leased, account: &mut Duration, millis: u64) -> u32 {
    let request = leases(leased, millis);
    leased.answered(&request, &request.carry_out(account), after(millis), 0.5);
    request.count
}

#[test]
fn what_was_leased_is_used_first_and_lapses_after_half_of_the_burst() {
    let (mut leased, mut account) = (Leased::default(), Duration::ZERO);
    assert_eq!(grant(&mut leased, &mut account, 0), 3);
    assert_eq!(leased.take(&rate(), after(0), Duration::ZERO), Ok(after(0)));
    assert_eq!(leased.take(&rate(), after(500), Duration::ZERO), Ok(after(500)));
    // The third lives as long as the others: all could be used at once.
    leases(&mut leased, 501);
}

/// Uses a token every `step` milliseconds for five seconds from `begin` on; what it asked for.
fn asks(leased: &mut Leased, account: &mut Duration, begin: u64, step: usize) -> Vec<u32> {
    let (rate, mut asked) = (Rate::new(100, SECOND, None), Vec::new());
    for millis in (begin..begin + 5000).step_by(step) {
        let now = after(millis);
        if let Err(Missing::Lease(request)) = leased.take(&rate, now, Duration::ZERO) {
            leased.answered(&request, &request.carry_out(account), now, 0.5);
            asked.push(request.count);
            leased.take(&rate, now, Duration::ZERO).unwrap();
        }
    }
    asked
}

#[test]
fn as_much_is_asked_for_as_is_used_in_a_second() {
    let (mut leased, mut account) = (Leased::default(), Duration::ZERO);
    let busy = asks(&mut leased, &mut account, 0, 10);
    assert!(busy[0] == 25 && busy.len() < 16, "{busy:?}");
    assert!(busy.last().is_some_and(|last| (80..=100).contains(last)), "{busy:?}");
    let quiet = asks(&mut leased, &mut account, 6000, 250);
    assert!(quiet.len() <= 14 && quiet.last().is_some_and(|last| *last <= 8), "{quiet:?}");
}

#[test]
fn a_token_given_back_can_be_used_again_while_it_lives() {
    let (mut leased, mut account) = (Leased::default(), Duration::ZERO);
    grant(&mut leased, &mut account, 0);
    for _ in 0..3 {
        leased.take(&rate(), START, Duration::ZERO).unwrap();
    }
    leased.give_back(&rate());
    assert_eq!(leased.take(&rate(), after(100), Duration::ZERO), Ok(after(100)));
    leases(&mut leased, 100);
}

#[test]
fn a_worker_that_was_refused_does_not_ask_again_at_once() {
    let mut leased = Leased::default();
    let Err(Missing::Lease(request)) = leased.take(&rate(), START, SECOND) else { panic!() };
    let mut account = since_epoch(after(5000));
    leased.answered(&request, &request.carry_out(&mut account), START, 0.0);
    // The account says when there is a token, and the worker believes it.
    assert_eq!(leased.take(&rate(), after(0), SECOND), Err(Missing::Until(after(4600))));
    assert!(
        leased.take(&rate(), after(3500), SECOND).is_err_and(|m| m == Missing::Until(after(4600)))
    );
    let Err(Missing::Lease(_)) = leased.take(&rate(), after(3600), SECOND) else { panic!() };
}

#[test]
fn in_an_outage_a_worker_keeps_to_the_share_that_it_had() {
    let (mut leased, terms) = (Leased::default(), Terms::of(&rate()));
    let mut account = since_epoch(START);
    for _ in 0..20 {
        let request =
            LeaseRequest { terms, now: START, count: 2, patience: SECOND, known: account };
        // Refused in between, which says nothing of who took what.
        let refused = LeaseAnswer::Refused { account: account - terms.stretch(1) };
        leased.answered(&request, &refused, START, 0.5);
        let granted = LeaseAnswer::Granted { before: account, from: account };
        leased.answered(&request, &granted, START, 0.5);
        // Others take three times as much.
        account += terms.stretch(8);
    }
    assert!((0.24..0.26).contains(&leased.share().unwrap()));
    let pace = leased.pace(&rate()).as_secs_f64();
    assert!((0.31..0.33).contains(&pace), "{pace} s from one token to the next");
    leased.failed(after(20_000));
    let alone: usize = (20_000..25_000)
        .step_by(10)
        .filter(|millis| leased.take(&rate(), after(*millis), Duration::ZERO).is_ok())
        .count();
    // A quarter of ten a second, and of the burst.
    assert!((13..=15).contains(&alone), "{alone}");
    leases(&mut leased, 25_000);
}

#[test]
fn a_worker_that_knows_no_share_waits_for_the_outage_to_end() {
    let mut leased = Leased::default();
    leases(&mut leased, 0);
    leased.failed(START);
    assert_eq!(leased.take(&rate(), after(10), SECOND), Err(Missing::Until(after(5000))));
    leases(&mut leased, 5000);
}
