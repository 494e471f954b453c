//! Hands spans over in batches, behind the backs of those who make them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Tally;
use super::metrics::label::SpanResult;
use crate::domain::span::Span;
use crate::ports::spans::Spans;

/// Most deliveries whose spans wait to be handed over; those of further ones are dropped.
pub const WAITING: usize = 2048;
/// Most spans handed over at once.
const BATCH: usize = 512;
/// How long a batch waits to be filled.
const LINGER: Duration = Duration::from_secs(2);
/// What is waited after each failure that may pass, the last of which drops the batch.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::ZERO];

/// What is handed over.
pub enum Handed {
    /// The spans of one delivery.
    Spans(Vec<Span>),
    /// To be answered when everything before is taken or given up.
    Flush(oneshot::Sender<()>),
}

/// Hands over what comes, until nobody is left who could.
pub async fn hand_over(
    mut handed: mpsc::Receiver<Handed>,
    spans: Arc<dyn Spans>,
    tally: Arc<Tally>,
) {
    let (mut batch, mut flushes) = (Vec::new(), Vec::new());
    while let Some(first) = handed.recv().await {
        let mut next = Some(first);
        let deadline = Instant::now() + LINGER;
        while let Some(more) = next.take() {
            match more {
                Handed::Spans(more) => batch.extend(more),
                Handed::Flush(reply) => flushes.push(reply),
            }
            if batch.len() < BATCH && flushes.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                next = timeout(left, handed.recv()).await.ok().flatten();
            }
        }
        for part in batch.chunks(BATCH) {
            export(part, &*spans, &tally).await;
        }
        batch.clear();
        for reply in flushes.drain(..) {
            // Nobody may be waiting any more.
            let _ = reply.send(());
        }
    }
}

async fn export(batch: &[Span], spans: &dyn Spans, tally: &Tally) {
    let count = batch.len() as u64;
    for (index, pause) in PAUSES.into_iter().enumerate() {
        let Err(refused) = spans.export(batch).await else {
            tally.counters.spans.of(SpanResult::Exported).add(count);
            return;
        };
        if !refused.may_pass || index + 1 == PAUSES.len() {
            tally.counters.spans.of(SpanResult::Dropped).add(count);
            warn!(event = "spans_dropped", count, "{refused}");
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
