use std::sync::Mutex;

use super::*;
use crate::adapters::system::SystemChance;

/// A call whose entries say how they are to be answered; notes each call.
#[derive(Default)]
struct Scripted(Arc<Mutex<Vec<Vec<Entry>>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Fine(usize),
    Passing,
    Refused,
    /// The whole call is refused.
    Poison,
    /// The whole call is denied.
    Denied,
    /// The whole call is throttled, twice.
    Throttled,
}

fn failure(kind: Kind) -> Failure {
    Failure { kind, code: None, request_id: None, message: String::new() }
}

#[async_trait]
impl BatchCall for Scripted {
    type Entry = Entry;
    type Done = usize;

    fn size(&self, entry: &Entry) -> usize {
        if let Entry::Fine(size) = entry { *size } else { 1 }
    }

    async fn call(&self, entries: &[&Entry]) -> Result<Vec<Answer<usize>>, Failure> {
        let mut calls = self.0.lock().unwrap();
        let seen = |what| calls.iter().flatten().filter(|e| **e == what).count();
        let (passing, throttled) = (seen(Entry::Passing), seen(Entry::Throttled));
        calls.push(entries.iter().map(|e| (*e).clone()).collect());
        if entries.contains(&&Entry::Denied) {
            return Err(failure(Kind::AccessDenied));
        }
        if entries.contains(&&Entry::Throttled) && throttled < 2 {
            return Err(failure(Kind::Throttled));
        }
        if entries.contains(&&Entry::Poison) {
            return Err(failure(Kind::Refused));
        }
        let answer = |entry: &&Entry| match entry {
            Entry::Fine(size) => Answer::Done(*size),
            Entry::Passing if passing < 2 => Answer::Again(failure(Kind::ServiceFault)),
            Entry::Passing | Entry::Throttled => Answer::Done(1),
            Entry::Refused | Entry::Poison | Entry::Denied => {
                Answer::Refused(failure(Kind::Refused))
            }
        };
        Ok(entries.iter().map(answer).collect())
    }
}

type Results = Vec<Result<usize, Kind>>;

/// Hands in all entries at once; returns their answers and the calls.
async fn run(entries: Vec<Entry>, limit: usize) -> (Results, Vec<Vec<Entry>>) {
    let scripted = Scripted::default();
    let calls = Arc::clone(&scripted.0);
    let linger = Box::new(|_| Duration::from_millis(20));
    let batcher = Batcher::start(scripted, limit, linger, Arc::new(SystemChance));
    let pending: Vec<_> = entries.into_iter().map(|entry| batcher.hand_in(entry)).collect();
    let mut results = Vec::new();
    for answer in pending {
        results.push(answer.await.map_err(|failure| failure.kind));
    }
    let calls = calls.lock().unwrap().clone();
    (results, calls)
}

fn sizes(calls: &[Vec<Entry>]) -> Vec<usize> {
    calls.iter().map(Vec::len).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_closes_at_ten_entries_and_the_rest_lingers() {
    let started = Instant::now();
    let (results, calls) = run(vec![Entry::Fine(1); 25], 1000).await;
    assert_eq!(sizes(&calls), [10, 10, 5]);
    assert_eq!(results, vec![Ok(1); 25]);
    assert_eq!(started.elapsed().as_millis(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_batch_closes_at_the_byte_limit_and_one_large_entry_goes_alone() {
    let sized = [400, 400, 200, 1, 1000, 5];
    let (results, calls) = run(sized.map(Entry::Fine).to_vec(), 1000).await;
    assert_eq!(sizes(&calls), [3, 1, 1, 1]);
    assert_eq!(results, sized.map(Ok));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_fails_in_passing_is_tried_again_without_the_others() {
    let (results, calls) = run(vec![Entry::Fine(1), Entry::Passing, Entry::Refused], 1000).await;
    assert_eq!(results, [Ok(1), Ok(1), Err(Kind::Refused)]);
    assert_eq!(sizes(&calls), [3, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn tries_are_bounded() {
    let linger = Box::new(|_| Duration::ZERO);
    let batcher = Batcher::start(Always, 10, linger, Arc::new(SystemChance));
    let answer = batcher.hand_in(()).await;
    assert_eq!(answer.unwrap_err().message, "4");
}

/// Fails in passing for ever, and says how often.
struct Always;

static TRIED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[async_trait]
impl BatchCall for Always {
    type Entry = ();
    type Done = ();

    fn size(&self, (): &()) -> usize {
        1
    }

    async fn call(&self, _: &[&()]) -> Result<Vec<Answer<()>>, Failure> {
        let tried = TRIED.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let message = tried.to_string();
        Ok(vec![Answer::Again(Failure { message, ..failure(Kind::ServiceFault) })])
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_as_a_whole_fails_for_every_caller() {
    let (results, calls) = run(vec![Entry::Fine(1), Entry::Denied], 1000).await;
    assert_eq!(results, [Err(Kind::AccessDenied), Err(Kind::AccessDenied)]);
    assert_eq!(calls.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_throttled_is_made_again() {
    let (results, calls) = run(vec![Entry::Fine(1), Entry::Throttled], 1000).await;
    assert_eq!(results, [Ok(1), Ok(1)]);
    assert_eq!(sizes(&calls), [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_poisons_the_call_does_not_take_the_others_with_it() {
    let (results, calls) = run(vec![Entry::Fine(1), Entry::Poison, Entry::Fine(2)], 1000).await;
    assert_eq!(results, [Ok(1), Err(Kind::Refused), Ok(2)]);
    assert_eq!(sizes(&calls), [3, 1, 1, 1]);
}
