//! A map that keeps no more than so many items. Made for tens of thousands of small ones: an item costs
//! its key twice and little else.
//!
//! Who makes room is found by second chance: keys stand in the order in which they came, and the first
//! that was not used since it was last looked at goes.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The map.
pub struct Bounded<K, T> {
    capacity: usize,
    state: Mutex<State<K, T>>,
}

struct State<K, T> {
    slots: HashMap<K, Slot<T>>,
    /// The keys of the map, each once.
    order: VecDeque<K>,
}

struct Slot<T> {
    /// `None` once it was removed: its key keeps its place in the order, and goes when that comes.
    item: Option<T>,
    used: bool,
}

impl<K: Hash + Eq + Clone, T: Clone> Bounded<K, T> {
    /// An empty map. It keeps one item at least.
    pub fn new(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        let state = State { slots: HashMap::new(), order: VecDeque::new() };
        Self { capacity, state: Mutex::new(state) }
    }

    /// The item of `key`.
    pub fn get(&self, key: &K) -> Option<T> {
        let mut state = self.state();
        let slot = state.slots.get_mut(key)?;
        slot.used = true;
        slot.item.clone()
    }

    /// How many keys there are; of some the item may have been removed.
    pub fn size(&self) -> usize {
        self.state().slots.len()
    }

    /// Puts an item in the place of the one that is there.
    pub fn insert(&self, key: K, item: T) {
        let mut state = self.state();
        if let Some(slot) = state.slots.get_mut(&key) {
            slot.item = Some(item);
            return;
        }
        while state.slots.len() >= self.capacity {
            state.make_room();
        }
        state.slots.insert(key.clone(), Slot { item: Some(item), used: false });
        state.order.push_back(key);
    }

    /// Removes the item of `key`, if `which` says so of it.
    pub fn remove_if(&self, key: &K, which: impl FnOnce(&T) -> bool) {
        let mut state = self.state();
        if let Some(slot) = state.slots.get_mut(key)
            && slot.item.as_ref().is_some_and(which)
        {
            slot.item = None;
            slot.used = false;
        }
    }

    /// Whatever panicked while it held the lock left the map whole: each step above does.
    fn state(&self) -> MutexGuard<'_, State<K, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, T> State<K, T> {
    /// Lets the first key go, or moves it to the end if it was used.
    fn make_room(&mut self) {
        let Some(key) = self.order.pop_front() else {
            // Every key of the map stands in the order.
            self.slots.clear();
            return;
        };
        match self.slots.get_mut(&key) {
            Some(slot) if slot.used => {
                slot.used = false;
                self.order.push_back(key);
            }
            Some(_) | None => drop(self.slots.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_used_stays_and_the_oldest_of_the_rest_goes() {
        let map = Bounded::new(3);
        for key in 1..=3 {
            map.insert(key, key * 10);
        }
        assert_eq!(map.get(&1), Some(10));
        map.insert(4, 40);
        assert_eq!([1, 2, 3, 4].map(|key| map.get(&key)), [Some(10), None, Some(30), Some(40)]);
    }

    #[test]
    fn a_removed_item_is_gone_and_can_be_put_again() {
        let map = Bounded::new(2);
        map.insert(1, 10);
        map.remove_if(&1, |item| *item == 11);
        assert_eq!(map.get(&1), Some(10));
        map.remove_if(&1, |_| true);
        assert_eq!(map.get(&1), None);
        map.insert(1, 12);
        assert_eq!(map.get(&1), Some(12));
        assert_eq!(map.state().order.len(), 1);
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_the_capacity_and_the_last_put_is_always_there(
            capacity in 0_u64..8,
            steps in prop::collection::vec((0_u8..3, 0_u8..16), 0..200),
        ) {
            let map = Bounded::new(capacity);
            for (number, (step, key)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        map.insert(key, number);
                        prop_assert_eq!(map.get(&key), Some(number));
                    }
                    1 => drop(map.get(&key)),
                    _ => map.remove_if(&key, |_| true),
                }
                let state = map.state();
                prop_assert!(state.slots.len() as u64 <= capacity.max(1));
                prop_assert_eq!(state.slots.len(), state.order.len());
                prop_assert!(state.order.iter().all(|key| state.slots.contains_key(key)));
            }
        }
    }
}
