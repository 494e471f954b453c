//! The composition root: the one place that names adapters.

#[cfg(feature = "aws")]
mod aws;
pub mod examination;

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "aws")]
use crate::adapters::aws::CallCounts;
use crate::adapters::counted_events::CountedEvents;
use crate::adapters::counted_keys::CountedKeys;
use crate::adapters::embedded::{
    DataDir, Database, KeyFile, SqliteChanges, SqliteControl, SqliteCustomers, SqliteDeliveries,
    SqliteEndpoints, SqliteEventTypes, SqliteHealth, SqliteQueue, SqliteRecords, SqliteReplays,
    SqliteSecrets, SqliteTestCalls,
};
use crate::adapters::otlp::Collector;
use crate::adapters::queued_events::QueuedEvents;
use crate::adapters::system::{SystemChance, SystemClock};
use crate::config::{AwsConfig, Config};
use crate::delivery::{
    Challenges, EndpointBook, Keeping, Limiters, LongTimeouts, Pipeline, Recorder, Roles,
    SharedRates, Tokens,
};
use crate::domain::timestamp::Timestamp;
use crate::egress::client::Client;
use crate::egress::guard::Guard;
use crate::egress::proxy::Proxy;
use crate::egress::resolver::{Resolver, SystemResolver};
use crate::ports::operational_events::LogOnly;
use crate::ports::{
    AwsRoles, Chance, Changes, Clock, Control, Customers, Deliveries, Endpoints, EventTypes,
    HealthStore, Intake, Keys, MasterKeys, OperationalEvents, Queue, Rates, Rebind, Records,
    References, Replays, Result, Secrets, TestCalls,
};
use crate::replay::Replayer;
use crate::telemetry::{Tally, Tracer};
use crate::test_calls::{TestCaller, TestRate};
use crate::vault::{ReferencePolicy, Vault};

#[cfg(feature = "aws")]
pub use aws::{Created, create_tables};

/// Everything, put together: over one data directory, or over AWS.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Takes over what AWS Lambda has received; `None` where nobody else receives.
    pub intake: Option<Arc<dyn Intake>>,
    /// The endpoints.
    pub endpoints: Arc<dyn Endpoints>,
    /// The sealed secrets.
    pub secrets: Arc<dyn Secrets>,
    /// What was learnt of endpoints.
    pub health: Arc<dyn HealthStore>,
    /// The rates that workers share; `None` where there is one worker.
    pub rates: Option<Arc<dyn Rates>>,
    /// Knows of changes to what is cached, where anything does.
    pub changes: Option<Arc<dyn Changes>>,
    /// Fences and dead letters.
    pub deliveries: Arc<dyn Deliveries>,
    /// Recorded deliveries.
    pub records: Arc<dyn Records>,
    /// The records of replays.
    pub replays: Arc<dyn Replays>,
    /// Test calls with their answers.
    pub test_calls: Arc<dyn TestCalls>,
    /// Which customers there are.
    pub customers: Arc<dyn Customers>,
    /// API keys and what the API has taken.
    pub control: Arc<dyn Control>,
    /// The types of events that are sent.
    pub event_types: Arc<dyn EventTypes>,
    /// How often customers have tested of late.
    pub test_rate: Arc<TestRate>,
    /// The key service.
    pub keys: Arc<dyn Keys>,
    /// The keys of the key file; `None` where there is a key service that turns its own keys over.
    pub master_keys: Option<Arc<dyn MasterKeys>>,
    /// Who binds what is bound to nothing; `None` where no key service can.
    pub rebind: Option<Arc<dyn Rebind>>,
    /// The vault.
    pub vault: Vault,
    /// Who gives the credentials of AWS roles.
    pub roles: Option<Arc<dyn AwsRoles>>,
    /// What may be called.
    pub guard: Arc<Guard>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub chance: Arc<dyn Chance>,
    /// What the operator is told of.
    pub events: Arc<dyn OperationalEvents>,
    /// Counts what happens.
    pub tally: Arc<Tally>,
    /// When the process began to work.
    pub started_at: Timestamp,
    /// What AWS was asked, counted; `None` in the embedded form.
    #[cfg(feature = "aws")]
    pub aws_calls: Option<Arc<CallCounts>>,
}

/// Whether this process works on a data directory's queue, or only writes beside the one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes the data directory's lock and receives.
    Worker,
    /// Sends, registers, lists.
    Command,
}

/// The adapters of one form, and the clock that they go by.
struct Parts {
    queue: Arc<dyn Queue>,
    intake: Option<Arc<dyn Intake>>,
    endpoints: Arc<dyn Endpoints>,
    secrets: Arc<dyn Secrets>,
    health: Arc<dyn HealthStore>,
    rates: Option<Arc<dyn Rates>>,
    changes: Option<Arc<dyn Changes>>,
    deliveries: Arc<dyn Deliveries>,
    records: Arc<dyn Records>,
    replays: Arc<dyn Replays>,
    test_calls: Arc<dyn TestCalls>,
    event_types: Arc<dyn EventTypes>,
    customers: Arc<dyn Customers>,
    control: Arc<dyn Control>,
    keys: Arc<dyn Keys>,
    master_keys: Option<Arc<dyn MasterKeys>>,
    rebind: Option<Arc<dyn Rebind>>,
    roles: Option<Arc<dyn AwsRoles>>,
    references: Option<Arc<dyn References>>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    #[cfg(feature = "aws")]
    aws_calls: Option<Arc<CallCounts>>,
}

impl App {
    /// Opens the form that the settings choose: AWS where they have a section `[aws]`, and the data
    /// directory `root` otherwise.
    ///
    /// # Errors
    /// If what the form needs cannot be used, or this build does not have it.
    pub async fn open(root: &Path, config: Config, role: Role) -> Result<Self> {
        Self::open_with_clock(root, config, role, Arc::new(SystemClock)).await
    }

    /// As [`App::open`], with a clock of one's own.
    pub async fn open_with_clock(
        root: &Path,
        config: Config,
        role: Role,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        match config.aws.clone() {
            Some(aws) => Self::aws(&aws, config, clock).await,
            None => Self::embedded_with_clock(root, config, role, clock).await,
        }
    }

    #[cfg(not(feature = "aws"))]
    async fn aws(_: &AwsConfig, _: Config, _: Arc<dyn Clock>) -> Result<Self> {
        let problem = "the settings have a section [aws], and this program was built without the cargo feature `aws`";
        Err(crate::ports::Error::new("aws.configure", problem))
    }

    /// Opens the embedded form.
    ///
    /// # Errors
    /// If the directory, its database or its key file cannot be used.
    pub async fn embedded(root: &Path, config: Config, role: Role) -> Result<Self> {
        Self::embedded_with_clock(root, config, role, Arc::new(SystemClock)).await
    }

    /// Opens the embedded form with a clock of one's own.
    pub async fn embedded_with_clock(
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
        let lasts = config.cache.lifetimes(false).soft;
        let changes = SqliteChanges::open(database.clone(), lasts).await?;
        let keys = Arc::new(KeyFile::open_or_create(&data.key_file())?);
        let parts = Parts {
            intake: None,
            queue: Arc::new(queue),
            endpoints: Arc::new(SqliteEndpoints(database.clone())),
            secrets: Arc::new(SqliteSecrets(database.clone())),
            health: Arc::new(SqliteHealth(database.clone())),
            rates: None,
            changes: Some(Arc::new(changes)),
            customers: Arc::new(SqliteCustomers(database.clone())),
            control: Arc::new(SqliteControl(database.clone())),
            deliveries: Arc::new(deliveries),
            records: Arc::new(SqliteRecords(database.clone())),
            replays: Arc::new(SqliteReplays::new(database.clone())),
            test_calls: Arc::new(SqliteTestCalls(database.clone())),
            event_types: Arc::new(SqliteEventTypes(database)),
            keys: Arc::clone(&keys) as _,
            master_keys: Some(keys),
            rebind: None,
            roles: Self::roles(&config, &clock).await?,
            references: Self::references(&config).await?,
            clock,
            chance,
            #[cfg(feature = "aws")]
            aws_calls: None,
        };
        Ok(Self::assemble(parts, config))
    }

    #[cfg(not(feature = "aws"))]
    async fn roles(_: &Config, _: &Arc<dyn Clock>) -> Result<Option<Arc<dyn AwsRoles>>> {
        Ok(None)
    }

    #[cfg(not(feature = "aws"))]
    async fn references(config: &Config) -> Result<Option<Arc<dyn References>>> {
        if config.secrets.references.is_empty() {
            return Ok(None);
        }
        let problem = "`references` under [secrets] lead to AWS, and this program was built without the cargo feature `aws`";
        Err(crate::ports::Error::new("aws.configure", problem))
    }

    fn assemble(parts: Parts, config: Config) -> Self {
        let Parts {
            queue,
            intake,
            endpoints,
            secrets,
            health,
            rates,
            changes,
            deliveries,
            records,
            replays,
            test_calls,
            event_types,
            customers,
            control,
            keys,
            master_keys,
            rebind,
            roles,
            references,
            clock,
            chance,
            #[cfg(feature = "aws")]
            aws_calls,
        } = parts;
        let events: Arc<dyn OperationalEvents> = match &config.events.customer {
            Some(operator) => Arc::new(QueuedEvents::start(operator.clone(), Arc::clone(&queue))),
            None => Arc::new(LogOnly),
        };
        let tally: Arc<Tally> = Arc::default();
        let events: Arc<dyn OperationalEvents> =
            Arc::new(CountedEvents::new(events, Arc::clone(&tally)));
        let keys: Arc<dyn Keys> =
            Arc::new(CountedKeys::new(keys, Arc::clone(&tally), Arc::clone(&clock)));
        let vault = Vault::new(
            Arc::clone(&secrets),
            Arc::clone(&keys),
            Arc::clone(&clock),
            Arc::clone(&chance),
            config.secrets.policy(),
            config.cache.lifetimes(config.is_aws()),
        );
        let rules = config.secrets.references.clone();
        let vault = vault.with_references(ReferencePolicy { rules, source: references });
        let vault = vault.with_events(Arc::clone(&events));
        // What references lead to may change and nothing here tells.
        let tells_all = config.secrets.references.is_empty();
        if let Some(changes) = changes.clone().filter(|_| tells_all) {
            vault.opener.watch(changes);
        }
        let (guard, started_at) = (Arc::new(config.egress.guard()), clock.now());
        let test_rate = Arc::default();
        Self {
            config,
            queue,
            intake,
            endpoints,
            secrets,
            health,
            rates,
            changes,
            deliveries,
            records,
            replays,
            test_calls,
            event_types,
            test_rate,
            customers,
            control,
            keys,
            master_keys,
            rebind,
            vault,
            roles,
            guard,
            clock,
            chance,
            events,
            tally,
            started_at,
            #[cfg(feature = "aws")]
            aws_calls,
        }
    }

    fn recorder(&self) -> Option<Recorder> {
        let settings = &self.config.deliveries;
        Recorder::start(
            settings.record,
            Keeping { keep: settings.keep_bodies, vault: self.vault.opener.clone() },
            settings.retention,
            Arc::clone(&self.records),
            Arc::clone(&self.clock),
            Arc::clone(&self.tally),
        )
    }

    /// Who makes traces, if there is a collector for them.
    fn tracer(&self, resolver: Arc<dyn Resolver>) -> Result<Option<Tracer>> {
        let settings = &self.config.traces;
        let Some(endpoint) = &settings.endpoint else { return Ok(None) };
        let roots = self.config.egress.extra_roots.as_deref();
        let collector = Collector::new(endpoint.url(), self.chance.token(), resolver, roots)?;
        Ok(Some(Tracer::start(
            settings.sample,
            Arc::new(collector),
            Arc::clone(&self.clock),
            Arc::clone(&self.chance),
            Arc::clone(&self.tally),
        )))
    }

    fn shared_rates(&self) -> Option<SharedRates> {
        let rates = self.rates.clone()?;
        Some(SharedRates { rates, tally: Arc::clone(&self.tally) })
    }

    /// What plans, keeps and works on replays.
    pub fn replayer(&self) -> Replayer {
        Replayer {
            queue: Arc::clone(&self.queue),
            deliveries: Arc::clone(&self.deliveries),
            replays: Arc::clone(&self.replays),
            records: Arc::clone(&self.records),
            retention: self.config.deliveries.retention,
            endpoints: Arc::clone(&self.endpoints),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            tally: Arc::clone(&self.tally),
        }
    }

    /// What asks workers for test calls.
    pub fn test_caller(&self) -> TestCaller {
        TestCaller {
            queue: Arc::clone(&self.queue),
            test_calls: Arc::clone(&self.test_calls),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            rate: Arc::clone(&self.test_rate),
        }
    }

    fn endpoint_book(&self) -> EndpointBook {
        let book = EndpointBook::new(
            self.endpoints.clone(),
            Arc::clone(&self.health),
            Arc::clone(&self.guard),
            Limiters::new(self.config.worker.concurrency).sharing(self.shared_rates()),
            self.config.cache.lifetimes(self.config.is_aws()),
        );
        if let Some(changes) = self.changes.clone() {
            book.watch(changes);
        }
        book
    }

    /// The pipeline over these parts.
    ///
    /// # Errors
    /// If the resolver's, the proxy's or the certificate authorities' configuration cannot be read.
    pub fn pipeline(&self) -> Result<Pipeline> {
        let egress = &self.config.egress;
        let resolver = Arc::new(SystemResolver::new(&egress.nameservers)?);
        let guard = Arc::clone(&self.guard);
        let credentials = egress.proxy_authorization_file.as_deref();
        let proxy = Proxy::configured(egress.proxy.as_ref(), credentials)?;
        let roots = egress.extra_roots.as_deref();
        let tracer = self.tracer(Arc::clone(&resolver) as _)?;
        let client = Client::through(proxy, guard, resolver, roots)?.timed(tracer.is_some());
        Ok(Pipeline {
            queue: Arc::clone(&self.queue),
            endpoints: self.endpoint_book(),
            vault: self.vault.opener.clone(),
            health: Arc::clone(&self.health),
            events: Arc::clone(&self.events),
            deliveries: Arc::clone(&self.deliveries),
            tokens: Tokens::default(),
            roles: Roles { policy: self.config.auth.role_policy(), aws: self.roles.clone() },
            challenges: Challenges::default(),
            client,
            guard: Arc::clone(&self.guard),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            fencing: self.config.worker.fence,
            max_receives: self.config.worker.max_receives,
            webhook_origin: self.config.egress.webhook_origin.clone(),
            envelopes: self.config.envelopes.clone(),
            senders: self.config.aws.as_ref().and_then(|aws| aws.senders.clone()),
            long_timeouts: LongTimeouts::over(self.config.worker.drain),
            recorder: self.recorder(),
            records: Arc::clone(&self.records),
            tracer,
            traceparent: self.config.traces.traceparent,
            retention: self.config.deliveries.retention,
            test_calls: Arc::clone(&self.test_calls),
            tally: Arc::clone(&self.tally),
        })
    }
}
