use std::time::Duration;

use sealpost::domain::access::{ApiKey, Grant, Scope};
use sealpost::domain::submission::{Begun, GIVEN_UP, REMEMBERED, Submission};
use sealpost::ports::Clock;

use crate::backend::{Backend, over_both};

over_both! {
    a_key_reads_back_as_it_was_put,
    keys_are_listed_by_id_and_page_and_tokens_are_not,
    a_revoked_key_keeps_the_time_at_which_it_was_revoked_first,
    a_job_is_the_first_caller_s_to_send,
    a_job_that_was_sent_is_known_by_its_message_for_a_day,
    another_job_of_the_same_id_is_told_from_the_first,
    a_job_whose_sender_died_or_gave_it_up_can_be_sent_by_another,
}

fn key(id: &str) -> ApiKey {
    let created_at = sealpost::domain::timestamp::Timestamp::from_millis(1_800_000_000_000);
    ApiKey {
        id: id.to_owned(),
        name: "billing".to_owned(),
        grant: Grant::Operator {
            scope: Scope::Producer,
            customers: Some(["acme".parse().unwrap()].into()),
            endpoints: None,
        },
        created_at,
        expires_at: None,
        revoked_at: None,
        minted_by: None,
        hash: "ab".repeat(32),
    }
}

fn token(id: &str) -> ApiKey {
    let key = key(id);
    ApiKey {
        expires_at: Some(key.created_at.plus(Duration::from_secs(60))),
        minted_by: Some("key_1".to_owned()),
        grant: Grant::Customer { customer_id: "acme".parse().unwrap() },
        ..key
    }
}

async fn a_key_reads_back_as_it_was_put(backend: Backend) {
    let control = &backend.app.control;
    for key in [key("key_1"), token("tok_1")] {
        assert_eq!(control.get_key(&key.id).await.unwrap(), None);
        control.put_key(&key).await.unwrap();
        assert_eq!(control.get_key(&key.id).await.unwrap(), Some(key));
    }
}

async fn keys_are_listed_by_id_and_page_and_tokens_are_not(backend: Backend) {
    let control = &backend.app.control;
    for key in [key("key_2"), token("tok_1"), key("key_3"), key("key_1")] {
        control.put_key(&key).await.unwrap();
    }
    let list = async |after: Option<&str>, limit| -> Vec<String> {
        let keys = control.list_keys(after, limit).await.unwrap();
        keys.into_iter().map(|key| key.id).collect()
    };
    assert_eq!(list(None, 10).await, ["key_1", "key_2", "key_3"]);
    assert_eq!(list(None, 2).await, ["key_1", "key_2"]);
    assert_eq!(list(Some("key_2"), 2).await, ["key_3"]);
}

async fn a_revoked_key_keeps_the_time_at_which_it_was_revoked_first(backend: Backend) {
    let control = &backend.app.control;
    let now = backend.clock.now();
    assert!(!control.revoke_key("key_1", now).await.unwrap(), "there is none");
    for key in [key("key_1"), token("tok_1")] {
        control.put_key(&key).await.unwrap();
        assert!(control.revoke_key(&key.id, now).await.unwrap());
        assert!(control.revoke_key(&key.id, now.plus(Duration::from_secs(1))).await.unwrap());
        let revoked = control.get_key(&key.id).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(now));
    }
    assert_eq!(control.list_keys(None, 10).await.unwrap()[0].revoked_at, Some(now));
}

fn submission(job: &str, content: &str) -> Submission {
    Submission {
        customer_id: "acme".parse().unwrap(),
        endpoint_id: None,
        job_id: job.parse().unwrap(),
        sha256: content.to_owned(),
    }
}

async fn begin(backend: &Backend, submissions: &[Submission]) -> Vec<Begun> {
    backend.app.control.begin(submissions, backend.clock.now()).await.unwrap()
}

async fn a_job_is_the_first_caller_s_to_send(backend: Backend) {
    let (a, b) = (submission("a", "1"), submission("b", "1"));
    let twice = [a.clone(), b.clone(), a.clone()];
    assert_eq!(begin(&backend, &twice).await, [Begun::New, Begun::New, Begun::Busy]);
    assert_eq!(begin(&backend, std::slice::from_ref(&b)).await, [Begun::Busy]);
    // The id is another job's at another endpoint.
    let elsewhere = Submission { endpoint_id: Some("orders".parse().unwrap()), ..a };
    assert_eq!(begin(&backend, &[elsewhere]).await, [Begun::New]);
}

async fn a_job_that_was_sent_is_known_by_its_message_for_a_day(backend: Backend) {
    let a = [submission("a", "1")];
    begin(&backend, &a).await;
    backend.app.control.finish(&[(a[0].clone(), "msg_1".to_owned())]).await.unwrap();
    backend.app.control.abandon(&a).await.unwrap();
    backend.clock.advance(REMEMBERED - Duration::from_secs(1));
    assert_eq!(begin(&backend, &a).await, [Begun::Done("msg_1".to_owned())]);
    backend.clock.advance(Duration::from_secs(1));
    assert_eq!(begin(&backend, &a).await, [Begun::New]);
}

async fn another_job_of_the_same_id_is_told_from_the_first(backend: Backend) {
    let (first, other) = ([submission("a", "1")], [submission("a", "2")]);
    begin(&backend, &first).await;
    assert_eq!(begin(&backend, &other).await, [Begun::Different]);
    backend.app.control.finish(&[(first[0].clone(), "msg_1".to_owned())]).await.unwrap();
    assert_eq!(begin(&backend, &other).await, [Begun::Different]);
}

async fn a_job_whose_sender_died_or_gave_it_up_can_be_sent_by_another(backend: Backend) {
    let a = [submission("a", "1")];
    begin(&backend, &a).await;
    backend.clock.advance(GIVEN_UP - Duration::from_millis(1));
    assert_eq!(begin(&backend, &a).await, [Begun::Busy]);
    backend.clock.advance(Duration::from_millis(1));
    assert_eq!(begin(&backend, &a).await, [Begun::New]);
    backend.app.control.abandon(&a).await.unwrap();
    assert_eq!(begin(&backend, &a).await, [Begun::New]);
}
