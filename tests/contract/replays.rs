//! Replays: their records, the hold on letters, and that none is lost, whenever the work dies.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::StreamExt;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter, position};
use sealpost::domain::delivery::DeliveryState;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::outcome::{Attempt, AttemptOutcome, Phase};
use sealpost::domain::reason::Reason;
use sealpost::domain::replay::{Plan, Replay, Request, Standing};
use sealpost::ports::deliveries::LetterClaim;
#[cfg(feature = "aws")]
use sealpost::ports::queue::Redrive;
use sealpost::ports::queue::{Depth, NewMessage};
use sealpost::replay::{Error, PAGE};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, over_both};
use crate::letter::letter;
use crate::mortal::{Life, mortal};

over_both! {
    a_record_is_written_over_the_version_before_it_alone,
    records_are_listed_newest_first_by_page,
    letters_are_filtered_by_everything_that_can_be_said_of_them,
    a_place_in_the_list_is_good_when_its_letter_is_gone,
    of_two_replays_one_has_a_letter_in_hand_for_a_while,
    a_letter_in_the_hand_of_another_replay_is_left_to_it,
    nothing_is_lost_at_whichever_step_a_replay_dies,
    more_letters_than_a_page_holds_are_all_sent_again_once,
    a_replay_waits_while_it_is_paused_and_then_goes_on_from_where_it_was,
    a_cancelled_replay_leaves_the_rest_where_it_is,
    what_dies_again_is_not_sent_again_by_the_same_replay,
    letters_go_to_another_endpoint_of_their_customer,
    what_was_not_found_is_looked_for_once_more_and_stays_in_the_list,
}

/// What is never everything: SQS moves that by itself.
fn of_customer() -> DeadLetterFilter {
    DeadLetterFilter { customer_id: Some("customer-123".parse().unwrap()), ..Default::default() }
}

fn request() -> Request {
    Request { filter: of_customer(), ..Request::default() }
}

/// A job that was given up; its body is its id.
async fn bury(backend: &Backend, name: &str) -> DeadLetter {
    let app = &backend.app;
    let body = name.to_owned().into();
    app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
    let received = receive_one(backend).await;
    let mut letter = letter(&format!("dl_{name}"), &received);
    letter.job_id = Some(name.parse().unwrap());
    letter.dead_at = app.clock.now();
    app.deliveries.put_dead_letter(&letter).await.unwrap();
    let state = DeliveryState::first(name.parse().unwrap(), received.sent_at);
    let state = serde_json::to_vec(&state).unwrap().into();
    app.queue.dead_letter(&received.handle, &letter, Some(state)).await.unwrap();
    backend.clock.advance(Duration::from_secs(1));
    letter
}

async fn receive_one(backend: &Backend) -> sealpost::ports::queue::Received {
    loop {
        let mut received = backend.app.queue.receive(1, Duration::ZERO).await.unwrap();
        if let Some(one) = received.pop() {
            return one;
        }
    }
}

/// Takes everything out of the queue: the rounds in which each body came, in the order of bodies.
async fn drain(backend: &Backend) -> BTreeMap<String, Vec<u32>> {
    let mut drained = BTreeMap::<String, Vec<u32>>::new();
    let queue = &backend.app.queue;
    while queue.depth().await.unwrap().pending > 0 {
        let received = receive_one(backend).await;
        let state: DeliveryState = serde_json::from_slice(&received.state.unwrap()).unwrap();
        let body = String::from_utf8(received.body.to_vec()).unwrap();
        drained.entry(body).or_default().push(state.round);
        queue.acknowledge(&received.handle).await.unwrap();
    }
    drained
}

async fn run(backend: &Backend, request: Request) -> Replay {
    let replayer = backend.app.replayer();
    let token = replayer.token();
    let replay = replayer.begin(request, "ops-1", Some(&token)).await.unwrap();
    replayer.run(replay, &token, &CancellationToken::new(), |_| {}).await.unwrap()
}

fn record(backend: &Backend, id: &str) -> Replay {
    let now = backend.app.clock.now();
    let mut replay = Replay::begin(id.to_owned(), request(), "ops-1", Plan::default(), now);
    replay.version = 1;
    replay
}

async fn a_record_is_written_over_the_version_before_it_alone(backend: Backend) {
    let replays = &backend.app.replays;
    let first = record(&backend, "rp_1");
    let skipped = Replay { version: 2, ..first.clone() };
    assert!(!replays.put(&skipped).await.unwrap(), "there is no version 1");
    assert!(replays.put(&first).await.unwrap());
    assert_eq!(replays.get("rp_1").await.unwrap(), Some(first.clone()));
    let mut second = Replay { version: 2, ..first.clone() };
    second.steer(Standing::Paused, "ops-2", second.created_at).unwrap();
    let other = Replay { version: 2, ..first };
    assert!(replays.put(&second).await.unwrap());
    assert!(!replays.put(&other).await.unwrap(), "somebody was faster");
    assert_eq!(replays.get("rp_1").await.unwrap(), Some(second));
    assert_eq!(replays.get("rp_2").await.unwrap(), None);
}

async fn records_are_listed_newest_first_by_page(backend: Backend) {
    let replays = &backend.app.replays;
    for id in ["rp_1", "rp_3", "rp_2"] {
        assert!(replays.put(&record(&backend, id)).await.unwrap());
    }
    let list = async |after: Option<&str>, limit| {
        let records = replays.list(after, limit).await.unwrap();
        records.into_iter().map(|r| r.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 2).await, ["rp_3", "rp_2"]);
    assert_eq!(list(Some("rp_2"), 2).await, ["rp_1"]);
}

async fn letters_are_filtered_by_everything_that_can_be_said_of_them(backend: Backend) {
    let deliveries = &backend.app.deliveries;
    let begun = backend.app.clock.now();
    let mut plain = bury(&backend, "plain").await;
    plain.endpoint_id = Some("orders".parse().unwrap());
    deliveries.put_dead_letter(&plain).await.unwrap();
    let mut failed = bury(&backend, "failed").await;
    failed.reason = Reason::AttemptsExhausted;
    failed.event_type = Some("order.created".to_owned());
    failed.attempts = 7;
    failed.history = vec![Attempt {
        number: 7,
        at: failed.dead_at,
        duration_ms: 1,
        address: None,
        outcome: AttemptOutcome::Failed { phase: Phase::Tls },
        detail: String::new(),
    }];
    deliveries.put_dead_letter(&failed).await.unwrap();
    let between = failed.dead_at;
    let cases: [(DeadLetterFilter, &[&str]); 11] = [
        (of_customer(), &["dl_plain", "dl_failed"]),
        (
            DeadLetterFilter { endpoint_id: plain.endpoint_id.clone(), ..of_customer() },
            &["dl_plain"],
        ),
        (DeadLetterFilter { reason: Some(Reason::TooOld), ..of_customer() }, &["dl_plain"]),
        (DeadLetterFilter { event_type: failed.event_type, ..of_customer() }, &["dl_failed"]),
        (DeadLetterFilter { phase: Some(Phase::Tls), ..of_customer() }, &["dl_failed"]),
        (DeadLetterFilter { phase: Some(Phase::Dns), ..of_customer() }, &[]),
        (DeadLetterFilter { since: Some(between), ..of_customer() }, &["dl_failed"]),
        (DeadLetterFilter { until: Some(between), ..of_customer() }, &["dl_plain"]),
        (DeadLetterFilter { until: Some(begun), ..Default::default() }, &[]),
        (DeadLetterFilter { min_attempts: Some(7), ..Default::default() }, &["dl_failed"]),
        (DeadLetterFilter { max_attempts: Some(6), ..Default::default() }, &["dl_plain"]),
    ];
    for (filter, expected) in cases {
        let found = deliveries.list_dead_letters(&filter, None, 9).await.unwrap();
        let found: Vec<String> = found.into_iter().map(|l| l.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        let plan = backend.app.replayer().plan(&filter).await.unwrap();
        assert_eq!(plan.count, expected.len() as u64, "{filter:?}");
    }
    let plan = backend.app.replayer().plan(&of_customer()).await.unwrap();
    assert_eq!((plan.bytes, plan.oldest), (11, Some(plain.dead_at)));
    assert_eq!(plan.reasons[&Reason::TooOld], 1);
}

async fn a_place_in_the_list_is_good_when_its_letter_is_gone(backend: Backend) {
    let deliveries = &backend.app.deliveries;
    let first = bury(&backend, "a").await;
    bury(&backend, "b").await;
    deliveries.remove_dead_letters(std::slice::from_ref(&first)).await.unwrap();
    for filter in [DeadLetterFilter::default(), of_customer()] {
        let place = first.position();
        let rest = deliveries.list_dead_letters(&filter, Some(&place), 9).await.unwrap();
        assert_eq!(rest[0].id, "dl_b");
        let place = position(rest[0].dead_at, "dl_b");
        assert!(deliveries.list_dead_letters(&filter, Some(&place), 9).await.unwrap().is_empty());
    }
}

async fn of_two_replays_one_has_a_letter_in_hand_for_a_while(backend: Backend) {
    let letters = [bury(&backend, "a").await];
    let claim = async |replay: &str| {
        let now = backend.app.clock.now();
        let until = now.plus(Duration::from_secs(60));
        let claim = LetterClaim { replay_id: replay.to_owned(), until };
        backend.app.deliveries.claim_dead_letters(&letters, &claim, now).await.unwrap()
    };
    assert_eq!(claim("rp_1").await, ["dl_a"]);
    assert!(claim("rp_2").await.is_empty());
    assert_eq!(claim("rp_1").await, ["dl_a"], "it is its own");
    backend.clock.advance(Duration::from_secs(60));
    assert_eq!(claim("rp_2").await, ["dl_a"], "whoever had it is dead");
    backend.app.deliveries.remove_dead_letters(&letters).await.unwrap();
    assert!(claim("rp_2").await.is_empty(), "what is gone is nobody's");
}

async fn a_letter_in_the_hand_of_another_replay_is_left_to_it(backend: Backend) {
    let held = bury(&backend, "held").await;
    bury(&backend, "free").await;
    let now = backend.app.clock.now();
    let until = now.plus(Duration::from_secs(3600));
    let claim = LetterClaim { replay_id: "rp_0".to_owned(), until };
    let claimed = backend.app.deliveries.claim_dead_letters(&[held], &claim, now).await.unwrap();
    assert_eq!(claimed, ["dl_held"]);
    let replay = run(&backend, request()).await;
    assert_eq!((replay.state, replay.done.replayed), (Standing::Finished, 1));
    assert!(replay.done.held > 0, "{:?}", replay.done);
    assert_eq!(drain(&backend).await, BTreeMap::from([("free".to_owned(), vec![2])]));
    let left = backend.app.deliveries.list_dead_letters(&of_customer(), None, 9).await.unwrap();
    assert_eq!(left.iter().map(|l| l.id.as_str()).collect::<Vec<_>>(), ["dl_held"]);
}

async fn nothing_is_lost_at_whichever_step_a_replay_dies(backend: Backend) {
    let replayer = backend.app.replayer();
    let mut deaths = 0;
    for does_the_last in [false, true] {
        for steps in 1.. {
            for name in ["a", "b", "c"] {
                bury(&backend, name).await;
            }
            let life = Life::of(steps, does_the_last);
            let dying = mortal(&replayer, &life);
            // Its record is there before anything is sent: who dies before has done nothing.
            let replay = replayer.begin(request(), "ops-1", Some("first")).await.unwrap();
            let id = replay.id.clone();
            let run = dying.run(replay, "first", &CancellationToken::new(), |_| {}).await;
            assert_eq!(run.is_ok(), life.goes_on());
            if run.is_err() {
                deaths += 1;
                match replayer.resume(&id, "ops-2", Some("second")).await {
                    Ok(replay) => {
                        let stop = CancellationToken::new();
                        replayer.run(replay, "second", &stop, |_| {}).await.unwrap();
                    }
                    // It died when everything was done and written.
                    Err(error) => assert!(matches!(error, Error::Refused(_)), "{error}"),
                }
            }
            assert_eq!(replayer.get(&id).await.unwrap().state, Standing::Finished);
            let rounds = drain(&backend).await;
            for name in ["a", "b", "c"] {
                assert_eq!(rounds[name], [2], "died at {steps}, done: {does_the_last}");
            }
            assert_eq!(backend.app.queue.depth().await.unwrap(), Depth::default());
            let left = backend.app.deliveries.list_dead_letters(&of_customer(), None, 9).await;
            // Where the queue cannot say that a job is gone, the list may show it still.
            backend.app.deliveries.remove_dead_letters(&left.unwrap()).await.unwrap();
            if life.goes_on() {
                break;
            }
        }
    }
    assert!(deaths >= 10, "{deaths}");
}

async fn more_letters_than_a_page_holds_are_all_sent_again_once(backend: Backend) {
    let app = &backend.app;
    let count = PAGE + 100;
    let message = |n: usize| NewMessage { body: format!("{n}").into(), ..NewMessage::default() };
    app.queue.send((0..count).map(message).collect()).await.unwrap();
    let mut received = Vec::new();
    while received.len() < count {
        received.extend(app.queue.receive(100, Duration::ZERO).await.unwrap());
    }
    let buried = received.iter().map(|message| async move {
        let name = String::from_utf8(message.body.to_vec()).unwrap();
        let job_id = Some(name.parse().unwrap());
        let letter = DeadLetter { job_id, ..letter(&format!("dl_{name}"), message) };
        app.deliveries.put_dead_letter(&letter).await.unwrap();
        app.queue.dead_letter(&message.handle, &letter, None).await.unwrap();
    });
    // A few batches at a time, as a worker has them.
    futures_util::stream::iter(buried).buffer_unordered(32).collect::<Vec<()>>().await;
    backend.clock.advance(Duration::from_secs(1));
    let replay = run(&backend, request()).await;
    assert_eq!((replay.state, replay.done.replayed), (Standing::Finished, count as u64));
    let depth = Depth { pending: count as u64, dead: 0 };
    assert_eq!(app.queue.depth().await.unwrap(), depth);
    let left = app.deliveries.list_dead_letters(&of_customer(), None, 9).await.unwrap();
    assert!(left.is_empty());
}

async fn a_replay_waits_while_it_is_paused_and_then_goes_on_from_where_it_was(backend: Backend) {
    let replayer = backend.app.replayer();
    for name in ["a", "b", "c"] {
        bury(&backend, name).await;
    }
    let request = Request { rate: NonZeroU32::new(2), ..request() };
    let replay = replayer.begin(request, "ops-1", Some("first")).await.unwrap();
    let (id, stop) = (replay.id.clone(), CancellationToken::new());
    let first = |replay: &Replay| {
        if replay.done.replayed > 0 {
            stop.cancel();
        }
    };
    let stopped = replayer.run(replay, "first", &stop, first).await.unwrap();
    assert_eq!((stopped.state, stopped.done.replayed), (Standing::Running, 2));
    assert_eq!(replayer.waiting().await.unwrap(), vec![id.clone()], "somebody may go on");
    let paused = replayer.pause(&id, "ops-2").await.unwrap();
    assert!(replayer.waiting().await.unwrap().is_empty());
    let run = replayer.run(paused, "first", &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!(run.done.replayed, 2, "nothing is sent");
    let resumed = replayer.resume(&id, "ops-3", Some("second")).await.unwrap();
    let end = replayer.run(resumed, "second", &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!((end.state, end.done.replayed), (Standing::Finished, 3));
    let said: Vec<_> = end.audit.iter().map(|l| (&*l.who, &*l.what)).collect();
    let expected =
        [("ops-1", "start"), ("ops-2", "pause"), ("ops-3", "resume"), ("ops-1", "finish")];
    assert_eq!(said, expected);
    assert_eq!(drain(&backend).await.len(), 3);
}

async fn a_cancelled_replay_leaves_the_rest_where_it_is(backend: Backend) {
    let replayer = backend.app.replayer();
    bury(&backend, "a").await;
    let replay = replayer.begin(request(), "ops-1", Some("first")).await.unwrap();
    let cancelled = replayer.cancel(&replay.id, "ops-2").await.unwrap();
    // Whoever works on it learns of it when he writes; here, before he has begun.
    let run = replayer.run(cancelled, "first", &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!((run.state, run.done.replayed), (Standing::Cancelled, 0));
    let refused = replayer.resume(&run.id, "ops-2", None).await.unwrap_err();
    assert_eq!(refused.to_string(), "the replay is cancelled: it cannot be changed any more");
    assert_eq!(backend.app.queue.depth().await.unwrap().dead, 1);
    assert!(matches!(replayer.pause("rp_0", "ops-2").await, Err(Error::Unknown(_))));
}

async fn what_dies_again_is_not_sent_again_by_the_same_replay(backend: Backend) {
    let replayer = backend.app.replayer();
    bury(&backend, "a").await;
    let replay = replayer.begin(request(), "ops-1", Some("first")).await.unwrap();
    bury(&backend, "b").await;
    let run = replayer.run(replay, "first", &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!((run.state, run.done.replayed), (Standing::Finished, 1));
    assert_eq!(backend.app.queue.depth().await.unwrap(), Depth { pending: 1, dead: 1 });
}

async fn letters_go_to_another_endpoint_of_their_customer(backend: Backend) {
    let app = &backend.app;
    bury(&backend, "a").await;
    let to = Request { to: Some("other".parse().unwrap()), ..request() };
    let refused = app.replayer().begin(to.clone(), "ops-1", None).await.unwrap_err();
    assert!(refused.to_string().contains("no endpoint other"), "{refused}");
    let whose = Request { filter: DeadLetterFilter::default(), ..to.clone() };
    let refused = app.replayer().begin(whose, "ops-1", None).await.unwrap_err();
    assert!(refused.to_string().contains("name the customer"), "{refused}");
    let other = r#"{"customerId":"customer-123","endpointId":"other","url":"https://b.example/"}"#;
    app.endpoints.put(Endpoint::from_json(other).unwrap(), None, app.clock.now()).await.unwrap();
    // No job: nobody could say where else it may go.
    let mut unfit = bury(&backend, "unfit").await;
    unfit.job_id = None;
    app.deliveries.put_dead_letter(&unfit).await.unwrap();
    let replay = run(&backend, to).await;
    assert_eq!((replay.done.replayed, replay.done.unfit), (1, 1));
    let received = receive_one(&backend).await;
    let state: DeliveryState = serde_json::from_slice(&received.state.unwrap()).unwrap();
    assert_eq!((state.round, state.job_id.as_str()), (2, "a"));
    assert_eq!(state.child.unwrap().endpoint_id.as_str(), "other");
    assert_eq!(app.queue.depth().await.unwrap().dead, 1);
}

async fn what_was_not_found_is_looked_for_once_more_and_stays_in_the_list(backend: Backend) {
    let app = &backend.app;
    let lost = bury(&backend, "lost").await;
    app.queue.purge_dead(std::slice::from_ref(&lost.id)).await.unwrap();
    bury(&backend, "a").await;
    let replay = run(&backend, request()).await;
    assert_eq!(replay.done.replayed, 1);
    let left = app.deliveries.list_dead_letters(&of_customer(), None, 9).await.unwrap();
    // Only a queue that can be searched knows that it is gone.
    match replay.done.gone {
        1 => assert!(left.is_empty() && replay.pass == 1),
        _ => assert!(left == [lost] && replay.pass == 2 && replay.missing == ["dl_lost"]),
    }
}

/// The queue cannot say that a letter is gone: the worker does, when it comes. (Embedded, a replay that
/// goes on counts it as gone.)
#[cfg(feature = "aws")]
#[tokio::test]
async fn the_record_that_a_killed_replay_left_goes_when_its_message_comes() {
    let backend = Backend::aws().await;
    let letter = bury(&backend, "a").await;
    let state = letter.replayed(backend.app.clock.now()).unwrap();
    let state = Some(serde_json::to_vec(&state).unwrap().into());
    let redrive = Redrive { dead_letter_id: letter.id.clone(), state };
    // The process that replays dies right after the queue has moved it.
    assert_eq!(backend.app.queue.redrive(vec![redrive]).await.unwrap().found, ["dl_a"]);
    let deliveries = &backend.app.deliveries;
    assert!(deliveries.get_dead_letter(&letter.id).await.unwrap().is_some());
    // A worker that is stopped gives it back before it has looked at it.
    let received = receive_one(&backend).await;
    backend.app.queue.release(&received.handle, Duration::ZERO).await.unwrap();
    let received = receive_one(&backend).await;
    let pipeline = backend.app.pipeline().unwrap();
    pipeline.deliver(&received, &CancellationToken::new()).await;
    assert_eq!(deliveries.get_dead_letter(&letter.id).await.unwrap(), None);
}

/// SQS moves everything by itself, if it is asked to; the list follows when the messages come.
#[cfg(feature = "aws")]
#[tokio::test]
async fn sqs_moves_everything_by_itself_and_says_where_to() {
    let backend = Backend::aws().await;
    for name in ["a", "b"] {
        bury(&backend, name).await;
    }
    let replay = run(&backend, Request::default()).await;
    assert_eq!((replay.state, replay.done.replayed), (Standing::Finished, 2), "{replay:?}");
    assert!(replay.destination.unwrap().ends_with(":jobs"));
    assert_eq!(backend.app.queue.depth().await.unwrap(), Depth { pending: 2, dead: 0 });
    let rounds = drain(&backend).await;
    assert_eq!((&rounds["a"], &rounds["b"]), (&vec![2], &vec![2]), "each is a new round");
}
