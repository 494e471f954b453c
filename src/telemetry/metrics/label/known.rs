//! The labels of what the domain knows.

use super::{BreakerState, Dependency, Label, Learnt, StatusClass, Told};
use crate::domain::breaker::Change;
use crate::domain::endpoint::Health;
use crate::domain::operational_event::Fact;
use crate::domain::outcome::{AttemptOutcome, Phase};
use crate::domain::reason::Reason;
use crate::domain::wait::Wait;
use crate::ports::Alarm;

impl Dependency {
    /// What failed in this operation, as in `queue.receive`.
    pub fn of(operation: &str) -> Self {
        let word = operation.split('.').next().unwrap_or_default();
        let exact = Self::ALL.iter().copied().find(|dependency| dependency.value() == word);
        exact.unwrap_or(if word == "tls" { Self::Egress } else { Self::Other })
    }
}

impl Told {
    /// The type of what happened.
    pub fn of(fact: &Fact) -> Self {
        match fact {
            Fact::EndpointDisabled { .. } => Self::EndpointDisabled,
            Fact::EndpointEnabled { .. } => Self::EndpointEnabled,
            Fact::EndpointDeauthorized { .. } => Self::EndpointDeauthorized,
            Fact::EndpointAuthorized { .. } => Self::EndpointAuthorized,
            Fact::DeliveryExhausted { .. } => Self::DeliveryExhausted,
            Fact::CertificateEnding { .. } => Self::CertificateEnding,
        }
    }
}

impl BreakerState {
    /// Where a change leads.
    pub fn after(change: Change) -> Self {
        match change {
            Change::Opened { .. } => Self::Open,
            Change::HalfOpened => Self::HalfOpen,
            Change::Closed => Self::Closed,
        }
    }
}

impl Learnt {
    /// What this is.
    pub fn of(health: &Health) -> Self {
        match health {
            Health::Active => Self::Active,
            Health::Paused { .. } => Self::Paused,
            Health::Deauthorized { .. } => Self::Deauthorized,
            Health::Disabled { .. } => Self::Disabled,
        }
    }
}

impl StatusClass {
    /// The class of a status.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            0..=199 | 600.. => Self::Other,
        }
    }
}

/// What a call gave: the class of its status, or how far it had come without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A status line came back.
    Answered(StatusClass),
    /// None did.
    Failed(Phase),
}

impl Outcome {
    /// The label of an outcome.
    pub fn of(outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Answered { status, .. } => Self::Answered(StatusClass::of(*status)),
            AttemptOutcome::Failed { phase } => Self::Failed(*phase),
        }
    }
}

impl Label for Outcome {
    const ALL: &'static [Self] = &{
        let mut all =
            [Self::Answered(StatusClass::Other); StatusClass::ALL.len() + Phase::ALL.len()];
        let (mut index, classes) = (0, StatusClass::ALL.len());
        while index < all.len() {
            all[index] = if index < classes {
                Self::Answered(StatusClass::ALL[index])
            } else {
                Self::Failed(Phase::ALL[index - classes])
            };
            index += 1;
        }
        all
    };

    fn index(self) -> usize {
        match self {
            Self::Answered(class) => class.index(),
            Self::Failed(phase) => StatusClass::ALL.len() + phase as usize,
        }
    }

    fn value(self) -> &'static str {
        match self {
            Self::Answered(class) => class.value(),
            Self::Failed(phase) => phase.name(),
        }
    }
}

impl Label for Reason {
    const ALL: &'static [Self] = Reason::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn value(self) -> &'static str {
        self.code()
    }
}

impl Label for Wait {
    const ALL: &'static [Self] = Wait::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn value(self) -> &'static str {
        self.code()
    }
}

impl Label for Alarm {
    const ALL: &'static [Self] = &Alarm::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn value(self) -> &'static str {
        self.name()
    }
}
