//! The limits in use: one [`Limiter`] an endpoint and one [`Share`] a customer, each kept while it is
//! in use and for an hour longer.

use std::hash::Hash;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::future::{Cache, CacheBuilder};
use moka::policy::EvictionPolicy;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::shared_rate::{SharedRate, SharedRates};
use crate::domain::breaker::Change;
use crate::domain::gate::{Ask, Gate, Later, Turn};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::limiter::{Ended, Leave, Limiter, Refusal, Used};
use crate::domain::limits::Limits;
use crate::domain::share;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;
use crate::ports::Clock;

/// Most endpoints, and most customers, whose limits are kept.
const CAPACITY: u64 = 100_000;
/// How long those that are not used are kept.
const IDLE: Duration = Duration::from_secs(3600);

/// How long a job waits in hand for a place, at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// The limits of all endpoints, as far as they are used.
#[derive(Clone)]
pub struct Limiters {
    endpoints: Cache<(CustomerId, EndpointId), Meter>,
    customers: Cache<CustomerId, Arc<Share>>,
    places: Arc<Places>,
    shared: Option<SharedRates>,
}

/// The worker's places, and how many customers hold some.
#[derive(Debug)]
struct Places {
    most: u32,
    /// How many customers hold some.
    holders: AtomicU32,
}

/// The limits of one endpoint as far as they are used, and its customer's share of the worker.
#[derive(Clone)]
pub struct Meter {
    calls: Arc<Calls>,
    share: Arc<Share>,
}

/// The calls to one endpoint.
#[derive(Default)]
struct Calls {
    limiter: Mutex<Limiter>,
    /// The account that its rate is leased from, where other workers share it.
    shared: Option<SharedRate>,
    /// Wakes those who wait in hand for a place, one after another.
    freed: Notify,
    /// When a call last went well, in milliseconds since the Unix epoch; 0 if none has.
    well_at: AtomicI64,
    /// When a call that failed was last written down, or was tried to.
    noted_at: AtomicI64,
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
            shared: None,
        }
    }

    /// The same, of a worker that shares the endpoints' rates with others.
    #[must_use]
    pub fn sharing(self, shared: Option<SharedRates>) -> Self {
        Self { shared, ..self }
    }

    /// What the limits of an endpoint are reckoned with: the same, as long as anybody uses it.
    pub async fn of(&self, customer: &CustomerId, endpoint: &EndpointId) -> Meter {
        let key = (customer.clone(), endpoint.clone());
        let places = Arc::clone(&self.places);
        let share = || async move { Arc::new(Share { gate: Mutex::default(), places }) };
        let made = async {
            let share = self.customers.get_with_by_ref(customer, share()).await;
            let calls = self.shared.as_ref().map(|shared| Calls {
                limiter: Mutex::new(Limiter::of_many()),
                shared: Some(shared.of(customer, endpoint)),
                ..Calls::default()
            });
            Meter { calls: Arc::new(calls.unwrap_or_default()), share }
        };
        self.endpoints.get_with(key, made).await
    }

    /// How many breakers are open, and how many half open.
    pub fn breakers(&self) -> (u64, u64) {
        self.endpoints.iter().fold((0, 0), |(open, half_open), (_, meter)| {
            let limiter = meter.calls.limiter();
            let breaker = limiter.breaker();
            let (is_open, is_half_open) = (breaker.is_open(), breaker.is_half_open());
            (open + u64::from(is_open), half_open + u64::from(is_half_open))
        })
    }
}

impl Share {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing panics while it is held, and numbers are numbers.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or says when to come back.
    fn enter(self: &Arc<Self>, ask: &Ask) -> Result<Place, Refusal> {
        let (mut gate, places) = (self.gate(), &self.places);
        let holds = u32::from(gate.held() > 0);
        let others = places.holders.load(Ordering::Relaxed) > holds;
        let share = share::places(places.most, &gate, others, ask.now);
        // Whoever is over his share does not wait in hand: it is the hands that are short.
        gate.admit(&Ask { turn: Turn::Over, ..*ask }, share).map_err(|later| match later {
            Later::Soon => Refusal::Soon,
            Later::At(until) => Refusal::Until(until, Wait::CustomerShare),
        })?;
        gate.enter(ask.now);
        if holds == 0 {
            places.holders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Place(Arc::clone(self)))
    }
}

/// One of the worker's places, held for a customer until this is dropped.
pub struct Place(Arc<Share>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut gate = self.0.gate();
        gate.leave();
        if gate.held() == 0 {
            self.0.places.holders.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Calls {
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the limiter; tokens that it wants to have leased are leased first.
    async fn ask(
        &self,
        version: u64,
        limits: &Limits,
        ask: &mut Ask,
        clock: &dyn Clock,
    ) -> Result<Leave, Refusal> {
        let asked = self.limiter().ask(version, limits, ask);
        let (Err(Refusal::Lease(_)), Some(shared)) = (&asked, &self.shared) else { return asked };
        let _turn = shared.turn().await;
        ask.now = clock.now();
        let asked = self.limiter().ask(version, limits, ask);
        let Err(Refusal::Lease(request)) = asked else { return asked };
        let answer = shared.lease(&request).await;
        ask.now = clock.now();
        // In one step: a token that lives for a moment only is this job's.
        let mut limiter = self.limiter();
        limiter.leased(&request, answer.as_ref(), ask.now, ask.chance);
        limiter.ask(version, limits, ask)
    }
}

/// Waits in hand until this is dropped.
struct Waiting<'c>(&'c Calls);

impl<'c> Waiting<'c> {
    fn begin(calls: &'c Calls) -> Self {
        calls.limiter().wait();
        Self(calls)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.limiter().stop_waiting();
    }
}

impl Meter {
    /// A place of the customer's share.
    pub fn place(&self, ask: &Ask) -> Result<Place, Refusal> {
        self.share.enter(ask)
    }

    /// Leave to call the endpoint. A place that is free in a moment is waited for, but not for long.
    pub async fn leave_to_call(
        &self,
        version: u64,
        limits: &Limits,
        mut ask: Ask,
        clock: &dyn Clock,
        stop: &CancellationToken,
    ) -> Result<Leave, Refusal> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut freed = pin!(self.calls.freed.notified());
            // What is freed from here on is heard of.
            freed.as_mut().enable();
            let asked = self.calls.ask(version, limits, &mut ask, clock).await;
            if asked != Err(Refusal::Soon) {
                if asked.is_ok_and(|leave| leave.has_room) {
                    self.calls.freed.notify_one();
                }
                return asked;
            }
            let _waiting = Waiting::begin(&self.calls);
            ask.turn = tokio::select! {
                () = freed => Turn::Called,
                () = sleep_until(deadline) => Turn::Over,
                () = stop.cancelled() => Turn::Over,
            };
            ask.now = clock.now();
        }
    }

    /// The call that `leave` was for has ended; its place is still held.
    pub fn ended(&self, limits: &Limits, leave: &Leave, ended: &Ended) -> Option<Change> {
        self.share.gate().came_back(ended.now, ended.took);
        self.calls.limiter().ended(limits, leave, ended)
    }

    /// Gives back what `leave` holds.
    pub fn leave(&self, limits: &Limits, leave: &Leave, used: Used) {
        let is_waited_for = self.calls.limiter().leave(limits, leave, used);
        if is_waited_for {
            self.calls.freed.notify_one();
        }
    }

    /// A call went well.
    pub fn went_well(&self, now: Timestamp) {
        self.calls.well_at.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    /// When a call last went well, as far as this worker remembers.
    pub fn well_at(&self) -> Option<Timestamp> {
        let millis = self.calls.well_at.load(Ordering::Relaxed);
        (millis > 0).then_some(Timestamp::from_millis(millis))
    }

    /// Whether nobody in this worker has written a failure down for `gap`: many calls fail at once, and
    /// one record is enough. Then it is for the caller to do.
    pub fn may_note(&self, now: Timestamp, gap: Duration) -> bool {
        let since = now.minus(gap).as_millis();
        let next = |last| (last <= since).then_some(now.as_millis());
        let (order, cell) = (Ordering::Relaxed, &self.calls.noted_at);
        cell.fetch_update(order, order, next).is_ok()
    }

    /// Whether a pause until then is news: many calls may be told of the same one.
    pub fn is_new_pause(&self, until: Timestamp) -> bool {
        self.calls.limiter().is_new_pause(until)
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
