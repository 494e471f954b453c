//! Who calls the HTTP API, and what they may do.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;

/// Longest that a customer's token is good.
pub const LONGEST_TOKEN: Duration = Duration::from_secs(24 * 3600);

/// An API key of the operator, or a token of a customer, as it is kept: never the text that its holder
/// has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Its name in the store: `key_…`, or `tok_…` of a customer's token.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub grant: Grant,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// The key that a customer's token was made with: the token ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted_by: Option<String>,
    /// SHA-256 of the text that its holder has, in hexadecimal.
    pub hash: String,
}

impl ApiKey {
    /// Whether it is good at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What a key of the operator is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To look.
    ReadOnly,
    /// To send jobs, and nothing else.
    Producer,
    /// To do everything.
    Operator,
}

/// What a key or a token may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Grant {
    /// A key of the operator.
    #[serde(rename_all = "camelCase")]
    Operator {
        /// What it is for.
        scope: Scope,
        /// Only these customers, if any are named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customers: Option<BTreeSet<CustomerId>>,
        /// Only these endpoints of them, if any are named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoints: Option<BTreeSet<EndpointId>>,
    },
    /// A customer's token.
    #[serde(rename_all = "camelCase")]
    Customer {
        /// Whose.
        customer_id: CustomerId,
    },
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Look at endpoints, facts of secrets, dead letters.
    Read,
    /// Change endpoints and secrets, replay dead letters.
    Change,
    /// Send a job.
    Send,
    /// Make a token for a customer.
    Mint,
    /// Make, list and revoke API keys.
    Administer,
}

impl Scope {
    /// Whether a key of this scope may do that to anything at all.
    fn permits(self, action: Action) -> bool {
        match self {
            Self::ReadOnly => action == Action::Read,
            Self::Producer => action == Action::Send,
            Self::Operator => true,
        }
    }
}

impl Grant {
    /// Whether the action is permitted on something of `customer` (`None`: of no customer, or of all),
    /// and there on something of `endpoint` (`None`: on what belongs to no single endpoint).
    pub fn allows(
        &self,
        action: Action,
        customer: Option<&CustomerId>,
        endpoint: Option<&EndpointId>,
    ) -> bool {
        match self {
            Self::Operator { endpoints, .. } => {
                self.reaches(action, customer) && is_within(endpoints.as_ref(), endpoint)
            }
            Self::Customer { .. } => self.reaches(action, customer),
        }
    }

    /// Whether the action is permitted on something of `customer`, be it one endpoint alone.
    pub fn reaches(&self, action: Action, customer: Option<&CustomerId>) -> bool {
        match self {
            Self::Operator { scope, customers, .. } => {
                scope.permits(action) && is_within(customers.as_ref(), customer)
            }
            Self::Customer { customer_id } => {
                let own = customer == Some(customer_id);
                own && match action {
                    Action::Read | Action::Change => true,
                    Action::Send | Action::Mint | Action::Administer => false,
                }
            }
        }
    }

    /// Whether the action is permitted on anything.
    pub fn permits(&self, action: Action) -> bool {
        match self {
            Self::Operator { scope, .. } => scope.permits(action),
            Self::Customer { customer_id } => self.reaches(action, Some(customer_id)),
        }
    }

    /// The customer whose things alone are seen, where there is just one.
    pub fn only_customer(&self) -> Option<&CustomerId> {
        match self {
            Self::Operator { customers, .. } => {
                customers.as_ref().filter(|c| c.len() == 1).and_then(BTreeSet::first)
            }
            Self::Customer { customer_id } => Some(customer_id),
        }
    }
}

/// Whether `id` is among `limit`; without a limit everything is.
fn is_within<T: Ord>(limit: Option<&BTreeSet<T>>, id: Option<&T>) -> bool {
    limit.is_none_or(|limit| id.is_some_and(|id| limit.contains(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Action; 5] =
        [Action::Read, Action::Change, Action::Send, Action::Mint, Action::Administer];

    fn operator(scope: Scope, customers: &[&str], endpoints: &[&str]) -> Grant {
        let set = |ids: &[&str]| !ids.is_empty();
        let customers =
            set(customers).then(|| customers.iter().map(|id| id.parse().unwrap()).collect());
        let endpoints =
            set(endpoints).then(|| endpoints.iter().map(|id| id.parse().unwrap()).collect());
        Grant::Operator { scope, customers, endpoints }
    }

    fn allowed(grant: &Grant, customer: Option<&str>, endpoint: Option<&str>) -> Vec<Action> {
        let customer = customer.map(|id| id.parse().unwrap());
        let endpoint = endpoint.map(|id| id.parse().unwrap());
        let may = |action: &Action| grant.allows(*action, customer.as_ref(), endpoint.as_ref());
        ALL.into_iter().filter(may).collect()
    }

    #[test]
    fn a_scope_permits_what_it_is_for() {
        for customer in [None, Some("acme")] {
            let of = |scope| allowed(&operator(scope, &[], &[]), customer, None);
            assert_eq!(of(Scope::ReadOnly), [Action::Read]);
            assert_eq!(of(Scope::Producer), [Action::Send]);
            assert_eq!(of(Scope::Operator), ALL);
        }
    }

    #[test]
    fn a_key_limited_to_customers_reaches_no_other_and_no_keys() {
        let grant = operator(Scope::Operator, &["acme"], &[]);
        assert_eq!(allowed(&grant, Some("acme"), Some("any")), ALL);
        assert!(allowed(&grant, Some("other"), None).is_empty());
        assert!(allowed(&grant, None, None).is_empty(), "what is of all customers is not its own");
    }

    #[test]
    fn a_key_limited_to_endpoints_touches_nothing_that_others_share() {
        let grant = operator(Scope::Operator, &[], &["orders"]);
        assert_eq!(allowed(&grant, Some("acme"), Some("orders")), ALL);
        assert!(allowed(&grant, Some("acme"), Some("other")).is_empty());
        assert!(allowed(&grant, Some("acme"), None).is_empty(), "secrets, tokens and fan-outs");
        assert!(grant.reaches(Action::Read, Some(&"acme".parse().unwrap())));
    }

    #[test]
    fn a_customer_s_token_sees_and_changes_its_own_and_nothing_else() {
        let grant = Grant::Customer { customer_id: "acme".parse().unwrap() };
        let own = [Action::Read, Action::Change];
        assert_eq!(allowed(&grant, Some("acme"), None), own);
        assert_eq!(allowed(&grant, Some("acme"), Some("orders")), own);
        assert!(allowed(&grant, Some("other"), None).is_empty());
        assert!(allowed(&grant, None, None).is_empty());
    }

    #[test]
    fn a_key_is_good_until_it_expires_or_is_revoked() {
        let at = Timestamp::from_millis;
        let key = ApiKey {
            id: "key_1".to_owned(),
            name: String::new(),
            grant: operator(Scope::Operator, &[], &[]),
            created_at: at(0),
            expires_at: Some(at(10)),
            revoked_at: None,
            minted_by: None,
            hash: String::new(),
        };
        assert!(key.is_good(at(9)) && !key.is_good(at(10)));
        assert!(!ApiKey { revoked_at: Some(at(5)), ..key }.is_good(at(9)));
    }
}
