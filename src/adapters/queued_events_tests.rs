use std::sync::atomic::AtomicBool;

use super::*;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::operational_event::Fact;
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::{Depth, Handle, Received, Redrive, Sought};
use crate::ports::{Error, Result};

/// A queue that keeps what is sent, or is out of order.
#[derive(Default)]
struct Sink {
    sent: Mutex<Vec<NewMessage>>,
    is_broken: AtomicBool,
}

#[async_trait]
impl Queue for Sink {
    fn keeps_order(&self) -> bool {
        false
    }
    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(Error::new("queue.send", "out of order"));
        }
        let ids = messages.iter().map(|_| String::new()).collect();
        self.sent.lock().unwrap().extend(messages);
        Ok(ids)
    }
    async fn receive(&self, _: usize, _: Duration) -> Result<Vec<Received>> {
        unreachable!("events are only sent")
    }
    fn lease(&self) -> Duration {
        Duration::ZERO
    }
    async fn extend(&self, _: &[Handle]) -> Result<()> {
        unreachable!("events are only sent")
    }
    async fn release(&self, _: &Handle, _: Duration) -> Result<()> {
        unreachable!("events are only sent")
    }
    async fn acknowledge(&self, _: &Handle) -> Result<()> {
        unreachable!("events are only sent")
    }
    async fn replace(&self, _: &Handle, _: NewMessage) -> Result<()> {
        unreachable!("events are only sent")
    }
    async fn dead_letter(&self, _: &Handle, _: &DeadLetter, _: Option<bytes::Bytes>) -> Result<()> {
        unreachable!("events are only sent")
    }
    async fn peek_dead(&self, _: &str) -> Result<Option<bytes::Bytes>> {
        unreachable!("events are only sent")
    }
    async fn redrive(&self, _: Vec<Redrive>) -> Result<Sought> {
        unreachable!("events are only sent")
    }
    async fn purge_dead(&self, _: &[String]) -> Result<Sought> {
        unreachable!("events are only sent")
    }
    async fn depth(&self) -> Result<Depth> {
        unreachable!("events are only sent")
    }
}

fn event(customer: &str, millis: i64) -> OperationalEvent {
    let at = Timestamp::from_millis(millis);
    let fact = Fact::EndpointEnabled { endpoint_id: "e".parse().unwrap() };
    OperationalEvent { at, customer_id: customer.parse().unwrap(), fact }
}

fn start(is_broken: bool) -> (QueuedEvents, Arc<Sink>) {
    let sink = Arc::new(Sink { is_broken: is_broken.into(), ..Sink::default() });
    (QueuedEvents::start("operator".parse().unwrap(), Arc::clone(&sink) as _), sink)
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn what_is_told_is_sent_once_and_what_is_about_the_operator_is_not() {
    let (events, sink) = start(false);
    for event in [event("c", 1), event("c", 1), event("operator", 2), event("c", 3)] {
        events.tell(event);
    }
    events.flush(PATIENCE).await;
    let sent = sink.sent.lock().unwrap();
    assert_eq!((sent.len(), events.dropped()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_out_of_order_for_a_moment_loses_no_event() {
    let (events, sink) = start(true);
    events.tell(event("c", 1));
    sleep(Duration::from_millis(1100)).await;
    sink.is_broken.store(false, Ordering::SeqCst);
    events.flush(PATIENCE).await;
    assert_eq!((sink.sent.lock().unwrap().len(), events.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_or_kept_is_dropped_and_counted_and_nobody_waits() {
    let (events, sink) = start(true);
    let begun = tokio::time::Instant::now();
    for millis in 0..2000 {
        events.tell(event("c", millis));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(events.dropped(), 2000 - u64::try_from(CAPACITY).unwrap());
    // Each batch is given up after some seconds.
    sleep(Duration::from_secs(1000)).await;
    events.flush(PATIENCE).await;
    assert_eq!((events.dropped(), sink.sent.lock().unwrap().len()), (2000, 0));
}
