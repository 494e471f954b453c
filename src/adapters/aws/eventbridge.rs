//! Reads the connections, API destinations and rules of an account in Amazon EventBridge.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::classify::failed;
use super::client::Clients;
use super::json_call::{JsonCall, Target};
use crate::import::account::{Account, ApiDestination, Connection, Rule};
use crate::ports::{Error, Result};

/// Most pages of one list. EventBridge's quotas allow far fewer.
const MOST_PAGES: usize = 1000;

/// One client for each operation that is needed, all of which only read.
pub struct EventBridge {
    clients: Clients,
}

/// A call of one operation.
struct Call {
    name: &'static str,
    call: JsonCall,
}

impl Call {
    async fn ask<T: DeserializeOwned>(&self, question: &Value) -> Result<T> {
        let answer = self.call.send(question).await.map_err(|e| failed(self.name, &e))?;
        serde_json::from_slice(answer.0.expose())
            .map_err(|e| Error::new(self.name, format!("an answer that cannot be read: {e}")))
    }

    /// Everything in the list `of`, over all pages.
    async fn entries<T: DeserializeOwned>(&self, mut question: Value, of: &str) -> Result<Vec<T>> {
        let mut entries = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut page: Value = self.ask(&question).await?;
            let of_page: Vec<T> = serde_json::from_value(page[of].take())
                .map_err(|e| Error::new(self.name, format!("{of} cannot be read: {e}")))?;
            entries.extend(of_page);
            match page["NextToken"].as_str() {
                Some(token) => question["NextToken"] = json!(token),
                None => return Ok(entries),
            }
        }
        Err(Error::new(self.name, format!("more than {MOST_PAGES} pages")))
    }

    /// The names of everything in the list `of`.
    async fn names(&self, of: &str) -> Result<Vec<String>> {
        let entries: Vec<Named> = self.entries(json!({}), of).await?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }
}

/// What every entry of a list has.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Name")]
    name: String,
}

macro_rules! operation {
    ($of:expr, $name:literal) => {
        Call {
            name: concat!("eventbridge.", $name),
            call: JsonCall::new(
                &$of.clients,
                Target {
                    service: "events",
                    service_id: "EventBridge",
                    operation: $name,
                    target: concat!("AWSEvents.", $name),
                },
            ),
        }
    };
}

impl EventBridge {
    /// As these clients are configured; counted with them.
    pub fn new(clients: &Clients) -> Self {
        Self { clients: clients.clone() }
    }

    /// All that an import needs of the account, in the configured region. `read` is told of every
    /// description that has come.
    ///
    /// # Errors
    /// If an operation fails or is not allowed: a part of an account would make a wrong plan.
    pub async fn account(&self, read: impl Fn(&str)) -> Result<Account> {
        let mut account = Account::default();
        let list = operation!(self, "ListConnections");
        let describe = operation!(self, "DescribeConnection");
        for name in list.names("Connections").await? {
            account.connections.push(describe.ask::<Connection>(&json!({"Name": name})).await?);
            read(&name);
        }
        let list = operation!(self, "ListApiDestinations");
        let describe = operation!(self, "DescribeApiDestination");
        for name in list.names("ApiDestinations").await? {
            let destination = describe.ask::<ApiDestination>(&json!({"Name": name})).await?;
            account.destinations.push(destination);
            read(&name);
        }
        account.rules = self.rules(&account.destinations, read).await?;
        Ok(account)
    }

    /// The rules on all buses that have one of the API destinations for a target.
    async fn rules(
        &self,
        destinations: &[ApiDestination],
        read: impl Fn(&str),
    ) -> Result<Vec<Rule>> {
        let buses = operation!(self, "ListEventBuses");
        let by_target = operation!(self, "ListRuleNamesByTarget");
        let describe = operation!(self, "DescribeRule");
        let targets = operation!(self, "ListTargetsByRule");
        let mut rules = Vec::new();
        for bus in buses.names("EventBuses").await? {
            let mut of_bus = BTreeSet::new();
            for destination in destinations {
                let question =
                    json!({"TargetArn": destination.api_destination_arn, "EventBusName": bus});
                of_bus.extend(by_target.entries::<String>(question, "RuleNames").await?);
            }
            for name in of_bus {
                let mut rule: Rule =
                    describe.ask(&json!({"Name": name, "EventBusName": bus})).await?;
                let asked = json!({"Rule": name, "EventBusName": bus});
                rule.targets = targets.entries(asked, "Targets").await?;
                read(&name);
                rules.push(rule);
            }
        }
        Ok(rules)
    }
}
