//! The implementations under test, with a clock that the tests advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;

/// The time as the tests set it, for the adapters and for what they talk to.
pub struct TestClock {
    now: AtomicI64,
    #[cfg(feature = "aws")]
    emulated: Option<Arc<crate::sqs::Sqs>>,
}

impl TestClock {
    fn standing() -> Self {
        Self {
            now: AtomicI64::new(1_800_000_000_000),
            #[cfg(feature = "aws")]
            emulated: None,
        }
    }

    pub fn advance(&self, by: Duration) {
        #[cfg(feature = "aws")]
        if let Some(emulated) = &self.emulated {
            return emulated.advance(by);
        }
        self.now.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        #[cfg(feature = "aws")]
        if let Some(emulated) = &self.emulated {
            return emulated.now();
        }
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
}

pub const LEASE: Duration = Duration::from_secs(30);

/// One implementation of all ports.
pub struct Backend {
    pub app: App,
    pub clock: Arc<TestClock>,
    storage: Storage,
}

/// What outlives a worker.
#[derive(Clone)]
enum Storage {
    Embedded(Arc<tempfile::TempDir>),
    #[cfg(feature = "aws")]
    Aws(Arc<crate::aws::Aws>),
}

impl Backend {
    pub async fn embedded() -> Self {
        let storage = Storage::Embedded(Arc::new(tempfile::tempdir().unwrap()));
        Self::open(storage, Arc::new(TestClock::standing())).await
    }

    #[cfg(feature = "aws")]
    pub async fn aws() -> Self {
        let aws = Arc::new(crate::aws::Aws::start().await);
        let clock = TestClock { emulated: aws.emulated.clone(), ..TestClock::standing() };
        Self::open(Storage::Aws(aws), Arc::new(clock)).await
    }

    async fn open(storage: Storage, clock: Arc<TestClock>) -> Self {
        let mut config = Config::default();
        config.worker.lease = LEASE;
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let app = match &storage {
            Storage::Embedded(dir) => {
                App::embedded_with_clock(dir.path(), config, Role::Worker, shared).await.unwrap()
            }
            #[cfg(feature = "aws")]
            Storage::Aws(aws) => {
                App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap()
            }
        };
        Self { app, clock, storage }
    }

    /// The same storage after the worker died and another one began.
    pub async fn restart(self) -> Self {
        let (storage, clock) = (self.storage.clone(), Arc::clone(&self.clock));
        drop(self);
        Self::open(storage, clock).await
    }

    /// Whether a restart frees the claims of the worker before. The lock on a data directory proves
    /// that their holder is dead; on AWS other workers live on, so a claim lasts as long as its lease.
    pub fn restart_frees_claims(&self) -> bool {
        match &self.storage {
            Storage::Embedded(_) => true,
            #[cfg(feature = "aws")]
            Storage::Aws(_) => false,
        }
    }
}

/// Runs each sentence of a contract over both backends.
macro_rules! over_both {
    ($($sentence:ident,)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(crate::backend::Backend::embedded().await).await;
            })*
        }

        #[cfg(feature = "aws")]
        mod aws {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(crate::backend::Backend::aws().await).await;
            })*
        }
    };
}

pub(crate) use over_both;
