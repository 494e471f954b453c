//! A key service, or a key file, whose calls are counted.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::secret::SecretBytes;
use crate::ports::keys::{Context, DataKey, Unwrapped};
use crate::ports::{Clock, Keys, OpenKeys, Result, SealKeys};
use crate::telemetry::Tally;
use crate::telemetry::metrics::label::{KeyOperation, KeyResult};

/// Counts what it hands on.
pub struct CountedKeys {
    keys: Arc<dyn Keys>,
    tally: Arc<Tally>,
    clock: Arc<dyn Clock>,
}

impl CountedKeys {
    /// Counts the calls of `keys`.
    pub fn new(keys: Arc<dyn Keys>, tally: Arc<Tally>, clock: Arc<dyn Clock>) -> Self {
        Self { keys, tally, clock }
    }

    fn note(&self, operation: KeyOperation, result: KeyResult) {
        self.tally.counters.keys.note(operation, result, self.clock.now());
    }

    fn noted<T>(&self, operation: KeyOperation, result: Result<T>) -> Result<T> {
        let came = if result.is_ok() { KeyResult::Ok } else { KeyResult::Failed };
        self.note(operation, came);
        result
    }
}

#[async_trait]
impl OpenKeys for CountedKeys {
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        let unwrapped = self.keys.unwrap(wrapped, context).await;
        let came = match &unwrapped {
            Ok(Unwrapped::Opened(_)) => KeyResult::Ok,
            Ok(Unwrapped::Refused(_)) => KeyResult::Refused,
            Err(_) => KeyResult::Failed,
        };
        self.note(KeyOperation::Unwrap, came);
        unwrapped
    }
}

#[async_trait]
impl SealKeys for CountedKeys {
    async fn generate(&self, context: &Context) -> Result<DataKey> {
        self.noted(KeyOperation::Generate, self.keys.generate(context).await)
    }

    async fn wrap(&self, value: &SecretBytes, context: &Context) -> Result<Vec<u8>> {
        self.noted(KeyOperation::Wrap, self.keys.wrap(value, context).await)
    }
}
