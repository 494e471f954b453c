//! The queue's contract, over both backends.
//!
//! What SQS cannot promise is not part of it: the order of messages, and that a restart frees what
//! the dead worker held before its leases have run out. Both are left out here; the embedded queue
//! has tests of its own for them at the end.

#[cfg(feature = "aws")]
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Queue;
use sealpost::ports::queue::{Depth, Handle, NewMessage, Received, Redrive};

use crate::backend::{Backend, LEASE};
use crate::letter::letter;

pub const SECOND: Duration = Duration::from_secs(1);

/// A queue under test, with the clock that it goes by.
pub enum Subject {
    Embedded(Box<Backend>),
    #[cfg(feature = "aws")]
    Sqs(Arc<crate::sqs::Sqs>, Workers),
}

/// Two workers at one queue, and who received what.
#[cfg(feature = "aws")]
pub struct Workers {
    queues: [Arc<dyn Queue>; 2],
    holders: std::sync::Mutex<HashMap<Handle, usize>>,
}

#[cfg(feature = "aws")]
impl Workers {
    async fn at(sqs: &Arc<crate::sqs::Sqs>) -> Self {
        let queues: [Arc<dyn Queue>; 2] = [Arc::new(sqs.open().await), Arc::new(sqs.open().await)];
        Self { queues, holders: std::sync::Mutex::default() }
    }
}

impl Subject {
    pub async fn embedded() -> Self {
        Self::Embedded(Box::new(Backend::embedded().await))
    }

    #[cfg(feature = "aws")]
    async fn sqs() -> Self {
        let sqs = crate::sqs::Sqs::start().await;
        let workers = Workers::at(&sqs).await;
        Self::Sqs(sqs, workers)
    }

    #[cfg(feature = "aws")]
    pub async fn fifo() -> Self {
        let sqs = crate::sqs::Sqs::start_fifo().await;
        let workers = Workers::at(&sqs).await;
        Self::Sqs(sqs, workers)
    }

    pub fn queue(&self) -> &Arc<dyn Queue> {
        match self {
            Self::Embedded(backend) => &backend.app.queue,
            #[cfg(feature = "aws")]
            Self::Sqs(_, workers) => &workers.queues[0],
        }
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::Embedded(backend) => backend.app.clock.now(),
            #[cfg(feature = "aws")]
            Self::Sqs(sqs, _) => sealpost::ports::Clock::now(&**sqs),
        }
    }

    pub fn advance(&self, by: Duration) {
        match self {
            Self::Embedded(backend) => backend.clock.advance(by),
            #[cfg(feature = "aws")]
            Self::Sqs(sqs, _) => sqs.advance(by),
        }
    }

    /// What can be received now, by whichever worker.
    pub async fn receive_everywhere(&self) -> Vec<Received> {
        match self {
            Self::Embedded(backend) => {
                backend.app.queue.receive(100, Duration::ZERO).await.unwrap()
            }
            #[cfg(feature = "aws")]
            Self::Sqs(_, workers) => {
                let mut all = Vec::new();
                for (number, queue) in workers.queues.iter().enumerate() {
                    let received = queue.receive(100, Duration::ZERO).await.unwrap();
                    let mut holders = workers.holders.lock().unwrap();
                    holders.extend(received.iter().map(|m| (m.handle.clone(), number)));
                    all.extend(received);
                }
                all
            }
        }
    }

    /// The queue as the worker has it who holds `handle`.
    pub fn queue_of(&self, handle: &Handle) -> &Arc<dyn Queue> {
        match self {
            Self::Embedded(backend) => &backend.app.queue,
            #[cfg(feature = "aws")]
            Self::Sqs(_, workers) => &workers.queues[workers.holders.lock().unwrap()[handle]],
        }
    }

    /// The same queue after the worker died and another one began.
    pub async fn restart(self) -> Self {
        match self {
            Self::Embedded(backend) => Self::Embedded(Box::new(backend.restart().await)),
            #[cfg(feature = "aws")]
            Self::Sqs(sqs, workers) => {
                drop(workers);
                let workers = Workers::at(&sqs).await;
                Self::Sqs(sqs, workers)
            }
        }
    }
}

/// Runs each sentence of the contract over both backends, and both kinds of queues of one.
macro_rules! contract {
    ($($sentence:ident,)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Subject::embedded().await).await;
            })*
        }

        #[cfg(feature = "aws")]
        mod sqs {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Subject::sqs().await).await;
            })*
        }

        #[cfg(feature = "aws")]
        mod fifo {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Subject::fifo().await).await;
            })*
        }
    };
}

contract! {
    a_message_is_received_once_while_its_lease_lasts_and_again_after,
    an_extended_lease_lasts_longer,
    a_message_held_by_a_worker_that_died_comes_back_with_a_higher_count,
    not_before_is_kept_and_survives_a_restart,
    acknowledging_removes_a_message_and_doing_so_twice_is_no_error,
    a_stale_handle_does_no_harm,
    replacing_puts_the_next_message_in_the_place_of_the_old_one,
    a_released_message_can_be_received_after_its_delay_and_counts_no_crash,
    a_receive_that_is_given_up_loses_no_message,
    after_a_stop_nothing_that_was_taken_stays_leased,
    a_dead_letter_is_kept_shown_and_moved_back_once,
    purged_dead_letters_are_gone,
}

pub fn message(body: &'static str) -> NewMessage {
    NewMessage { body: body.into(), ..NewMessage::default() }
}

pub async fn receive(subject: &Subject) -> Vec<Received> {
    subject.queue().receive(10, Duration::ZERO).await.unwrap()
}

pub async fn one(subject: &Subject) -> Received {
    let mut received = receive(subject).await;
    assert_eq!(received.len(), 1);
    received.remove(0)
}

async fn a_message_is_received_once_while_its_lease_lasts_and_again_after(subject: Subject) {
    let ids = subject.queue().send(vec![message("a")]).await.unwrap();
    let first = one(&subject).await;
    assert_eq!((&first.message_id, &first.body[..], first.receive_count), (&ids[0], &b"a"[..], 1));
    assert!(receive(&subject).await.is_empty());
    subject.advance(LEASE);
    let second = one(&subject).await;
    assert_eq!((&second.message_id, second.receive_count), (&ids[0], 2));
}

async fn an_extended_lease_lasts_longer(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    let first = one(&subject).await;
    subject.advance(LEASE - SECOND);
    subject.queue().extend(std::slice::from_ref(&first.handle)).await.unwrap();
    subject.advance(LEASE - SECOND);
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    one(&subject).await;
}

async fn a_message_held_by_a_worker_that_died_comes_back_with_a_higher_count(subject: Subject) {
    subject.queue().send(vec![message("a"), message("b")]).await.unwrap();
    let held = subject.queue().receive(1, Duration::ZERO).await.unwrap().remove(0).body;
    let subject = subject.restart().await;
    subject.advance(LEASE);
    let received = receive(&subject).await;
    assert_eq!(received.len(), 2);
    for message in received {
        let receipts = if message.body == held { 2 } else { 1 };
        assert_eq!(message.receive_count, receipts, "{:?}", message.body);
    }
}

async fn not_before_is_kept_and_survives_a_restart(subject: Subject) {
    let at = subject.now().plus(10 * SECOND);
    subject.queue().send(vec![NewMessage { not_before: Some(at), ..message("a") }]).await.unwrap();
    let subject = subject.restart().await;
    subject.advance(9 * SECOND);
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    one(&subject).await;
}

async fn acknowledging_removes_a_message_and_doing_so_twice_is_no_error(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    let message = one(&subject).await;
    for _ in 0..2 {
        subject.queue().acknowledge(&message.handle).await.unwrap();
    }
    subject.queue().flush().await.unwrap();
    let subject = subject.restart().await;
    assert!(receive(&subject).await.is_empty());
    assert_eq!(subject.queue().depth().await.unwrap(), Depth::default());
}

async fn a_stale_handle_does_no_harm(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    let stale = one(&subject).await;
    subject.advance(LEASE);
    let fresh = one(&subject).await;
    subject.queue().extend(std::slice::from_ref(&stale.handle)).await.unwrap();
    subject.queue().release(&stale.handle, Duration::ZERO).await.unwrap();
    assert!(receive(&subject).await.is_empty(), "the new holder's lease stands");
    subject.queue().acknowledge(&fresh.handle).await.unwrap();
    subject.queue().replace(&stale.handle, message("again")).await.unwrap();
    assert!(receive(&subject).await.is_empty(), "a settled message is not doubled");
}

async fn replacing_puts_the_next_message_in_the_place_of_the_old_one(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    let first = one(&subject).await;
    let at = subject.now().plus(SECOND);
    let next = NewMessage {
        body: "a".into(),
        state: Some("{}".into()),
        not_before: Some(at),
        ..NewMessage::default()
    };
    subject.queue().replace(&first.handle, next).await.unwrap();
    let subject = subject.restart().await;
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    let second = one(&subject).await;
    assert_eq!((second.state.as_deref(), second.receive_count), (Some(&b"{}"[..]), 1));
    assert_eq!((&second.message_id, second.sent_at), (&first.message_id, first.sent_at));
}

async fn a_released_message_can_be_received_after_its_delay_and_counts_no_crash(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    let first = one(&subject).await;
    subject.queue().release(&first.handle, 5 * SECOND).await.unwrap();
    assert!(receive(&subject).await.is_empty());
    subject.advance(5 * SECOND);
    let second = one(&subject).await;
    assert_ne!(second.handle, first.handle);
    assert_eq!((&second.message_id, second.sent_at), (&first.message_id, first.sent_at));
    subject.queue().release(&second.handle, Duration::ZERO).await.unwrap();
    let subject = subject.restart().await;
    assert_eq!(one(&subject).await.receive_count, 1, "nobody held it when the worker died");
}

/// Begins to receive, and stops at once, as by a signal.
async fn give_up_a_receive(subject: &Subject) {
    let mut receive = subject.queue().receive(10, 20 * SECOND);
    let mut once = std::task::Context::from_waker(std::task::Waker::noop());
    if let std::task::Poll::Ready(received) = receive.as_mut().poll(&mut once) {
        // Faster than the stop: what was taken is given back.
        let handle = received.unwrap().remove(0).handle;
        subject.queue().release(&handle, Duration::ZERO).await.unwrap();
    }
}

async fn a_receive_that_is_given_up_loses_no_message(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    give_up_a_receive(&subject).await;
    let taken = subject.queue().receive(10, 20 * SECOND).await.unwrap();
    assert_eq!((taken.len(), taken[0].receive_count), (1, 1));
}

async fn after_a_stop_nothing_that_was_taken_stays_leased(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    give_up_a_receive(&subject).await;
    subject.queue().stop_receiving().await;
    let subject = subject.restart().await;
    assert_eq!(one(&subject).await.receive_count, 1);
}

async fn a_dead_letter_is_kept_shown_and_moved_back_once(subject: Subject) {
    let queue = subject.queue();
    queue.send(vec![message("a")]).await.unwrap();
    let first = one(&subject).await;
    queue.dead_letter(&first.handle, &letter("dl_1", &first), Some("1".into())).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth { pending: 0, dead: 1 });
    assert_eq!(queue.peek_dead("dl_1").await.unwrap().unwrap(), "a");
    let redrive = || vec![Redrive { dead_letter_id: "dl_1".into(), state: Some("2".into()) }];
    let (one_mover, other) = tokio::join!(queue.redrive(redrive()), queue.redrive(redrive()));
    assert_eq!(one_mover.unwrap().found.len() + other.unwrap().found.len(), 1);
    let back = one(&subject).await;
    assert_eq!((&back.message_id, back.state.as_deref()), (&first.message_id, Some(&b"2"[..])));
    assert_eq!(queue.peek_dead("dl_1").await.unwrap(), None);
}

async fn purged_dead_letters_are_gone(subject: Subject) {
    subject.queue().send(vec![message("a")]).await.unwrap();
    let first = one(&subject).await;
    let queue = subject.queue();
    queue.dead_letter(&first.handle, &letter("dl_1", &first), None).await.unwrap();
    let sought = queue.purge_dead(&["dl_1".to_owned(), "dl_2".to_owned()]).await.unwrap();
    assert_eq!(sought.found, ["dl_1"]);
    assert_eq!(subject.queue().depth().await.unwrap(), Depth::default());
}

/// What only the embedded queue promises: it knows that the dead worker is dead.
#[tokio::test]
async fn embedded_messages_come_in_order_and_a_restart_frees_what_was_held() {
    let subject = Subject::embedded().await;
    subject.queue().send(vec![message("held"), message("waiting")]).await.unwrap();
    assert_eq!(subject.queue().receive(1, Duration::ZERO).await.unwrap()[0].body, "held");
    let subject = subject.restart().await;
    let counts: Vec<(bytes::Bytes, u32)> =
        receive(&subject).await.into_iter().map(|m| (m.body, m.receive_count)).collect();
    assert_eq!(counts, [("held".into(), 2), ("waiting".into(), 1)]);
}
