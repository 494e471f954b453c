//! Reads the connections, API destinations and rules of an account in Amazon EventBridge.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::classify::failed;
use super::client::Clients;
use super::json_call::{JsonCall, Target};
use crate::import::account::{Account, ApiDestination, Connection, Rule, Targets};
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

    /// The texts `member` of everything in the list `of`, over all pages.
    async fn names(&self, question: Value, of: &str, member: Option<&str>) -> Result<Vec<String>> {
        let (mut names, mut question) = (Vec::new(), question);
        for _ in 0..MOST_PAGES {
            let page: Value = self.ask(&question).await?;
            let entries = page[of].as_array().into_iter().flatten();
            let name =
                |entry: &Value| member.map_or(entry, |m| &entry[m]).as_str().map(str::to_owned);
            names.extend(entries.filter_map(name));
            match page["NextToken"].as_str() {
                Some(token) => question["NextToken"] = json!(token),
                None => return Ok(names),
            }
        }
        Err(Error::new(self.name, format!("more than {MOST_PAGES} pages")))
    }
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
        for name in list.names(json!({}), "Connections", Some("Name")).await? {
            account.connections.push(describe.ask::<Connection>(&json!({"Name": name})).await?);
            read(&name);
        }
        let list = operation!(self, "ListApiDestinations");
        let describe = operation!(self, "DescribeApiDestination");
        for name in list.names(json!({}), "ApiDestinations", Some("Name")).await? {
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
        for bus in buses.names(json!({}), "EventBuses", Some("Name")).await? {
            let mut of_bus = BTreeSet::new();
            for destination in destinations {
                let question =
                    json!({"TargetArn": destination.api_destination_arn, "EventBusName": bus});
                of_bus.extend(by_target.names(question, "RuleNames", None).await?);
            }
            for name in of_bus {
                let mut rule: Rule =
                    describe.ask(&json!({"Name": name, "EventBusName": bus})).await?;
                // A rule has five targets, at most a hundred on request: one page.
                let asked = json!({"Rule": name, "EventBusName": bus, "Limit": 100});
                rule.targets = targets.ask::<Targets>(&asked).await?.targets;
                read(&name);
                rules.push(rule);
            }
        }
        Ok(rules)
    }
}
