//! Operational events, counted as they are told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::operational_event::OperationalEvent;
use crate::ports::OperationalEvents;
use crate::telemetry::Tally;
use crate::telemetry::metrics::label::Told;

/// Counts what it hands on.
pub struct CountedEvents {
    events: Arc<dyn OperationalEvents>,
    tally: Arc<Tally>,
}

impl CountedEvents {
    /// Counts what is told to `events`.
    pub fn new(events: Arc<dyn OperationalEvents>, tally: Arc<Tally>) -> Self {
        Self { events, tally }
    }
}

#[async_trait]
impl OperationalEvents for CountedEvents {
    fn tell(&self, event: OperationalEvent) {
        self.tally.counters.events.of(Told::of(&event.fact)).one();
        self.events.tell(event);
    }

    async fn flush(&self, patience: Duration) {
        self.events.flush(patience).await;
    }

    fn dropped(&self) -> u64 {
        self.events.dropped()
    }
}
