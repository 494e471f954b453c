//! The job of a recorded delivery, kept so that it can be sent again: when it is, and what it is bound to.

use serde::{Deserialize, Serialize};

use crate::domain::delivery_record::{DeliveryRecord, DeliveryStatus};

/// Of which recorded deliveries the job is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepBodies {
    /// Of none.
    #[default]
    None,
    /// Of those that are given up.
    Failures,
    /// Of all.
    All,
}

impl KeepBodies {
    /// Whether the job is kept of a delivery that stands so. A delivery that is tried again has its job
    /// in the queue.
    pub fn wants(self, status: DeliveryStatus) -> bool {
        match (self, status) {
            (Self::None, _) | (_, DeliveryStatus::Retrying) => false,
            (Self::Failures, DeliveryStatus::Delivered) => false,
            (Self::Failures | Self::All, DeliveryStatus::DeadLetter) => true,
            (Self::All, DeliveryStatus::Delivered) => true,
        }
    }
}

/// What became of a delivery's job when the delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFate {
    /// It is kept, sealed.
    Kept,
    /// Not kept: its customer has no tenant key.
    NoTenantKey,
    /// Not kept: its customer's tenant key was shredded.
    TenantKeyShredded,
    /// Not kept: nothing can be sealed to its customer's tenant key.
    TenantKeyUnusable,
    /// Not kept: the store failed, or was too slow.
    NotWritten,
}

impl BodyFate {
    /// Every fate.
    pub const ALL: [Self; 5] = [
        Self::Kept,
        Self::NoTenantKey,
        Self::TenantKeyShredded,
        Self::TenantKeyUnusable,
        Self::NotWritten,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::NoTenantKey => "no_tenant_key",
            Self::TenantKeyShredded => "tenant_key_shredded",
            Self::TenantKeyUnusable => "tenant_key_unusable",
            Self::NotWritten => "not_written",
        }
    }

    /// What it means, and what to do for the next ones.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Kept => "its job is kept, sealed: the delivery can be sent again",
            Self::NoTenantKey => {
                "its customer has no tenant key: `sealpost tenant-key create` makes one"
            }
            Self::TenantKeyShredded => {
                "its customer's tenant key was shredded: `sealpost tenant-key create` makes a new one"
            }
            Self::TenantKeyUnusable => {
                "its customer's tenant key is damaged: `sealpost tenant-key list` says how"
            }
            Self::NotWritten => "the store failed or was too slow: see the `fault` in the log",
        }
    }
}

/// What the kept job of a delivery is bound to: it opens as the job of this delivery, and of no other.
pub fn context(of: &DeliveryRecord) -> Vec<(&'static str, String)> {
    vec![
        ("customerId", of.customer_id.to_string()),
        ("deliveryId", of.id.clone()),
        ("endpointId", of.endpoint_id.to_string()),
        ("jobId", of.job_id.to_string()),
        ("purpose", "sealpost-job".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_kept_when_its_delivery_ends_as_the_setting_says() {
        use DeliveryStatus::{DeadLetter, Delivered, Retrying};
        let cases = [
            (KeepBodies::None, [false, false, false]),
            (KeepBodies::Failures, [false, false, true]),
            (KeepBodies::All, [true, false, true]),
        ];
        for (keep, expected) in cases {
            let wants = [Delivered, Retrying, DeadLetter].map(|status| keep.wants(status));
            assert_eq!(wants, expected, "{keep:?}");
        }
    }

    #[test]
    fn a_fate_is_stored_under_its_stable_name() {
        for fate in BodyFate::ALL {
            assert_eq!(serde_json::to_value(fate).unwrap(), fate.name());
        }
    }
}
