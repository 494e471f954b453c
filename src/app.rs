//! The composition root: the one place that names adapters.

use std::path::Path;
use std::sync::Arc;

use crate::adapters::embedded::{
    DataDir, Database, KeyFile, SqliteDeliveries, SqliteEndpoints, SqliteHealth, SqliteQueue,
    SqliteSecrets,
};
use crate::adapters::system::{SystemChance, SystemClock};
use crate::config::Config;
use crate::delivery::{EndpointBook, Pipeline};
use crate::egress::client::Client;
use crate::egress::guard::Guard;
use crate::egress::resolver::SystemResolver;
use crate::ports::{Chance, Clock, Deliveries, Endpoints, HealthStore, Queue, Result, Secrets};
use crate::telemetry::Tally;
use crate::vault::Vault;

/// Everything, put together over one data directory.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The endpoints.
    pub endpoints: Arc<dyn Endpoints>,
    /// The sealed secrets.
    pub secrets: Arc<dyn Secrets>,
    /// What was learnt of endpoints.
    pub health: Arc<dyn HealthStore>,
    /// Fences and dead letters.
    pub deliveries: Arc<dyn Deliveries>,
    /// The vault.
    pub vault: Vault,
    /// What may be called.
    pub guard: Arc<Guard>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub chance: Arc<dyn Chance>,
    /// Counts what happens.
    pub tally: Arc<Tally>,
}

/// Whether this process works on the queue, or only writes beside the one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes the data directory's lock and receives.
    Worker,
    /// Sends, registers, lists.
    Command,
}

impl App {
    /// Opens the embedded form.
    ///
    /// # Errors
    /// If the directory, its database or its key file cannot be used.
    pub async fn embedded(root: &Path, config: Config, role: Role) -> Result<Self> {
        Self::with_clock(root, config, role, Arc::new(SystemClock)).await
    }

    /// Opens the embedded form with a clock of one's own.
    pub async fn with_clock(
        root: &Path,
        config: Config,
        role: Role,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let data = DataDir::open(root)?;
        let chance: Arc<dyn Chance> = Arc::new(SystemChance);
        let lock = match role {
            Role::Worker => Some(data.lock()?),
            Role::Command => None,
        };
        let database = Database::open(&data.database())?;
        let lease = config.worker.lease;
        let queue =
            SqliteQueue::open(database.clone(), Arc::clone(&clock), Arc::clone(&chance), lease);
        let deliveries = SqliteDeliveries(database.clone());
        let queue = match lock {
            Some(lock) => {
                deliveries.free_claims(clock.now()).await?;
                queue.receive_under(lock, &data.in_flight()).await?
            }
            None => queue,
        };
        let secrets: Arc<dyn Secrets> = Arc::new(SqliteSecrets(database.clone()));
        let keys = Arc::new(KeyFile::open_or_create(&data.key_file())?);
        let vault = Vault::new(
            Arc::clone(&secrets),
            keys,
            Arc::clone(&clock),
            Arc::clone(&chance),
            config.secrets.policy(),
            config.cache.lifetimes(),
        );
        Ok(Self {
            queue: Arc::new(queue),
            endpoints: Arc::new(SqliteEndpoints(database.clone())),
            health: Arc::new(SqliteHealth(database)),
            deliveries: Arc::new(deliveries),
            guard: Arc::new(config.egress.guard()),
            tally: Arc::default(),
            secrets,
            vault,
            clock,
            chance,
            config,
        })
    }

    /// The pipeline over these parts.
    ///
    /// # Errors
    /// If the resolver's or the certificate authorities' configuration cannot be read.
    pub fn pipeline(&self) -> Result<Pipeline> {
        let (guard, resolver) = (Arc::clone(&self.guard), Arc::new(SystemResolver::new()?));
        let client =
            Client::with_roots(guard, resolver, self.config.egress.extra_roots.as_deref())?;
        Ok(Pipeline {
            queue: Arc::clone(&self.queue),
            endpoints: EndpointBook::new(
                Arc::clone(&self.endpoints),
                Arc::clone(&self.health),
                Arc::clone(&self.guard),
                self.config.cache.lifetimes(),
            ),
            vault: self.vault.clone(),
            health: Arc::clone(&self.health),
            deliveries: Arc::clone(&self.deliveries),
            client,
            guard: Arc::clone(&self.guard),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            fencing: self.config.worker.fence,
            max_receives: self.config.worker.max_receives,
            tally: Arc::clone(&self.tally),
        })
    }
}
