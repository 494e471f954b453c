//! Which customers there are, and what is left of one that was erased.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sealpost::access::{issue_key, issue_token};
use sealpost::app::App;
use sealpost::customer::{Asked, Erasure, NotErased, erase, overview};
use sealpost::domain::access::{Grant, Scope};
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::{Endpoint, Health};
use sealpost::domain::ids::CustomerId;
use sealpost::domain::kept_body::KeepBodies;
use sealpost::domain::reason::Reason;
use sealpost::domain::replay::{Request, Standing};
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::test_call::{TestCall, TestKind, TestRecord};
use sealpost::ports::customers::Remains;
use sealpost::registration::put_endpoint_unopened;
use sealpost::vault::NewSecret;
use serde_json::json;
use std::sync::atomic::Ordering;

use crate::backend::{Backend, over_both};
use crate::kept_bodies::Bench;

over_both! {
    those_are_customers_that_have_an_endpoint_a_secret_or_a_tenant_key,
    a_customer_with_many_rows_is_listed_once_however_small_the_pages,
    what_was_erased_is_gone_and_other_customers_do_not_notice,
    no_dead_letter_is_lost_that_was_not_counted,
    an_erasure_that_is_cut_short_anywhere_goes_on_when_it_is_asked_for_again,
    an_erasure_that_has_little_time_does_some_of_it_each_time_endpoints_first,
    a_job_of_an_erased_customer_is_not_sent_and_not_lost,
    tokens_of_before_are_refused_and_those_of_after_are_good,
}

fn id(customer: &str) -> CustomerId {
    customer.parse().unwrap()
}

async fn put_endpoint(app: &App, customer: &str, endpoint: &str) {
    let endpoint = json!({"customerId": customer, "endpointId": endpoint,
                          "url": "http://127.0.0.1:9/", "eventTypes": ["t"]});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    put_endpoint_unopened(app, endpoint, None).await.unwrap();
}

async fn put_secret(app: &App, customer: &str, secret: &str, value: &str) {
    let new = NewSecret {
        customer: id(customer),
        secret: secret.parse().unwrap(),
        value: SecretBytes::new(value.into()),
        origins: ["https://a.example".parse().unwrap()].into(),
        overlap: Some(Duration::from_secs(3600)),
    };
    app.vault.put(new).await.unwrap();
}

/// All customers, in pages of `limit`; none comes twice.
async fn listed(app: &App, limit: usize) -> BTreeSet<String> {
    let (mut all, mut after) = (BTreeSet::new(), None::<String>);
    for _ in 0..100 {
        let page = app.customers.list(after.as_deref(), limit).await.unwrap();
        assert!(page.customers.len() <= limit);
        for customer in page.customers {
            assert!(all.insert(customer.to_string()), "{customer} comes twice");
        }
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
    panic!("the list has no end");
}

async fn those_are_customers_that_have_an_endpoint_a_secret_or_a_tenant_key(backend: Backend) {
    let app = &backend.app;
    assert!(listed(app, 5).await.is_empty());
    put_endpoint(app, "both", "e").await;
    put_secret(app, "both", "s", "v").await;
    put_endpoint(app, "endpoint", "e").await;
    put_secret(app, "secret", "s", "v").await;
    app.vault.create_tenant_key(&id("key")).await.unwrap();
    put_endpoint(app, "was-endpoint", "e").await;
    let gone = id("was-endpoint");
    assert!(app.endpoints.delete(&gone, &"e".parse().unwrap(), None).await.unwrap());
    put_secret(app, "was-secret", "s", "v").await;
    assert!(app.secrets.delete(&id("was-secret"), &"s".parse().unwrap(), None).await.unwrap());
    app.vault.create_tenant_key(&id("was-key")).await.unwrap();
    app.vault.shred_tenant_key(&id("was-key")).await.unwrap();
    for limit in [1, 2, 3, 4, 100] {
        let expected = ["both", "endpoint", "key", "secret"].map(str::to_owned);
        assert_eq!(listed(app, limit).await, expected.into(), "{limit} a page");
    }
    let beyond = app.customers.list(Some("~"), 5).await.unwrap();
    assert!(beyond.customers.is_empty() && beyond.next.is_none(), "{beyond:?}");
}

async fn a_customer_with_many_rows_is_listed_once_however_small_the_pages(backend: Backend) {
    let app = &backend.app;
    for customer in ["a", "b", "c"] {
        for endpoint in 0..4 {
            put_endpoint(app, customer, &format!("e{endpoint}")).await;
        }
        // Removed ones among those that are there.
        app.endpoints.delete(&id(customer), &"e0".parse().unwrap(), None).await.unwrap();
        app.endpoints.delete(&id(customer), &"e2".parse().unwrap(), None).await.unwrap();
    }
    for customer in ["c", "d"] {
        for value in ["1", "2", "3"] {
            put_secret(app, customer, "one", value).await;
            put_secret(app, customer, "two", value).await;
        }
    }
    for limit in [1, 2, 100] {
        assert_eq!(listed(app, limit).await, ["a", "b", "c", "d"].map(str::to_owned).into());
    }
}

/// `acme` and `poor`, each with everything that a customer can have.
async fn furnished(backend: Backend) -> Bench {
    let bench = Bench::new(backend, KeepBodies::All).await;
    let app = &bench.backend.app;
    app.vault.create_tenant_key(&id("poor")).await.unwrap();
    for customer in ["acme", "poor"] {
        for value in ["one", "two", "three", "four"] {
            put_secret(app, customer, "s", value).await;
        }
        bench.is_up.store(true, Ordering::SeqCst);
        bench.delivered(customer, "sent").await;
        bench.is_up.store(false, Ordering::SeqCst);
        bench.delivered(customer, "failed").await;
        let now = app.clock.now();
        let (owner, endpoint) = (id(customer), "e".parse().unwrap());
        let until = now.plus(Duration::from_secs(60));
        app.health.set(&owner, &endpoint, 1, &Health::Paused { until }).await.unwrap();
        let call = TestCall::new(customer.to_owned(), owner.clone(), endpoint, TestKind::Test, now);
        app.test_calls.put(&TestRecord { call, report: None }).await.unwrap();
        let filter = DeadLetterFilter { customer_id: Some(owner), ..DeadLetterFilter::default() };
        let request = Request { filter, ..Request::default() };
        app.replayer().begin(request, "ops-1", None).await.unwrap();
    }
    bench
}

fn purging(count: u64) -> Asked {
    Asked { purge: Some(count), who: "ops-1".to_owned(), ..Asked::default() }
}

async fn erased(app: &App, customer: &str) -> Erasure {
    erase(app, &id(customer), &purging(1)).await.unwrap_or_else(|e| panic!("{e}"))
}

/// What a store has of a customer, but for what an erasure says that it leaves.
async fn found(bench: &Bench, customer: &str) -> Vec<&'static str> {
    let (app, owner) = (&bench.backend.app, id(customer));
    let filter =
        DeadLetterFilter { customer_id: Some(owner.clone()), ..DeadLetterFilter::default() };
    let letters = app.deliveries.list_dead_letters(&filter, None, 9).await.unwrap();
    let there = overview(app, &owner).await.unwrap();
    let key = there.tenant_key.as_ref().is_some_and(|key| key.state == "usable");
    let history = app.secrets.history(&owner, &"s".parse().unwrap()).await.unwrap();
    let replays = app.replays.list(None, 9).await.unwrap();
    let running = replays.iter().any(|replay| {
        replay.request.filter.customer_id.as_ref() == Some(&owner)
            && replay.state == Standing::Running
    });
    [
        ("endpoints", there.endpoint_count > 0),
        ("secrets", there.secret_count > 0),
        ("history", !history.is_empty()),
        ("tenant key", key),
        ("deliveries", !bench.recorded(customer).await.is_empty()),
        ("dead letters", !letters.is_empty()),
        ("health", !app.health.list(&owner).await.unwrap().is_empty()),
        ("replays", running),
    ]
    .into_iter()
    .filter_map(|(what, is_there)| is_there.then_some(what))
    .collect()
}

async fn what_was_erased_is_gone_and_other_customers_do_not_notice(backend: Backend) {
    let bench = furnished(backend).await;
    let app = &bench.backend.app;
    let before = found(&bench, "poor").await;
    assert_eq!((before.len(), found(&bench, "acme").await), (8, before.clone()));
    let sent = bench.recorded("acme").await;
    let done = erased(app, "acme").await;
    let removed = &done.removed;
    assert!(done.complete, "{done:?}");
    let counted = (removed.endpoints, removed.secrets, removed.dead_letters, removed.deliveries);
    assert_eq!((counted, removed.health, removed.replays), ((1, 1, 1, 2), 1, 1));
    assert_eq!(found(&bench, "acme").await, Vec::<&str>::new());
    let now = app.clock.now();
    for record in sent {
        assert!(app.records.get(&record.id, now).await.unwrap().is_none());
        assert!(app.records.body(&record.id, now).await.unwrap().is_none(), "its job");
    }
    assert_eq!(app.queue.depth().await.unwrap().dead, 1, "the other customer's");
    assert_eq!(found(&bench, "poor").await, before);
    // Whatever the next call of the worker in hand may note, another erasure removes.
    let again = erased(app, "acme").await;
    assert!(again.complete && again.removed.endpoints == 0, "{again:?}");
    assert_eq!(listed(app, 9).await, ["poor".to_owned()].into());
}

async fn no_dead_letter_is_lost_that_was_not_counted(backend: Backend) {
    let bench = furnished(backend).await;
    bench.delivered("acme", "failed-too").await;
    let (app, before) = (&bench.backend.app, found(&bench, "acme").await);
    for named in [None, Some(0), Some(1)] {
        let asked = Asked { purge: named, ..purging(0) };
        let refused = erase(app, &id("acme"), &asked).await.unwrap_err();
        assert!(matches!(refused, NotErased::DeadLetters { found: 2, .. }), "{refused}");
        assert_eq!(found(&bench, "acme").await, before, "nothing was removed");
    }
    let done = erase(app, &id("acme"), &purging(2)).await.unwrap();
    assert_eq!((done.complete, done.removed.dead_letters), (true, 2));
}

/// What a future comes to, if it does so when it was polled so often; otherwise it is dropped.
async fn cut_short<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let (mut future, mut polled) = (pin!(future), 0);
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

async fn an_erasure_that_is_cut_short_anywhere_goes_on_when_it_is_asked_for_again(
    backend: Backend,
) {
    let bench = furnished(backend).await;
    let (app, customer, mut asked) = (&bench.backend.app, id("acme"), purging(1));
    let others = found(&bench, "poor").await;
    for polls in (1..2_000).step_by(5) {
        let done = cut_short(erase(app, &customer, &asked), polls).await;
        let left = found(&bench, "acme").await;
        let is_configured = left.contains(&"endpoints");
        assert!(!is_configured || left.contains(&"secrets") && left.contains(&"tenant key"));
        let done = done.map(|done| done.unwrap_or_else(|e| panic!("{e}")));
        if done.as_ref().is_some_and(|done| !done.complete) {
            // Its job is gone, or in the hand of one that was cut short: a queue that cannot be searched
            // does not tell.
            assert_eq!(left, ["dead letters"]);
            bench.backend.clock.advance(Duration::from_secs(600));
            asked.forget = true;
        } else if done.is_some() {
            assert_eq!(left, Vec::<&str>::new());
            assert_eq!(found(&bench, "poor").await, others);
            return;
        }
    }
    panic!("it never came to its end: {:?}", found(&bench, "acme").await);
}

async fn an_erasure_that_has_little_time_does_some_of_it_each_time_endpoints_first(
    backend: Backend,
) {
    let bench = furnished(backend).await;
    let app = &bench.backend.app;
    put_endpoint(app, "acme", "second").await;
    put_secret(app, "acme", "second", "v").await;
    let asked = Asked { patience: Some(Duration::ZERO), ..purging(1) };
    let (mut calls, mut removed) = (0, 0);
    loop {
        calls += 1;
        let done = erase(app, &id("acme"), &asked).await.unwrap_or_else(|e| panic!("{e}"));
        removed += done.removed.endpoints + done.removed.secrets;
        let left = found(&bench, "acme").await;
        if left.contains(&"endpoints") {
            assert!(left.contains(&"secrets") && left.contains(&"tenant key"), "{left:?}");
        }
        if done.complete {
            assert!(left.is_empty() && removed == 4 && calls > 3, "{calls} calls: {left:?}");
            return;
        }
        assert!(calls < 50, "{left:?}");
    }
}

async fn a_job_of_an_erased_customer_is_not_sent_and_not_lost(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    let job = json!({"id": "late", "customerId": "acme", "endpointId": "e", "data": 1});
    bench.enqueue(job).await;
    assert!(erased(&bench.backend.app, "acme").await.complete);
    bench.work_off().await;
    assert!(bench.called().is_empty(), "nothing is sent");
    let app = &bench.backend.app;
    let letters = app.deliveries.list_dead_letters(&DeadLetterFilter::default(), None, 9).await;
    let letters = letters.unwrap();
    assert_eq!((letters.len(), letters[0].reason), (1, Reason::UnknownEndpoint));
    let left = erase(app, &id("acme"), &Asked::default()).await.unwrap_err();
    assert!(left.to_string().contains("has 1 dead letters"), "{left}");
    let again = erased(app, "acme").await;
    assert_eq!((again.removed.dead_letters, again.complete), (1, true));
    assert_eq!(app.queue.depth().await.unwrap().dead, 0);
}

async fn tokens_of_before_are_refused_and_those_of_after_are_good(backend: Backend) {
    let app = &backend.app;
    let all = Grant::Operator { scope: Scope::Operator, customers: None, endpoints: None };
    let operator = issue_key(app, "ops".to_owned(), all, None).await.unwrap().key;
    let token = async |customer: &str| {
        let lifetime = Duration::from_secs(3600);
        issue_token(app, id(customer), lifetime, &operator).await.unwrap().key.id
    };
    let (before, others) = (token("acme").await, token("poor").await);
    app.control.end_tokens(&id("acme"), app.clock.now()).await.unwrap();
    backend.clock.advance(Duration::from_secs(1));
    let after = token("acme").await;
    let now = app.clock.now();
    let is_good =
        async |id: &str| app.control.get_key(id).await.unwrap().is_some_and(|key| key.is_good(now));
    assert!(!is_good(&before).await);
    assert!(is_good(&others).await && is_good(&after).await && is_good(&operator.id).await);
    for what in Remains::ALL {
        let removed = app.customers.remove(&id("acme"), what).await.unwrap();
        assert_eq!((removed.count, removed.more), (0, false), "{what:?}");
    }
}
