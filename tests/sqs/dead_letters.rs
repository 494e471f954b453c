//! Dead letters in a queue that cannot be searched.

use sealpost::ports::Queue;
use sealpost::ports::queue::{Depth, Redrive, Sought};

use super::*;
use crate::sqs::{LEASE, MOST_RECEIPTS, Sqs};

async fn bury(queue: &impl Queue, body: &'static str, id: &str) -> Received {
    queue.send(vec![message(body)]).await.unwrap();
    let received = one(queue).await;
    queue.dead_letter(&received.handle, &letter(id, &received), None).await.unwrap();
    received
}

fn redrive(id: &str) -> Redrive {
    Redrive { dead_letter_id: id.to_owned(), state: Some("{}".into()) }
}

#[tokio::test]
async fn a_search_gives_back_what_it_did_not_look_for() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    for (body, id) in [("a", "dl_a"), ("b", "dl_b"), ("c", "dl_c")] {
        bury(&queue, body, id).await;
    }
    assert_eq!(queue.peek_dead("dl_b").await.unwrap().unwrap(), "b");
    let sought = queue.redrive(vec![redrive("dl_a"), redrive("dl_gone")]).await.unwrap();
    let expected = Sought { found: vec!["dl_a".into()], unknown: vec!["dl_gone".into()] };
    assert_eq!(sought, expected);
    assert_eq!(queue.purge_dead(&["dl_c".to_owned()]).await.unwrap().found, ["dl_c"]);
    assert_eq!(queue.depth().await.unwrap().dead, 1);
    assert_eq!(queue.peek_dead("dl_b").await.unwrap().unwrap(), "b");
}

#[tokio::test]
async fn two_searches_at_once_move_a_dead_letter_once() {
    let sqs = Sqs::start().await;
    let (here, there) = (sqs.open().await, sqs.open().await);
    for n in 0..25 {
        bury(&here, "a", &format!("dl_{n}")).await;
    }
    let all = || (0..25).map(|n| redrive(&format!("dl_{n}"))).collect();
    let (one, other) = tokio::join!(here.redrive(all()), there.redrive(all()));
    let mut moved = one.unwrap().found;
    moved.extend(other.unwrap().found);
    moved.sort();
    moved.dedup();
    assert_eq!(moved.len(), 25);
    assert_eq!(here.depth().await.unwrap().pending, 25, "each was moved once");
    assert_eq!(here.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_redrive_that_fails_at_the_send_keeps_the_dead_letter() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    bury(&queue, "a", "dl_a").await;
    sqs.emulator.fail("SendMessageBatch", 400, "AccessDenied", 1);
    queue.redrive(vec![redrive("dl_a")]).await.unwrap_err();
    assert_eq!(queue.redrive(vec![redrive("dl_a")]).await.unwrap().found, ["dl_a"]);
    assert_eq!(one(&queue).await.state.as_deref(), Some(&b"{}"[..]));
}

#[tokio::test]
async fn two_copies_of_a_dead_letter_are_one() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    queue.send(vec![message("a")]).await.unwrap();
    // The worker dies after it has buried the message, and so the next one buries it again.
    let first = one(&queue).await;
    sqs.emulator.fail("DeleteMessageBatch", 400, "AccessDenied", 1);
    queue.dead_letter(&first.handle, &letter("dl_a", &first), None).await.unwrap_err();
    let queue = sqs.open().await;
    sqs.advance(LEASE);
    let again = one(&queue).await;
    queue.dead_letter(&again.handle, &letter("dl_a", &again), None).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().dead, 2);
    let wanted = vec![redrive("dl_a"), redrive("dl_gone")];
    assert_eq!(queue.redrive(wanted).await.unwrap().found, ["dl_a"]);
    assert_eq!(queue.depth().await.unwrap(), Depth { pending: 1, dead: 0 });
}

/// Receives until SQS itself gives the message up.
async fn crash_until_given_up(sqs: &Sqs, queue: &impl Queue) {
    for _ in 0..MOST_RECEIPTS {
        one(queue).await;
        sqs.advance(LEASE);
    }
    assert!(receive(queue).await.is_empty());
}

#[tokio::test]
async fn what_sqs_gave_up_by_itself_is_found_as_a_stray_and_then_by_its_id() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    bury(&queue, "known", "dl_known").await;
    let ids = queue.send(vec![message("a")]).await.unwrap();
    crash_until_given_up(&sqs, &queue).await;
    let strays = queue.stray_dead_letters(100).await.unwrap();
    assert_eq!(strays.len(), 1);
    assert_eq!((&strays[0].message_id, &strays[0].body[..]), (&ids[0], &b"a"[..]));
    let letter = letter("dl_stray", &strays[0]);
    queue.dead_letter(&strays[0].handle, &letter, None).await.unwrap();
    assert!(queue.stray_dead_letters(100).await.unwrap().is_empty());
    assert_eq!(queue.depth().await.unwrap().dead, 2);
    assert_eq!(queue.redrive(vec![redrive("dl_stray")]).await.unwrap().found, ["dl_stray"]);
    assert_eq!(one(&queue).await.message_id, ids[0]);
}
