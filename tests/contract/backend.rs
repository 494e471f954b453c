//! The implementations under test, with a clock that the tests advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;

pub struct FakeClock(AtomicI64);

impl FakeClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub const LEASE: Duration = Duration::from_secs(30);

/// One implementation of all ports, embedded.
pub struct Backend {
    pub app: App,
    pub clock: Arc<FakeClock>,
    dir: Arc<tempfile::TempDir>,
}

impl Backend {
    pub async fn embedded() -> Self {
        let clock = Arc::new(FakeClock(AtomicI64::new(1_800_000_000_000)));
        Self::open(Arc::new(tempfile::tempdir().unwrap()), clock).await
    }

    async fn open(dir: Arc<tempfile::TempDir>, clock: Arc<FakeClock>) -> Self {
        let mut config = Config::default();
        config.worker.lease = LEASE;
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let app = App::with_clock(dir.path(), config, Role::Worker, shared).await.unwrap();
        Self { app, clock, dir }
    }

    /// The same storage after the worker died and another one began.
    pub async fn restart(self) -> Self {
        let (dir, clock) = (Arc::clone(&self.dir), Arc::clone(&self.clock));
        drop(self);
        Self::open(dir, clock).await
    }
}
