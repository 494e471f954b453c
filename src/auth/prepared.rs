//! Keys made from secrets, kept while the secrets are the same: making some takes longer than using
//! them.

use std::sync::{Arc, Mutex, PoisonError};

use super::AuthError;
use crate::domain::secret::SecretBytes;

/// Values of one secret that are in use at once, at most; the previous one of a rotation is.
const KEPT: usize = 4;

/// What was made of each value of a secret.
pub struct Prepared<K>(Mutex<Vec<(SecretBytes, Arc<K>)>>);

impl<K> Default for Prepared<K> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<K> Prepared<K> {
    /// What `make` makes of `value`, or made of it before.
    ///
    /// # Errors
    /// What `make` gives; it is not kept.
    pub fn get(
        &self,
        value: &SecretBytes,
        make: impl FnOnce(&SecretBytes) -> Result<K, AuthError>,
    ) -> Result<Arc<K>, AuthError> {
        let known = |kept: &[(SecretBytes, Arc<K>)]| {
            kept.iter().find(|(of, _)| of.is_same(value)).map(|(_, key)| Arc::clone(key))
        };
        if let Some(key) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(key);
        }
        let key = Arc::new(make(value)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((value.clone(), Arc::clone(&key)));
        Ok(key)
    }
}
