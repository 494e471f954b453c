//! The customers of a data directory, and what is removed of one by its name.

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rusqlite::{Connection, params};

use super::database::Database;
use crate::domain::ids::CustomerId;
use crate::domain::tenant_key::StoredKey;
use crate::ports::customers::{CustomerPage, MOST_REMOVED, Remains, Removed};
use crate::ports::{Customers, Error, Result};

/// The customers of a data directory. A place in their list is the id of the last one.
pub struct SqliteCustomers(pub Database);

/// Either half goes along its table's key and ends as soon as there are enough. What stands in place of a
/// shredded tenant key is no secret.
const LIST: &str = "
    SELECT id FROM (
        SELECT * FROM (SELECT DISTINCT customer_id AS id FROM endpoints
                       WHERE config IS NOT NULL AND customer_id > ?1 ORDER BY customer_id LIMIT ?2)
        UNION
        SELECT * FROM (SELECT DISTINCT customer_id AS id FROM secrets
                       WHERE record IS NOT NULL AND customer_id > ?1
                       AND json_extract(record, '$.current.sealed') <> ?3
                       ORDER BY customer_id LIMIT ?2))
    ORDER BY id LIMIT ?2";

fn names(c: &Connection, after: &str, count: usize) -> rusqlite::Result<Vec<String>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let shredded = BASE64_STANDARD.encode(StoredKey::Shredded.bytes());
    let mut statement = c.prepare_cached(LIST)?;
    statement.query_map(params![after, count, shredded], |row| row.get(0))?.collect()
}

/// Removes some deliveries with all that is theirs.
fn remove_deliveries(c: &Connection, customer: &str) -> rusqlite::Result<usize> {
    let some = "SELECT id FROM delivery_records WHERE customer_id = ? LIMIT ?";
    let some: Vec<String> = c
        .prepare_cached(some)?
        .query_map(params![customer, MOST_REMOVED], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for sql in [
        "DELETE FROM attempt_records WHERE delivery_id = ?",
        "DELETE FROM kept_bodies WHERE delivery_id = ?",
        "DELETE FROM resends WHERE delivery_id = ?",
        "DELETE FROM delivery_records WHERE id = ?",
    ] {
        let mut delete = c.prepare_cached(sql)?;
        some.iter().try_for_each(|id| delete.execute([id]).map(drop))?;
    }
    Ok(some.len())
}

fn remove(c: &Connection, customer: &str, what: Remains) -> rusqlite::Result<usize> {
    let sql = match what {
        Remains::Deliveries => return remove_deliveries(c, customer),
        Remains::SecretVersions => {
            "DELETE FROM secret_versions WHERE (customer_id, secret_id, version) IN
                (SELECT past.customer_id, past.secret_id, past.version FROM secret_versions past
                 JOIN secrets USING (customer_id, secret_id)
                 WHERE past.customer_id = ?1 AND secrets.record IS NULL LIMIT ?2)"
        }
        Remains::TestCalls => {
            "DELETE FROM test_calls WHERE id IN
                (SELECT id FROM test_calls WHERE json_extract(record, '$.customerId') = ?1 LIMIT ?2)"
        }
        Remains::Health => {
            "DELETE FROM health WHERE (customer_id, endpoint_id) IN
                (SELECT customer_id, endpoint_id FROM health WHERE customer_id = ?1 LIMIT ?2)"
        }
    };
    c.prepare_cached(sql)?.execute(params![customer, MOST_REMOVED])
}

#[async_trait]
impl Customers for SqliteCustomers {
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<CustomerPage> {
        let operation = "customers.list";
        let after = after.unwrap_or("").to_owned();
        let read = move |c: &Connection| names(c, &after, limit + 1);
        let mut found = self.0.read(operation, read).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).cloned();
        let customers = found.iter().map(|id| id.parse());
        let customers = customers.collect::<std::result::Result<_, _>>();
        Ok(CustomerPage {
            customers: customers.map_err(|e| Error::unreadable(operation, e))?,
            next,
        })
    }

    async fn remove(&self, customer: &CustomerId, what: Remains) -> Result<Removed> {
        let customer = customer.clone();
        let write = move |c: &Connection| remove(c, customer.as_str(), what);
        let count = self.0.write("customers.remove", write).await?;
        Ok(Removed { count: count as u64, more: count >= MOST_REMOVED })
    }
}
