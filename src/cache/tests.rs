use super::*;
use std::sync::atomic::AtomicU32;

#[derive(Debug)]
struct Failure {
    passing: bool,
}
impl Passing for Failure {
    fn is_passing(&self) -> bool {
        self.passing
    }
}

impl Aged for u32 {}

const LIFETIMES: Lifetimes =
    Lifetimes { soft: Duration::from_secs(10), hard: Duration::from_secs(60), capacity: 100 };

fn load(count: &Arc<AtomicU32>) -> impl Future<Output = Result<u32, Failure>> + Send + 'static {
    let count = Arc::clone(count);
    async move {
        tokio::task::yield_now().await;
        Ok(count.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

async fn fail(passing: bool) -> Result<u32, Failure> {
    Err(Failure { passing })
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_miss_together_share_one_reading() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    let (a, b) = tokio::join!(cache.get(&1, load(&count)), cache.get(&1, load(&count)));
    assert_eq!((*a.unwrap(), *b.unwrap(), count.load(Ordering::SeqCst)), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn after_the_soft_lifetime_the_old_value_serves_while_one_caller_refreshes() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    cache.get(&1, load(&count)).await.unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(*cache.get(&1, load(&count)).await.unwrap(), 1);
    assert_eq!(*cache.get(&1, load(&count)).await.unwrap(), 1);
    settle().await;
    assert_eq!(*cache.get(&1, load(&count)).await.unwrap(), 2);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn after_the_hard_lifetime_nobody_gets_the_old_value() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    cache.get(&1, load(&count)).await.unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(
        *cache.get(&1, fail(true)).await.unwrap(),
        1,
        "a passing failure keeps the old value"
    );
    settle().await;
    tokio::time::advance(Duration::from_secs(50)).await;
    assert!(cache.get(&1, fail(true)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_value_can_be_asked_for_as_it_is_now() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    let since = Instant::now();
    cache.get(&1, load(&count)).await.unwrap();
    assert_eq!(*cache.get_since(&1, since, load(&count)).await.unwrap(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(*cache.get_since(&1, Instant::now(), load(&count)).await.unwrap(), 2);
    assert_eq!(*cache.get(&1, load(&count)).await.unwrap(), 2);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(cache.get_since(&1, Instant::now(), fail(true)).await.is_err());
    assert_eq!(*cache.get(&1, load(&count)).await.unwrap(), 2, "it serves the others still");
    assert!(cache.get_since(&1, Instant::now(), fail(false)).await.is_err());
    assert_eq!(*cache.get(&1, load(&count)).await.unwrap(), 3, "it was wrong");
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_drops_the_value_at_once() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    cache.get(&1, load(&count)).await.unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    cache.get(&1, fail(false)).await.unwrap();
    settle().await;
    assert!(cache.get(&1, fail(false)).await.is_err());
}

struct Kept(Instant);
impl Aged for Kept {
    fn oldest(&self) -> Option<Instant> {
        Some(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_over_from_an_older_value_does_not_outlive_its_own_hard_lifetime() {
    let (cache, begun) = (SoftCache::new(LIFETIMES), Instant::now());
    let keep = || async move { Ok::<_, Failure>(Kept(begun)) };
    cache.get(&1, keep()).await.unwrap();
    tokio::time::advance(Duration::from_secs(50)).await;
    cache.put(1, Kept(begun));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(cache.get(&1, async { Err(Failure { passing: true }) }).await.is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(cache.get(&1, async { Err(Failure { passing: true }) }).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_value_is_fresh_until_its_soft_lifetime_and_no_longer() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    assert_eq!(cache.fresh(&1), None);
    cache.get(&1, load(&count)).await.unwrap();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(cache.fresh(&1).as_deref(), Some(&1));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(cache.fresh(&1), None, "whoever wants it now has it read anew");
    cache.put(1, 7);
    assert_eq!(cache.fresh(&1).as_deref(), Some(&7));
    cache.forget(&1).await;
    assert_eq!(cache.fresh(&1), None);
}

/// No change is known later than this.
struct ChangedAt(Instant);
impl Changes for ChangedAt {
    fn none_since(&self, then: Instant) -> bool {
        then >= self.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_nobody_has_changed_is_fresh_for_half_its_hard_lifetime() {
    let (cache, count) = (SoftCache::new(LIFETIMES), Arc::new(AtomicU32::new(0)));
    cache.watch(Arc::new(ChangedAt(Instant::now())));
    cache.get(&1, load(&count)).await.unwrap();
    tokio::time::advance(LIFETIMES.hard / 2 - Duration::from_secs(1)).await;
    assert_eq!(cache.fresh(&1).as_deref(), Some(&1));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(cache.fresh(&1), None);
}

#[tokio::test(start_paused = true)]
async fn a_value_with_a_part_from_before_a_change_is_read_anew_after_its_soft_lifetime() {
    let (cache, begun) = (SoftCache::new(LIFETIMES), Instant::now());
    tokio::time::advance(Duration::from_secs(1)).await;
    cache.watch(Arc::new(ChangedAt(Instant::now())));
    cache.put(1, Kept(begun));
    cache.put(2, Kept(Instant::now()));
    tokio::time::advance(LIFETIMES.soft).await;
    assert!(cache.fresh(&1).is_none());
    assert!(cache.fresh(&2).is_some());
}
