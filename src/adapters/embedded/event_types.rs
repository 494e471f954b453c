//! Event types in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::event_catalog::EventType;
use crate::domain::ids::EventTypeName;
use crate::ports::{Error, EventTypes, Result};

/// The event types of a data directory.
pub struct SqliteEventTypes(pub Database);

fn parse(record: &str) -> Result<EventType> {
    serde_json::from_str(record).map_err(|e| Error::new("event_types.read", e))
}

#[async_trait]
impl EventTypes for SqliteEventTypes {
    async fn put(&self, event_type: &EventType) -> Result<()> {
        let json =
            serde_json::to_string(event_type).map_err(|e| Error::new("event_types.put", e))?;
        let name = event_type.name.clone();
        let write = move |c: &Connection| {
            c.prepare_cached("INSERT OR REPLACE INTO event_types VALUES (?, ?)")?
                .execute([name.as_str(), &json])
        };
        self.0.write("event_types.put", write).await.map(drop)
    }

    async fn get(&self, name: &EventTypeName) -> Result<Option<EventType>> {
        let name = name.clone();
        let read = move |c: &Connection| {
            let mut statement =
                c.prepare_cached("SELECT record FROM event_types WHERE name = ?")?;
            statement.query_row([name.as_str()], |row| row.get::<_, String>(0)).optional()
        };
        let record = self.0.read("event_types.get", read).await?;
        record.as_deref().map(parse).transpose()
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<EventType>> {
        let after = after.unwrap_or_default().to_owned();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |c: &Connection| {
            let sql = "SELECT record FROM event_types WHERE name > ? ORDER BY name LIMIT ?";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params![after, limit], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        let records = self.0.read("event_types.list", read).await?;
        records.iter().map(|record| parse(record)).collect()
    }

    async fn delete(&self, name: &EventTypeName) -> Result<bool> {
        let name = name.clone();
        let write = move |c: &Connection| {
            c.prepare_cached("DELETE FROM event_types WHERE name = ?")?.execute([name.as_str()])
        };
        Ok(self.0.write("event_types.delete", write).await? > 0)
    }
}
