//! The index of dead letters in SQLite: a row each, found by age, of all or of one customer.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::database::Database;
use super::replays;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter, position, read_position};
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::{LetterPage, MOST_LETTERS_LOOKED_AT};
use crate::ports::{Error, Result};

/// How many letters are read at once while a filter looks for matches.
const PAGE: usize = 500;

/// Puts a letter, over one of the same id.
pub async fn put(database: &Database, letter: &DeadLetter) -> Result<()> {
    let json =
        serde_json::to_string(letter).map_err(|e| Error::new("deliveries.dead_letter", e))?;
    let (id, dead_at) = (letter.id.clone(), letter.dead_at.as_millis());
    let write = move |c: &Connection| {
        replays::forget_claim(c, &id)?;
        c.prepare_cached("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?)")?
            .execute(params![id, dead_at, json])
    };
    database.write("deliveries.dead_letter", write).await.map(drop)
}

/// One letter.
pub async fn get(database: &Database, id: &str) -> Result<Option<DeadLetter>> {
    let id = id.to_owned();
    let read = move |c: &Connection| {
        let mut statement = c.prepare_cached("SELECT letter FROM dead_letters WHERE id = ?")?;
        statement.query_row([id], |row| row.get::<_, String>(0)).optional()
    };
    let found = database.read("deliveries.get_dead_letter", read).await?;
    found.as_deref().map(parse).transpose()
}

/// Letters, oldest first.
pub async fn scan(
    database: &Database,
    filter: &DeadLetterFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<LetterPage> {
    let Some(begin) = begin(database, after).await? else { return Ok(LetterPage::default()) };
    // No letter is without an id, so all of the time `since` come behind this place.
    let since = filter.since.map_or(-1, Timestamp::as_millis);
    let mut place = begin.max((since, String::new()));
    let (mut page, mut looked_at) = (LetterPage::default(), 0);
    loop {
        let count = PAGE.min(MOST_LETTERS_LOOKED_AT - looked_at);
        let (range, start) = (filter.clone(), place.clone());
        let read = move |c: &Connection| rows(c, &range, &start, count);
        let found = database.read("deliveries.list", read).await?;
        for text in &found {
            let letter = parse(text)?;
            place = (letter.dead_at.as_millis(), letter.id.clone());
            looked_at += 1;
            if filter.matches(&letter) {
                page.letters.push(letter);
            }
            if page.letters.len() >= limit {
                break;
            }
        }
        let is_full = page.letters.len() >= limit || looked_at >= MOST_LETTERS_LOOKED_AT;
        if found.len() < count && !is_full {
            return Ok(page);
        }
        if is_full {
            page.next = Some(position(Timestamp::from_millis(place.0), &place.1));
            return Ok(page);
        }
    }
}

/// Removes letters as they were read.
pub async fn remove(database: &Database, letters: &[DeadLetter]) -> Result<()> {
    let rows: Vec<(String, i64)> =
        letters.iter().map(|l| (l.id.clone(), l.dead_at.as_millis())).collect();
    let write = move |c: &Connection| {
        let sql = "DELETE FROM dead_letters WHERE id = ? AND dead_at = ?";
        let mut statement = c.prepare_cached(sql)?;
        rows.iter().try_for_each(|(id, dead_at)| {
            if statement.execute(params![id, dead_at])? > 0 {
                replays::forget_claim(c, id)?;
            }
            Ok(())
        })
    };
    database.write("deliveries.remove_dead_letters", write).await
}

fn parse(text: impl AsRef<str>) -> Result<DeadLetter> {
    serde_json::from_str(text.as_ref()).map_err(|e| Error::unreadable("deliveries.read", e))
}

/// The time and the id behind which a list begins; `None` where it is to begin behind a letter that is
/// not there.
async fn begin(database: &Database, after: Option<&str>) -> Result<Option<(i64, String)>> {
    let Some(after) = after else { return Ok(Some((-1, String::new()))) };
    if let Some((dead_at, id)) = read_position(after) {
        return Ok(Some((dead_at.as_millis(), id.to_owned())));
    }
    let letter = get(database, after).await?;
    Ok(letter.map(|letter| (letter.dead_at.as_millis(), letter.id)))
}

/// The query over an index that has its range and its order.
fn sql(filter: &DeadLetterFilter) -> &'static str {
    if filter.customer_id.is_some() {
        "SELECT letter FROM dead_letters INDEXED BY dead_letters_customer
         WHERE json_extract(letter, '$.customerId') = :customer
           AND (dead_at, id) > (:dead_at, :id) AND dead_at < :until
         ORDER BY dead_at, id LIMIT :count"
    } else {
        "SELECT letter FROM dead_letters INDEXED BY dead_letters_age
         WHERE :customer IS NULL
           AND (dead_at, id) > (:dead_at, :id) AND dead_at < :until
         ORDER BY dead_at, id LIMIT :count"
    }
}

fn rows(
    c: &Connection,
    filter: &DeadLetterFilter,
    (dead_at, id): &(i64, String),
    count: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = c.prepare_cached(sql(filter))?;
    let range = named_params! {
        ":customer": filter.customer_id.as_ref().map(|id| id.as_str()),
        ":dead_at": dead_at,
        ":id": id,
        ":until": filter.until.map_or(i64::MAX, Timestamp::as_millis),
        ":count": i64::try_from(count).unwrap_or(i64::MAX),
    };
    statement.query_map(range, |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lists_of_dead_letters_go_over_their_indexes_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("t.db")).unwrap();
        let of = DeadLetterFilter {
            customer_id: Some("acme".parse().unwrap()),
            ..DeadLetterFilter::default()
        };
        for (filter, index) in [
            (DeadLetterFilter::default(), "age ((dead_at,id)>(?,?) AND dead_at<?)"),
            (of, "customer (<expr>=? AND (dead_at,id)>(?,?) AND dead_at<?)"),
        ] {
            let plan = database.plan(sql(&filter)).await;
            let expected = format!("SEARCH dead_letters USING INDEX dead_letters_{index}");
            assert!(plan.starts_with(&expected), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
