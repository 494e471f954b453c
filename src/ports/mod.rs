//! What the worker needs of the outside, in the domain's words. Each trait's documentation is the
//! contract; `tests/contract/` runs one suite over every implementation.

pub mod aws_roles;
pub mod changes;
pub mod clock;
pub mod control;
pub mod customers;
pub mod deliveries;
pub mod endpoints;
pub mod event_types;
pub mod health;
pub mod keys;
pub mod master_keys;
pub mod operational_events;
pub mod queue;
pub mod rates;
pub mod rebind;
pub mod records;
pub mod references;
pub mod replays;
pub mod secrets;
pub mod spans;
pub mod test_calls;

pub use aws_roles::AwsRoles;
pub use changes::Changes;
pub use clock::{Chance, Clock};
pub use control::Control;
pub use customers::Customers;
pub use deliveries::Deliveries;
pub use endpoints::{Endpoints, ReadEndpoints};
pub use event_types::EventTypes;
pub use health::HealthStore;
pub use keys::{Keys, OpenKeys, SealKeys};
pub use master_keys::MasterKeys;
pub use operational_events::OperationalEvents;
pub use queue::{Intake, Queue};
pub use rates::Rates;
pub use rebind::Rebind;
pub use records::Records;
pub use references::References;
pub use replays::Replays;
pub use secrets::{ReadSecrets, Secrets};
pub use spans::Spans;
pub use test_calls::TestCalls;

/// A failure on our side: of a store, a queue, a key service, the resolver, or a bug. It never costs
/// an endpoint an attempt, never disables it and never loses a message.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct Error {
    /// What was being done, as in `queue.receive`.
    pub operation: &'static str,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// What has to be mended by hand, where that is known.
    pub alarm: Option<Alarm>,
}

/// A failure that does not pass by itself: somebody has to mend it. The name is part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// We may not use the key.
    KeyAccessDenied,
    /// The key is disabled.
    KeyDisabled,
    /// The key waits for its deletion: what it sealed is lost when that is over.
    KeyPendingDeletion,
    /// There is no such key.
    KeyNotFound,
    /// The key cannot be used for another reason.
    KeyUnusable,
    /// A reference leads to nothing.
    ReferenceNotFound,
    /// We may not read what a reference leads to.
    ReferenceAccessDenied,
    /// What a reference leads to was deleted.
    ReferenceDeleted,
    /// The settings do not allow the reference.
    ReferenceNotAllowed,
    /// What a reference leads to cannot be used as a secret.
    ReferenceUnusable,
    /// A stored row cannot be read: it is damaged, or a newer version wrote it.
    RowUnreadable,
    /// A message's job or state is of a newer version.
    NewerVersion,
}

impl Alarm {
    /// Every alarm, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::KeyAccessDenied,
        Self::KeyDisabled,
        Self::KeyPendingDeletion,
        Self::KeyNotFound,
        Self::KeyUnusable,
        Self::ReferenceNotFound,
        Self::ReferenceAccessDenied,
        Self::ReferenceDeleted,
        Self::ReferenceNotAllowed,
        Self::ReferenceUnusable,
        Self::RowUnreadable,
        Self::NewerVersion,
    ];

    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyAccessDenied => "key_access_denied",
            Self::KeyDisabled => "key_disabled",
            Self::KeyPendingDeletion => "key_pending_deletion",
            Self::KeyNotFound => "key_not_found",
            Self::KeyUnusable => "key_unusable",
            Self::ReferenceNotFound => "reference_not_found",
            Self::ReferenceAccessDenied => "reference_access_denied",
            Self::ReferenceDeleted => "reference_deleted",
            Self::ReferenceNotAllowed => "reference_not_allowed",
            Self::ReferenceUnusable => "reference_unusable",
            Self::RowUnreadable => "row_unreadable",
            Self::NewerVersion => "newer_version",
        }
    }
}

impl Error {
    /// A failure of `operation`.
    pub fn new(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { operation, source: source.into(), alarm: None }
    }

    /// A stored row that cannot be read. What it holds is not guessed at.
    pub fn unreadable(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::new(operation, source).with_alarm(Some(Alarm::RowUnreadable))
    }

    /// The same, which somebody has to mend.
    #[must_use]
    pub fn with_alarm(self, alarm: Option<Alarm>) -> Self {
        Self { alarm, ..self }
    }

    /// The same failure in words, for another of those who share it.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.operation, self.source.to_string()).with_alarm(self.alarm)
    }
}

/// The result of asking the outside.
pub type Result<T> = std::result::Result<T, Error>;
