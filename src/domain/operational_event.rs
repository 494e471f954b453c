//! What the operator is told of: facts about his customers' endpoints, deliveries and credentials.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::ids::{CustomerId, EndpointId, JobId, SecretId};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// Something that the operator may want to act on. Holds ids, codes and words, no secret and nothing
/// of a job's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationalEvent {
    /// When it happened.
    pub at: Timestamp,
    /// Whose endpoint, delivery or secret it is about.
    pub customer_id: CustomerId,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An endpoint was disabled.
    EndpointDisabled {
        /// Which.
        endpoint_id: EndpointId,
        /// Why, in words.
        why: String,
    },
    /// A probe found that a disabled endpoint works again.
    EndpointEnabled {
        /// Which.
        endpoint_id: EndpointId,
    },
    /// An endpoint refuses our credentials, or its handshake, or whoever gives out access tokens for it
    /// refuses to.
    EndpointDeauthorized {
        /// Which.
        endpoint_id: EndpointId,
        /// Why, in words.
        why: String,
        /// When a token server is asked again.
        probe_at: Option<Timestamp>,
    },
    /// An endpoint that was deauthorized takes our credentials, or has agreed to be called.
    EndpointAuthorized {
        /// Which.
        endpoint_id: EndpointId,
    },
    /// A delivery was given up because its attempts, or its time, were over.
    DeliveryExhausted {
        /// At which endpoint.
        endpoint_id: EndpointId,
        /// Of which job.
        job_id: JobId,
        /// What it is listed as.
        dead_letter_id: String,
        /// Why.
        reason: Reason,
        /// How many attempts were made in its last round.
        attempts: u32,
    },
    /// A client certificate has ended, or ends soon.
    CertificateEnding {
        /// The secret that it is.
        secret_id: SecretId,
        /// The secret's version.
        version: u64,
        /// How soon, in words.
        why: String,
    },
}

impl Fact {
    /// The types of all events, in the order of the documentation.
    pub const TYPES: [&str; 6] = [
        "endpoint.disabled",
        "endpoint.enabled",
        "endpoint.deauthorized",
        "endpoint.authorized",
        "delivery.exhausted",
        "certificate.ending",
    ];

    /// The type of the event. It is part of the contract and never changes.
    pub fn event_type(&self) -> &'static str {
        let [disabled, enabled, deauthorized, authorized, exhausted, ending] = Self::TYPES;
        match self {
            Self::EndpointDisabled { .. } => disabled,
            Self::EndpointEnabled { .. } => enabled,
            Self::EndpointDeauthorized { .. } => deauthorized,
            Self::EndpointAuthorized { .. } => authorized,
            Self::DeliveryExhausted { .. } => exhausted,
            Self::CertificateEnding { .. } => ending,
        }
    }

    /// The members that only events of this type have.
    fn members(&self) -> Value {
        match self {
            Self::EndpointDisabled { endpoint_id, why } => {
                json!({"endpointId": endpoint_id, "why": why})
            }
            Self::EndpointEnabled { endpoint_id } | Self::EndpointAuthorized { endpoint_id } => {
                json!({"endpointId": endpoint_id})
            }
            Self::EndpointDeauthorized { endpoint_id, why, probe_at: Some(probe_at) } => {
                json!({"endpointId": endpoint_id, "why": why, "probeAt": probe_at})
            }
            Self::EndpointDeauthorized { endpoint_id, why, probe_at: None } => {
                json!({"endpointId": endpoint_id, "why": why})
            }
            Self::DeliveryExhausted { endpoint_id, job_id, dead_letter_id, reason, attempts } => {
                json!({"endpointId": endpoint_id, "jobId": job_id, "deadLetterId": dead_letter_id,
                       "reason": reason, "attempts": attempts})
            }
            Self::CertificateEnding { secret_id, version, why } => {
                json!({"secretId": secret_id, "version": version, "why": why})
            }
        }
    }
}

impl OperationalEvent {
    /// An id that tells it from other events. Of what is seen again and again, by every worker, one a
    /// day.
    pub fn id(&self) -> String {
        let millis = self.at.as_millis();
        let (subject, when) = match &self.fact {
            Fact::EndpointDisabled { endpoint_id, .. }
            | Fact::EndpointEnabled { endpoint_id }
            | Fact::EndpointAuthorized { endpoint_id }
            | Fact::EndpointDeauthorized { endpoint_id, .. } => {
                (endpoint_id.to_string(), millis.to_string())
            }
            Fact::DeliveryExhausted { dead_letter_id, .. } => {
                (dead_letter_id.clone(), String::new())
            }
            Fact::CertificateEnding { secret_id, version, .. } => {
                (format!("{secret_id}/{version}"), (millis / DAY_MILLIS).to_string())
            }
        };
        let mut hasher = Sha256::new();
        for field in [self.fact.event_type(), self.customer_id.as_str(), &subject, &when] {
            hasher.update(field.as_bytes());
            // No id holds a NUL.
            hasher.update([0]);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        digest[..16].iter().fold("op_".to_owned(), |id, byte| id + &format!("{byte:02x}"))
    }

    /// The job that tells it to every endpoint of `customer` that wants its type.
    pub fn job(&self, customer: &CustomerId) -> Value {
        let event_type = self.fact.event_type();
        let own = json!({"type": event_type, "at": self.at, "customerId": self.customer_id});
        let mut data = Map::new();
        for part in [own, self.fact.members()] {
            if let Value::Object(members) = part {
                data.extend(members);
            }
        }
        json!({"id": self.id(), "customerId": customer, "type": event_type, "data": data})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Job;

    fn event(fact: Fact, millis: i64) -> OperationalEvent {
        let at = Timestamp::from_millis(millis);
        OperationalEvent { at, customer_id: "acme".parse().unwrap(), fact }
    }

    fn ending(version: u64) -> Fact {
        let secret_id = "client".parse().unwrap();
        Fact::CertificateEnding { secret_id, version, why: "ends soon".to_owned() }
    }

    fn facts() -> [Fact; 6] {
        let endpoint_id: EndpointId = "orders".parse().unwrap();
        let why = "every call failed".to_owned();
        [
            Fact::EndpointDisabled { endpoint_id: endpoint_id.clone(), why: why.clone() },
            Fact::EndpointEnabled { endpoint_id: endpoint_id.clone() },
            Fact::EndpointDeauthorized {
                endpoint_id: endpoint_id.clone(),
                why,
                probe_at: Some(Timestamp::from_millis(9)),
            },
            Fact::EndpointAuthorized { endpoint_id: endpoint_id.clone() },
            Fact::DeliveryExhausted {
                endpoint_id,
                job_id: "evt-1".parse().unwrap(),
                dead_letter_id: "dl_1".to_owned(),
                reason: Reason::AttemptsExhausted,
                attempts: 15,
            },
            ending(3),
        ]
    }

    #[test]
    fn every_event_is_a_job_that_names_no_endpoint() {
        for (fact, event_type) in facts().into_iter().zip(Fact::TYPES) {
            let job = event(fact, 5).job(&"operator".parse().unwrap()).to_string();
            let job = Job::decode(job.as_bytes()).unwrap();
            assert_eq!(job.event_type.as_deref(), Some(event_type));
            assert_eq!((job.customer_id.as_str(), job.endpoint_id), ("operator", None));
        }
    }

    #[test]
    fn the_data_says_whose_it_is_what_and_when() {
        let [disabled, ..] = facts();
        let job = event(disabled, 5).job(&"operator".parse().unwrap());
        let expected = json!({"type": "endpoint.disabled", "at": "1970-01-01T00:00:00.005Z",
                              "customerId": "acme", "endpointId": "orders", "why": "every call failed"});
        assert_eq!(job["data"], expected);
    }

    #[test]
    fn what_is_seen_again_and_again_is_one_event_a_day_and_all_else_its_own() {
        assert_eq!(event(ending(3), 5).id(), event(ending(3), DAY_MILLIS - 1).id());
        assert_ne!(event(ending(3), 5).id(), event(ending(3), DAY_MILLIS).id());
        assert_ne!(event(ending(3), 5).id(), event(ending(4), 5).id());
        let ids: std::collections::HashSet<String> = facts()
            .into_iter()
            .flat_map(|f| [event(f.clone(), 5).id(), event(f, 6).id()])
            .collect();
        // A certificate is told of once a day, and a dead letter once.
        assert_eq!(ids.len(), 10);
    }
}
