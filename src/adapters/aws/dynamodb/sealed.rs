//! Sealed versions as attributes of items.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::item::{Item, Reader, b, n, s};
use crate::domain::ids::SecretId;
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::timestamp::Timestamp;
use crate::ports::Result;

/// The sort key of a version that is history: twenty digits, so that the keys sort as the numbers do.
pub fn past_key(secret: &SecretId, version: u64) -> String {
    format!("{secret}#{version:020}")
}

/// A sealed version as a map of attributes.
pub fn version_map(version: &SealedVersion) -> AttributeValue {
    let origins = version.origins.iter().map(s).collect();
    let mut attributes = vec![
        ("version", n(version.version)),
        ("sealed", b(&version.sealed)),
        ("origins", AttributeValue::L(origins)),
        ("createdAt", s(version.created_at)),
    ];
    // Texts and times always make JSON.
    let facts = version.facts.as_ref().and_then(|facts| serde_json::to_string(facts).ok());
    attributes.extend(facts.map(|facts| ("facts", s(facts))));
    AttributeValue::M(attributes.into_iter().map(|(name, v)| (name.to_owned(), v)).collect())
}

/// The version in an attribute, if it is there.
pub fn version(item: Reader<'_>, name: &str) -> Result<Option<SealedVersion>> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let map = value.as_m().map_err(|_| item.unlike(name, "a map"))?;
    let part = Reader { operation: item.operation, item: map };
    let sealed = part.get("sealed").and_then(|value| value.as_b().ok());
    let origins = part.get("origins").and_then(|value| value.as_l().ok());
    let (Some(sealed), Some(origins)) = (sealed, origins) else {
        return Err(item.unlike(name, "a sealed version"));
    };
    let origin = |value: &AttributeValue| value.as_s().ok().and_then(|text| text.parse().ok());
    let origins: Option<_> = origins.iter().map(origin).collect();
    Ok(Some(SealedVersion {
        version: part.number("version")?,
        sealed: sealed.as_ref().to_vec(),
        origins: origins.ok_or_else(|| part.unlike("origins", "a list of origins"))?,
        created_at: part.parsed("createdAt")?,
        // They are there to be shown; what cannot be read is not.
        facts: part.optional_text("facts")?.and_then(|json| serde_json::from_str(json).ok()),
    }))
}

/// A value that was sealed by KMS alone.
fn unbound(item: Reader<'_>) -> Result<Option<SealedVersion>> {
    let Some(text) = item.optional_text("encryptedValue")? else { return Ok(None) };
    // What is no base64 is no ciphertext either: it is handed on as it is, for the key to refuse. An
    // error here would count as a passing fault of ours, and never pass.
    let ciphertext =
        BASE64_STANDARD.decode(text.trim()).unwrap_or_else(|_| text.as_bytes().to_vec());
    // Other programs write this date; one that cannot be read does no harm.
    let created_at = item.optional_text("createdAt")?.and_then(|text| text.parse().ok());
    let created_at = created_at.unwrap_or(Timestamp::from_millis(0));
    Ok(Some(SealedVersion::unbound(&ciphertext, created_at)))
}

/// The secret of an item; `None` if it was deleted.
pub fn secret(operation: &'static str, item: &Item) -> Result<Option<SealedSecret>> {
    let item = Reader { operation, item };
    let Some(current) = version(item, "current")? else {
        let current = unbound(item)?;
        return Ok(current.map(|current| SealedSecret {
            current,
            previous: None,
            previous_until: None,
        }));
    };
    let Some(until) = item.optional_text("previousUntil")? else {
        return Ok(Some(SealedSecret { current, previous: None, previous_until: None }));
    };
    let until = until.parse().map_err(|_| item.unlike("previousUntil", "a time"))?;
    // The first version that replaces an unbound value leaves it where it was.
    let previous = version(item, "previous")?.map_or_else(|| unbound(item), |v| Ok(Some(v)))?;
    Ok(Some(SealedSecret { current, previous, previous_until: Some(until) }))
}
