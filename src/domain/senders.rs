//! Who may enqueue jobs for whom, where the queue says who sent a message.
//!
//! A message that one of ours has sent on (a retry, a replay) names the producer that it came from, so a
//! producer is held to its customers for as long as its job lives.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::ids::{CustomerId, InvalidId};

/// Who sent a message, as the queue says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sender {
    /// The queue does not say, or was not asked.
    #[default]
    Unknown,
    /// One of ours, on its own account.
    Ours,
    /// A producer.
    Producer {
        /// The queue's name for it.
        id: String,
        /// The message bears what only ours may write. What it says was not believed.
        is_marked: bool,
    },
}

/// Whose jobs a producer may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Whose {
    /// Everybody's: `*`.
    Everybodys,
    /// One customer's.
    Customers(CustomerId),
}

impl TryFrom<String> for Whose {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        if text == "*" { Ok(Self::Everybodys) } else { text.parse().map(Self::Customers) }
    }
}

impl From<Whose> for String {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Everybodys => "*".to_owned(),
            Whose::Customers(id) => id.to_string(),
        }
    }
}

/// Which senders there are. Ids are those of SQS's attribute `SenderId`: a user's, or a role's, which
/// stands for all its sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Senders {
    /// Those that run sealpost: workers, the API, operators.
    pub own: BTreeSet<String>,
    /// Producers, with the customers whose jobs they may send.
    pub customers: BTreeMap<String, Vec<Whose>>,
}

/// A role's sessions are named `ROLE:SESSION`.
fn of_role(id: &str) -> &str {
    id.split_once(':').map_or(id, |(role, _)| role)
}

impl Senders {
    /// Whether that is one of ours.
    pub fn is_own(&self, id: &str) -> bool {
        self.own.contains(id) || self.own.contains(of_role(id))
    }

    /// Whether the sender may send jobs of the customer.
    ///
    /// # Errors
    /// If not; says why.
    pub fn check(&self, sender: &Sender, customer: &CustomerId) -> Result<(), String> {
        match sender {
            Sender::Ours => Ok(()),
            Sender::Unknown => Err("the queue does not say who sent it".to_owned()),
            Sender::Producer { id, is_marked: true } => {
                Err(format!("sender {id} has marked it as one that sealpost has sent on"))
            }
            Sender::Producer { id, is_marked: false } => {
                let allowed = self.customers.get(id).or_else(|| self.customers.get(of_role(id)));
                let Some(allowed) = allowed else { return Err(format!("sender {id} is unknown")) };
                let is_meant = |whose: &Whose| match whose {
                    Whose::Everybodys => true,
                    Whose::Customers(id) => id == customer,
                };
                if allowed.iter().any(is_meant) {
                    return Ok(());
                }
                Err(format!("sender {id} may not send jobs of customer {customer}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn senders() -> Senders {
        let json = r#"{"own":["AROAWORKER"],
            "customers":{"AIDAONE":["acme","globex"],"AROAALL":["*"],"AROATWO:build":["acme"]}}"#;
        serde_json::from_str(json).unwrap()
    }

    fn producer(id: &str) -> Sender {
        Sender::Producer { id: id.to_owned(), is_marked: false }
    }

    #[test]
    fn a_producer_sends_for_its_customers_alone_and_a_stranger_for_nobody() {
        let (senders, acme) = (senders(), "acme".parse().unwrap());
        let other = "other".parse().unwrap();
        for (id, for_acme, for_other) in [
            ("AIDAONE", true, false),
            ("AROAALL", true, true),
            ("AROAALL:i-0123", true, true),
            ("AROATWO:build", true, false),
            ("AROATWO:i-0123", false, false),
            ("AIDANOBODY", false, false),
            ("", false, false),
        ] {
            let sender = producer(id);
            assert_eq!(senders.check(&sender, &acme).is_ok(), for_acme, "{id}");
            assert_eq!(senders.check(&sender, &other).is_ok(), for_other, "{id}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_so_is_what_pretends_to_be_ours() {
        let (senders, acme) = (senders(), "acme".parse().unwrap());
        assert!(senders.check(&Sender::Ours, &acme).is_ok());
        assert!(senders.check(&Sender::Unknown, &acme).is_err());
        let marked = Sender::Producer { id: "AROAALL".to_owned(), is_marked: true };
        assert!(senders.check(&marked, &acme).unwrap_err().contains("marked"));
        assert!(senders.is_own("AROAWORKER:task-1") && !senders.is_own("AROAALL"));
        assert!(!senders.is_own("AROAWORKER2"));
    }

    #[test]
    fn a_customer_that_cannot_be_one_is_refused() {
        assert!(serde_json::from_str::<Senders>(r#"{"customers":{"A":["a b"]}}"#).is_err());
        assert!(serde_json::from_str::<Senders>(r#"{"others":[]}"#).is_err());
        let written = serde_json::to_string(&senders()).unwrap();
        assert_eq!(serde_json::from_str::<Senders>(&written).unwrap(), senders());
    }
}
