use std::time::Duration;

use futures_util::StreamExt;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::fan_out::{FanOutKey, MAX_FAN_OUT};
use sealpost::domain::ids::EndpointId;
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::reason::Reason;
use sealpost::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, MOST_LETTERS_LOOKED_AT};

use crate::backend::{Backend, over_both};

over_both! {
    of_two_workers_one_gets_the_claim,
    after_the_claimer_s_death_the_next_one_is_told_that_a_call_may_have_been_made,
    a_settled_attempt_tells_what_follows_and_is_not_made_again,
    an_outcome_may_be_recorded_again_by_its_claimer_and_by_nobody_else,
    a_new_round_has_a_fence_of_its_own,
    an_id_that_is_enqueued_again_has_a_fence_of_its_own,
    a_claim_that_was_given_back_is_granted_at_once_and_without_a_word,
    a_restarted_worker_gets_the_claims_of_the_dead_one_and_is_told,
    dead_letters_are_listed_oldest_first_by_page_and_by_filter,
    a_page_of_dead_letters_looks_at_so_many_and_no_more,
    the_answer_to_a_dry_run_is_taken_once_and_not_after_its_end,
    what_a_job_fans_out_to_is_fixed_once,
    the_longest_list_of_endpoints_is_kept_whole,
}

const LEASE: Duration = Duration::from_secs(20);

fn key(round: u32) -> DeliveryKey {
    DeliveryKey {
        customer_id: "c".parse().unwrap(),
        endpoint_id: "e".parse().unwrap(),
        job_id: "j".parse().unwrap(),
        round,
        message_id: "m".to_owned(),
    }
}

async fn claim_round(backend: &Backend, round: u32, attempt: u32, token: &str) -> Claim {
    let (now, token) = (backend.app.clock.now(), token.to_owned());
    let request = ClaimRequest { key: key(round), attempt, token, now, lease: LEASE };
    backend.app.deliveries.claim(request).await.unwrap()
}

async fn claim(backend: &Backend, attempt: u32, token: &str) -> Claim {
    claim_round(backend, 1, attempt, token).await
}

fn record(backend: &Backend, number: u32) -> AttemptRecord {
    let now = backend.app.clock.now();
    let outcome =
        AttemptOutcome::Answered { status: 503, retry_after_ms: None, never_again: false };
    let attempt =
        Attempt { number, at: now, duration_ms: 1, address: None, outcome, detail: String::new() };
    AttemptRecord { attempt, disposition: Disposition::RetryAt(now) }
}

const GRANTED: Claim = Claim::Granted { after_lost_claimer: false };

async fn of_two_workers_one_gets_the_claim(backend: Backend) {
    let (a, b) = tokio::join!(claim(&backend, 1, "a"), claim(&backend, 1, "b"));
    let until = backend.app.clock.now().plus(LEASE);
    assert!([&a, &b].contains(&&GRANTED) && [&a, &b].contains(&&Claim::Held(until)), "{a:?} {b:?}");
}

async fn after_the_claimer_s_death_the_next_one_is_told_that_a_call_may_have_been_made(
    backend: Backend,
) {
    claim(&backend, 1, "a").await;
    backend.clock.advance(LEASE);
    assert_eq!(claim(&backend, 1, "b").await, Claim::Granted { after_lost_claimer: true });
    let late = record(&backend, 1);
    assert!(!backend.app.deliveries.record(&key(1), "a", &late).await.unwrap(), "a lost its claim");
}

async fn an_outcome_may_be_recorded_again_by_its_claimer_and_by_nobody_else(backend: Backend) {
    claim(&backend, 1, "a").await;
    let first = record(&backend, 1);
    let deliveries = &backend.app.deliveries;
    for _ in 0..2 {
        assert!(deliveries.record(&key(1), "a", &first).await.unwrap(), "its answer was lost");
    }
    let other = AttemptRecord { disposition: Disposition::Done, ..first.clone() };
    assert!(!deliveries.record(&key(1), "a", &other).await.unwrap());
    assert!(!deliveries.record(&key(1), "b", &first).await.unwrap());
    backend.clock.advance(LEASE);
    assert_eq!(claim(&backend, 1, "b").await, Claim::Settled(first));
}

async fn a_settled_attempt_tells_what_follows_and_is_not_made_again(backend: Backend) {
    claim(&backend, 1, "a").await;
    let first = record(&backend, 1);
    assert!(backend.app.deliveries.record(&key(1), "a", &first).await.unwrap());
    backend.clock.advance(LEASE);
    assert_eq!(claim(&backend, 1, "b").await, Claim::Settled(first));
    assert_eq!(claim(&backend, 2, "b").await, GRANTED);
    assert_eq!(claim(&backend, 1, "c").await, Claim::Superseded);
}

async fn a_new_round_has_a_fence_of_its_own(backend: Backend) {
    claim(&backend, 3, "a").await;
    assert_eq!(claim_round(&backend, 2, 1, "b").await, GRANTED);
}

async fn a_restarted_worker_gets_the_claims_of_the_dead_one_and_is_told(backend: Backend) {
    claim(&backend, 1, "a").await;
    let backend = backend.restart().await;
    if !backend.restart_frees_claims() {
        let until = backend.app.clock.now().plus(LEASE);
        assert_eq!(claim(&backend, 1, "b").await, Claim::Held(until));
        backend.clock.advance(LEASE);
    }
    assert_eq!(claim(&backend, 1, "b").await, Claim::Granted { after_lost_claimer: true });
}

fn letter(backend: &Backend, id: &str, customer: &str, reason: Reason) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        message_id: "m".to_owned(),
        customer_id: Some(customer.parse().unwrap()),
        endpoint_id: None,
        job_id: None,
        child: None,
        event_type: None,
        round: 1,
        reason,
        message: "why".to_owned(),
        accepted_at: backend.app.clock.now(),
        dead_at: backend.app.clock.now(),
        attempts: 0,
        history: Vec::new(),
        job_size: 1,
        job_sha256: String::new(),
        attributes: Default::default(),
    }
}

async fn an_id_that_is_enqueued_again_has_a_fence_of_its_own(backend: Backend) {
    claim(&backend, 3, "a").await;
    let key = DeliveryKey { message_id: "again".to_owned(), ..key(1) };
    let (now, token) = (backend.app.clock.now(), "b".to_owned());
    let request = ClaimRequest { key, attempt: 1, token, now, lease: LEASE };
    assert_eq!(backend.app.deliveries.claim(request).await.unwrap(), GRANTED);
}

async fn a_claim_that_was_given_back_is_granted_at_once_and_without_a_word(backend: Backend) {
    let deliveries = &backend.app.deliveries;
    claim(&backend, 2, "a").await;
    deliveries.abandon(&key(1), "stranger").await.unwrap();
    assert!(matches!(claim(&backend, 2, "b").await, Claim::Held(_)), "it is not the stranger's");
    deliveries.abandon(&key(1), "a").await.unwrap();
    assert_eq!(claim(&backend, 2, "b").await, GRANTED);
    let outcome = record(&backend, 2);
    assert!(deliveries.record(&key(1), "b", &outcome).await.unwrap());
    deliveries.abandon(&key(1), "b").await.unwrap();
    assert_eq!(claim(&backend, 2, "c").await, Claim::Settled(outcome), "it has an outcome");
}

async fn dead_letters_are_listed_oldest_first_by_page_and_by_filter(backend: Backend) {
    let deliveries = &backend.app.deliveries;
    for (id, customer) in [("z", "a"), ("y", "b"), ("x", "a")] {
        deliveries.put_dead_letter(&letter(&backend, id, customer, Reason::TooOld)).await.unwrap();
        backend.clock.advance(Duration::from_secs(1));
    }
    let list = async |filter: DeadLetterFilter, after: Option<&str>, limit| {
        let letters = deliveries.list_dead_letters(&filter, after, limit).await.unwrap();
        letters.into_iter().map(|l| l.id).collect::<Vec<_>>()
    };
    assert_eq!(list(DeadLetterFilter::default(), None, 2).await, ["z", "y"]);
    assert_eq!(list(DeadLetterFilter::default(), Some("y"), 9).await, ["x"]);
    let of_a =
        DeadLetterFilter { customer_id: Some("a".parse().unwrap()), ..DeadLetterFilter::default() };
    assert_eq!(list(of_a, None, 9).await, ["z", "x"]);
    let gone =
        DeadLetterFilter { reason: Some(Reason::EndpointGone), ..DeadLetterFilter::default() };
    assert!(list(gone, None, 9).await.is_empty());
    let read = deliveries.get_dead_letter("y").await.unwrap().unwrap();
    deliveries.put_dead_letter(&letter(&backend, "y", "b", Reason::TooOld)).await.unwrap();
    deliveries.remove_dead_letters(&[read]).await.unwrap();
    let again = deliveries.get_dead_letter("y").await.unwrap().unwrap();
    deliveries.remove_dead_letters(&[again]).await.unwrap();
    assert_eq!(deliveries.get_dead_letter("y").await.unwrap(), None);
    assert_eq!(deliveries.get_dead_letter("x").await.unwrap().unwrap().id, "x");
}

async fn a_page_of_dead_letters_looks_at_so_many_and_no_more(backend: Backend) {
    let deliveries = &backend.app.deliveries;
    let puts = (0..MOST_LETTERS_LOOKED_AT + 5).map(|n| {
        let letter = letter(&backend, &format!("dl_{n:05}"), "c", Reason::TooOld);
        async move { deliveries.put_dead_letter(&letter).await.unwrap() }
    });
    futures_util::stream::iter(puts).buffer_unordered(64).collect::<Vec<()>>().await;
    let last = DeadLetter { attempts: 3, ..letter(&backend, "dl_99999", "c", Reason::Expired) };
    deliveries.put_dead_letter(&last).await.unwrap();
    let all = DeadLetterFilter::default;
    let of_c = || DeadLetterFilter { customer_id: Some("c".parse().unwrap()), ..all() };
    for filter in [
        DeadLetterFilter { reason: Some(Reason::Expired), ..all() },
        DeadLetterFilter { reason: Some(Reason::Expired), ..of_c() },
        DeadLetterFilter { min_attempts: Some(3), ..of_c() },
    ] {
        let first = deliveries.scan_dead_letters(&filter, None, 9).await.unwrap();
        assert!(first.letters.is_empty() && first.next.is_some(), "{filter:?}");
        let rest = deliveries.scan_dead_letters(&filter, first.next.as_deref(), 9).await.unwrap();
        assert_eq!((rest.letters, rest.next), (vec![last.clone()], None), "{filter:?}");
        assert_eq!(deliveries.list_dead_letters(&filter, None, 9).await.unwrap().len(), 1);
    }
    let whole = deliveries.scan_dead_letters(&of_c(), None, usize::MAX).await.unwrap();
    assert_eq!(whole.letters.len(), MOST_LETTERS_LOOKED_AT);
}

async fn the_answer_to_a_dry_run_is_taken_once_and_not_after_its_end(backend: Backend) {
    let deliveries = &backend.app.deliveries;
    let until = backend.app.clock.now().plus(LEASE);
    deliveries.put_dry_run("d", "{}", until).await.unwrap();
    deliveries.put_dry_run("late", "{}", until).await.unwrap();
    let take = async |id| deliveries.take_dry_run(id, backend.app.clock.now()).await.unwrap();
    assert_eq!(take("d").await.as_deref(), Some("{}"));
    assert_eq!(take("d").await, None);
    backend.clock.advance(LEASE);
    assert_eq!(take("late").await, None);
}

fn fan_out(round: u32, message: &str) -> FanOutKey {
    FanOutKey {
        customer_id: "c".parse().unwrap(),
        job_id: "j".parse().unwrap(),
        round,
        message_id: message.to_owned(),
    }
}

async fn what_a_job_fans_out_to_is_fixed_once(backend: Backend) {
    let (deliveries, now) = (&backend.app.deliveries, backend.app.clock.now());
    let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<EndpointId>>();
    let (key, first, second) = (fan_out(1, "m"), ids(&["a", "b"]), ids(&["b", "c"]));
    assert_eq!(deliveries.fan_out(&key, now).await.unwrap(), None);
    let (a, b) = tokio::join!(
        deliveries.fix_fan_out(&key, &first, now),
        deliveries.fix_fan_out(&key, &second, now)
    );
    let fixed = a.unwrap();
    assert!(fixed == first || fixed == second);
    assert_eq!(b.unwrap(), fixed);
    assert_eq!(deliveries.fix_fan_out(&key, &ids(&["z"]), now).await.unwrap(), fixed);
    assert_eq!(deliveries.fan_out(&key, now).await.unwrap(), Some(fixed));
    for other in [fan_out(2, "m"), fan_out(1, "n")] {
        assert_eq!(deliveries.fan_out(&other, now).await.unwrap(), None, "{other:?}");
        assert_eq!(deliveries.fix_fan_out(&other, &[], now).await.unwrap(), []);
        assert_eq!(deliveries.fan_out(&other, now).await.unwrap(), Some(Vec::new()));
    }
}

async fn the_longest_list_of_endpoints_is_kept_whole(backend: Backend) {
    let (deliveries, now) = (&backend.app.deliveries, backend.app.clock.now());
    let id = |n: usize| format!("{n:0128}").parse().unwrap();
    let list: Vec<EndpointId> = (0..MAX_FAN_OUT).map(id).collect();
    let key = fan_out(1, "m");
    assert_eq!(deliveries.fix_fan_out(&key, &list, now).await.unwrap(), list);
    assert_eq!(deliveries.fan_out(&key, now).await.unwrap(), Some(list));
}
