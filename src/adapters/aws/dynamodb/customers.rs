//! The customers of the tables, and what is removed of one by its name.
//!
//! There is no table of customers. Their list is a walk over `endpoints`, then over `secrets` for those
//! without an endpoint, a bounded piece at a time; a place in it says how far it has come.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::item::{Item, Reader, key, names, s, values};
use super::{Table, tables};
use crate::adapters::aws::classify::failed;
use crate::domain::ids::CustomerId;
use crate::domain::tenant_key::StoredKey;
use crate::ports::customers::{CustomerPage, MOST_ROWS_LOOKED_AT, Remains, Removed};
use crate::ports::{Customers, Result};

/// Rows of one piece of the walk: DynamoDB reads a megabyte of them at most.
const PIECE: i32 = 250;
/// Customers whose endpoints are asked for at once.
const AT_ONCE: usize = 16;

const LIST: &str = "customers.list";
pub(super) const REMOVE: &str = "customers.remove";

/// The customers of some tables.
pub struct DynamoCustomers {
    pub(super) secrets: Table,
    endpoints: Table,
    pub(super) health: Table,
    pub(super) deliveries: Table,
}

impl DynamoCustomers {
    /// The customers of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        let table = |definition: tables::Definition| Table::new(client, prefix, definition.name);
        Self {
            secrets: table(tables::SECRETS),
            endpoints: table(tables::ENDPOINTS),
            health: table(tables::HEALTH),
            deliveries: table(tables::DELIVERIES),
        }
    }
}

/// Which of the two tables is walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    Endpoints,
    Secrets,
}

impl Walk {
    fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Secrets => "secrets",
        }
    }

    fn sort_key(self) -> &'static str {
        match self {
            Self::Endpoints => "endpointId",
            Self::Secrets => "secretId",
        }
    }
}

/// How far a list has come. No id has a `#` but the sort key of a secret's old version, which is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    walk: Walk,
    /// The customer that was met last: its other rows are passed over.
    met: String,
    /// The keys of the row that was looked at last; empty at the beginning.
    row: (String, String),
}

impl Place {
    fn start(walk: Walk) -> Self {
        Self { walk, met: String::new(), row: Default::default() }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '#');
        let walk = match parts.next()? {
            "endpoints" => Walk::Endpoints,
            "secrets" => Walk::Secrets,
            _ => return None,
        };
        let (met, customer, sort) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { walk, met: met.to_owned(), row: (customer.to_owned(), sort.to_owned()) })
    }

    fn text(&self) -> String {
        format!("{}#{}#{}#{}", self.walk.name(), self.met, self.row.0, self.row.1)
    }

    fn key(&self) -> Option<Item> {
        if self.row.0.is_empty() {
            return None;
        }
        key(("customerId", &self.row.0), (self.walk.sort_key(), &self.row.1))
    }
}

/// A piece of the walk: the first row of each customer in it that was not met before.
struct Piece {
    found: Vec<(CustomerId, (String, String))>,
    /// The last row that was looked at, if there are more behind it.
    last: Option<(String, String)>,
    looked_at: usize,
}

fn row_of(walk: Walk, item: &Item) -> Result<(String, String)> {
    let item = Reader { operation: LIST, item };
    Ok((item.text("customerId")?.to_owned(), item.text(walk.sort_key())?.to_owned()))
}

impl DynamoCustomers {
    async fn piece(&self, place: &Place) -> Result<Piece> {
        // Rows of what was deleted, of versions that are history and of shredded tenant keys are nobody's.
        let (table, is_there, used) = match place.walk {
            Walk::Endpoints => (&self.endpoints, "attribute_exists(#config)", &["config"][..]),
            Walk::Secrets => (
                &self.secrets,
                "attribute_exists(#encryptedValue) \
                 OR (attribute_exists(#current) AND #current.#sealed <> :shredded)",
                &["encryptedValue", "current", "sealed"][..],
            ),
        };
        let keys = ["customerId", place.walk.sort_key()];
        let mut scan = (table.client.scan().table_name(&table.name).consistent_read(true))
            .limit(PIECE)
            .set_exclusive_start_key(place.key())
            .filter_expression(is_there)
            .projection_expression(format!("#{}, #{}", keys[0], keys[1]))
            .set_expression_attribute_names(names(&[&keys[..], used].concat()));
        if place.walk == Walk::Secrets {
            let mark = AttributeValue::B(Blob::new(StoredKey::Shredded.bytes()));
            scan = scan.expression_attribute_values(":shredded", mark);
        }
        let scanned = scan.send().await.map_err(|e| failed(LIST, &e))?;
        let (mut found, mut met) = (Vec::new(), place.met.clone());
        for item in scanned.items() {
            let row = row_of(place.walk, item)?;
            if row.0 != met {
                let customer = Reader { operation: LIST, item }.parsed("customerId")?;
                met.clone_from(&row.0);
                found.push((customer, row));
            }
        }
        let last = scanned.last_evaluated_key().filter(|key| !key.is_empty());
        let last = last.map(|item| row_of(place.walk, item)).transpose()?;
        Ok(Piece { found, last, looked_at: usize::try_from(scanned.scanned_count).unwrap_or(0) })
    }

    /// Whether a customer was met in the walk over endpoints.
    async fn has_endpoint(&self, customer: &CustomerId) -> Result<bool> {
        let mut found = (of_customer(&self.endpoints, customer))
            .filter_expression("attribute_exists(#config)")
            .projection_expression("#customerId")
            .expression_attribute_names("#config", "config")
            .into_paginator()
            .items()
            .send();
        Ok(found.next().await.transpose().map_err(|e| failed(LIST, &e))?.is_some())
    }

    /// Those of a piece that belong on the list.
    async fn listed(
        &self,
        walk: Walk,
        found: &[(CustomerId, (String, String))],
    ) -> Result<Vec<bool>> {
        if walk == Walk::Endpoints {
            return Ok(vec![true; found.len()]);
        }
        let mut listed = Vec::with_capacity(found.len());
        for some in found.chunks(AT_ONCE) {
            let known = some.iter().map(|(customer, _)| self.has_endpoint(customer));
            listed.extend(try_join_all(known).await?.into_iter().map(|known| !known));
        }
        Ok(listed)
    }
}

/// The rows of a customer in a table.
pub(super) fn of_customer(table: &Table, customer: &CustomerId) -> QueryFluentBuilder {
    (table.client.query().table_name(&table.name).consistent_read(true))
        .key_condition_expression("#customerId = :customerId")
        .set_expression_attribute_names(names(&["customerId"]))
        .set_expression_attribute_values(values([(":customerId", s(customer))]))
}

#[async_trait]
impl Customers for DynamoCustomers {
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<CustomerPage> {
        let mut page = CustomerPage::default();
        let mut place = match after.map(Place::parse) {
            None => Place::start(Walk::Endpoints),
            Some(Some(place)) => place,
            Some(None) => return Ok(page),
        };
        let mut looked_at = 0;
        loop {
            let Piece { found, last, looked_at: more } = self.piece(&place).await?;
            let listed = self.listed(place.walk, &found).await?;
            for ((customer, row), is_listed) in found.into_iter().zip(listed) {
                place = Place { met: row.0.clone(), row, ..place };
                if is_listed {
                    page.customers.push(customer);
                }
                if page.customers.len() >= limit {
                    page.next = Some(place.text());
                    return Ok(page);
                }
            }
            looked_at += more;
            match last {
                Some(row) => place.row = row,
                None if place.walk == Walk::Endpoints => place = Place::start(Walk::Secrets),
                None => return Ok(page),
            }
            if looked_at >= MOST_ROWS_LOOKED_AT {
                page.next = Some(place.text());
                return Ok(page);
            }
        }
    }

    async fn remove(&self, customer: &CustomerId, what: Remains) -> Result<Removed> {
        match what {
            Remains::SecretVersions => self.remove_versions(customer).await,
            Remains::Deliveries => self.remove_deliveries(customer).await,
            // They are found by their own ids alone, and gone within the hour.
            Remains::TestCalls => Ok(Removed { count: 0, more: false }),
            Remains::Health => self.remove_health(customer).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_it_was_written() {
        for (walk, sort) in [(Walk::Endpoints, "orders"), (Walk::Secrets, "signing#0001")] {
            let row = ("acme".to_owned(), sort.to_owned());
            for place in [Place { walk, met: "b".to_owned(), row }, Place::start(walk)] {
                assert_eq!(Place::parse(&place.text()), Some(place));
            }
        }
        for other in ["", "acme", "endpoints#acme", "health#a#b#c"] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }
}
