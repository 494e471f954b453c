//! Puts a sealed version in the place of another, if that still is as it was read: the condition is the
//! whole attribute, so that nothing that somebody else has written is lost.

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, Reader, n, names, s};
use super::sealed::{secret, version, version_map};
use super::secrets::DynamoSecrets;
use super::was_made;
use crate::adapters::system::SystemChance;
use crate::domain::secret::SealedVersion;
use crate::ports::{Chance, Result};

/// What a foreign row holds its value in.
const FOREIGN: &str = "encryptedValue";

/// The attributes of a secret's own item that are the version `from`.
pub(super) fn places(
    operation: &'static str,
    item: &Item,
    from: &SealedVersion,
) -> Result<Vec<&'static str>> {
    let reader = Reader { operation, item };
    if reader.get("current").is_none() {
        let foreign = secret(operation, item)?.is_some_and(|secret| secret.current == *from);
        return Ok(if foreign { vec![FOREIGN] } else { Vec::new() });
    }
    let mut places = Vec::new();
    for place in ["current", "previous"] {
        if version(reader, place)?.as_ref() == Some(from) {
            places.push(place);
        }
    }
    Ok(places)
}

impl DynamoSecrets {
    /// Replaces the version that `item` has at `place`, if it still is there.
    pub(super) async fn replace_at(
        &self,
        operation: &'static str,
        key: Option<Item>,
        item: &Item,
        place: &'static str,
        to: &SealedVersion,
    ) -> Result<bool> {
        let Some(old) = item.get(place) else { return Ok(false) };
        let writer = SystemChance.token();
        let mut set =
            vec![(":old", old.clone()), (":to", version_map(to)), (":writer", s(&writer))];
        let mut used = vec![place, "writer"];
        let (update, condition) = if place == FOREIGN {
            used.extend(["current", "version", "createdAt"]);
            let last: u64 = Reader { operation, item }.optional_number("version")?.unwrap_or(0);
            set.push((":version", n(last.max(to.version))));
            let update = "SET #current = :to, #version = :version, #writer = :writer \
                          REMOVE #encryptedValue, #createdAt";
            let unchanged = "#encryptedValue = :old AND attribute_not_exists(#current)";
            let last = if item.contains_key("version") {
                set.push((":last", n(last)));
                "#version = :last"
            } else {
                "attribute_not_exists(#version)"
            };
            (update.to_owned(), format!("{unchanged} AND {last}"))
        } else {
            let mut update = format!("SET #{place} = :to, #writer = :writer");
            let last = Reader { operation, item }.optional_number::<u64>("version")?.unwrap_or(0);
            if to.version > last && place != "past" {
                used.push("version");
                set.push((":version", n(to.version)));
                update.push_str(", #version = :version");
            }
            (update, format!("#{place} = :old"))
        };
        let values = set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let table = self.table();
        let sent = (table.client.update_item().table_name(&table.name))
            .set_key(key.clone())
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names(&used))
            .set_expression_attribute_values(Some(values))
            .send()
            .await;
        if was_made(operation, sent)? {
            return Ok(true);
        }
        // This very call, repeated, after its answer was lost.
        let now = self.read(operation, key).await?.unwrap_or_default();
        Ok(now.get("writer") == Some(&AttributeValue::S(writer)))
    }
}
