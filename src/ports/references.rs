//! Secrets that are kept by somebody else and are named here.

use async_trait::async_trait;

use super::{Alarm, Error, Result};
use crate::domain::reference::Reference;
use crate::domain::secret::SecretBytes;

/// What a reference leads to.
pub enum Fetched {
    /// The value, whole.
    Value(SecretBytes),
    /// There is nothing of that name, or not in that version or with that label.
    NotFound(String),
    /// It is there no more, or will not be soon.
    Deleted(String),
}

impl Fetched {
    /// The value; anything else is a failure that somebody has to mend.
    ///
    /// # Errors
    /// If there is no value.
    pub fn value(self, reference: &Reference) -> Result<SecretBytes> {
        let failed = |problem: String, alarm| {
            let problem = format!("{reference}: {problem}");
            Err(Error::new("references.fetch", problem).with_alarm(Some(alarm)))
        };
        match self {
            Self::Value(value) => Ok(value),
            Self::NotFound(problem) => failed(problem, Alarm::ReferenceNotFound),
            Self::Deleted(problem) => failed(problem, Alarm::ReferenceDeleted),
        }
    }
}

/// Fetches what references lead to. Whether a reference may be followed at all is not its concern. An
/// `Err` is a failure of the keeper or of our right to ask it.
#[async_trait]
pub trait References: Send + Sync {
    /// What `reference` leads to now; its pointer is not followed.
    async fn fetch(&self, reference: &Reference) -> Result<Fetched>;
}
