//! The contract of queues that keep order. `ordering_model.rs` has a model of it.

use sealpost::domain::ordering::MessageGroup;
use sealpost::ports::queue::{NewMessage, Received, Redrive};

use crate::letter::letter;
use crate::queue::{SECOND, Subject, message, one, receive};

/// Runs each sentence over every queue that keeps order.
macro_rules! ordered {
    ($($sentence:ident,)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Subject::embedded().await).await;
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

ordered! {
    it_says_that_it_keeps_order,
    of_a_group_only_the_head_is_received_and_other_groups_go_on,
    a_head_that_is_put_back_holds_its_group_through_a_restart,
    a_head_that_was_given_up_lets_its_group_go_on,
    a_head_whose_worker_died_comes_back_before_those_behind_it,
    a_dead_letter_that_is_moved_back_is_the_last_of_its_group,
}

pub fn group(name: &str) -> MessageGroup {
    MessageGroup::named(name)
}

fn of(name: &str, body: &'static str) -> NewMessage {
    NewMessage { group: Some(group(name)), ..message(body) }
}

async fn send(subject: &Subject, messages: Vec<NewMessage>) {
    subject.queue().send(messages).await.unwrap();
}

fn bodies(received: &[Received]) -> Vec<&[u8]> {
    let mut bodies: Vec<&[u8]> = received.iter().map(|message| &message.body[..]).collect();
    bodies.sort_unstable();
    bodies
}

async fn it_says_that_it_keeps_order(subject: Subject) {
    assert!(subject.queue().keeps_order());
}

async fn of_a_group_only_the_head_is_received_and_other_groups_go_on(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2"), of("h", "3"), message("4")]).await;
    send(&subject, vec![of("g", "5"), message("6")]).await;
    let received = receive(&subject).await;
    assert_eq!(bodies(&received), [b"1", b"3", b"4", b"6"]);
    for message in &received {
        let expected = match &message.body[..] {
            b"1" => Some(group("g")),
            b"3" => Some(group("h")),
            _ => None,
        };
        assert_eq!(message.group, expected, "{message:?}");
    }
    let first = received.into_iter().find(|message| message.body == "1").unwrap();
    assert!(receive(&subject).await.is_empty());
    let mut head = first;
    for next in ["2", "5"] {
        subject.queue().acknowledge(&head.handle).await.unwrap();
        head = one(&subject).await;
        assert_eq!(head.body, next);
    }
}

async fn a_head_that_is_put_back_holds_its_group_through_a_restart(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2")]).await;
    let first = one(&subject).await;
    let at = subject.now().plus(50 * SECOND);
    let next = NewMessage {
        state: Some("{}".into()),
        not_before: Some(at),
        body: "1".into(),
        ..message("")
    };
    subject.queue().replace(&first.handle, next).await.unwrap();
    assert!(receive(&subject).await.is_empty());
    let subject = subject.restart().await;
    subject.advance(49 * SECOND);
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    let again = one(&subject).await;
    assert_eq!((&again.body[..], again.state.as_deref()), (&b"1"[..], Some(&b"{}"[..])));
    assert_eq!((again.group, again.sent_at), (Some(group("g")), first.sent_at));
    subject.queue().release(&again.handle, SECOND).await.unwrap();
    assert!(receive(&subject).await.is_empty());
    subject.advance(SECOND);
    let last = one(&subject).await;
    assert_eq!((&last.body[..], last.state.as_deref()), (&b"1"[..], Some(&b"{}"[..])));
    subject.queue().acknowledge(&last.handle).await.unwrap();
    assert_eq!(one(&subject).await.body, "2");
}

async fn a_head_that_was_given_up_lets_its_group_go_on(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2")]).await;
    let first = one(&subject).await;
    subject.queue().dead_letter(&first.handle, &letter("dl_1", &first), None).await.unwrap();
    assert_eq!(one(&subject).await.body, "2");
}

async fn a_head_whose_worker_died_comes_back_before_those_behind_it(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2"), of("g", "3")]).await;
    let first = one(&subject).await;
    subject.queue().acknowledge(&first.handle).await.unwrap();
    assert_eq!(one(&subject).await.body, "2");
    let subject = subject.restart().await;
    subject.advance(crate::backend::LEASE);
    let second = one(&subject).await;
    assert_eq!((&second.body[..], second.receive_count), (&b"2"[..], 2));
    subject.queue().acknowledge(&second.handle).await.unwrap();
    assert_eq!(one(&subject).await.body, "3");
}

async fn a_dead_letter_that_is_moved_back_is_the_last_of_its_group(subject: Subject) {
    send(&subject, vec![of("g", "1"), of("g", "2"), of("g", "3"), of("g", "4")]).await;
    for id in ["dl_1", "dl_2"] {
        let head = one(&subject).await;
        subject.queue().dead_letter(&head.handle, &letter(id, &head), None).await.unwrap();
    }
    let third = one(&subject).await;
    let moved = ["dl_1", "dl_2"].map(|id| Redrive { dead_letter_id: id.into(), state: None });
    assert_eq!(subject.queue().redrive(moved.into()).await.unwrap().found.len(), 2);
    assert!(receive(&subject).await.is_empty());
    let mut head = third;
    for next in ["4", "1", "2"] {
        subject.queue().acknowledge(&head.handle).await.unwrap();
        head = one(&subject).await;
        assert_eq!(head.body, next);
    }
}
