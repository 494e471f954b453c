//! What waits for the thread that writes: jobs that want a commit at once, and such as can wait a moment
//! for others to share one with.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a job that can wait does.
const LINGER: Duration = Duration::from_millis(4);

/// When a job is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// As soon as the thread is free.
    AtOnce,
    /// With the next that is, or after [`LINGER`].
    WithOthers,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// One of the jobs does not wait.
    hurries: bool,
    senders: usize,
    /// The thread has ended.
    is_closed: bool,
}

impl<J> State<J> {
    fn is_worth_it(&self) -> bool {
        self.hurries || self.senders == 0
    }
}

struct Shared<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

impl<J> Shared<J> {
    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands jobs in.
pub struct Sender<J>(Arc<Shared<J>>);

/// Takes batches out; there is one.
pub struct Inbox<J>(Arc<Shared<J>>);

/// An empty inbox and its first sender.
pub fn inbox<J>() -> (Sender<J>, Inbox<J>) {
    let state = State { jobs: VecDeque::new(), hurries: false, senders: 1, is_closed: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Sender(Arc::clone(&shared)), Inbox(shared))
}

impl<J> Sender<J> {
    /// Hands a job in, or drops it if the thread has ended. The thread is woken only where that changes
    /// what it does.
    pub fn send(&self, job: J, urgency: Urgency) {
        let mut state = self.0.state();
        if state.is_closed {
            return;
        }
        let was_worth_it = state.is_worth_it();
        state.jobs.push_back(job);
        state.hurries |= urgency == Urgency::AtOnce;
        let wakes = state.jobs.len() == 1 || (!was_worth_it && state.is_worth_it());
        drop(state);
        if wakes {
            self.0.changed.notify_one();
        }
    }
}

impl<J> Clone for Sender<J> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<J> Drop for Sender<J> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
        self.0.changed.notify_one();
    }
}

impl<J> Drop for Inbox<J> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        let left = std::mem::take(&mut state.jobs);
        drop(state);
        drop(left);
    }
}

impl<J> Inbox<J> {
    /// Waits for jobs, and for others to go with those that can wait; up to `most`, in the order in which
    /// they came. `None` once there are none left and nobody can send more.
    pub fn next_batch(&self, most: usize) -> Option<Vec<J>> {
        let shared = &self.0;
        let idle = |state: &mut State<J>| state.jobs.is_empty() && state.senders > 0;
        let state = shared.changed.wait_while(shared.state(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State<J>| !state.is_worth_it();
        let waited = shared.changed.wait_timeout_while(state, LINGER, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = state.jobs.len().min(most);
        // What is left over has waited already.
        state.hurries = state.jobs.len() > count;
        let batch: Vec<J> = state.jobs.drain(..count).collect();
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hurries_takes_along_what_waits() {
        let (sender, inbox) = inbox();
        sender.send(1, Urgency::WithOthers);
        sender.send(2, Urgency::AtOnce);
        sender.send(3, Urgency::WithOthers);
        assert_eq!(inbox.next_batch(10), Some(vec![1, 2, 3]));
    }

    #[test]
    fn what_can_wait_goes_after_a_moment_alone() {
        let (sender, inbox) = inbox();
        sender.send(1, Urgency::WithOthers);
        assert_eq!(inbox.next_batch(10), Some(vec![1]));
    }

    #[test]
    fn a_batch_has_its_bound_and_the_rest_comes_next() {
        let (sender, inbox) = inbox();
        (1..=5).for_each(|job| sender.send(job, Urgency::WithOthers));
        assert_eq!(inbox.next_batch(3), Some(vec![1, 2, 3]));
        assert_eq!(inbox.next_batch(3), Some(vec![4, 5]));
    }

    #[test]
    fn what_was_sent_is_taken_before_the_end_is_told() {
        let (sender, inbox) = inbox();
        let other = sender.clone();
        sender.send(1, Urgency::WithOthers);
        drop(sender);
        other.send(2, Urgency::AtOnce);
        drop(other);
        assert_eq!(inbox.next_batch(10), Some(vec![1, 2]));
        assert_eq!(inbox.next_batch(10), None);
    }

    #[test]
    fn nothing_waits_for_a_thread_that_has_ended() {
        let (sender, inbox) = inbox();
        let job = Arc::new(());
        sender.send(Arc::clone(&job), Urgency::AtOnce);
        drop(inbox);
        sender.send(Arc::clone(&job), Urgency::AtOnce);
        assert_eq!(Arc::strong_count(&job), 1);
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_the_first_and_by_the_end() {
        let (sender, inbox) = inbox();
        let thread = std::thread::spawn(move || {
            let mut sum = 0;
            while let Some(batch) = inbox.next_batch(10) {
                sum += batch.into_iter().sum::<u32>();
            }
            sum
        });
        (1..=100).for_each(|job| sender.send(job, Urgency::WithOthers));
        drop(sender);
        assert_eq!(thread.join().unwrap(), 5050);
    }
}
