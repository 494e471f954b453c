//! The limits in use: one [`Limiter`] an endpoint and one [`Share`] a customer, each kept while it is
//! in use and for an hour longer.

use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::future::{Cache, CacheBuilder};
use moka::policy::EvictionPolicy;

use crate::domain::breaker::Change;
use crate::domain::gate::{Ask, Gate};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::limiter::{Ended, Leave, Limiter, Refusal, Used};
use crate::domain::limits::Limits;
use crate::domain::share;
use crate::domain::timestamp::Timestamp;

/// Most endpoints, and most customers, whose limits are kept.
const CAPACITY: u64 = 100_000;
/// How long those that are not used are kept.
const IDLE: Duration = Duration::from_secs(3600);

/// What the limits of one endpoint are reckoned with.
#[derive(Debug, Clone)]
pub struct Limiters {
    endpoints: Cache<(CustomerId, EndpointId), Meter>,
    customers: Cache<CustomerId, Arc<Share>>,
    places: Arc<Places>,
}

/// The worker's places, and how many customers hold some.
#[derive(Debug)]
struct Places {
    most: u32,
    /// How many customers hold some.
    holders: AtomicU32,
}

/// The limits of one endpoint as far as they are used, and its customer's share of the worker.
#[derive(Debug, Clone)]
pub struct Meter {
    limiter: Arc<Mutex<Limiter>>,
    share: Arc<Share>,
}

/// What one customer holds of the worker's places.
#[derive(Debug)]
pub struct Share {
    gate: Mutex<Gate>,
    places: Arc<Places>,
}

impl Limiters {
    /// Limits for a worker with so many places.
    pub fn new(places: usize) -> Self {
        let most = u32::try_from(places).unwrap_or(u32::MAX);
        Self {
            endpoints: kept().build(),
            customers: kept().build(),
            places: Arc::new(Places { most, holders: AtomicU32::new(0) }),
        }
    }

    /// What the limits of an endpoint are reckoned with: the same, as long as anybody uses it.
    pub async fn of(&self, customer: &CustomerId, endpoint: &EndpointId) -> Meter {
        let key = (customer.clone(), endpoint.clone());
        let places = Arc::clone(&self.places);
        let share = || async move { Arc::new(Share { gate: Mutex::default(), places }) };
        let made = async {
            let share = self.customers.get_with_by_ref(customer, share()).await;
            Meter { limiter: Arc::default(), share }
        };
        self.endpoints.get_with(key, made).await
    }
}

impl Share {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing panics while it is held, and numbers are numbers.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a place of the customer's share and for leave to call the endpoint.
    pub fn ask(&self, version: u64, limits: &Limits, ask: &Ask) -> Result<Leave, Refusal> {
        let (mut gate, places) = (self.share.gate(), &self.share.places);
        let holds = u32::from(gate.held() > 0);
        let others = places.holders.load(Ordering::Relaxed) > holds;
        let share = share::places(places.most, &gate, others, ask.now);
        let refuse = |until| Refusal { until, why: "customer's share of the worker" };
        gate.admit(ask, share).map_err(refuse)?;
        let leave = self.limiter().ask(version, limits, ask)?;
        gate.enter(ask.now);
        if holds == 0 {
            places.holders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(leave)
    }

    /// The call that `leave` was for has ended; its place is still held.
    pub fn ended(&self, limits: &Limits, leave: &Leave, ended: &Ended) -> Option<Change> {
        self.share.gate().came_back(ended.now, ended.took);
        self.limiter().ended(limits, leave, ended)
    }

    /// Gives back what `leave` holds.
    pub fn leave(&self, limits: &Limits, leave: &Leave, used: Used) {
        self.limiter().leave(limits, leave, used);
        let mut gate = self.share.gate();
        gate.leave();
        if gate.held() == 0 {
            self.share.places.holders.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a pause until then is news: many calls may be told of the same one.
    pub fn is_new_pause(&self, until: Timestamp) -> bool {
        self.limiter().is_new_pause(until)
    }
}

/// The least recently used go first: those that are in use stay.
fn kept<K, V>() -> CacheBuilder<K, V, Cache<K, V>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let policy = EvictionPolicy::lru();
    Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).eviction_policy(policy)
}
