//! The messages of each group that one receipt brought: the head, which is handed out, and those that
//! wait behind it.
//!
//! A FIFO queue gives several messages of a group at once, and gives no more of it while one of them is
//! in flight (Amazon SQS Developer Guide, "FIFO queue delivery logic"). They are handed out one by
//! one, the next when the one before it is gone from the queue. When the head is put back, all behind
//! it are given back, so that nothing overtakes it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::in_flight::Held;
use crate::domain::timestamp::Timestamp;

type Line = VecDeque<Arc<Held>>;

/// The groups of which this worker has messages in hand.
#[derive(Debug, Default)]
pub struct Lines(Mutex<HashMap<String, Line>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        // Every change is one step: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines up what one receipt brought; returns the heads. What was in hand of the same groups is
    /// stale: otherwise the queue would have given nothing of them.
    pub fn line_up(&self, received: Vec<Arc<Held>>, now: Timestamp) -> Vec<Arc<Held>> {
        let (mut heads, mut fresh) = (Vec::new(), HashMap::<String, Line>::new());
        for held in received {
            let line = fresh.entry(name(&held).to_owned()).or_default();
            if line.is_empty() {
                heads.push(Arc::clone(&held));
            }
            line.push_back(held);
        }
        let mut lines = self.lock();
        lines.retain(|_, line| line.front().is_some_and(|head| !head.has_lapsed(now)));
        lines.extend(fresh);
        heads
    }

    /// The next of the group whose head `gone` was; `None` if there is none, or it is not ours any
    /// more.
    pub fn next_after(&self, gone: &Held, now: Timestamp) -> Option<Arc<Held>> {
        let mut lines = self.lock();
        let line = lines.get_mut(name(gone)).filter(|line| is_headed_by(line, gone))?;
        line.pop_front();
        let next = line.front().filter(|next| !next.has_lapsed(now)).cloned();
        if next.is_none() {
            lines.remove(name(gone));
        }
        next
    }

    /// Those that wait behind `head`, in order.
    pub fn behind(&self, head: &Held) -> Vec<Arc<Held>> {
        let lines = self.lock();
        let line = lines.get(name(head)).filter(|line| is_headed_by(line, head));
        line.map_or_else(Vec::new, |line| line.iter().skip(1).cloned().collect())
    }

    /// Ends the line of `head`; returns those that waited behind it.
    pub fn end(&self, head: &Held) -> Vec<Arc<Held>> {
        let mut lines = self.lock();
        if lines.get(name(head)).is_none_or(|line| !is_headed_by(line, head)) {
            return Vec::new();
        }
        lines.remove(name(head)).map_or_else(Vec::new, |line| line.into_iter().skip(1).collect())
    }

    /// Ends all lines; returns all that waited in them.
    pub fn end_all(&self) -> Vec<Arc<Held>> {
        self.lock().drain().flat_map(|(_, line)| line.into_iter().skip(1)).collect()
    }

    /// How many wait behind others.
    pub fn waiting(&self) -> usize {
        self.lock().values().map(|line| line.len().saturating_sub(1)).sum()
    }
}

/// The group's name; a FIFO queue gives no message without one.
fn name(held: &Held) -> &str {
    held.group.as_deref().unwrap_or(&held.own_id)
}

fn is_headed_by(line: &Line, held: &Held) -> bool {
    line.front().is_some_and(|head| head.handle == held.handle)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapters::aws::sqs::in_flight::held_for_tests;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const LEASE: Duration = Duration::from_secs(30);

    fn held(group: &str, handle: &str) -> Arc<Held> {
        let held = Held { group: Some(group.to_owned()), ..held_for_tests(handle, handle) };
        held.extend(NOW.plus(LEASE));
        Arc::new(held)
    }

    fn handles(held: &[Arc<Held>]) -> Vec<&str> {
        held.iter().map(|held| &*held.handle.0).collect()
    }

    #[test]
    fn the_next_of_a_group_comes_when_the_head_is_gone() {
        let (lines, [a, b, x]) =
            (Lines::default(), [held("g", "a"), held("g", "b"), held("h", "x")]);
        let heads = lines.line_up(vec![Arc::clone(&a), Arc::clone(&b), Arc::clone(&x)], NOW);
        assert_eq!(handles(&heads), ["a", "x"]);
        assert_eq!((handles(&lines.behind(&a)), lines.waiting()), (vec!["b"], 1));
        assert!(lines.next_after(&b, NOW).is_none(), "not the head");
        assert_eq!(lines.next_after(&a, NOW).unwrap().handle, b.handle);
        assert!(lines.next_after(&a, NOW).is_none(), "only once");
        assert!(lines.next_after(&b, NOW).is_none());
        assert!(lines.next_after(&x, NOW).is_none());
    }

    #[test]
    fn who_waited_behind_a_head_that_is_put_back_is_given_back() {
        let (lines, [a, b, c]) =
            (Lines::default(), [held("g", "a"), held("g", "b"), held("g", "c")]);
        lines.line_up(vec![Arc::clone(&a), Arc::clone(&b), c], NOW);
        assert!(lines.end(&b).is_empty(), "not the head");
        assert_eq!(handles(&lines.end(&a)), ["b", "c"]);
        assert!(lines.end(&a).is_empty() && lines.next_after(&a, NOW).is_none());
    }

    #[test]
    fn what_lapsed_is_not_handed_out_and_a_later_receipt_takes_its_place() {
        let (lines, [a, b, again]) =
            (Lines::default(), [held("g", "a"), held("g", "b"), held("g", "again")]);
        lines.line_up(vec![Arc::clone(&a), b], NOW);
        assert!(lines.next_after(&a, NOW.plus(LEASE)).is_none());
        lines.line_up(vec![Arc::clone(&a)], NOW);
        lines.line_up(vec![Arc::clone(&again)], NOW);
        assert!(lines.end(&a).is_empty() && lines.behind(&a).is_empty());
        assert_eq!(lines.end_all().len(), 0);
        lines.line_up(vec![again, held("g", "c")], NOW);
        assert_eq!(handles(&lines.end_all()), ["c"]);
    }
}
