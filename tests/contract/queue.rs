use std::time::Duration;

use sealpost::domain::dead_letter::{DeadLetter, job_sha256};
use sealpost::domain::reason::Reason;
use sealpost::ports::queue::{Depth, NewMessage, Received, Redrive};

use crate::backend::{Backend, LEASE};

const SECOND: Duration = Duration::from_secs(1);

fn message(body: &'static str) -> NewMessage {
    NewMessage { body: body.into(), ..NewMessage::default() }
}

/// The index record of a message that is given up.
fn letter(id: &str, message: &Received) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        message_id: message.message_id.clone(),
        customer_id: Some("customer-123".parse().unwrap()),
        endpoint_id: None,
        job_id: None,
        round: 1,
        reason: Reason::TooOld,
        message: "too old".to_owned(),
        accepted_at: message.sent_at,
        dead_at: message.sent_at,
        attempts: 0,
        history: Vec::new(),
        job_size: message.body.len(),
        job_sha256: job_sha256(&message.body),
    }
}

async fn receive(backend: &Backend) -> Vec<Received> {
    backend.app.queue.receive(10, Duration::ZERO).await.unwrap()
}

async fn one(backend: &Backend) -> Received {
    let mut received = receive(backend).await;
    assert_eq!(received.len(), 1);
    received.remove(0)
}

#[tokio::test]
async fn a_message_is_received_once_while_its_lease_lasts_and_again_after() {
    let backend = Backend::embedded().await;
    let ids = backend.app.queue.send(vec![message("a")]).await.unwrap();
    let first = one(&backend).await;
    assert_eq!((&first.message_id, &first.body[..], first.receive_count), (&ids[0], &b"a"[..], 1));
    assert!(receive(&backend).await.is_empty());
    backend.clock.advance(LEASE);
    let second = one(&backend).await;
    assert_eq!((&second.message_id, second.receive_count), (&ids[0], 2));
}

#[tokio::test]
async fn an_extended_lease_lasts_longer() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("a")]).await.unwrap();
    let first = one(&backend).await;
    backend.clock.advance(LEASE - SECOND);
    backend.app.queue.extend(std::slice::from_ref(&first.handle)).await.unwrap();
    backend.clock.advance(LEASE - SECOND);
    assert!(receive(&backend).await.is_empty());
    backend.clock.advance(SECOND);
    one(&backend).await;
}

#[tokio::test]
async fn a_message_held_by_a_worker_that_died_comes_back_with_a_higher_count() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("held"), message("waiting")]).await.unwrap();
    assert_eq!(backend.app.queue.receive(1, Duration::ZERO).await.unwrap()[0].body, "held");
    let backend = backend.restart().await;
    let counts: Vec<(bytes::Bytes, u32)> =
        receive(&backend).await.into_iter().map(|m| (m.body, m.receive_count)).collect();
    assert_eq!(counts, [("held".into(), 2), ("waiting".into(), 1)]);
}

#[tokio::test]
async fn not_before_is_kept_and_survives_a_restart() {
    let backend = Backend::embedded().await;
    let at = backend.app.clock.now().plus(10 * SECOND);
    backend
        .app
        .queue
        .send(vec![NewMessage { not_before: Some(at), ..message("a") }])
        .await
        .unwrap();
    let backend = backend.restart().await;
    backend.clock.advance(9 * SECOND);
    assert!(receive(&backend).await.is_empty());
    backend.clock.advance(SECOND);
    one(&backend).await;
}

#[tokio::test]
async fn acknowledging_removes_a_message_and_doing_so_twice_is_no_error() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("a")]).await.unwrap();
    let message = one(&backend).await;
    for _ in 0..2 {
        backend.app.queue.acknowledge(&message.handle).await.unwrap();
    }
    let backend = backend.restart().await;
    assert!(receive(&backend).await.is_empty());
    assert_eq!(backend.app.queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn a_stale_handle_does_no_harm() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("a")]).await.unwrap();
    let stale = one(&backend).await;
    backend.clock.advance(LEASE);
    let fresh = one(&backend).await;
    backend.app.queue.extend(std::slice::from_ref(&stale.handle)).await.unwrap();
    backend.app.queue.release(&stale.handle, Duration::ZERO).await.unwrap();
    assert!(receive(&backend).await.is_empty(), "the new holder's lease stands");
    backend.app.queue.acknowledge(&fresh.handle).await.unwrap();
    backend.app.queue.replace(&stale.handle, message("again")).await.unwrap();
    assert!(receive(&backend).await.is_empty(), "a settled message is not doubled");
}

#[tokio::test]
async fn replacing_puts_the_next_message_in_the_place_of_the_old_one() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("a")]).await.unwrap();
    let first = one(&backend).await;
    let at = backend.app.clock.now().plus(SECOND);
    let next = NewMessage { body: "a".into(), state: Some("{}".into()), not_before: Some(at) };
    backend.app.queue.replace(&first.handle, next).await.unwrap();
    let backend = backend.restart().await;
    assert!(receive(&backend).await.is_empty());
    backend.clock.advance(SECOND);
    let second = one(&backend).await;
    assert_eq!((second.state.as_deref(), second.receive_count), (Some(&b"{}"[..]), 1));
}

#[tokio::test]
async fn a_released_message_can_be_received_after_its_delay_and_counts_no_crash() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("a")]).await.unwrap();
    let first = one(&backend).await;
    backend.app.queue.release(&first.handle, 5 * SECOND).await.unwrap();
    assert!(receive(&backend).await.is_empty());
    backend.clock.advance(5 * SECOND);
    let second = one(&backend).await;
    assert_ne!(second.handle, first.handle);
    backend.app.queue.release(&second.handle, Duration::ZERO).await.unwrap();
    let backend = backend.restart().await;
    assert_eq!(one(&backend).await.receive_count, 1, "nobody held it when the worker died");
}

#[tokio::test]
async fn a_dead_letter_is_kept_shown_and_moved_back_once() {
    let backend = Backend::embedded().await;
    let queue = &backend.app.queue;
    queue.send(vec![message("a")]).await.unwrap();
    let first = one(&backend).await;
    queue.dead_letter(&first.handle, &letter("dl_1", &first), Some("1".into())).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth { pending: 0, dead: 1 });
    assert_eq!(queue.peek_dead("dl_1").await.unwrap().unwrap(), "a");
    let redrive = || vec![Redrive { dead_letter_id: "dl_1".into(), state: Some("2".into()) }];
    let (one_mover, other) = tokio::join!(queue.redrive(redrive()), queue.redrive(redrive()));
    assert_eq!(one_mover.unwrap().found.len() + other.unwrap().found.len(), 1);
    let back = one(&backend).await;
    assert_eq!((&back.message_id, back.state.as_deref()), (&first.message_id, Some(&b"2"[..])));
    assert_eq!(queue.peek_dead("dl_1").await.unwrap(), None);
}

#[tokio::test]
async fn purged_dead_letters_are_gone() {
    let backend = Backend::embedded().await;
    backend.app.queue.send(vec![message("a")]).await.unwrap();
    let first = one(&backend).await;
    let queue = &backend.app.queue;
    queue.dead_letter(&first.handle, &letter("dl_1", &first), None).await.unwrap();
    let sought = queue.purge_dead(&["dl_1".to_owned(), "dl_2".to_owned()]).await.unwrap();
    assert_eq!(sought.found, ["dl_1"]);
    assert_eq!(backend.app.queue.depth().await.unwrap(), Depth::default());
}
