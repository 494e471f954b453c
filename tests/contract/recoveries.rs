//! Recoveries: all failures of an endpoint are sent again, those without a dead letter from their kept
//! jobs; none is lost and none is called twice, whenever the work dies.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::kept_body::KeepBodies;
use sealpost::domain::replay::{Replay, Request, Standing};
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::queue::Depth;
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, over_both};
use crate::kept_bodies::Bench;
use crate::mortal::{Life, mortal};

over_both! {
    failures_are_recovered_from_dead_letters_and_from_kept_jobs_each_once,
    a_recovery_that_dies_at_any_step_loses_nothing_and_calls_nobody_twice,
}

fn request(since: Timestamp) -> Request {
    let filter = DeadLetterFilter {
        customer_id: Some("acme".parse().unwrap()),
        endpoint_id: Some("e".parse().unwrap()),
        since: Some(since),
        ..Default::default()
    };
    Request { filter, kept_bodies: true, ..Request::default() }
}

async fn recover(bench: &Bench, since: Timestamp) -> Replay {
    let replayer = bench.backend.app.replayer();
    let replay = replayer.begin(request(since), "ops-1", Some("work")).await.unwrap();
    replayer.run(replay, "work", &CancellationToken::new(), |_| {}).await.unwrap()
}

/// Takes a delivery's dead letter away, as the queue does when it has kept it long enough.
async fn purge(bench: &Bench, job: &str) {
    let app = &bench.backend.app;
    let all = DeadLetterFilter::default();
    let letters = app.deliveries.list_dead_letters(&all, None, 99).await.unwrap();
    let own = |id: &sealpost::domain::ids::JobId| id.as_str() == job;
    let letter = letters.into_iter().find(|letter| letter.job_id.as_ref().is_some_and(own));
    let letter = letter.unwrap();
    app.queue.purge_dead(std::slice::from_ref(&letter.id)).await.unwrap();
    app.deliveries.remove_dead_letters(&[letter]).await.unwrap();
}

async fn failures_are_recovered_from_dead_letters_and_from_kept_jobs_each_once(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    bench.delivered("acme", "good").await;
    bench.is_up.store(false, Ordering::SeqCst);
    bench.delivered("acme", "before").await;
    let since = bench.backend.app.clock.now();
    for job in ["letter", "kept", "sent"] {
        bench.delivered("acme", job).await;
    }
    for job in ["before", "kept", "sent"] {
        purge(&bench, job).await;
    }
    bench.is_up.store(true, Ordering::SeqCst);
    let sent = bench.recorded("acme").await;
    let sent = sent.iter().find(|record| record.job_id.as_str() == "sent").unwrap();
    bench.backend.app.replayer().resend(sent, "ops-2").await.unwrap();
    bench.work_off().await;
    bench.called();
    let replay = recover(&bench, since).await;
    assert_eq!(replay.state, Standing::Finished);
    assert_eq!((replay.done.resent, replay.done.replayed), (1, 1), "{:?}", replay.done);
    // Nothing of it is recorded yet: both are ordered once more, which makes copies of the same rounds.
    let replay = recover(&bench, since).await;
    assert_eq!((replay.done.resent, replay.done.replayed), (2, 0), "{:?}", replay.done);
    bench.work_off().await;
    let mut jobs: Vec<String> =
        bench.called().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    jobs.sort();
    assert_eq!(jobs, ["kept", "letter"]);
    let replay = recover(&bench, since).await;
    assert_eq!((replay.done.resent, replay.done.replayed), (0, 0), "once is enough");
    bench.work_off().await;
    assert!(bench.called().is_empty());
}

async fn a_recovery_that_dies_at_any_step_loses_nothing_and_calls_nobody_twice(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::Failures).await;
    let replayer = bench.backend.app.replayer();
    let mut deaths = 0;
    for does_the_last in [false, true] {
        for steps in 1.. {
            let since = bench.backend.app.clock.now();
            bench.is_up.store(false, Ordering::SeqCst);
            let jobs = ["a", "b", "c"].map(|job| format!("{job}-{does_the_last}-{steps}"));
            for job in &jobs {
                bench.delivered("acme", job).await;
            }
            purge(&bench, &jobs[0]).await;
            purge(&bench, &jobs[2]).await;
            bench.is_up.store(true, Ordering::SeqCst);
            bench.called();
            let life = Life::of(steps, does_the_last);
            let dying = mortal(&replayer, &life);
            let replay = replayer.begin(request(since), "ops-1", Some("first")).await.unwrap();
            let id = replay.id.clone();
            let stop = CancellationToken::new();
            if dying.run(replay, "first", &stop, |_| {}).await.is_err() {
                deaths += 1;
                if let Ok(replay) = replayer.resume(&id, "ops-2", Some("second")).await {
                    replayer.run(replay, "second", &stop, |_| {}).await.unwrap();
                }
            }
            assert_eq!(replayer.get(&id).await.unwrap().state, Standing::Finished);
            bench.work_off().await;
            let mut called: Vec<String> =
                bench.called().iter().map(|call| call.header("webhook-id").to_owned()).collect();
            called.sort();
            assert_eq!(called, jobs, "died at {steps}, done: {does_the_last}");
            bench.backend.clock.advance(Duration::from_secs(60));
            if life.goes_on() {
                break;
            }
            assert!(steps < 40);
        }
    }
    assert!(deaths >= 12, "{deaths}");
    assert_eq!(bench.backend.app.queue.depth().await.unwrap().pending, Depth::default().pending);
}
