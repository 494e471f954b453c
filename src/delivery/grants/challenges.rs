//! What servers ask of those who want to authenticate (RFC 9110 section 11.6.1): learnt from a refusal,
//! and used until the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::future::Cache;

use super::StepKey;
use crate::auth::digest::has_challenge;
use crate::auth::need::Challenge;

/// Most challenges that are kept.
const CAPACITY: u64 = 10_000;
/// How long an unused one is kept.
const IDLE: Duration = Duration::from_secs(3600);
/// Longest challenge that is read, in bytes of all its headers.
const MAX_CHALLENGE: usize = 4096;

/// The last challenge of each server.
pub struct Challenges(Cache<StepKey, Arc<Known>>);

struct Known {
    headers: Vec<String>,
    uses: AtomicU32,
}

impl Known {
    /// The challenge for one more use: a server refuses a count that it has seen.
    fn next(&self) -> Challenge {
        let count = self.uses.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Challenge { headers: self.headers.clone(), count }
    }
}

impl Default for Challenges {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build())
    }
}

impl Challenges {
    /// The known challenge, for one more use.
    pub async fn next(&self, key: &StepKey) -> Option<Challenge> {
        Some(self.0.get(key).await?.next())
    }

    /// The challenge that came with a refusal, for its first use; `None` if none came that a step
    /// could answer.
    pub async fn renew(&self, key: &StepKey, headers: &[String]) -> Option<Challenge> {
        let length: usize = headers.iter().map(String::len).sum();
        if length > MAX_CHALLENGE || !has_challenge(headers) {
            return None;
        }
        let known = Arc::new(Known { headers: headers.to_vec(), uses: AtomicU32::new(0) });
        let challenge = known.next();
        self.0.insert(key.clone(), known).await;
        Some(challenge)
    }

    /// Forgets a challenge.
    pub async fn forget(&self, key: &StepKey) {
        self.0.invalidate(key).await;
    }
}
