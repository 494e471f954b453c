//! A bounded cache with two lifetimes. Until the soft one, or while it is known that nothing was changed, a
//! value is used as it is. After it, one
//! caller's request reads it anew in the background while all go on with the old one. After the
//! hard one, nobody gets the old one any more: the caller waits, or fails.

mod bounded;

use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::ports::Changes;
use crate::telemetry::metrics::PerLabel;
use crate::telemetry::metrics::label::Lookup;
use bounded::Bounded;
use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::time::Instant;

/// How long cached values are used, and how many are kept.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Older than this, a value is read anew in the background.
    pub soft: Duration,
    /// Older than this, a value is not used.
    pub hard: Duration,
    /// Most values kept.
    pub capacity: u64,
}

/// An error that tells whether trying again may help. After one that does, the old value is used
/// until its hard lifetime; after one that does not, it is dropped at once.
pub trait Passing {
    /// Whether the failure may pass.
    fn is_passing(&self) -> bool;
}

/// A value that may hold something older than itself, which the hard lifetime counts from.
pub trait Aged {
    /// When the oldest part of it was made; `None` if nothing in it is older than itself.
    fn oldest(&self) -> Option<Instant> {
        None
    }
}

/// How a cache is used.
pub struct Usage<'c> {
    /// What was looked up.
    pub lookups: &'c PerLabel<Lookup>,
    /// About how many values there are.
    pub size: usize,
}

/// The cache.
pub struct SoftCache<K, V> {
    entries: Arc<Bounded<K, Arc<Entry<V>>>>,
    /// The readings that callers wait for. What they give is handed on to `entries` and forgotten here:
    /// each value costs a quarter of a kilobyte in this map alone.
    readings: Cache<K, Arc<Entry<V>>>,
    lifetimes: Lifetimes,
    changes: OnceLock<Arc<dyn Changes>>,
    lookups: PerLabel<Lookup>,
}

/// Most readings that callers wait for at once and share.
const READINGS: u64 = 4096;

struct Entry<V> {
    value: Arc<V>,
    loaded: Instant,
    /// When the hard lifetime began.
    since: Instant,
    refreshing: AtomicBool,
}

impl<V: Aged> Entry<V> {
    fn new(value: V, loaded: Instant) -> Arc<Self> {
        let refreshing = AtomicBool::new(false);
        let since = value.oldest().map_or(loaded, |oldest| oldest.min(loaded));
        Arc::new(Self { value: Arc::new(value), loaded, since, refreshing })
    }

    fn is_usable(&self, hard: Duration, now: Instant) -> bool {
        now.duration_since(self.since) < hard
    }

    /// What `load` reads is as old as its beginning.
    async fn read<E>(load: impl Future<Output = Result<V, E>>) -> Result<Arc<Self>, E> {
        let begun = Instant::now();
        Ok(Self::new(load.await?, begun))
    }
}

impl<K, V> SoftCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Aged + Send + Sync + 'static,
{
    /// An empty cache.
    pub fn new(lifetimes: Lifetimes) -> Self {
        let entries = Arc::new(Bounded::new(lifetimes.capacity));
        let readings = Cache::new(READINGS);
        let changes = OnceLock::new();
        Self { entries, readings, lifetimes, changes, lookups: PerLabel::default() }
    }

    /// A value of which is known that nobody has changed it is as good as read just now, for half its
    /// hard lifetime. Only the first call counts.
    pub fn watch(&self, changes: Arc<dyn Changes>) {
        let _ = self.changes.set(changes);
    }

    fn is_fresh(&self, entry: &Entry<V>, now: Instant) -> bool {
        let (age, Lifetimes { soft, hard, .. }) =
            (now.duration_since(entry.loaded), self.lifetimes);
        // From the oldest part of it: what was put together of other cached values may be as they were
        // before a change, though it was made after.
        let is_unchanged = || self.changes.get().is_some_and(|c| c.none_since(entry.since));
        age < soft || (age < hard / 2 && is_unchanged())
    }

    /// The value of `key` if it need not be read anew: without a reading at hand, which
    /// most callers then need not make.
    pub fn fresh(&self, key: &K) -> Option<Arc<V>> {
        let entry = self.entries.get(key)?;
        let now = Instant::now();
        let is_fresh = entry.is_usable(self.lifetimes.hard, now) && self.is_fresh(&entry, now);
        is_fresh.then(|| {
            self.lookups.of(Lookup::Fresh).one();
            Arc::clone(&entry.value)
        })
    }

    /// The value of `key`, read with `load` if it is not there or too old. Callers that miss at the
    /// same time share one reading.
    pub async fn get<E, F>(&self, key: &K, load: F) -> Result<Arc<V>, Arc<E>>
    where
        E: Passing + Send + Sync + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Some(entry) = self.entries.get(key) {
            let now = Instant::now();
            if entry.is_usable(self.lifetimes.hard, now) {
                let is_fresh = self.is_fresh(&entry, now);
                self.lookups.of(if is_fresh { Lookup::Fresh } else { Lookup::Stale }).one();
                if !is_fresh && !entry.refreshing.swap(true, Ordering::AcqRel) {
                    self.refresh(key.clone(), Arc::clone(&entry), load);
                }
                return Ok(Arc::clone(&entry.value));
            }
            // Another caller may have read it anew in between.
            self.entries.remove_if(key, |there| Arc::ptr_eq(there, &entry));
        }
        self.lookups.of(Lookup::Missing).one();
        let hard = self.lifetimes.hard;
        // Left behind by a caller that went away before it could forget it.
        if self.readings.get(key).await.is_some_and(|left| !left.is_usable(hard, Instant::now())) {
            self.readings.invalidate(key).await;
        }
        let (entries, wanted) = (Arc::clone(&self.entries), key.clone());
        // Every delivery's future has room for a reading, and moka moves it about: few need one.
        let load = Box::pin(load);
        let reading = async move {
            // A reading that ended just before this one began is as good.
            if let Some(entry) =
                entries.get(&wanted).filter(|there| there.is_usable(hard, Instant::now()))
            {
                return Ok(entry);
            }
            let entry = Entry::read(load).await?;
            entries.insert(wanted, Arc::clone(&entry));
            Ok(entry)
        };
        let entry = self.readings.try_get_with(key.clone(), reading).await?;
        self.readings.invalidate(key).await;
        Ok(Arc::clone(&entry.value))
    }

    /// The value of `key` as it was read at `since` or later.
    pub async fn get_since<E, F>(&self, key: &K, since: Instant, load: F) -> Result<Arc<V>, Arc<E>>
    where
        E: Passing + Send + Sync + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let load = Box::pin(load);
        let (mut found, mut failure) = (None, None);
        let (there, lasting) = (&mut found, &mut failure);
        // One caller at a time for a key; the old value stays unless it is known to be wrong.
        let computed = self.readings.entry(key.clone()).and_try_compute_with(|_| async move {
            if let Some(entry) = self.entries.get(key).filter(|entry| entry.loaded >= since) {
                *there = Some(entry);
                return Ok(Op::Nop);
            }
            match Entry::read(load).await {
                Ok(entry) => {
                    self.entries.insert(key.clone(), Arc::clone(&entry));
                    *there = Some(entry);
                }
                Err(error) if error.is_passing() => return Err(Arc::new(error)),
                Err(error) => {
                    self.entries.remove_if(key, |_| true);
                    *lasting = Some(Arc::new(error));
                }
            }
            Ok(Op::Remove)
        });
        computed.await?;
        match (found, failure) {
            (_, Some(failure)) => Err(failure),
            (Some(entry), None) => Ok(Arc::clone(&entry.value)),
            (None, None) => unreachable!("what is neither there nor read is a failure"),
        }
    }

    /// How it is used.
    pub fn usage(&self) -> Usage<'_> {
        Usage { lookups: &self.lookups, size: self.entries.size() }
    }

    /// The value of `key` as it is, however old.
    pub fn peek(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key).map(|entry| Arc::clone(&entry.value))
    }

    /// Puts a value that was read elsewhere.
    pub fn put(&self, key: K, value: V) {
        self.entries.insert(key, Entry::new(value, Instant::now()));
    }

    /// Forgets a value.
    pub async fn forget(&self, key: &K) {
        self.entries.remove_if(key, |_| true);
        self.readings.invalidate(key).await;
    }

    fn refresh<E, F>(&self, key: K, old: Arc<Entry<V>>, load: F)
    where
        E: Passing + Send + Sync + 'static,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let entries = Arc::clone(&self.entries);
        tokio::spawn(async move {
            match Entry::read(load).await {
                Ok(entry) => {
                    // Somebody may have read it later and been faster.
                    let there = entries.get(&key);
                    if there.is_none_or(|there| there.loaded <= entry.loaded) {
                        entries.insert(key, entry);
                    }
                }
                Err(error) if error.is_passing() => old.refreshing.store(false, Ordering::Release),
                Err(_) => entries.remove_if(&key, |_| true),
            }
        });
    }
}

#[cfg(test)]
mod tests;
